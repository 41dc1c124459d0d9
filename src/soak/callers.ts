/**
 * The callers of a soak: as at a real site, the same ones call again. A caller has one call at a time, for its name finds
 * the call's rows in the journal; who has rested longest calls next, and where nobody rests a new one does.
 */
export class Callers {
  readonly #count: number;
  readonly #resting = new Set<string>();
  #known = 0;

  constructor(count: number) {
    this.#count = count;
  }

  take(): string {
    const [longest] = this.#resting;
    if (longest === undefined || this.#known < this.#count) {
      this.#known += 1;
      return `soak-${this.#known}`;
    }
    this.#resting.delete(longest);
    return longest;
  }

  /** The call of this caller is over, and nothing of it is to come. */
  rests(caller: string): void {
    this.#resting.add(caller);
  }
}
