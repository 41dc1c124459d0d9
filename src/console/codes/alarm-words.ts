import type { AlarmCode } from '../../call/events.js';
import type { Language } from '../app/settings.js';

/** What alarms mean, in Spanish. In English the API says it with the code. */
const spanish: Readonly<Record<AlarmCode, string>> = {
  'emergency-dialled': 'Se marcó un número de emergencia.',
  'private-file-found': 'Hay un archivo de una llamada privada o no grabada en un depósito.',
  'absence-unverified':
    'No se pudo establecer que una llamada no grabada no dejó nada en ningún disco.',
  'recording-missing': 'Una llamada supervisada terminó sin una grabación que se pueda reproducir.',
  'recording-lost': 'La grabación de una llamada supervisada se detuvo durante la llamada.',
  'recording-unproved': 'No se pudo comprobar una grabación, así que la llamada no se conectó.',
  'attestation-failed': 'Un nodo de medios no es lo que su grupo exige.',
  'lists-disarmed':
    'Las listas no concuerdan con su manifiesto firmado; se rechazan las llamadas ordinarias.',
  'privileged-entry-missing':
    'Un número protegido en la copia local falta en Redis sin que conste su retirada.',
  'journal-unhealthy': 'El diario no puede escribir; se rechazan las llamadas.',
  'recording-goes-on':
    'Una llamada pasó a ser privada y no se vio detenerse su grabación; la llamada se terminó.',
  'claims-too-many': 'Una persona declara privados más números de los que puede retener para las demás.',
  'order-unkept': 'No se pudo guardar un veto, una declaración o una protección pedida en una llamada.',
  'controller-crashed':
    'Una ejecución anterior del controlador acabó sin terminar sus llamadas. Se cerraron, y cada una consta.',
  'spool-unusable': 'El depósito no puede recibir una grabación.',
  'retention-overdue':
    'Hay grabaciones por retirar, o ninguna ronda de caducidad se completó, desde hace más de lo configurado.',
  'recording-privileged':
    'El número de una grabación resultó protegido después de su llamada; se selló, y constan sus lectores.',
  'seal-failed':
    'No se pudo sellar una grabación que debe sellarse; entretanto se niega a las claves del centro.',
  'stray-file': 'Un archivo que no es de ninguna llamada estaba entre las grabaciones o en un depósito.',
  'custody-blind': 'Las grabaciones no se pudieron cotejar con las listas, los diarios o el archivo.',
  'custody-silent': 'El proceso que vela por las grabaciones no da señales de vida.',
  'recordings-undelivered':
    'El servicio de almacenamiento no acepta grabaciones: esperan cifradas en este equipo.',
  'recording-conflict':
    'El servicio de almacenamiento tiene otro objeto con el nombre de una grabación: la nuestra se apartó.',
  'heads-unsigned': 'El diario creció, y durante el triple del tiempo configurado no se firmó ninguna cabeza.',
  'heads-unshipped': 'Las cabezas y los segmentos del diario no llegan a su segundo lugar.',
  'canary-failed':
    'Una llamada de prueba no salió como debe; entretanto no se graba nada en su centro.',
  'canary-unknown': 'No se pueden hacer las llamadas de prueba de un centro, por más que se intente.',
  'canary-silent':
    'Hace demasiado que ninguna llamada de prueba de un centro sale bien; allí no se graba nada.',
  'sip-path-dead':
    'Las solicitudes a nuestro propio puerto SIP no vuelven por el agente SIP: el puerto o la conexión ha muerto.',
  'passwords-guessed':
    'Alguien prueba contraseñas de enlaces; su origen se frena a una respuesta por segundo.',
  'canary-state-unkept': 'No se pudo conservar, tras un reinicio, si la grabación está desarmada.',
};

/** An alarm in words of the language; `english` is what the API said. */
export const alarmWords = (code: string, english: string, of: Language): string =>
  of === 'es' && Object.hasOwn(spanish, code) ? spanish[code as AlarmCode] : english;
