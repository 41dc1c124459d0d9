import type { ReasonCode } from '../../core/reason.js';
import type { Language } from '../app/settings.js';

/** Why a call was decided so, in Spanish. In English the API says it with the code. */
const spanish: Readonly<Record<ReasonCode, string>> = {
  'trunk-unknown': 'La llamada no vino de un enlace conocido y habilitado.',
  'number-unparseable': 'Lo marcado no es un número que este sitio pueda leer sin adivinar.',
  'emergency-number': 'Se marcó un número de emergencia; se avisa al personal.',
  'service-code': 'Se marcó un código de servicio, de operadora, con asterisco o corto.',
  'number-type-barred': 'Los números de este tipo (gratuitos, de pago, de coste compartido) están vedados.',
  'privileged-listed': 'El número está en la lista de protegidos y en vigor.',
  'privileged-in-snapshot': 'El número está protegido en la copia local firmada.',
  'privileged-main-number': 'Se marcó el número principal de una extensión protegida, sin la extensión.',
  'privileged-lockdown': 'Hay bloqueo, y la política rechaza también las llamadas protegidas.',
  'lists-unknown': 'Las listas no se pudieron consultar, son demasiado antiguas o no están armadas.',
  'snapshot-unknown': 'La copia local de números protegidos falta, es demasiado antigua o no es auténtica.',
  'review-pending': 'El número espera revisión: podría estar protegido.',
  'private-claim-unlisted':
    'Quien llama pide una llamada privada, y el número no está en la lista de protegidos.',
  lockdown: 'Bloqueo: ninguna llamada desde aquí en este momento.',
  'lockdown-unknown': 'No se pudo establecer si hay bloqueo.',
  blocked: 'El número está vedado.',
  'caller-unidentified': 'No se pudo establecer quién llama.',
  'not-allowed': 'El número no está en la lista de quien llama ni en la del centro.',
  'schedule-closed': 'No se permiten llamadas a esta hora.',
  'schedule-unknown': 'No se pudo establecer si se permiten llamadas a esta hora.',
  'caller-suspended': 'Las llamadas de esta persona están suspendidas.',
  'too-many-calls': 'Quien llama, el número o el teléfono ya está en tantas llamadas como se permite.',
  'too-often':
    'Quien llama, el número o el teléfono tuvo tantas llamadas como se permite en este tiempo.',
  'cool-down': 'La última llamada de esta persona terminó hace demasiado poco.',
  'recording-disarmed':
    'Una llamada de prueba falló: aquí no se graba nada hasta que otra salga bien.',
  undecided: 'Ninguna fila de la tabla coincidió; lo normal es rechazar.',
  'allowed-by-caller-list': 'El número está en la lista propia de quien llama.',
  'allowed-by-facility-list': 'El número está en la lista del centro.',
};

/** A reason in words of the language; `english` is what the API said. */
export const reasonWords = (code: string, english: string, of: Language): string =>
  of === 'es' && Object.hasOwn(spanish, code) ? spanish[code as ReasonCode] : english;
