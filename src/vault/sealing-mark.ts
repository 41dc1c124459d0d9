import type { CallId } from '../core/leg.js';
import type { Identity } from './age-keys.js';
import type { Found } from './catalogue.js';
import { VaultError } from './errors.js';
import type { Store } from './store.js';

/**
 * Where a recording whose number proved privileged is marked until it is sealed. Sealing may have to wait, for a disk
 * that is full above all; whoever holds a facility's key is refused from the mark on and not from the seal.
 */
export const SEALING = 'sealing';

export const markOf = (callId: CallId): string => `${SEALING}/${callId}.json`;

/** Rejects with what the store rejects with; a mark that is there already is no error. */
export const mark = async (store: Store, callId: CallId, says: object): Promise<void> => {
  const name = markOf(callId);
  if (await store.has(name)) return;
  const staged = await store.stage(name, 0o400);
  try {
    await staged.writeAt(Buffer.from(`${JSON.stringify({ callId, ...says })}\n`), 0);
    await staged.settle();
    await store.commit([staged]);
  } catch (error) {
    if (!(error instanceof VaultError && error.code === 'recording-exists')) throw error;
  } finally {
    await staged.discard();
  }
};

/**
 * Refuses an ordinary recording that is to be sealed to everybody without an escrow identity. `told`: it is known from
 * elsewhere, as from custody's journal, that it is to be sealed. Rejects with VaultError `escrow-needed`.
 */
export const refuseWhileSealing = async (
  store: Store,
  { manifest }: Found,
  identities: readonly Identity[],
  told: boolean,
): Promise<void> => {
  if (manifest.sealed !== null || !(told || (await store.has(markOf(manifest.callId))))) return;
  const own = new Set(identities.map(({ recipient }) => recipient.text));
  if (manifest.keys.some(({ role, recipient }) => role === 'escrow' && own.has(recipient))) return;
  throw new VaultError('escrow-needed', 'its number is privileged: this recording is being sealed');
};
