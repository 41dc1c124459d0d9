import { createHash } from 'node:crypto';
import { type CallId, parseFacilityId } from '../core/leg.js';
import { armored } from '../vault/age-armor.js';
import { Sealer, sealBytes } from '../vault/age-stream.js';
import { VaultError } from '../vault/errors.js';
import { FORMAT, MAX_MANIFEST, type Manifest, readManifest, type StoredFile } from '../vault/manifest.js';
import { readWhole, type Staged, type Store } from '../vault/store.js';
import { SEALED, type VaultKey } from '../vault/vault.js';

/** Which recording is to be sealed, and why. */
export interface SealOrder {
  readonly callId: CallId;
  readonly facility: string;
  /** Folder of its ordinary files, `2026/11/21`. */
  readonly day: string;
  readonly why: string;
  /** The publication and its entries that ask for it; null where it is not the lists that do. */
  readonly lists: {
    readonly epoch: number;
    readonly digest: string;
    readonly entries: readonly { readonly id: string; readonly match: string; readonly class: string }[];
  } | null;
}

export interface Resealed {
  /** `nothing`: neither an ordinary recording is there nor one that was sealed. */
  readonly state: 'sealed' | 'was-sealed' | 'nothing';
  /** Of the manifest that the controller's journal names; null where there was none. */
  readonly manifestSha256: string | null;
  readonly sealedManifestSha256: string | null;
  /** False where a file was not the one its manifest names: it is sealed as it was found. */
  readonly intact: boolean;
}

/** Nobody has a reason to change a sealed recording. */
const MODE = 0o400;

const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Names of an ordinary recording's files in its folder. What is in the making is not among them. */
export const partsOf = (callId: CallId, names: readonly string[]): string[] =>
  names.filter((name) => {
    const ending = name.startsWith(callId) ? name.slice(callId.length) : '';
    return ending === '.json' || /^\.(?:wav|txt|pcap)\.age$/.test(ending);
  });

const manifestOf = async (store: Store, folder: string, name: string) => {
  const bytes = await readWhole(store, `${folder}/${name}`, MAX_MANIFEST);
  return { manifest: readManifest(bytes, name), sha256: hex(bytes ?? Buffer.alloc(0)) };
};

const digestIn = async (store: Store, name: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const bytes of store.read(name)) hash.update(bytes);
  return hash.digest('hex');
};

/** The manifest first: from then on nobody finds the ordinary recording, whatever of its files is still there. */
const removeOrdinary = async (store: Store, { day, callId }: SealOrder, names: readonly string[]) => {
  const last = (name: string): number => (name === `${callId}.json` ? 0 : 1);
  for (const name of [...names].sort((a, b) => last(a) - last(b))) await store.remove(`${day}/${name}`);
};

/** A run that ended between the seal and the removal: only what is under the seal, byte for byte, goes. */
const finishRemoval = async (
  store: Store,
  order: SealOrder,
  names: readonly string[],
  { inner, files }: Manifest,
): Promise<void> => {
  if (names.length === 0) return;
  for (const { name, sha256 } of files) {
    if ((await digestIn(store, `${SEALED}/${order.day}/${name}`)) !== sha256)
      throw new VaultError('recording-changed', 'a sealed file is not the one its manifest names');
  }
  for (const name of names) {
    const below = inner?.files.find((file) => file.name === name);
    const same = below !== undefined && (await digestIn(store, `${order.day}/${name}`)) === below.sha256;
    if (!same) throw new VaultError('recording-exists', 'another recording of this call is sealed already');
  }
  await removeOrdinary(store, order, names);
};

interface Covered {
  /** As it was stored, and as it is under the seal. */
  readonly below: StoredFile;
  readonly above: StoredFile;
  readonly staged: Staged;
}

/** Encrypts one stored file once more, as it is. */
const cover = async (
  store: Store,
  { day }: SealOrder,
  name: string,
  keys: readonly VaultKey[],
  made: Staged[],
): Promise<Covered> => {
  const staged = await store.stage(`${SEALED}/${day}/${name}.age`, MODE);
  made.push(staged);
  const sealer = new Sealer(keys.map(({ recipient }) => recipient));
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const part of store.read(`${day}/${name}`)) {
      hash.update(part);
      bytes += part.length;
      for (const piece of sealer.push(part)) await staged.writeAt(piece.bytes, piece.at);
    }
    for (const piece of sealer.finish()) await staged.writeAt(piece.bytes, piece.at);
  } finally {
    sealer.forget();
  }
  const above = { name: `${name}.age`, ...(await staged.settle()) };
  return { below: { name, bytes, sha256: hash.digest('hex') }, above, staged };
};

const isIntact = (manifest: Manifest | null, covered: readonly Covered[]): boolean =>
  manifest?.files.every(({ name, sha256 }) =>
    covered.some(({ below }) => below.name === name && below.sha256 === sha256),
  ) === true;

const readBelow = async (store: Store, { day, callId }: SealOrder): Promise<Manifest | null> => {
  try {
    return (await manifestOf(store, day, `${callId}.json`)).manifest;
  } catch (error) {
    if (error instanceof VaultError) return null;
    throw error;
  }
};

const contentOf = (
  order: SealOrder,
  covered: readonly Covered[],
  below: Manifest | null,
  keys: readonly VaultKey[],
  now: number,
): Buffer => {
  const { callId, why, lists, facility, day } = order;
  const at = new Date(now).toISOString();
  const own = covered.find((one) => one.below.name === `${callId}.json`);
  const details = Buffer.from(JSON.stringify({ callId, plain: {}, lists }));
  const because =
    lists === null
      ? {}
      : { lists: { ...lists, entries: lists.entries.map(({ id, match }) => ({ id, match })) } };
  const content = {
    format: FORMAT,
    callId,
    facility: below?.facility ?? (parseFacilityId(facility) === null ? 'unknown' : facility),
    receivedAt: below?.receivedAt ?? `${day.replaceAll('/', '-')}T00:00:00.000Z`,
    createdAt: at,
    sealed: { why, at, ...because },
    seconds: below?.seconds ?? 0,
    complete: below?.complete ?? false,
    keys: keys.map(({ id, role, recipient }) => ({ id, role, recipient: recipient.text })),
    inner: {
      manifestSha256: own?.below.sha256 ?? '0'.repeat(64),
      keys: below?.keys ?? [],
      files: covered.map((one) => one.below),
    },
    files: covered.map((one) => one.above),
    details: armored(
      sealBytes(
        details,
        keys.map(({ recipient }) => recipient),
      ),
    ),
  };
  return Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
};

/**
 * Seals an ordinary recording: each of its files, the manifest too, is encrypted once more, as it is stored, to the
 * escrow keys alone (age in age), for whoever seals holds no key that opens it. A new manifest says why. When that is
 * durable the ordinary files go, the manifest first.
 *
 * It may stop anywhere and be called again: until the new manifest is there the ordinary recording is whole, and from
 * then on the sealed one is. Rejects with VaultError, or with the system's error; then nothing ordinary was removed, or
 * the seal is whole.
 */
export const reseal = async (
  store: Store,
  keys: readonly VaultKey[],
  order: SealOrder,
  now: number,
): Promise<Resealed> => {
  if (keys.length === 0) throw new VaultError('no-recording-key', 'there is no escrow key to seal to');
  const { callId, day } = order;
  const names = partsOf(callId, await store.list(day));
  const sealedName = `${callId}.json`;
  if (await store.has(`${SEALED}/${day}/${sealedName}`)) {
    const { manifest, sha256 } = await manifestOf(store, `${SEALED}/${day}`, sealedName);
    await finishRemoval(store, order, names, manifest);
    const manifestSha256 = manifest.inner?.manifestSha256 ?? null;
    return { state: 'was-sealed', manifestSha256, sealedManifestSha256: sha256, intact: true };
  }
  if (names.length === 0) {
    return { state: 'nothing', manifestSha256: null, sealedManifestSha256: null, intact: true };
  }
  return sealNow(store, keys, order, names, now);
};

const sealNow = async (
  store: Store,
  keys: readonly VaultKey[],
  order: SealOrder,
  names: readonly string[],
  now: number,
): Promise<Resealed> => {
  const { callId, day } = order;
  const made: Staged[] = [];
  try {
    const covered: Covered[] = [];
    for (const name of names) {
      // Without a manifest beside it, it is what an interrupted seal left.
      await store.remove(`${SEALED}/${day}/${name}.age`);
      covered.push(await cover(store, order, name, keys, made));
    }
    const below = await readBelow(store, order);
    const bytes = contentOf(order, covered, below, keys, now);
    if (bytes.length > MAX_MANIFEST) throw new VaultError('manifest-malformed');
    const manifest = await store.stage(`${SEALED}/${day}/${callId}.json`, MODE);
    made.push(manifest);
    await manifest.writeAt(bytes, 0);
    const { sha256 } = await manifest.settle();
    if (sha256 !== hex(bytes)) throw new VaultError('recording-changed', 'the seal was not written as it is');
    await store.commit(covered.map(({ staged }) => staged));
    await store.commit([manifest]);
    await removeOrdinary(store, order, names);
    const own = covered.find((one) => one.below.name === `${callId}.json`);
    return {
      state: 'sealed',
      manifestSha256: own?.below.sha256 ?? null,
      sealedManifestSha256: sha256,
      intact: isIntact(below, covered),
    };
  } finally {
    for (const staged of made) await staged.discard();
  }
};
