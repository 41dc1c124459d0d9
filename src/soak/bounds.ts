/** How long is waited for what must come, in ms. Tests of the soak itself shorten them. */
export interface SoakBounds {
  /** For a final response: as long as a phone waits itself (64·T1), and a little. */
  readonly answer: number;
  /** For the answer to a BYE, and for the other side to be told; a controller that was killed has to start first. */
  readonly end: number;
  /** For the CDR of a call that is over. */
  readonly overdue: number;
  /** For the last place of a call to leave Redis: the lease of a controller that was killed (90 s). */
  readonly lease: number;
  /** For whatever else is given back once all calls are over. */
  readonly settle: number;
}

export const usualBounds: SoakBounds = {
  answer: 40_000,
  end: 60_000,
  overdue: 20_000,
  lease: 100_000,
  settle: 20_000,
};
