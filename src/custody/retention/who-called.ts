import { type CallFacts, callFactsOf } from './call-facts.js';
import { asksJournals, type Hold, type Holdable, heldBy } from './holds.js';

/**
 * Whether recordings are held. The controllers' journals are read once, and only when a hold on a caller or a number
 * asks for it; where they cannot be read and proved, what such a hold may cover is `unknown`.
 */
export class WhoCalled {
  readonly #journals: readonly string[];
  /** Every call that may have to be judged. */
  readonly #calls: () => ReadonlySet<string>;
  #facts: ReadonlyMap<string, CallFacts> | null = null;
  unread = false;

  constructor(journals: readonly string[], calls: () => ReadonlySet<string>) {
    this.#journals = journals;
    this.#calls = calls;
  }

  async held(holds: readonly Hold[], one: Holdable): Promise<Hold | 'unknown' | null> {
    if (holds.some((hold) => asksJournals(hold, one.receivedAt))) await this.#read();
    return heldBy(holds, one, this.#facts?.get(one.callId) ?? null);
  }

  async #read(): Promise<void> {
    if (this.#facts !== null) return;
    try {
      this.#facts = await callFactsOf(this.#journals, this.#calls());
    } catch {
      this.#facts = new Map();
      this.unread = true;
    }
  }
}
