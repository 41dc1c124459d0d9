import { defineWords } from '../../app/words.js';

export const words = defineWords({
  en: {
    title: 'Sign in',
    to: (site: string) => `to Sallyport at ${site}`,
    toNowhere: 'to Sallyport',
    ended: 'Your session is over',
    endedText: 'It was not used for a while, or its time was up. Sign in to go on where you were.',
    name: 'Name',
    password: 'Password',
    code: 'Code',
    codeHint: 'Six digits of the authenticator, or a recovery code.',
    codeNow: 'The code of the second factor is needed.',
    go: 'Sign in',
    or: 'or',
    provider: 'Sign in with your organisation',
    providerFailed: 'Your organisation’s sign-in did not work',
    providerRefused:
      'It does not vouch for you here, or the way there took too long. Try again, or ask who looks after accounts.',
    providerGone: 'It does not answer at the moment. Try again soon, or sign in with your name.',
    link: 'Signing in with the link…',
    linkFailed: 'The link did not work',
    linkFailedText:
      'A link is good once and for ten minutes. Have a new one made, or sign in with your name.',
    missing: 'This is needed.',
    about: 'Every sign-in, and every look at a recording or a privileged number, is written down.',
  },
  es: {
    title: 'Iniciar sesión',
    to: (site) => `en Sallyport de ${site}`,
    toNowhere: 'en Sallyport',
    ended: 'Su sesión ha terminado',
    endedText: 'No se usó durante un rato, o se acabó su tiempo. Inicie sesión para seguir donde estaba.',
    name: 'Nombre',
    password: 'Contraseña',
    code: 'Código',
    codeHint: 'Seis cifras del autenticador, o un código de recuperación.',
    codeNow: 'Hace falta el código del segundo factor.',
    go: 'Iniciar sesión',
    or: 'o',
    provider: 'Entrar con su organización',
    providerFailed: 'El inicio de sesión de su organización no funcionó',
    providerRefused:
      'No responde por usted aquí, o el camino tardó demasiado. Inténtelo de nuevo o pregunte a quien lleva las cuentas.',
    providerGone: 'No responde en este momento. Inténtelo pronto de nuevo o entre con su nombre.',
    link: 'Entrando con el enlace…',
    linkFailed: 'El enlace no funcionó',
    linkFailedText:
      'Un enlace vale una vez y durante diez minutos. Pida uno nuevo, o inicie sesión con su nombre.',
    missing: 'Hace falta.',
    about: 'Cada inicio de sesión, y cada mirada a una grabación o a un número protegido, queda anotado.',
  },
});
