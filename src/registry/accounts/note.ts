import type { Transaction } from 'kysely';
import type { Tables } from '../schema.js';

/**
 * A row for the registry's journal, in the very transaction of what it tells: an account that changed without a row
 * does not exist. No member is called `change`: that is a change of the lists.
 */
export const noteAccount = async (
  trx: Transaction<Tables>,
  kind: 'account-changed' | 'account-key-changed',
  body: Readonly<Record<string, string | number | null>>,
): Promise<void> => {
  await trx
    .insertInto('outbox')
    .values({ kind, body: JSON.stringify(body) })
    .execute();
};
