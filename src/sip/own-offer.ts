import type { Party, Sdp } from '../call/ports.js';
import { type SipDialog, SipError, type SipReply } from './sip-dialog.js';

/** The waits of our own re-INVITEs; tests give others. */
export interface Timing {
  /** How long to wait after 491, in ms, before the INVITE goes out again to that party. */
  readonly glareMs: (party: Party) => number;
  /** All tries of one re-INVITE together, in ms. */
  readonly reinviteMs: number;
  /** A second of a session timer, in ms. */
  readonly secondMs: number;
}

/**
 * RFC 3261 section 14.1: 2.1 to 4 s for who made the Call-ID, which we did towards the called party alone; 0 to 2 s
 * for the other side; both in steps of 10 ms.
 */
const glareMs = (party: Party): number =>
  party === 'called' ? 2100 + 10 * Math.floor(Math.random() * 191) : 10 * Math.floor(Math.random() * 201);

export const defaultTiming: Timing = { glareMs, reinviteMs: 8000, secondMs: 1000 };

/** Tries after the first one that met with glare. */
const retries = 2;

/** Longest answer taken, in characters. */
const maxAnswer = 16_384;

/** Responses that end the dialog they come in (RFC 3261 section 12.2.1.2); 408 is also what no response is. */
export const endsDialog = (status: number): boolean => status === 408 || status === 481;

/** Requests of ours in one dialog, and above all its INVITEs: one at a time, and none across one of the party's. */
export class OwnOffer {
  readonly #party: Party;
  readonly #timing: Timing;
  #dialog: SipDialog | null = null;
  #out = 0;
  #making = false;
  /** Told when the dialog has ended, which nobody answers any more. */
  readonly #ends = new Set<() => void>();
  #ended = false;

  constructor(party: Party, timing: Timing) {
    this.#party = party;
    this.#timing = timing;
  }

  open(dialog: SipDialog): void {
    this.#dialog = dialog;
    dialog.onBye(() => {
      this.#ended = true;
      for (const end of [...this.#ends]) end();
    });
  }

  /** An INVITE of ours is out. */
  get out(): boolean {
    return this.#out > 0;
  }

  /** An INVITE of ours is out, or is going to be again after glare. */
  get busy(): boolean {
    return this.#out > 0 || this.#making;
  }

  /**
   * Offers until the party has answered. Rejects with SipError: 'no-dialog' before the leg is connected,
   * 'reinvite-pending' where one is under way, 'glare' where the party offered all the while, 'sip-status' with its
   * refusal. 'dialog-gone' and 'reinvite-unanswered' mean that the leg is gone, and it says so by its onGone.
   */
  async make(offer: Sdp): Promise<Sdp> {
    if (this.#dialog === null) throw new SipError('no-dialog', 481);
    if (this.#making) throw new SipError('reinvite-pending', 491);
    this.#making = true;
    try {
      return await this.#tries(this.#dialog, offer, performance.now() + this.#timing.reinviteMs);
    } finally {
      this.#making = false;
    }
  }

  async #tries(dialog: SipDialog, offer: Sdp, deadline: number): Promise<Sdp> {
    for (let tried = 0; ; tried++) {
      const { status, body } = await this.#try(dialog, offer, deadline - performance.now());
      if (status >= 200 && status < 300) {
        if (body !== '' && body.length <= maxAnswer) return body;
        throw new SipError(body === '' ? 'answer-missing' : 'answer-too-long', status);
      }
      if (endsDialog(status)) {
        // What the party makes of our offer is unknown for good, so the leg cannot stay (I4). Its BYE is not waited for:
        // who does not answer INVITE does not answer that either.
        void dialog.giveUp();
        throw new SipError(status === 408 ? 'reinvite-unanswered' : 'dialog-gone', status);
      }
      if (status !== 491) throw new SipError('sip-status', status);
      if (tried >= retries) throw new SipError('glare', 491);
      const wait = this.#timing.glareMs(this.#party);
      if (performance.now() + wait >= deadline) throw new SipError('glare', 491);
      await this.#orEnded(wait).promise;
      if (this.#ended) throw new SipError('dialog-gone', 481);
    }
  }

  async #try(
    dialog: SipDialog,
    offer: Sdp,
    withinMs: number,
  ): Promise<{ readonly status: number; readonly body: string }> {
    if (this.#ended) return { status: 481, body: '' };
    try {
      await dialog.acknowledged();
      const reply = await this.ask('INVITE', offer, {}, withinMs);
      if (reply !== null) return reply;
      return { status: this.#ended ? 481 : 408, body: '' };
    } catch (error) {
      if (!(error instanceof SipError)) throw error;
      if (error.code === 'ENODIALOG') return { status: 481, body: '' };
      // The agent takes no INVITE while one of the party is open, of which we may not have heard yet.
      if (error.code === 'EDRACHTIO') return { status: 491, body: '' };
      throw error;
    }
  }

  /** One request; null where no final response came in time or the dialog ended. Rejects with SipError. */
  async ask(
    method: string,
    body: string,
    headers: Record<string, string>,
    withinMs: number,
  ): Promise<SipReply | null> {
    const dialog = this.#dialog;
    if (dialog === null) throw new SipError('no-dialog', 481);
    const invite = method === 'INVITE';
    const late = this.#orEnded(withinMs);
    if (invite) this.#out++;
    try {
      return await Promise.race([dialog.request(method, { body, headers }), late.promise]);
    } finally {
      late.stop();
      if (invite) this.#out--;
    }
  }

  /** Null after so many ms, or as soon as the dialog has ended; `stop` where it is waited for no longer. */
  #orEnded(ms: number): { readonly promise: Promise<null>; stop(): void } {
    let stop = (): void => undefined;
    const promise = new Promise<null>((resolve) => {
      stop = () => {
        clearTimeout(timer);
        this.#ends.delete(stop);
        resolve(null);
      };
      const timer = setTimeout(stop, Math.max(0, ms));
      this.#ends.add(stop);
      if (this.#ended) stop();
    });
    return { promise, stop };
  }
}
