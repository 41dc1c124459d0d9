import type { CallState } from '../../core/call-state.js';
import { defineWords } from '../app/words.js';

/** Where a call is, in steps that people know. */
export const stages = ['deciding', 'dialling', 'asking', 'arming', 'talking', 'ending'] as const;
export type Stage = (typeof stages)[number];

const stageOfPhase: Readonly<Record<CallState['phase'], Stage>> = {
  new: 'deciding',
  'looking-up': 'deciding',
  receiving: 'deciding',
  identifying: 'deciding',
  choosing: 'deciding',
  journalling: 'deciding',
  offering: 'deciding',
  withdrawing: 'deciding',
  readying: 'dialling',
  anchoring: 'dialling',
  greeting: 'dialling',
  dialling: 'dialling',
  cancelling: 'ending',
  answering: 'asking',
  asking: 'asking',
  arming: 'arming',
  telling: 'arming',
  connecting: 'arming',
  opening: 'arming',
  connected: 'talking',
  unrecording: 'talking',
  'journalling-move': 'talking',
  moving: 'talking',
  parting: 'ending',
  ending: 'ending',
  ended: 'ending',
};
/** A phase of a later version counts as being decided: nothing is said of it that may not be so. */
export const stageOf = (phase: string): Stage =>
  Object.hasOwn(stageOfPhase, phase) ? stageOfPhase[phase as CallState['phase']] : 'deciding';

export const stageWords = defineWords({
  en: {
    deciding: 'Deciding',
    dialling: 'Dialling',
    asking: 'Asking',
    arming: 'Arming',
    talking: 'Talking',
    ending: 'Ending',
  },
  es: {
    deciding: 'Decisión',
    dialling: 'Marcado',
    asking: 'Pregunta',
    arming: 'Armado',
    talking: 'Conversación',
    ending: 'Final',
  },
});
