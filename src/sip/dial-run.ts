import type { Anchor, DialAttempt, DialOptions, DialOutcome } from '../call/ports.js';
import type { Connectable } from '../core/decision.js';
import { type Ending, endingOfStatus, triesNextTrunk } from '../core/ending.js';
import type { Leg } from '../core/leg.js';
import { type Dialled, type NumberKey, numberKeyText, toRequestUriUser } from '../core/number.js';
import { SipCalledLeg } from './called-leg.js';
import type { DialerParts } from './dialer.js';
import { OtherParties } from './other-parties.js';
import { carrierPlan, type Known, partiesOf } from './other-party.js';
import { maxRedirects, redirection } from './redirect.js';
import { type Headers, reasonHeader } from './refusal.js';
import { agreedTerms, raised, timerHeaders } from './session-timer.js';
import { type Accepted, type OutgoingInvite, type Progress, SipError } from './sip-dialog.js';
import { type CarrierTrunk, type FacilityTrunk, hostportOf, proxyOf } from './trunk.js';

/** After a CANCEL the agent gives a final within 64*T1 = 32 s (RFC 3261 section 9.1); ours is the net below that. */
const cancelBoundMs = 40_000;

/** A far end that raises its least interval again and again is not worth a third try. */
const maxRaises = 2;

const nothing = (): undefined => undefined;

/** The headers by which an INVITE is known for the one before it (RFC 4028 section 7.3: the same call, the next CSeq). */
const sameCall = (header: (name: string) => string | undefined): Headers => {
  const [callId, from, cseq] = [header('Call-ID'), header('From'), header('CSeq')];
  const seq = Number(/^\d{1,9}/.exec(cseq ?? '')?.[0] ?? Number.NaN);
  if (callId === undefined || from === undefined || Number.isNaN(seq)) return {};
  return { 'Call-ID': callId, From: from, CSeq: `${seq + 1} INVITE` };
};

/** What one dialling is about. */
interface Call {
  readonly leg: Leg;
  readonly anchor: Anchor;
  readonly options: DialOptions;
  readonly trunk: FacilityTrunk;
  readonly attempts: DialAttempt[];
  readonly control: DialControl;
}

interface Attempt {
  /** Final status, 0 where none came. */
  readonly status: number;
  readonly answered: Accepted | null;
  /** The headers of the final response, where one came. */
  readonly header: (name: string) => string | undefined;
  readonly rang: boolean;
}

const cancelled: DialOutcome = {
  state: 'failed',
  ending: { code: 'called-unavailable', detail: 'cancelled' },
};

/** One dialling: each number it may dial on each carrier in turn, until somebody answers. */
export class DialRun {
  readonly #parts: DialerParts;
  readonly #call: Call;
  readonly #first: Connectable;
  readonly #others: OtherParties;
  /** The numbers decided and dialled so far. */
  readonly #decided: NumberKey[];
  readonly #known: Known;

  constructor(parts: DialerParts, call: Call, decision: Connectable) {
    this.#parts = parts;
    this.#call = call;
    this.#first = decision;
    this.#decided = [decision.key];
    this.#known = { plan: carrierPlan(call.trunk.plan), decided: this.#decided };
    this.#others = new OtherParties(parts.emit, call.options.other ?? null);
  }

  async outcome(): Promise<DialOutcome> {
    let decision = this.#first;
    for (let redirects = 0; ; redirects++) {
      const last = await this.#onCarriers(decision);
      if ('state' in last) return last;
      if (last.status < 300 || last.status >= 400) return failed(last.status);
      const next = await this.#redirected(last, redirects);
      if ('state' in next) return next;
      decision = next;
      this.#decided.push(next.key);
    }
  }

  /** Tries the carriers in order: the answer, or the last attempt where nobody did. */
  async #onCarriers(decision: Connectable): Promise<DialOutcome | Attempt> {
    const { trunk, control, attempts } = this.#call;
    // Asked for each number: where one may go says nothing about the one it is redirected to.
    const known = this.#parts.carriers.inOrder(trunk.carriers, decision.key.e164);
    // What the node offers fits carriers of one kind: one that is to have SRTP is not offered RTP, nor the other way.
    const protection = this.#call.anchor.between?.called ?? 'rtp';
    const carriers = known.filter(({ media = 'rtp' }) => media === protection);
    if (carriers.length === 0 && known.length > 0)
      return { state: 'failed', ending: { code: 'carrier-failed', detail: 'media-protection' } };
    let last: Attempt | null = null;
    for (const carrier of carriers) {
      if (control.cancelled) return cancelled;
      const started = performance.now();
      last = await this.#withTimer(decision, carrier);
      attempts.push({ trunk: carrier.name, status: last.status, ms: performance.now() - started });
      if (last.answered !== null) return this.#answered(last.answered, carrier);
      if (last.rang || !(last.status === 0 || triesNextTrunk(last.status))) break;
    }
    return last ?? { state: 'failed', ending: { code: 'carrier-failed', detail: 'no-carrier' } };
  }

  #answered({ dialog, answer, header }: Accepted, carrier: CarrierTrunk): DialOutcome {
    const { emit, timing } = this.#parts;
    const agreed = { told: this.#call.anchor.offerForCalled, heard: answer };
    const known = { emit, timing, others: this.#others, known: this.#known };
    const policy = carrier.sessionTimer;
    const session = policy && { policy, terms: agreedTerms(policy, header), allow: header('Allow') };
    const called = new SipCalledLeg(dialog, agreed, session === undefined ? known : { ...known, session });
    return { state: 'answered', called, answer, trunk: carrier.name };
  }

  /** Each redirection is a leg of its own (I7): who decides calls is asked, and silence is no. */
  async #redirected(last: Attempt, redirects: number): Promise<DialOutcome | Connectable> {
    const { redirect } = this.#call.options;
    const refusal = (detail: string): DialOutcome => {
      this.#parts.emit({ event: 'sip-refused', method: 'INVITE', status: last.status, why: detail });
      return { state: 'failed', ending: { code: 'called-redirected', detail } };
    };
    const found = redirection(last.status, last.header('Contact'), this.#known.plan, this.#decided);
    if (found.state === 'loop') return refusal('redirect-loop');
    if (redirect === undefined) {
      this.#others.report([{ how: 'redirect', target: found.target }]);
      return failed(last.status);
    }
    if (redirects >= maxRedirects) return refusal('redirect-limit');
    const asked = Promise.resolve()
      .then(() => redirect({ how: 'redirect', target: found.target }))
      .catch(() => null);
    const decision = await Promise.race([asked, this.#call.control.stopped]);
    if (this.#call.control.cancelled || decision === 'stopped') return cancelled;
    if (decision === null || found.state === 'unusable') return failed(last.status);
    return this.#decides(decision, found.target) ? decision : refusal('redirect-undecided');
  }

  /**
   * A decision holds for its own number alone, and for media of its own pool: a number that turns out to be
   * privileged must not be dialled with an anchor on a node that records.
   */
  #decides(decision: Connectable, target: Dialled & { readonly key: NumberKey }): boolean {
    const pool = decision.verdict === 'private' ? 'private' : 'recorded';
    return numberKeyText(decision.key) === numberKeyText(target.key) && this.#call.anchor.pool === pool;
  }

  /** One INVITE, and another one where only the session's interval was too short (RFC 4028 section 7.3). */
  async #withTimer(decision: Connectable, carrier: CarrierTrunk): Promise<Attempt> {
    let policy = carrier.sessionTimer;
    let again: Headers = {};
    for (let raises = 0; ; raises++) {
      const timer = policy === undefined ? {} : timerHeaders(policy);
      const tags = [policy && 'timer', carrier.reliableProvisionals && '100rel'].filter(Boolean);
      const supported = tags.length === 0 ? {} : { Supported: tags.join(', ') };
      const last = await this.#attempt(decision, carrier, { ...supported, ...timer, ...again });
      const higher = last.status === 422 && policy !== undefined ? raised(policy, last.header) : null;
      if (higher === null || raises >= maxRaises || this.#call.control.cancelled) return last;
      policy = higher;
      again = sameCall(last.header);
    }
  }

  /** One INVITE on one carrier trunk. The Request-URI is built from the canonical number, never copied. */
  async #attempt(decision: Connectable, carrier: CarrierTrunk, more: Headers): Promise<Attempt> {
    const { anchor, trunk, control, options } = this.#call;
    const target = hostportOf(carrier);
    const uri = `sip:${toRequestUriUser(decision.key)}@${target};user=phone`;
    const headers = { From: `<sip:${trunk.presentedNumber}@localhost>`, ...this.#copied(carrier), ...more };
    let didRing = false;
    let responded = false;
    const firstResponse = new Deferred<'late'>();
    const timer = setTimeout(() => firstResponse.resolve('late'), carrier.firstResponseMs);
    // What comes of an INVITE that was given up is hung up here: it is no longer what the call is known by.
    let givenUp = false;
    const invite = this.#parts.drachtio.invite(
      uri,
      { proxy: proxyOf(carrier), sdp: anchor.offerForCalled, headers },
      (said) => {
        responded = true;
        clearTimeout(timer);
        this.#heard(said);
        // 181 and 182 are no ringing, and early media is not passed: no audio before the answer (design I2).
        if ((said.status === 180 || said.status === 183) && !didRing) {
          didRing = true;
          options.rang();
        }
      },
      {
        sent: (trace) => {
          if (!givenUp) options.sent?.(trace);
        },
        answered: (trace) => {
          if (!givenUp) options.answered?.(trace, carrier.name);
        },
      },
    );
    control.current(invite);
    try {
      const settled = await Promise.race([this.#settle(invite), firstResponse.promise, control.expired]);
      if (settled !== 'late' && settled !== 'expired') {
        if (settled.answered === null) options.sent?.(null);
        return { ...settled, rang: didRing };
      }
      givenUp = true;
      // Given up without a response: whatever still comes of it is hung up.
      invite.cancel({});
      invite.outcome.then(
        ({ dialog }) => void dialog.bye({ Reason: reasonHeader({ code: 'called-no-answer' }) }),
        () => undefined,
      );
      if (!responded) this.#parts.carriers.failed(carrier, 'no-response');
      return { status: 0, answered: null, header: nothing, rang: didRing };
    } finally {
      clearTimeout(timer);
    }
  }

  async #settle(invite: OutgoingInvite): Promise<Omit<Attempt, 'rang'>> {
    try {
      const answered = await invite.outcome;
      // Not said to be over: the dialog it became has been noted beside it.
      this.#heard({ status: 200, header: answered.header });
      return { status: 200, answered, header: answered.header };
    } catch (error) {
      if (!(error instanceof SipError)) return { status: 0, answered: null, header: nothing };
      return { status: error.status, answered: null, header: error.header };
    }
  }

  /** Whoever else the called side names is told before anything comes of the message that names them. */
  #heard(said: Progress): void {
    this.#others.report(partiesOf(said, this.#known));
  }

  #copied(carrier: CarrierTrunk): Headers {
    const copied: Record<string, string> = {};
    for (const name of carrier.copyHeaders) {
      const value = this.#parts.headerOf(this.#call.leg, name);
      // Printable ASCII only: nothing that could end a header line or be read differently by the next hop.
      if (value !== undefined && value.length <= 256 && /^[\x20-\x7e]*$/.test(value)) copied[name] = value;
    }
    return copied;
  }
}

const failed = (status: number): DialOutcome => {
  const ending: Ending =
    status === 0
      ? { code: 'carrier-failed', detail: 'no-response' }
      : { code: endingOfStatus(status), detail: `sip-${status}` };
  return { state: 'failed', ending };
};

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
export class DialControl {
  cancelled = false;
  #invite: OutgoingInvite | null = null;
  readonly #stopped = new Deferred<'stopped'>();
  readonly #expired = new Deferred<'expired'>();

  /** Resolves at the cancel. */
  get stopped(): Promise<'stopped'> {
    return this.#stopped.promise;
  }

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
    this.#stopped.resolve('stopped');
    this.#invite?.cancel({});
    const timer = setTimeout(() => this.#expired.resolve('expired'), cancelBoundMs);
    timer.unref();
  }
}
