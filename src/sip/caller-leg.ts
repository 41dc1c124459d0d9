import type { CallerLeg, Sdp } from '../call/ports.js';
import { type Ending, endingRow } from '../core/ending.js';
import type { Leg } from '../core/leg.js';
import { reasonHeader, refusalHeaders } from './refusal.js';
import { type IncomingInvite, type SipDialog, SipError } from './sip-dialog.js';

type Gone = Parameters<CallerLeg['onGone']>[0];

/** The caller's half of a call over SIP: one incoming INVITE, and the dialog it becomes. */
export class SipCallerLeg implements CallerLeg {
  readonly leg: Leg;
  readonly offer: Sdp;
  readonly #invite: IncomingInvite;
  #dialog: SipDialog | null = null;
  #answer: Sdp = '';
  #goneAs: Parameters<Gone>[0] | null = null;
  readonly #gone: Gone[] = [];

  constructor(leg: Leg, offer: Sdp, invite: IncomingInvite) {
    this.leg = leg;
    this.offer = offer;
    this.#invite = invite;
    invite.onCancel(() => this.#leave('caller-cancelled'));
  }

  /** What the caller was told in our 200. */
  get answer(): Sdp {
    return this.#answer;
  }

  /** The dialog once the call is connected, for in-dialog requests. */
  get dialog(): SipDialog | null {
    return this.#dialog;
  }

  onGone(gone: Gone): void {
    if (this.#goneAs !== null) gone(this.#goneAs);
    else this.#gone.push(gone);
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
    this.#dialog = dialog;
    this.#answer = answer;
    dialog.onBye((reason) => this.#leave(reason === 'ack-timeout' ? 'ack-missing' : 'caller-hung-up'));
  }

  async refuse(ending: Ending): Promise<void> {
    const { status, phrase } = endingRow(ending.code);
    this.#invite.respond(status, phrase, refusalHeaders(ending));
  }

  async hangUp(ending: Ending): Promise<void> {
    await this.#dialog?.bye({ Reason: reasonHeader(ending) });
  }

  #leave(how: Parameters<Gone>[0]): void {
    if (this.#goneAs !== null) return;
    this.#goneAs = how;
    for (const gone of this.#gone.splice(0)) gone(how);
  }
}
