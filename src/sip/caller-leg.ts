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
import { type IncomingInvite, SipError } from './sip-dialog.js';

type Gone = Parameters<CallerLeg['onGone']>[0];

export interface CallerLegParts {
  readonly emit: Emit;
  readonly timing: Timing;
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
    this.inside = new LegDialog({
      party: 'caller',
      emit: parts.emit,
      timing: parts.timing,
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
    this.#invite.respond(180, 'Ringing', {});
  }

  async connect(answer: Sdp): Promise<void> {
    if (this.#goneAs !== null) throw new SipError('cancelled', 487);
    const dialog = await this.#invite.accept(answer, {}).catch((error: unknown) => {
      if (error instanceof SipError && error.code === 'cancelled') this.#leave('caller-cancelled');
      throw error;
    });
    this.#trace = dialog.trace;
    this.#bye = (reason) => dialog.bye({ Reason: reason });
    this.inside.open(dialog, { heard: this.offer, told: answer });
    dialog.onBye((reason) => this.#leave(reason === 'ack-timeout' ? 'ack-missing' : 'caller-hung-up'));
  }

  async refuse(ending: Ending): Promise<void> {
    const { status, phrase } = endingRow(ending.code);
    this.#invite.respond(status, phrase, refusalHeaders(ending));
  }

  async hangUp(ending: Ending): Promise<void> {
    await this.#bye?.(reasonHeader(ending));
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
