import { randomInt } from 'node:crypto';
import type { Timer, Timers } from './clock.js';
import type { Repeats } from './events.js';
import type { SipTimers } from './limits.js';

/** More than an application has any reason to send before the first is acknowledged. */
const maxWaiting = 8;

interface Waiting {
  readonly rseq: number;
  readonly data: Buffer;
  readonly offersMedia: boolean;
}

interface ReliableDeps {
  readonly timers: Timers;
  readonly sip: SipTimers;
  readonly repeats: Repeats;
  send(data: Buffer): void;
  /** Nobody acknowledged a response within 64*T1. */
  failed(): void;
}

/** The RAck of a PRACK: which response of which request it acknowledges (RFC 3262 section 7.2). */
export interface RAck {
  readonly rseq: number;
  readonly seq: number;
  readonly method: string;
}

/** Reads a RAck; undefined if malformed. */
export function parseRAck(value: string): RAck | undefined {
  const match = /^(\d{1,10})[ \t]{1,8}(\d{1,10})[ \t]{1,8}([A-Za-z0-9.!%*_+`'~-]{1,32})$/.exec(value);
  if (match === null) return undefined;
  return { rseq: Number(match[1]), seq: Number(match[2]), method: match[3] ?? '' };
}

/**
 * The reliable provisional responses to one INVITE (RFC 3262 section 3): one at a time, repeated until its PRACK comes.
 */
export class ReliableResponses {
  readonly #deps: ReliableDeps;
  readonly #seq: number;
  /** The first is the one that is out. */
  readonly #waiting: Waiting[] = [];
  #next = randomInt(1, 2 ** 31 - 1);
  #timer: Timer | undefined;
  #elapsed = 0;
  #over = false;

  /** `seq` is the CSeq of the INVITE. */
  constructor(seq: number, deps: ReliableDeps) {
    this.#seq = seq;
    this.#deps = deps;
  }

  /** Sends, now or after those before it. Gives the text with its RSeq; undefined if too many wait. */
  send(text: (rseq: number) => string, offersMedia: boolean): string | undefined {
    if (this.#over || this.#waiting.length >= maxWaiting) return undefined;
    const rseq = this.#next++;
    const said = text(rseq);
    this.#waiting.push({ rseq, data: Buffer.from(said, 'latin1'), offersMedia });
    if (this.#waiting.length === 1) this.#transmit();
    return said;
  }

  /** The 2xx must wait: a session description is out that nobody acknowledged (section 3). */
  get holdsAnswer(): boolean {
    return !this.#over && this.#waiting.some((one) => one.offersMedia);
  }

  #transmit(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const { sip, send } = this.#deps;
    this.#elapsed = 0;
    send(first.data);
    this.#repeatAfter(sip.t1, first.data);
  }

  #repeatAfter(ms: number, data: Buffer): void {
    const { timers, sip } = this.#deps;
    this.#timer = timers.start(ms, () => {
      this.#elapsed += ms;
      if (this.#elapsed >= 64 * sip.t1) {
        this.stop();
        this.#deps.failed();
        return;
      }
      this.#deps.repeats.responsesOut++;
      this.#deps.send(data);
      // The interval doubles without a bound of T2, unlike those of final responses.
      this.#repeatAfter(Math.min(2 * ms, 64 * sip.t1 - this.#elapsed), data);
    });
  }

  /** A PRACK. False if it acknowledges nothing that is out: it is to be answered 481. */
  acknowledge({ rseq, seq, method }: RAck): boolean {
    const [first] = this.#waiting;
    if (method !== 'INVITE' || seq !== this.#seq || first?.rseq !== rseq) return false;
    this.#waiting.shift();
    this.#timer = this.#deps.timers.stop(this.#timer);
    if (!this.#over) this.#transmit();
    return true;
  }

  /** The final response has been sent: nothing is repeated any more, but a late PRACK is still right. */
  stop(): void {
    this.#over = true;
    this.#timer = this.#deps.timers.stop(this.#timer);
    this.#waiting.splice(1);
  }
}
