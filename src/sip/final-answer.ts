import { overtaken, plain } from './drachtio-messages.js';
import type { SrfResponse } from './drachtio-types.js';
import type { Headers } from './refusal.js';
import { SipError } from './sip-dialog.js';

/** The agent says at once what became of a response: one that takes longer is gone, or as good as gone. */
const saidMs = 2000;

/**
 * What the agent had ended an INVITE with before our answer came, or null where it did not take our answer for another
 * reason. A drachtio-server does not say the status: there it was a CANCEL.
 */
const endedWith = (error: unknown): number | null => {
  if (error instanceof SipError) return error.code === 'cancelled' ? 487 : null;
  if (typeof error !== 'string' || !overtaken(error)) return null;
  const said = /, ended with ([3-6][0-9]{2})$/.exec(error)?.[1];
  return said === undefined ? 487 : Number(said);
};

/**
 * The final response to an INVITE that came: what its sender was really told. We are not alone in answering: a CANCEL
 * is answered by the agent, at once, and whatever we say after that goes nowhere (RFC 3261 section 9.2).
 */
export class FinalAnswer {
  readonly #response: SrfResponse;
  #state: 'none' | 'given' | 'settled' = 'none';
  #told: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(response: SrfResponse) {
    this.#response = response;
  }

  /** Sends it. What is sent in the end may be another one: see `told`. False where one was given already. */
  refuse(status: number, phrase: string, headers: Headers): boolean {
    if (this.#state !== 'none' || this.#response.finalResponseSent) return false;
    this.given();
    try {
      this.#response.send(status, phrase, { headers: plain(headers) }, (error) =>
        this.#settle(error === null || error === undefined ? status : endedWith(error)),
      );
    } catch {
      // The connection to the agent is gone, and nobody here knows what it says in our place.
      this.#settle(null);
    }
    return true;
  }

  /** A 200 is on its way to the agent. */
  given(): void {
    if (this.#state !== 'none') return;
    this.#state = 'given';
    this.#timer = setTimeout(() => this.#settle(null), saidMs);
  }

  /** What came of the 200. */
  accepted(error: unknown): void {
    this.#settle(error === null || error === undefined ? 200 : endedWith(error));
  }

  #settle(told: number | null): void {
    if (this.#state === 'settled') return;
    this.#state = 'settled';
    this.#told = told;
    clearTimeout(this.#timer);
    for (const waiting of this.#waiting.splice(0)) waiting();
  }

  /**
   * The status its sender got, or null where none is known of. `cancelled`: the agent has said that it was cancelled,
   * and is asked what it answered: a CANCEL of its own stands for other statuses too. Settles within 2 s; never rejects.
   */
  told(cancelled: boolean): Promise<number | null> {
    if (cancelled) this.refuse(487, 'Request Terminated', {});
    if (this.#state !== 'given') return Promise.resolve(this.#told);
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#told)));
  }
}
