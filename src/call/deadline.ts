/** The promise did not settle in time. */
export class DeadlineError extends Error {
  readonly code = 'deadline';
  constructor(what: string) {
    super(`${what} took too long`);
    this.name = 'DeadlineError';
  }
}

/**
 * Settles with the promise or rejects at the deadline. What arrives after the deadline goes to `late`, so that a
 * thing made too late (an anchor, a dialog) is closed rather than forgotten.
 */
export const withDeadline = <T>(
  what: string,
  ms: number,
  promise: Promise<T>,
  late?: (value: T) => void,
): Promise<T> =>
  new Promise<T>((resolve, reject) => {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      reject(new DeadlineError(what));
    }, ms);
    promise.then(
      (value) => {
        clearTimeout(timer);
        if (over) closeLate(value, late);
        else resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        if (!over) reject(error);
      },
    );
  });

/** Nobody waits for this any more, so an exception here would end the whole process and every call with it. */
const closeLate = <T>(value: T, late: ((value: T) => void) | undefined): void => {
  try {
    late?.(value);
  } catch {
    // What cannot be closed here is the reaper's: the deadline itself was noted when it passed.
  }
};

/** The stable code of an error: its own where it has one, else its class. Never its message. */
export const codeOf = (error: unknown): string => {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return error instanceof Error ? error.name : 'not-an-error';
};
