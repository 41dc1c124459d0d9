import type {
  Anchor,
  CalledLeg,
  DialAttempt,
  Dialer,
  Dialling,
  DialOutcome,
  Emit,
  Sdp,
} from '../call/ports.js';
import type { Connectable } from '../core/decision.js';
import { type Ending, endingOfStatus, triesNextTrunk } from '../core/ending.js';
import type { Leg } from '../core/leg.js';
import { toRequestUriUser } from '../core/number.js';
import type { CarrierStates } from './carrier-states.js';
import type { Drachtio } from './drachtio.js';
import { type Headers, reasonHeader } from './refusal.js';
import { type OutgoingInvite, type SipDialog, SipError } from './sip-dialog.js';
import { type CarrierTrunk, type FacilityTrunk, hostportOf } from './trunk.js';

/** After a CANCEL the agent gives a final within 64*T1 = 32 s (RFC 3261 section 9.1); ours is the net below that. */
const cancelBoundMs = 40_000;

/** The called party's leg, once answered. */
export class SipCalledLeg implements CalledLeg {
  readonly dialog: SipDialog;
  readonly answer: Sdp;
  constructor(dialog: SipDialog, answer: Sdp) {
    this.dialog = dialog;
    this.answer = answer;
  }
  onGone(gone: () => void): void {
    this.dialog.onBye(() => gone());
  }
  hangUp(ending: Ending): Promise<void> {
    return this.dialog.bye({ Reason: reasonHeader(ending) });
  }
}

export interface DialerParts {
  readonly drachtio: Drachtio;
  readonly carriers: CarrierStates;
  readonly emit: Emit;
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

  dial(leg: Leg, decision: Connectable, anchor: Anchor, rang: () => void): Dialling {
    const attempts: DialAttempt[] = [];
    const control = new DialControl();
    const outcome = this.#dial(leg, decision, anchor, rang, attempts, control).catch(
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
    rang: () => void,
    attempts: DialAttempt[],
    control: DialControl,
  ): Promise<DialOutcome> {
    const trunk = this.#parts.trunkOf(leg);
    const carriers = trunk === null ? [] : this.#parts.carriers.inOrder(trunk.carriers);
    if (trunk === null || carriers.length === 0) {
      return { state: 'failed', ending: { code: 'carrier-failed', detail: 'no-carrier' } };
    }
    let last: Ending = { code: 'carrier-failed', detail: 'no-carrier' };
    for (const carrier of carriers) {
      if (control.cancelled)
        return { state: 'failed', ending: { code: 'called-unavailable', detail: 'cancelled' } };
      const started = performance.now();
      const attempt = await this.#attempt(leg, decision, anchor, trunk, carrier, rang, control);
      attempts.push({ trunk: carrier.name, status: attempt.status, ms: performance.now() - started });
      if (attempt.answered !== null) {
        const { dialog, answer } = attempt.answered;
        return { state: 'answered', called: new SipCalledLeg(dialog, answer), answer, trunk: carrier.name };
      }
      last =
        attempt.status === 0
          ? { code: 'carrier-failed', detail: 'no-response' }
          : { code: endingOfStatus(attempt.status), detail: `sip-${attempt.status}` };
      if (attempt.rang || !(attempt.status === 0 || triesNextTrunk(attempt.status))) break;
    }
    return { state: 'failed', ending: last };
  }

  /** One INVITE on one carrier trunk. The Request-URI is built from the canonical number, never copied. */
  async #attempt(
    leg: Leg,
    decision: Connectable,
    anchor: Anchor,
    trunk: FacilityTrunk,
    carrier: CarrierTrunk,
    rang: () => void,
    control: DialControl,
  ): Promise<Attempt> {
    const target = hostportOf(carrier);
    const uri = `sip:${toRequestUriUser(decision.key)}@${target};user=phone`;
    const headers: Record<string, string> = {
      From: `<sip:${trunk.presentedNumber}@localhost>`,
      ...this.#copied(leg, carrier),
    };
    let didRing = false;
    let responded = false;
    const firstResponse = new Deferred<'late'>();
    const timer = setTimeout(() => firstResponse.resolve('late'), carrier.firstResponseMs);
    const invite = this.#parts.drachtio.invite(
      uri,
      { proxy: `sip:${target};transport=${carrier.transport}`, sdp: anchor.offerForCalled, headers },
      (status) => {
        responded = true;
        clearTimeout(timer);
        // 181 and 182 are no ringing, and early media is not passed: no audio before the answer (design I2).
        if ((status === 180 || status === 183) && !didRing) {
          didRing = true;
          rang();
        }
      },
    );
    control.current(invite);
    try {
      const settled = await Promise.race([this.#settle(invite), firstResponse.promise, control.expired]);
      if (settled !== 'late' && settled !== 'expired') {
        return { ...settled, rang: didRing };
      }
      // Given up without a response: whatever still comes of it is hung up.
      invite.cancel({});
      invite.outcome.then(
        ({ dialog }) => void dialog.bye({ Reason: reasonHeader({ code: 'called-no-answer' }) }),
        () => undefined,
      );
      if (!responded) this.#parts.carriers.failed(carrier, 'no-response');
      return { status: 0, answered: null, rang: didRing };
    } finally {
      clearTimeout(timer);
    }
  }

  async #settle(invite: OutgoingInvite): Promise<Omit<Attempt, 'rang'>> {
    try {
      return { status: 200, answered: await invite.outcome };
    } catch (error) {
      return { status: error instanceof SipError ? error.status : 0, answered: null };
    }
  }

  #copied(leg: Leg, carrier: CarrierTrunk): Headers {
    const copied: Record<string, string> = {};
    for (const name of carrier.copyHeaders) {
      const value = this.#parts.headerOf(leg, name);
      // Printable ASCII only: nothing that could end a header line or be read differently by the next hop.
      if (value !== undefined && value.length <= 256 && /^[\x20-\x7e]*$/.test(value)) copied[name] = value;
    }
    return copied;
  }
}

interface Attempt {
  readonly status: number;
  readonly answered: { readonly dialog: SipDialog; readonly answer: string } | null;
  readonly rang: boolean;
}

class Deferred<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => undefined;
  constructor() {
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

/** What the caller's cancel reaches: the attempt under way, and none after it. */
class DialControl {
  cancelled = false;
  #invite: OutgoingInvite | null = null;
  readonly #expired = new Deferred<'expired'>();

  get expired(): Promise<'expired'> {
    return this.#expired.promise;
  }

  current(invite: OutgoingInvite): void {
    this.#invite = invite;
    if (this.cancelled) invite.cancel({});
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.#invite?.cancel({});
    const timer = setTimeout(() => this.#expired.resolve('expired'), cancelBoundMs);
    timer.unref();
  }
}
