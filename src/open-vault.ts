import { CANARY_KEY } from './config/check-canaries.js';
import type { Config } from './config/schema.js';
import type { RecordingVault } from './recording/vault-port.js';
import { parseRecipient, type Recipient } from './vault/age-keys.js';
import { VaultError } from './vault/errors.js';
import { readRecipientFile } from './vault/key-files.js';
import { createLocalStore } from './vault/local-store.js';
import type { Store } from './vault/store.js';
import { createVault, type VaultKey } from './vault/vault.js';

export const storeOf = ({ recording }: Pick<Config, 'recording'>): Store =>
  createLocalStore({
    dir: recording.directory,
    minFreeBytes: recording.vault.minFreeMegabytes * 1024 * 1024,
  });

/**
 * The vault, with every key read: one that is missing or malformed refuses to start, for it would be found out by the
 * first recording that nobody can open. `canary` opens test calls' recordings besides. Rejects with VaultError.
 */
export const openVault = async (
  config: Pick<Config, 'recording'>,
  canary: Recipient | null = null,
): Promise<RecordingVault> => {
  const { keys, facilities, sealed } = config.recording.vault;
  const read = new Map<string, VaultKey>();
  for (const [id, { role, recipient: text, recipientFile }] of Object.entries(keys)) {
    const recipient =
      recipientFile === undefined ? parseRecipient(text ?? '') : await readRecipientFile(recipientFile);
    const other = [...read.values()].find((one) => one.recipient.text === recipient.text);
    // The same key as a facility's and as escrow would open to the facility what was sealed.
    if (other !== undefined)
      throw new VaultError('key-malformed', `the keys ${id} and ${other.id} are the same`);
    read.set(id, { id, role, recipient });
  }
  const named = (ids: readonly string[]): VaultKey[] =>
    ids.map((id) => {
      const key = read.get(id);
      if (key === undefined) throw new VaultError('no-recording-key', `there is no key ${id}`);
      return key;
    });
  return createVault({
    store: storeOf(config),
    facilities: new Map(Object.entries(facilities).map(([name, ids]) => [name, named(ids)])),
    sealed: named(sealed),
    ...(canary === null ? {} : { canary: { id: CANARY_KEY, role: 'canary' as const, recipient: canary } }),
  });
};
