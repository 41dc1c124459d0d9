import type { CallerLeg, Emit, JsonObject, OtherParty, Sdp, SpokenLeg } from '../call/ports.js';
import { type Ending, endingRow } from '../core/ending.js';
import type { Key } from '../core/key.js';
import type { Leg } from '../core/leg.js';
import type { DialPlan } from '../core/number.js';
import { LegDialog } from './leg-dialog.js';
import { OtherParties } from './other-parties.js';
import { referred } from './other-party.js';
import type { Timing } from './own-offer.js';
import { reasonHeader, refusalHeaders } from './refusal.js';
import { answerTimer, lists, type SessionPolicy, type TimerWords } from './session-timer.js';
import { type IncomingInvite, SipError } from './sip-dialog.js';

type Gone = Parameters<CallerLeg['onGone']>[0];

export interface CallerLegParts {
  readonly emit: Emit;
  readonly timing: Timing;
  /** The session timer of its trunk, and what its INVITE said of it. */
  readonly session?: { readonly policy: SessionPolicy; readonly words: TimerWords };
  /** The plan of the facility's phones. */
  readonly plan: DialPlan;
  /** Whom the INVITE named besides, as a PBX does that forwards somebody else's call. */
  readonly others: readonly OtherParty[];
}

/** The caller's half of a call over SIP: one incoming INVITE, and the dialog it becomes. */
export class SipCallerLeg implements CallerLeg, SpokenLeg {
  readonly leg: Leg;
  readonly offer: Sdp;
  /** The leg within its dialog. */
  readonly inside: LegDialog;
  readonly #invite: IncomingInvite;
  readonly #others: OtherParties;
  readonly #session: CallerLegParts['session'];
  #trace: JsonObject | null = null;
  #bye: ((reason: string) => Promise<void>) | null = null;
  #goneAs: Parameters<Gone>[0] | null = null;
  readonly #gone: Gone[] = [];

  constructor(leg: Leg, offer: Sdp, invite: IncomingInvite, parts: CallerLegParts) {
    this.leg = leg;
    this.offer = offer;
    this.#invite = invite;
    this.#others = new OtherParties(parts.emit);
    this.#others.report(parts.others);
    this.#session = parts.session;
    this.inside = new LegDialog({
      party: 'caller',
      emit: parts.emit,
      timing: parts.timing,
      ...(parts.session === undefined ? {} : { session: parts.session.policy }),
      note: (request) => {
        if (request.method === 'REFER') this.#others.report([referred(request, parts.plan)]);
      },
    });
    invite.onCancel(() => this.#leave('caller-cancelled'));
  }

  onGone(gone: Gone): void {
    if (this.#goneAs !== null) gone(this.#goneAs);
    else this.#gone.push(gone);
  }

  onOther(listener: (party: OtherParty) => void): void {
    this.#others.onOther(listener);
  }

  onKey(listener: ((key: Key) => void) | null): void {
    this.inside.onKey(listener);
  }

  reinvite(offer: Sdp): Promise<Sdp> {
    return this.inside.reinvite(offer);
  }

  ring(): void {
    // RFC 3262 section 3: who requires it gets every provisional response reliably.
    const required = lists(this.#invite.header('Require'), '100rel');
    this.#invite.respond(180, 'Ringing', required ? { Require: '100rel' } : {});
  }

  async connect(answer: Sdp): Promise<void> {
    if (this.#goneAs !== null) throw new SipError('cancelled', 487);
    const session = this.#session && answerTimer(this.#session.policy, this.#session.words);
    const agreedOn = session?.state === 'agreed' ? session : null;
    const headers = agreedOn === null ? {} : { ...agreedOn.headers, Supported: 'timer' };
    const dialog = await this.#invite.accept(answer, headers).catch((error: unknown) => {
      if (error instanceof SipError && error.code === 'cancelled') this.#leave('caller-cancelled');
      throw error;
    });
    this.#trace = dialog.trace;
    this.#bye = (reason) => dialog.bye({ Reason: reason });
    const allow = this.#invite.header('Allow');
    const agreed = { heard: this.offer, told: answer };
    this.inside.open(dialog, agreed, agreedOn === null ? undefined : { terms: agreedOn.terms, allow });
    dialog.onBye((reason) => {
      if (reason === 'session-expired') this.#leave(reason);
      else this.#leave(reason === 'ack-timeout' ? 'ack-missing' : 'caller-hung-up');
    });
  }

  async refuse(ending: Ending): Promise<void> {
    const { status, phrase } = endingRow(ending.code);
    this.#invite.respond(status, phrase, refusalHeaders(ending));
  }

  async hangUp(ending: Ending): Promise<void> {
    await this.#bye?.(reasonHeader(ending));
  }

  told(): Promise<number | null> {
    return this.#invite.told();
  }

  trace(): JsonObject | null {
    return this.#trace;
  }

  #leave(how: Parameters<Gone>[0]): void {
    if (this.#goneAs !== null) return;
    this.#goneAs = how;
    for (const gone of this.#gone.splice(0)) gone(how);
  }
}
