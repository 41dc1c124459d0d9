import type { Used } from '../call/talk.js';

/** After this long an end says nothing any more. */
export const memoryMs = 86_400_000;
/** Subjects remembered: beyond, those without a call are forgotten, the longest known first. */
const maxSubjects = 50_000;

/** A place of one call in the counts. One call may have several, one after the other or beside each other. */
export interface OwnPlace {
  readonly callId: string;
}

interface Subject {
  readonly places: Set<OwnPlace>;
  readonly connected: Map<OwnPlace, number>;
  /** How many of the places are of one call; calls with none are not there. */
  readonly byCall: Map<string, number>;
  readonly connectedByCall: Map<string, number>;
  endedMono: number | null;
}

const count = (counts: Map<string, number>, callId: string, by: 1 | -1): void => {
  const now = (counts.get(callId) ?? 0) + by;
  if (now > 0) counts.set(callId, now);
  else counts.delete(callId);
};

const forget = ({ connected, connectedByCall }: Subject, place: OwnPlace): void => {
  if (connected.delete(place)) count(connectedByCall, place.callId, -1);
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

  #of(name: string): Subject {
    const found = this.#subjects.get(name);
    if (found !== undefined) return found;
    const subject: Subject = {
      places: new Set(),
      connected: new Map(),
      byCall: new Map(),
      connectedByCall: new Map(),
      endedMono: null,
    };
    this.#subjects.set(name, subject);
    return subject;
  }

  /** Use by other calls than this one, and how many places this one has itself. */
  read(name: string, callId: string, now: number): { readonly used: Used; readonly same: number } {
    const subject = this.#subjects.get(name);
    if (subject === undefined) return { used: { concurrent: 0, recent: 0, idleMs: null }, same: 0 };
    const { places, connected, endedMono } = subject;
    // A number that thousands call has thousands of places: nothing here may look at all of them for each call.
    const same = subject.byCall.get(callId) ?? 0;
    for (const [place, at] of connected) {
      // They come in the order of their time, so that those whose time is over are the first.
      if (now - at < this.#windowMs) break;
      forget(subject, place);
    }
    const recent = connected.size - (subject.connectedByCall.get(callId) ?? 0);
    const idleMs = endedMono === null || now - endedMono >= memoryMs ? null : now - endedMono;
    return { used: { concurrent: places.size - same, recent, idleMs }, same };
  }

  enter(names: readonly string[], place: OwnPlace): void {
    for (const name of names) {
      const { places, byCall } = this.#of(name);
      if (places.has(place)) continue;
      places.add(place);
      count(byCall, place.callId, 1);
    }
  }

  connected(names: readonly string[], place: OwnPlace, now: number): void {
    for (const name of names) {
      const subject = this.#of(name);
      // The last time counts, and stands last.
      forget(subject, place);
      subject.connected.set(place, now);
      count(subject.connectedByCall, place.callId, 1);
    }
  }

  leave(names: readonly string[], place: OwnPlace, now: number, wasConnected: boolean): void {
    for (const name of names) {
      const subject = this.#of(name);
      if (subject.places.delete(place)) count(subject.byCall, place.callId, -1);
      if (wasConnected) subject.endedMono = now;
      else if (subject.places.size === 0 && subject.connected.size === 0 && subject.endedMono === null) {
        this.#subjects.delete(name);
      }
    }
  }

  /** Forgets what has no meaning any more, and what is too much. */
  tidy(now: number): void {
    for (const [name, subject] of this.#subjects) {
      const { places, connected, endedMono } = subject;
      for (const [place, at] of connected) {
        if (now - at >= this.#windowMs) forget(subject, place);
      }
      const ended = endedMono === null || now - endedMono >= memoryMs;
      if (places.size === 0 && ((connected.size === 0 && ended) || this.#subjects.size > maxSubjects)) {
        this.#subjects.delete(name);
      }
    }
  }
}
