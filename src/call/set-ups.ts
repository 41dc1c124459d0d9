import type { CallState } from '../core/call-state.js';
import type { Ending } from '../core/ending.js';
import { type LimitBounds, SetUpLimit, type Work } from './set-up-limit.js';

/**
 * Which work of ours each phase is. Phases that end when somebody else does something (a person, the called party's
 * network, a caller who has to acknowledge) are none: nobody may keep others out by being slow.
 */
const works: Readonly<Record<CallState['phase'], Work | null>> = {
  new: 'deciding',
  'looking-up': 'deciding',
  journalling: 'deciding',
  withdrawing: 'deciding',
  readying: 'deciding',
  anchoring: 'deciding',
  receiving: null,
  identifying: null,
  choosing: null,
  offering: null,
  greeting: null,
  dialling: null,
  cancelling: null,
  answering: 'joining',
  asking: null,
  arming: 'joining',
  telling: null,
  connecting: null,
  opening: 'joining',
  connected: null,
  unrecording: null,
  'journalling-move': null,
  moving: null,
  parting: null,
  ending: null,
  ended: null,
};

/** Fewest at once, and where the limit begins: what ten milliseconds of work each make of 3,000 calls a second. */
const leastSetUps = 8;
const firstSetUps = 32;

export const setUpBounds = (most: number, fewest = leastSetUps): LimitBounds => {
  const least = Math.min(fewest, most);
  return { least, first: Math.max(least, Math.min(firstSetUps, most)), most };
};

/** The calls that are being set up, and whether one more may be. */
export class SetUps {
  readonly #limit: SetUpLimit;
  readonly #mono: () => number;

  constructor(bounds: LimitBounds, mono: () => number) {
    this.#limit = new SetUpLimit(bounds, mono());
    this.#mono = mono;
  }

  get view(): { readonly underWay: number; readonly limit: number } {
    return { underWay: this.#limit.underWay, limit: this.#limit.limit };
  }

  /** Why a call of that trunk cannot be set up now; null where it can. */
  refusal(trunk: string): Ending | null {
    return this.#limit.admits(trunk, this.#mono()) ? null : { code: 'shed', detail: 'set-ups' };
  }

  /** What the call waits for answers nobody. */
  stoodStill(callId: string): void {
    this.#limit.pardon(callId);
  }

  /** A call has come to that phase. */
  moved(callId: string, trunk: string, phase: CallState['phase']): void {
    this.#limit.at(callId, trunk, works[phase], this.#mono());
  }
}
