/**
 * How many numbers one caller may hold up by claiming them private. A claim stops everybody's calls to the number until
 * it is reviewed: without a bound one caller could stop all calls of a facility.
 */
export class ClaimBound {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #claims = new Map<string, number[]>();

  constructor(most = 5, windowMs = 86_400_000) {
    this.#most = most;
    this.#windowMs = windowMs;
  }

  /** True where one more claim of this caller holds up its number. `now` is monotonic, in ms. */
  take(caller: string | null, now: number): boolean {
    const name = caller ?? '';
    const recent = (this.#claims.get(name) ?? []).filter((at) => now - at < this.#windowMs);
    const may = recent.length < this.#most;
    if (may) recent.push(now);
    // Forgotten with the oldest, so that a crowd of callers cannot fill the memory.
    this.#claims.delete(name);
    this.#claims.set(name, recent);
    if (this.#claims.size > 10_000) this.#claims.delete(this.#claims.keys().next().value ?? '');
    return may;
  }
}
