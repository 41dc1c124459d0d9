import { RecordingError } from '../call/ports.js';

interface Queued {
  readonly begin: () => void;
  /** Since when somebody waits for it, and since when it waits here. */
  readonly since: number;
  readonly at: number;
}

/**
 * At most `limit` pieces of work at a time; the rest wait, up to a bound, in order. What nobody waits for any more goes
 * last: in order with the rest, a backlog as long as everybody's patience would have each of them done too late, for ever.
 */
export class Gate {
  readonly #limit: number;
  readonly #maxWaiting: number;
  readonly #patienceMs: number;
  readonly #now: () => number;
  #waiting: Queued[] = [];
  /** What nobody waits for any more. */
  readonly #late: Queued[] = [];
  #running = 0;
  #movedAt = 0;

  constructor(limit: number, maxWaiting: number, patienceMs: number, now: () => number) {
    this.#limit = limit;
    this.#maxWaiting = maxWaiting;
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  get load(): number {
    return this.#running + this.#waiting.length + this.#late.length;
  }

  /** How long the oldest of those that are waited for waits here, or how long nothing moves; 0 where nothing waits. */
  get behindMs(): number {
    const now = this.#now();
    this.#sort(now);
    if (this.#waiting.length + this.#late.length === 0) return 0;
    return now - Math.min(this.#waiting[0]?.at ?? now, this.#movedAt);
  }

  /** `since`: when somebody began to wait for it. Rejects with RecordingError `finish-queue-full` over the bound. */
  async run<Value>(work: () => Promise<Value>, since: number = this.#now()): Promise<Value> {
    if (this.#running >= this.#limit) {
      if (this.#waiting.length + this.#late.length >= this.#maxWaiting) {
        throw new RecordingError('finish-queue-full', 'too many recordings wait to be finished');
      }
      await new Promise<void>((begin) => this.#waiting.push({ begin, since, at: this.#now() }));
    } else {
      this.#running++;
    }
    this.#movedAt = this.#now();
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** The place goes from hand to hand: nobody who comes in between takes it. */
  #next(): void {
    this.#movedAt = this.#now();
    this.#sort(this.#movedAt);
    const next = this.#waiting.shift() ?? this.#late.shift();
    if (next === undefined) this.#running--;
    else next.begin();
  }

  #sort(now: number): void {
    const isLate = ({ since }: Queued): boolean => now - since >= this.#patienceMs;
    // Those who waited for their node came here later than others whose call ended after theirs.
    if (!this.#waiting.some(isLate)) return;
    this.#late.push(...this.#waiting.filter(isLate));
    this.#waiting = this.#waiting.filter((one) => !isLate(one));
  }
}
