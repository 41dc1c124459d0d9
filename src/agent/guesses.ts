import type { Clock } from './clock.js';

/** Wrong tries are counted within this time. */
const windowMs = 60_000;
/** So long after its last wrong try it is no longer. */
const forgetMs = 300_000;
/** A source that is slowed down is answered this often. */
const answerMs = 1000;
/** Sources, and names of peers, that are remembered; the one seen longest ago goes first. */
const maxSources = 10_000;
/** Wrong tries for one peer's name, from wherever, that are worth a word; they slow nobody down but their sources. */
const maxWrongForPeer = 100;

interface Tries {
  count: number;
  since: number;
  last: number;
  over: boolean;
  answered: number;
}

/** What a wrong try led to, if to anything new. */
export type Noticed = 'source' | 'peer' | undefined;

/**
 * Counts wrong passwords. By source, because only who received a nonce at its address can try one: nobody can have
 * another source slowed down by forging its address. A peer whose name is tried by many sources is not slowed down, or
 * whoever knows the name could keep it from calling.
 */
export class Guesses {
  readonly #clock: Clock;
  readonly #maxWrong: number;
  readonly #sources = new Map<string, Tries>();
  readonly #peers = new Map<string, Tries>();

  /** `maxWrong` wrong tries within a minute, and a source is slowed down. */
  constructor(clock: Clock, maxWrong: number) {
    this.#clock = clock;
    this.#maxWrong = maxWrong;
  }

  get sources(): number {
    return this.#sources.size;
  }

  /** False if this request is to be dropped unread: its source guessed, and was answered within the last second. */
  hears(source: string): boolean {
    const tries = this.#sources.get(source);
    if (tries === undefined || !tries.over) return true;
    const now = this.#clock.now();
    if (now - tries.last >= forgetMs) {
      this.#sources.delete(source);
      return true;
    }
    if (now - tries.answered < answerMs) return false;
    tries.answered = now;
    return true;
  }

  /** Notes a wrong try, for the name of a peer if it was one. Tells when it is the one too many. */
  wrong(source: string, peer: string | undefined): Noticed {
    const bySource = this.#note(this.#sources, source, this.#maxWrong);
    const byPeer = peer !== undefined && this.#note(this.#peers, peer, maxWrongForPeer);
    return bySource ? 'source' : byPeer ? 'peer' : undefined;
  }

  #note(all: Map<string, Tries>, key: string, max: number): boolean {
    const now = this.#clock.now();
    const known = all.get(key);
    const tries = known ?? { count: 0, since: now, last: now, over: false, answered: now };
    if (tries.over ? now - tries.last >= forgetMs : now - tries.since >= windowMs) {
      tries.count = 0;
      tries.since = now;
      tries.over = false;
    }
    tries.count++;
    tries.last = now;
    // Kept in the order they were last seen.
    all.delete(key);
    if (known === undefined && all.size >= maxSources) {
      const [oldest] = all.keys();
      if (oldest !== undefined) all.delete(oldest);
    }
    all.set(key, tries);
    if (tries.over || tries.count < max) return false;
    tries.over = true;
    tries.answered = now;
    return true;
  }
}
