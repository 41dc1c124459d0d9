import type { Emit } from './call/ports.js';
import { CANARY_KEY } from './config/check-canaries.js';
import type { Config } from './config/schema.js';
import type { KeyText } from './finish-messages.js';
import { FinishWorker } from './finish-worker.js';
import type { Finisher } from './recording/finisher.js';
import type { RecordingVault } from './recording/vault-port.js';
import { parseRecipient, type Recipient } from './vault/age-keys.js';
import { VaultError } from './vault/errors.js';
import { readRecipientFile } from './vault/key-files.js';
import { createLocalStore } from './vault/local-store.js';
import { readCredentialsFile } from './vault/s3-credentials.js';
import { createS3Store, type S3Store, type S3StoreEvent } from './vault/s3-store.js';
import type { Store } from './vault/store.js';
import { createVault, type VaultKey } from './vault/vault.js';

const MIB = 1024 * 1024;

const bucketOf = (
  { vault }: Config['recording'],
  s3: NonNullable<Config['recording']['vault']['store']['s3']>,
  emit: Emit,
): S3Store => {
  const { maxStagedMegabytes, maxStagedHours, commitSeconds, requestSeconds, ...rest } = s3;
  return createS3Store({
    ...rest,
    minFreeBytes: vault.minFreeMegabytes * MIB,
    maxStagedBytes: maxStagedMegabytes * MIB,
    maxStagedMs: maxStagedHours * 3_600_000,
    commitMs: commitSeconds * 1000,
    requestMs: requestSeconds * 1000,
    tell: (event) => tellStore(event, emit),
  });
};

const tellStore = (event: S3StoreEvent, emit: Emit): void => {
  switch (event.type) {
    case 'staged': {
      const { type: _type, ...waiting } = event;
      emit({ event: 'recordings-staged', ...waiting });
      return;
    }
    case 'judged':
      emit({ event: 'store-state', state: event.code === null ? 'up' : 'down', code: event.code });
      return;
    case 'behind':
      emit({ event: 'alarm', alarm: 'recordings-undelivered', callId: null, detail: event.code });
      return;
    case 'conflict':
      emit({ event: 'alarm', alarm: 'recording-conflict', callId: null, detail: 'put-aside' });
      return;
    case 'caught-up':
      return;
    default: {
      const never: never = event;
      void never;
    }
  }
};

const localOf = ({ recording }: Pick<Config, 'recording'>): Store =>
  createLocalStore({ dir: recording.directory, minFreeBytes: recording.vault.minFreeMegabytes * MIB });

/** Where the recordings are, for whoever reads them: nothing that waits is delivered by it. */
export const storeOf = (config: Pick<Config, 'recording'>): Store => {
  const { s3 } = config.recording.vault.store;
  return s3 === undefined ? localOf(config) : bucketOf(config.recording, s3, () => undefined);
};

export interface OpenVault {
  readonly vault: RecordingVault;
  /**
   * Who makes recordings; null where the recorder itself does. What is staged for a storage service is counted, judged and
   * delivered in this thread, so it is made here too.
   */
  readonly finisher: Finisher | null;
  close(): Promise<void>;
}

const textOf = ({ id, role, recipient }: VaultKey): KeyText => ({ id, role, recipient: recipient.text });

/** A thread with a vault of its own, on the same folder and with the same keys. */
const finishWorkerOf = (
  { recording }: Pick<Config, 'recording'>,
  { facilities, sealed }: VaultKeys,
  canary: VaultKey | null,
  emit: Emit,
): FinishWorker =>
  new FinishWorker(
    {
      dir: recording.directory,
      minFreeBytes: recording.vault.minFreeMegabytes * MIB,
      facilities: [...facilities].map(([name, keys]) => [name, keys.map(textOf)] as const),
      sealed: sealed.map(textOf),
      canary: canary === null ? null : textOf(canary),
    },
    { tell: (code) => emit({ event: 'fault', where: 'finish-worker', code }) },
  );

/** The store of a controller: what waits is delivered. An access key that cannot be used refuses to start. */
const openStore = async (
  config: Pick<Config, 'recording'>,
  emit: Emit,
): Promise<{ readonly store: Store; close(): Promise<void> }> => {
  const { s3 } = config.recording.vault.store;
  if (s3 === undefined) return { store: localOf(config), close: async () => undefined };
  await readCredentialsFile(s3.credentialsFile);
  const store = bucketOf(config.recording, s3, emit);
  store.start();
  return { store, close: () => store.close() };
};

interface VaultKeys {
  readonly facilities: ReadonlyMap<string, readonly VaultKey[]>;
  readonly sealed: readonly VaultKey[];
}

/**
 * Every public key of the configuration. Rejects with VaultError where one is missing, malformed, or is there under two
 * ids.
 */
export const vaultKeysOf = async (config: Pick<Config, 'recording'>): Promise<VaultKeys> => {
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
  return {
    facilities: new Map(Object.entries(facilities).map(([name, ids]) => [name, named(ids)])),
    sealed: named(sealed),
  };
};

/**
 * The vault, with every key read: one that is missing or malformed refuses to start, for it would be found out by the
 * first recording that nobody can open. `canary` opens test calls' recordings besides. Rejects with VaultError.
 */
export const openVault = async (
  config: Pick<Config, 'recording'>,
  emit: Emit,
  canary: Recipient | null = null,
): Promise<OpenVault> => {
  const keys = await vaultKeysOf(config);
  const { store, close } = await openStore(config, emit);
  const hears = canary === null ? null : { id: CANARY_KEY, role: 'canary' as const, recipient: canary };
  const vault = createVault({ store, ...keys, ...(hears === null ? {} : { canary: hears }) });
  if (config.recording.vault.store.s3 !== undefined) return { vault, finisher: null, close };
  const finisher = finishWorkerOf(config, keys, hears, emit);
  await finisher.ready();
  return {
    vault,
    finisher,
    close: async () => {
      finisher.close();
      await close();
    },
  };
};
