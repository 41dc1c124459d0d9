import { randomBytes, randomUUID } from 'node:crypto';

/** Random bytes are drawn in blocks: one call a message would cost more than the message's parse. */
let pool = Buffer.alloc(0);
let used = 0;

function hex(bytes: number): string {
  if (used + bytes > pool.length) {
    pool = randomBytes(4096);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}

/** An id of the application protocol: message, transaction. */
export const newId = (): string => randomUUID();

/** A From or To tag: 64 random bits (RFC 3261 section 19.3 asks for 32). */
export const newTag = (): string => hex(8);

/** A Via branch with the magic cookie; not guessable, so that responses cannot be forged from afar. */
export const newBranch = (): string => 'z9hG4bK' + hex(12);

/** A whole number of seconds between low and high, both included: retries must not come all at once. */
export const jitter = (low: number, high: number): number =>
  low + Math.floor(Math.random() * (high - low + 1));
