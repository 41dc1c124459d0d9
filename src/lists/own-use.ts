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
  endedMono: number | null;
}

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
    const subject: Subject = { places: new Set(), connected: new Map(), endedMono: null };
    this.#subjects.set(name, subject);
    return subject;
  }

  /** Use by other calls than this one, and how many places this one has itself. */
  read(name: string, callId: string, now: number): { readonly used: Used; readonly same: number } {
    const subject = this.#subjects.get(name);
    if (subject === undefined) return { used: { concurrent: 0, recent: 0, idleMs: null }, same: 0 };
    const { places, connected, endedMono } = subject;
    const same = [...places].filter((place) => place.callId === callId).length;
    let recent = 0;
    for (const [place, at] of connected) {
      if (now - at < this.#windowMs && place.callId !== callId) recent += 1;
    }
    const idleMs = endedMono === null || now - endedMono >= memoryMs ? null : now - endedMono;
    return { used: { concurrent: places.size - same, recent, idleMs }, same };
  }

  enter(names: readonly string[], place: OwnPlace): void {
    for (const name of names) this.#of(name).places.add(place);
  }

  connected(names: readonly string[], place: OwnPlace, now: number): void {
    for (const name of names) this.#of(name).connected.set(place, now);
  }

  leave(names: readonly string[], place: OwnPlace, now: number, wasConnected: boolean): void {
    for (const name of names) {
      const subject = this.#of(name);
      subject.places.delete(place);
      if (wasConnected) subject.endedMono = now;
      else if (subject.places.size === 0 && subject.connected.size === 0 && subject.endedMono === null) {
        this.#subjects.delete(name);
      }
    }
  }

  /** Forgets what has no meaning any more, and what is too much. */
  tidy(now: number): void {
    for (const [name, { places, connected, endedMono }] of this.#subjects) {
      for (const [place, at] of connected) {
        if (now - at >= this.#windowMs) connected.delete(place);
      }
      const ended = endedMono === null || now - endedMono >= memoryMs;
      if (places.size === 0 && ((connected.size === 0 && ended) || this.#subjects.size > maxSubjects)) {
        this.#subjects.delete(name);
      }
    }
  }
}
