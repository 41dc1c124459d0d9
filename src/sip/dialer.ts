import type { Anchor, DialAttempt, Dialer, Dialling, DialOptions, DialOutcome, Emit } from '../call/ports.js';
import type { Connectable } from '../core/decision.js';
import type { Leg } from '../core/leg.js';
import type { CarrierStates } from './carrier-states.js';
import { DialControl, DialRun } from './dial-run.js';
import type { Drachtio } from './drachtio.js';
import type { Timing } from './own-offer.js';
import { SipError } from './sip-dialog.js';
import type { FacilityTrunk } from './trunk.js';

export interface DialerParts {
  readonly drachtio: Drachtio;
  readonly carriers: CarrierStates;
  readonly emit: Emit;
  readonly timing: Timing;
  /** The facility trunk a leg came by, and the headers of its INVITE that may be copied. */
  readonly trunkOf: (leg: Leg) => FacilityTrunk | null;
  readonly headerOf: (leg: Leg, name: string) => string | undefined;
}

/** Dials on the carriers a facility may use, in order, those known to be down last. */
export class SipDialer implements Dialer {
  readonly #parts: DialerParts;
  constructor(parts: DialerParts) {
    this.#parts = parts;
  }

  dial(leg: Leg, decision: Connectable, anchor: Anchor, options: DialOptions): Dialling {
    const attempts: DialAttempt[] = [];
    const control = new DialControl();
    const outcome = this.#dial(leg, decision, anchor, options, attempts, control).catch(
      (error: unknown): DialOutcome => ({
        state: 'failed',
        ending: { code: 'internal-error', detail: error instanceof SipError ? error.code : 'dialer' },
      }),
    );
    return { outcome, attempts, cancel: () => control.cancel() };
  }

  async #dial(
    leg: Leg,
    decision: Connectable,
    anchor: Anchor,
    options: DialOptions,
    attempts: DialAttempt[],
    control: DialControl,
  ): Promise<DialOutcome> {
    const trunk = this.#parts.trunkOf(leg);
    if (trunk === null) return { state: 'failed', ending: { code: 'carrier-failed', detail: 'no-carrier' } };
    const call = { leg, anchor, options, trunk, attempts, control };
    return new DialRun(this.#parts, call, decision).outcome();
  }
}
