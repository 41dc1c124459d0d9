import type { Used } from '../call/talk.js';

/** After this long an end says nothing any more. */
export const memoryMs = 86_400_000;
/** Subjects remembered: beyond, those without a call are forgotten, the longest known first. */
const maxSubjects = 50_000;

/** A place of one call in the counts. One call may have several, one after the other or beside each other. */
export interface OwnPlace {
  readonly callId: string;
}

/** What there is of a subject while calls of it have a place. */
interface Live {
  readonly places: Set<OwnPlace>;
  /** Since when, in that order. */
  readonly connected: Map<OwnPlace, number>;
  /** How many of the places are of one call; calls with none are not there. */
  readonly byCall: Map<string, number>;
  readonly connectedByCall: Map<string, number>;
}

/**
 * Nearly all that are remembered are of callers who have one call behind them: of those there are two numbers, and no
 * collections.
 */
interface Subject {
  live: Live | null;
  /** When calls were connected that are over, in that order. */
  past: number[];
  endedMono: number | null;
}

const count = (counts: Map<string, number>, callId: string, by: 1 | -1): void => {
  const now = (counts.get(callId) ?? 0) + by;
  if (now > 0) counts.set(callId, now);
  else counts.delete(callId);
};

const forget = ({ connected, connectedByCall }: Live, place: OwnPlace): number | null => {
  const at = connected.get(place);
  if (at === undefined) return null;
  connected.delete(place);
  count(connectedByCall, place.callId, -1);
  return at;
};

/** Calls end in nearly the order in which they were connected: it is looked for from behind. */
const insert = (subject: Subject, at: number): void => {
  const { past } = subject;
  // Most have one time, and there are very many: what an array is grown to by its first splice is room for seventeen.
  if (past.length === 0) {
    subject.past = [at];
    return;
  }
  let behind = past.length;
  while (behind > 0 && (past[behind - 1] ?? 0) > at) behind--;
  past.splice(behind, 0, at);
};

/** What this process has counted itself: all there is while Redis is lost, and the least there can be otherwise. */
export class OwnUse {
  readonly #subjects = new Map<string, Subject>();
  readonly #windowMs: number;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  get size(): number {
    return this.#subjects.size;
  }

  #liveOf(name: string): Live {
    let subject = this.#subjects.get(name);
    if (subject === undefined) {
      subject = { live: null, past: [], endedMono: null };
      this.#subjects.set(name, subject);
    }
    subject.live ??= {
      places: new Set(),
      connected: new Map(),
      byCall: new Map(),
      connectedByCall: new Map(),
    };
    return subject.live;
  }

  /** Use by other calls than this one, and how many places this one has itself. */
  read(name: string, callId: string, now: number): { readonly used: Used; readonly same: number } {
    const subject = this.#subjects.get(name);
    if (subject === undefined) return { used: { concurrent: 0, recent: 0, idleMs: null }, same: 0 };
    this.#forgetOld(subject, now);
    const { live, past, endedMono } = subject;
    // A number that thousands call has thousands of places: nothing here may look at all of them for each call.
    const same = live?.byCall.get(callId) ?? 0;
    const others = (live?.connected.size ?? 0) - (live?.connectedByCall.get(callId) ?? 0);
    const idleMs = endedMono === null || now - endedMono >= memoryMs ? null : now - endedMono;
    const concurrent = (live?.places.size ?? 0) - same;
    return { used: { concurrent, recent: past.length + others, idleMs }, same };
  }

  /** They come in the order of their time, so that those whose time is over are the first. */
  #forgetOld({ live, past }: Subject, now: number): void {
    let old = 0;
    while (old < past.length && now - (past[old] ?? 0) >= this.#windowMs) old++;
    if (old > 0) past.splice(0, old);
    if (live === null) return;
    for (const [place, at] of live.connected) {
      if (now - at < this.#windowMs) break;
      forget(live, place);
    }
  }

  enter(names: readonly string[], place: OwnPlace): void {
    for (const name of names) {
      const { places, byCall } = this.#liveOf(name);
      if (places.has(place)) continue;
      places.add(place);
      count(byCall, place.callId, 1);
    }
  }

  connected(names: readonly string[], place: OwnPlace, now: number): void {
    for (const name of names) {
      const live = this.#liveOf(name);
      // The last time counts, and stands last.
      forget(live, place);
      live.connected.set(place, now);
      count(live.connectedByCall, place.callId, 1);
    }
  }

  leave(names: readonly string[], place: OwnPlace, now: number, wasConnected: boolean): void {
    for (const name of names) {
      const live = this.#liveOf(name);
      const subject = this.#subjects.get(name);
      if (subject === undefined) continue;
      if (live.places.delete(place)) count(live.byCall, place.callId, -1);
      const at = forget(live, place);
      if (at !== null) insert(subject, at);
      if (wasConnected) subject.endedMono = now;
      if (live.places.size > 0 || live.connected.size > 0) continue;
      subject.live = null;
      if (subject.past.length === 0 && subject.endedMono === null) this.#subjects.delete(name);
    }
  }

  /** Forgets what has no meaning any more, and what is too much. */
  tidy(now: number): void {
    for (const [name, subject] of this.#subjects) {
      this.#forgetOld(subject, now);
      const { live, past, endedMono } = subject;
      if (live !== null && live.places.size > 0) continue;
      const ended = endedMono === null || now - endedMono >= memoryMs;
      const used = past.length > 0 || (live?.connected.size ?? 0) > 0 || !ended;
      if (!used || this.#subjects.size > maxSubjects) this.#subjects.delete(name);
    }
  }
}
