import type { ProblemCode } from '../../http/problems.js';
import { type Language, language } from '../app/settings.js';
import type { ApiProblem } from './client.js';

/** What the API’s refusals mean, in Spanish. In English the API says it itself, with each of them. */
const spanish: Readonly<Record<ProblemCode, string>> = {
  'request-malformed': 'Falta una parte de la solicitud o está mal formada.',
  'cursor-malformed': 'El cursor no es uno que esta lista haya dado.',
  'sign-in-needed': 'Inicie sesión primero: no hay sesión ni clave, o ha terminado.',
  'credentials-wrong':
    'El nombre, la contraseña, el código o el enlace son incorrectos, o la cuenta está desactivada.',
  'second-factor-needed': 'Hace falta además el código del segundo factor.',
  'provider-refused': 'El proveedor de identidad no responde por esta persona, o la respuesta no es la suya.',
  'not-allowed': 'Los roles de esta cuenta, o los permisos de esta clave, no lo permiten.',
  'reading-needed': 'Diga antes por qué se lee la grabación: los archivos se entregan a una lectura.',
  'forgery-suspected': 'A la solicitud le falta la marca de la sesión, o viene de otro sitio.',
  'invitation-needed': 'Aquí una cuenta se hace con una invitación, y esta no es válida.',
  'own-change': 'Nadie aprueba un cambio propio.',
  'not-the-maker': 'Solo quien propuso un cambio lo retira.',
  'route-unknown': 'Aquí no hay nada.',
  unknown: 'No existe tal cosa.',
  'range-unfit': 'El intervalo no está dentro del archivo.',
  conflict: 'Se opone a lo que ya hay.',
  'approved-already': 'Esta persona ya aprobó este cambio; cuenta una vez.',
  'change-over': 'El cambio ya se aplicó, se rechazó o se retiró.',
  'entry-moved': 'La entrada cambió desde que se propuso este cambio: mírela y propóngalo de nuevo.',
  'request-under-way':
    'La misma solicitud sigue en curso: pregunte de nuevo en un momento, con la misma clave.',
  'not-configured': 'La configuración no lo prevé.',
  'confirmation-unknown': 'La confirmación no se conoce, se usó o es demasiado antigua: pídala de nuevo.',
  'controller-refused': 'El controlador rechaza la orden; el detalle dice por qué.',
  'statement-refused': 'La declaración no se puede hacer; el detalle dice por qué.',
  'evidence-refused': 'La prueba no se puede hacer; el detalle dice por qué.',
  'code-over':
    'No hay código que escribir: se usó, se cambió, se intentó demasiadas veces o es demasiado antiguo. Pida otra llamada.',
  'proof-needed': 'El número no está demostrado, ya no lo está, o alguien más lo demostró también.',
  'version-moved': 'Ha cambiado desde que se miró: mírelo de nuevo.',
  'too-large': 'La solicitud es mayor de lo que se acepta.',
  'type-unknown': 'El cuerpo no es de un tipo que se acepte: envíe JSON.',
  'search-too-broad': 'La búsqueda tardaría demasiado: acótela, sobre todo en el tiempo.',
  'number-not-watchable':
    'Según están las listas, ninguna llamada vigilada puede conectarse con este número: no hay nada que vigilar.',
  'export-refused': 'La exportación no se puede entregar; el detalle dice por qué.',
  'op-refused': 'El cambio no se puede hacer así; el detalle dice qué paso y por qué.',
  'number-malformed': 'El número no se puede leer sin adivinar.',
  'code-wrong': 'No es el código que se dijo.',
  'address-refused': 'La dirección no es una que la configuración permita.',
  'request-reused': 'La clave de esta solicitud se usó antes para otra solicitud: tome una nueva.',
  'version-missing': 'Diga con If-Match qué versión se miró.',
  'too-many-tries': 'Demasiados intentos fallidos: espere lo indicado.',
  'too-many-requests': 'Demasiadas solicitudes: espere lo indicado.',
  'too-many-watchers': 'Ya siguen las llamadas tantos como se permite.',
  busy: 'Hay demasiado en curso: reintente en breve.',
  'registry-unreachable': 'La base de datos no responde; no se cambió nada.',
  'journal-unavailable': 'No se pudo anotar quién preguntó, así que no se hace.',
  'controller-unreachable': 'El controlador no responde.',
  'controller-uncertain': 'El controlador no dijo a tiempo si se hizo: mire antes de reintentar.',
  'part-unavailable': 'Una parte necesaria no responde.',
  failed: 'Un fallo nuestro. Quedó anotado.',
};

/** Of the console itself. */
const own: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  offline: {
    en: 'The console’s server does not answer.',
    es: 'El servidor de la consola no responde.',
  },
  'too-slow': { en: 'There was no answer in time.', es: 'No hubo respuesta a tiempo.' },
  'answer-malformed': {
    en: 'The answer is not what it says it is.',
    es: 'La respuesta no es lo que dice ser.',
  },
};

/** A refusal in people's words. What nobody has words for shows as the API said it. */
export const problemText = (problem: ApiProblem, of: Language = language.get()): string => {
  const ours = Object.hasOwn(own, problem.code) ? own[problem.code] : undefined;
  if (ours !== undefined) return ours[of];
  if (of === 'es' && Object.hasOwn(spanish, problem.code)) return spanish[problem.code as ProblemCode];
  return problem.title;
};
