export class TimedOut extends Error {}

/** Settles within the time given, whatever the promise does. Rejects with TimedOut. */
export const within = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // After a stall of our own, timers run before sockets are read: setImmediate lets a waiting reply win. Without it
    // a busy moment of this process refuses calls that Redis has answered in time.
    timer = setTimeout(() => setImmediate(() => reject(new TimedOut())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};
