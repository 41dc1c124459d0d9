/**
 * How many calls may be set up at once. Adaptive, because nobody knows beforehand what a machine with these lists, this
 * disk and these media nodes can do: by Little's law the right number is (calls a second) × (seconds of work in each),
 * and the time the work takes tells when there are too many.
 *
 * The rule is TCP's, in the form of Netflix's concurrency limits (gradient, https://github.com/Netflix/concurrency-limits):
 * once an interval the limit is multiplied by (target ÷ median time of the work) where that took longer than the target
 * in three of them in a row, and raised by a tenth where the limit was felt and the work was quick. One in which the
 * limit was felt and no work ended says nothing; one in which it was not felt ends the row. As in CoDel (RFC 8289) it is
 * the time that steps wait that is judged and not how many wait, over an interval of 100 ms; the median is taken instead
 * of CoDel's minimum, because what is promised is a percentile. The target follows from the quickest work seen, so that a
 * slow disk is not taken for overload. As in RFC 7661 a limit nobody comes near says nothing, and goes back to where it
 * began: a quiet night with one slow call does not close the door for the morning.
 *
 * Pure: time comes as an argument, in monotonic milliseconds.
 */

/** Parts of a set-up that are our work alone: up to dialling, and from the answer on. Whoever waits for a person counts nowhere. */
export type Work = 'deciding' | 'joining';

export interface LimitBounds {
  /** Never fewer at once, whatever the times say: a limit of nought would never see work again, and never rise. */
  readonly least: number;
  /** Where it begins, and goes back to when nobody comes near it. */
  readonly first: number;
  readonly most: number;
}

const intervalMs = 100;
/** So many slow ones in a row are too much work; fewer are a disk or a processor that was away for a moment. */
const slowIntervals = 3;
/** The median may be this many times the quickest, and is never judged below the first nor let above the second. */
const tolerance = 3;
const leastTargetMs = 25;
const mostTargetMs = 250;
/** Of one interval, enough for a median; more are not kept. */
const maxSamples = 256;

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The times of one kind of work. */
class Times {
  #samples: number[] = [];
  #quickest: number | null = null;

  add(ms: number): void {
    if (this.#samples.length < maxSamples) this.#samples.push(ms);
  }

  /**
   * Ends an interval: the median over the target, null where no work was done. What is quick is learnt upwards only
   * from intervals in which nobody had to wait for anybody, or a long overload would teach that slow is ordinary.
   */
  close(crowded: boolean): number | null {
    const sorted = this.#samples.sort((a, b) => a - b);
    this.#samples = [];
    const [least] = sorted;
    const median = sorted[sorted.length >> 1];
    if (least === undefined || median === undefined) return null;
    const known = this.#quickest ?? least;
    this.#quickest = least < known ? least : crowded ? known : Math.min(least, known * 1.02 + 0.01);
    return median / clamp(tolerance * this.#quickest, leastTargetMs, mostTargetMs);
  }
}

interface UnderWay {
  readonly trunk: string;
  readonly work: Work;
  readonly since: number;
  /** False where it waited for what stands still: a Redis or a media node that answers nobody. */
  tells: boolean;
}

export class SetUpLimit {
  readonly #bounds: LimitBounds;
  readonly #times: Readonly<Record<Work, Times>> = { deciding: new Times(), joining: new Times() };
  readonly #underWay = new Map<string, UnderWay>();
  readonly #byTrunk = new Map<string, number>();
  #limit: number;
  #intervalAt: number;
  /** Most at once, and whether somebody was turned away, in this interval. */
  #most = 0;
  #refused = false;
  /** Intervals in a row in which the work took too long. */
  #slow = 0;

  constructor(bounds: LimitBounds, now: number) {
    if (bounds.least < 1 || bounds.first < bounds.least || bounds.most < bounds.first) {
      throw new RangeError('limit-bounds');
    }
    this.#bounds = bounds;
    this.#limit = bounds.first;
    this.#intervalAt = now;
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /**
   * Whether a call of that trunk may begin. Where all places are taken, a trunk that has less than its even share of them
   * still gets one: a trunk that floods stands in its own way alone. So there are never more than twice the limit.
   */
  admits(trunk: string, now: number): boolean {
    this.#roll(now);
    const all = this.#underWay.size;
    if (all < this.limit) return true;
    const own = this.#byTrunk.get(trunk) ?? 0;
    const trunks = this.#byTrunk.size + (own === 0 ? 1 : 0);
    if (trunks > 1 && own < this.limit / trunks && all < 2 * this.limit) return true;
    this.#refused = true;
    return false;
  }

  /** A call is doing that work from now on, or none. */
  at(callId: string, trunk: string, work: Work | null, now: number): void {
    this.#roll(now);
    const was = this.#underWay.get(callId);
    if (was?.work === work || (was === undefined && work === null)) return;
    if (was !== undefined) {
      if (was.tells) this.#times[was.work].add(now - was.since);
      this.#underWay.delete(callId);
      this.#count(was.trunk, -1);
    }
    if (work === null) return;
    this.#underWay.set(callId, { trunk, work, since: now, tells: true });
    this.#count(trunk, 1);
    this.#most = Math.max(this.#most, this.#underWay.size);
  }

  /**
   * The work a call is at waits for something that stands still. It takes a place until it is over, but its time is not
   * judged: fewer calls at once would make it no shorter, and would turn away those that need nothing of it.
   */
  pardon(callId: string): void {
    const work = this.#underWay.get(callId);
    if (work !== undefined) work.tells = false;
  }

  #count(trunk: string, by: number): void {
    const count = (this.#byTrunk.get(trunk) ?? 0) + by;
    if (count > 0) this.#byTrunk.set(trunk, count);
    else this.#byTrunk.delete(trunk);
  }

  #roll(now: number): void {
    const passed = Math.floor((now - this.#intervalAt) / intervalMs);
    if (passed < 1) return;
    this.#intervalAt += passed * intervalMs;
    const { least, first, most } = this.#bounds;
    const crowded = this.#refused || 2 * this.#most >= this.#limit;
    const ratios = [this.#times.deciding.close(crowded), this.#times.joining.close(crowded)];
    const pressure = Math.max(...ratios.map((ratio) => ratio ?? 0));
    const slow = crowded && pressure > 1;
    if (slow) this.#slow += 1;
    else if (pressure > 0 || !crowded) this.#slow = 0;
    if (slow && this.#slow >= slowIntervals) this.#limit *= clamp(1 / pressure, 0.5, 0.95);
    else if (crowded && pressure > 0 && !slow) this.#limit += Math.max(1, this.#limit / 10);
    // Those that passed besides, and nobody came near the limit in them, stand between this one and the next.
    if (passed > 1 && 2 * this.#underWay.size < this.#limit) this.#slow = 0;
    // Nobody came near it, in this interval or in those that passed without anybody.
    const quiet = passed - (crowded ? 1 : 0);
    if (this.#limit < first) this.#limit = Math.min(first, this.#limit + quiet);
    else if (quiet > 0) this.#limit = Math.max(first, this.#limit * 0.98 ** quiet);
    this.#limit = clamp(this.#limit, least, most);
    this.#most = this.#underWay.size;
    this.#refused = false;
  }
}
