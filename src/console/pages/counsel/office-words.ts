import { defineWords } from '../../app/words.js';

export const officeWords = defineWords({
  en: {
    title: 'Attorneys',
    lead: 'Who may use the counsel portal, and whose a number is that several have proved.',
    closed: 'There is no counsel portal here: the configuration has no section `counsel`.',
    invite: 'Invite an attorney',
    note: 'For whom it is',
    noteHint: 'For your own records. Look the bar number up before you send the link.',
    missing: 'This is needed.',
    make: 'Make a link',
    made: 'Good once, for a week. It is shown only now:',
    contests: 'Numbers that several proved',
    contestsText:
      'Tick those who use the number; more than one for a line of an office. Protection stays as it is whatever you decide.',
    noContests: 'No number was proved by more than one account.',
    since: 'proved first',
    decide: (count: number) =>
      count === 0 ? 'It is nobody’s of these' : count === 1 ? 'It is this one’s' : `It is of these ${count}`,
    decided: 'Decided; all of them are told.',
    proposals: 'Numbers that wait for approval',
    proposalsText:
      'A proved number is proposed like any other privileged entry, and an approver agrees to it there:',
    toLists: 'Lists',
  },
  es: {
    title: 'Abogados',
    lead: 'Quién puede usar el portal de abogados, y de quién es un número que varios han demostrado.',
    closed: 'Aquí no hay portal de abogados: la configuración no tiene la sección `counsel`.',
    invite: 'Invitar a un abogado',
    note: 'Para quién es',
    noteHint: 'Para sus propios registros. Compruebe el número de colegiado antes de enviar el enlace.',
    missing: 'Hace falta.',
    make: 'Crear un enlace',
    made: 'Vale una vez, durante una semana. Se muestra solo ahora:',
    contests: 'Números que varios demostraron',
    contestsText:
      'Marque a quienes usan el número; más de uno si es la línea de un despacho. La protección sigue igual, decida lo que decida.',
    noContests: 'Ningún número fue demostrado por más de una cuenta.',
    since: 'demostrado primero',
    decide: (count) =>
      count === 0 ? 'No es de ninguno' : count === 1 ? 'Es de esta persona' : `Es de estas ${count}`,
    decided: 'Decidido; todos quedan avisados.',
    proposals: 'Números que esperan aprobación',
    proposalsText:
      'Un número demostrado se propone como cualquier otra entrada privilegiada, y allí la acepta quien aprueba:',
    toLists: 'Listas',
  },
});
