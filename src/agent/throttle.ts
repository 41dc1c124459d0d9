/**
 * How many new calls a second are handed to the application, once it has said that they are too many. The agent stands
 * to it as an upstream SIP server stands to an overloaded one (RFC 6357, RFC 7339): what it refuses for congestion is
 * the feedback, and the rate handed on follows the rate it took (loss fed back, rate set: RFC 7415). Turning a call
 * away here costs a tenth of what it costs there, so at ten times the load the application does calls and not refusals.
 *
 * Where the rate is short it is shared by max-min fairness: every source gets what it asks for up to the same rate, at
 * which the sum is the whole (a token bucket each). A source that asks for less than that is not touched.
 *
 * Pure: time comes as an argument, in monotonic milliseconds. Sources are those of the configuration, so their number
 * is bounded.
 */

const intervalMs = 100;
/** Refusals that are no sign of anything: an application that is used to the full refuses some. */
const tolerated = 0.05;
/** In one interval, so many refusals are chance. */
const noticed = 3;
/** Intervals in a row with so many refusals before anything is done: what is over by then was no overload. */
const pressedIntervals = 3;
/** So many without a call are a pause. */
const pauseIntervals = 4;
/** Handed beyond what was taken, so that an application that can take more shows it. */
const probe = 1.05;
/** Calls a second that are handed on whatever happens: nothing else would show that the application is back. */
const leastRate = 5;
/** Intervals in a row without need after which the throttle opens. */
const calmIntervals = 10;
/**
 * The emergency brake, for an application that never refuses: a loop so late in so many intervals in a row. It judges
 * only loads that can have made it so; a machine that others keep busy is late without any call.
 */
const lateMs = 100;
const lateIntervals = 3;
const leastLoad = 20;

interface Source {
  arrived: number;
  /** Calls a second it asks for, smoothed over some intervals. */
  rate: number;
  tokens: number;
  at: number;
}

export class Throttle {
  readonly #loopDelay: () => number;
  readonly #sources = new Map<string, Source>();
  #rate = Number.POSITIVE_INFINITY;
  #share = Number.POSITIVE_INFINITY;
  #taken = 0;
  #handed = 0;
  #refused = 0;
  #calm = 0;
  #pressed = 0;
  #late = 0;
  #intervalAt: number;

  /** `loopDelay`: how late the event loop was at the median since it was last asked, in ms. */
  constructor(now: number, loopDelay: () => number) {
    this.#intervalAt = now;
    this.#loopDelay = loopDelay;
  }

  /** Calls a second handed on at most; infinite while nobody said that there are too many. */
  get rate(): number {
    return this.#rate;
  }

  /** A new call of that source: whether it may be handed on. */
  offer(name: string, now: number): boolean {
    this.#roll(now);
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = { arrived: 0, rate: 0, tokens: 2, at: now };
      this.#sources.set(name, source);
    }
    source.arrived += 1;
    if (this.#share !== Number.POSITIVE_INFINITY) {
      const burst = Math.max(2, this.#share * (intervalMs / 1000));
      source.tokens = Math.min(burst, source.tokens + ((now - source.at) / 1000) * this.#share);
      source.at = now;
      if (source.tokens < 1) return false;
      source.tokens -= 1;
    }
    this.#handed += 1;
    return true;
  }

  /** The application refused a call it was handed, for congestion. */
  refused(now: number): void {
    this.#roll(now);
    this.#refused += 1;
  }

  #roll(now: number): void {
    const passed = now - this.#intervalAt;
    if (passed < intervalMs) return;
    this.#intervalAt = now;
    const seconds = passed / 1000;
    const taken = Math.max(0, this.#handed - this.#refused) / seconds;
    // What was refused before a pause says nothing of now, and over all that time it would be next to none that was taken.
    const paused = passed > pauseIntervals * intervalMs;
    this.#taken = paused ? taken : this.#taken / 2 + taken / 2;
    const asked = this.#ask(seconds);
    this.#late = this.#loopDelay() > lateMs ? this.#late + 1 : 0;
    const pressed = !paused && this.#refused > Math.max(noticed, tolerated * this.#handed);
    this.#pressed = pressed ? this.#pressed + 1 : 0;
    if (this.#pressed >= (this.#rate === Number.POSITIVE_INFINITY ? pressedIntervals : 1)) {
      this.#rate = Math.max(leastRate, Math.min(this.#rate, probe * this.#taken));
      this.#calm = 0;
    } else if (this.#late >= lateIntervals && this.#taken > leastLoad) {
      this.#rate = 0.9 * Math.min(this.#rate, this.#taken);
      this.#calm = 0;
    } else if (this.#rate !== Number.POSITIVE_INFINITY) {
      this.#calm = asked < 0.9 * this.#rate ? this.#calm + passed / intervalMs : 0;
      if (this.#calm >= calmIntervals) this.#rate = Number.POSITIVE_INFINITY;
      // Tried higher only where it was not refused anything: each refusal costs what a call would have had.
      else if (this.#refused === 0) this.#rate = this.#rate * probe + 1;
    }
    this.#handed = 0;
    this.#refused = 0;
    this.#share = this.#fairShare(asked);
  }

  /** What all sources ask for, a second. */
  #ask(seconds: number): number {
    let sum = 0;
    for (const [name, source] of this.#sources) {
      source.rate = source.rate / 2 + source.arrived / seconds / 2;
      source.arrived = 0;
      sum += source.rate;
      if (source.rate < 0.05) this.#sources.delete(name);
    }
    return sum;
  }

  /** The rate at which the sum of what sources get, each what it asks for up to it, is the whole rate. */
  #fairShare(asked: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY || asked <= this.#rate) return this.#rate;
    const rates = [...this.#sources.values()].map(({ rate }) => rate).sort((a, b) => a - b);
    let left = this.#rate;
    for (const [i, rate] of rates.entries()) {
      const even = left / (rates.length - i);
      if (rate > even) return even;
      left -= rate;
    }
    return this.#rate;
  }
}
