/** The classes of root causes behind past failures (docs/field.md). */
export const causes = {
  1: 'never registered, or never told',
  2: 'list lost or truncated in an upgrade',
  3: 'list partly carried: synonym flags',
  4: 'wrong scope: site, facility, caller',
  5: 'hand-off lost between agencies',
  6: 'one setting split over several fields',
  7: 'listed, but did not match',
  8: 'recorder armed before the list',
  9: 'an override exists',
  10: 'a fix regressed',
  11: 'kept, and leaked',
  12: 'read without a trace',
  13: 'nobody could say how many',
  14: 'the announcement says recorded, and is taken for a waiver',
} as const;
export type Cause = keyof typeof causes;

/** What a test needs of whoever runs it: a place to put what must be closed afterwards, in reverse. */
export interface Scope {
  teardown(close: () => unknown): void;
}

/**
 * A past failure as a test. It fails with an AssertionError of node:assert and with nothing else, so that whoever takes
 * its guard away can tell a test that noticed from a test that broke.
 */
export interface Named {
  readonly cause: Cause;
  readonly name: string;
  readonly run: (scope: Scope) => Promise<void>;
}

/** Runs a test and closes what it opened, whatever came of it. */
export const runNamed = async ({ run }: Named): Promise<void> => {
  const closers: (() => unknown)[] = [];
  try {
    await run({ teardown: (close) => closers.push(close) });
  } finally {
    for (const close of closers.reverse()) await close();
  }
};
