import { randomBytes } from 'node:crypto';
import { RetentionError } from './codes.js';
import { HOLD_KIND, type Hold, holdRow, RELEASE_KIND } from './holds.js';
import type { Ledger } from './ledger.js';
import type { Appender } from './removal.js';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A random id: 'h' and 12 characters of base32. */
export const newHoldId = (): string => {
  let id = 'h';
  for (const byte of randomBytes(12)) id += alphabet[byte & 31];
  return id;
};

/** Puts a hold in force: durable when this returns. */
export const addHold = async (journal: Appender, hold: Hold): Promise<void> => {
  await journal.append(HOLD_KIND, holdRow(hold));
};

/** Ends a hold that is in force. The ledger is that of the journal, read while it is open. */
export const releaseHold = async (
  journal: Appender,
  ledger: Ledger,
  order: { readonly id: string; readonly by: string; readonly why: string },
): Promise<Hold> => {
  const hold = ledger.holds.find(({ id }) => id === order.id);
  if (hold === undefined) {
    const released = ledger.wasReleased(order.id);
    throw new RetentionError(
      released ? 'hold-released' : 'hold-unknown',
      released ? `hold ${order.id} was released before` : `there is no hold ${order.id}`,
    );
  }
  await journal.append(RELEASE_KIND, { ...order });
  return hold;
};
