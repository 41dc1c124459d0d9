import { createHash, type Hash } from 'node:crypto';
import type { JsonObject } from '../call/ports.js';
import type { CallId, FacilityId, WallMs } from '../core/leg.js';
import type { DraftFile, Kept, RecordingVault, VaultDraft, VaultEntry } from '../recording/vault-port.js';
import { armored } from './age-armor.js';
import type { Recipient } from './age-keys.js';
import { sealBytes } from './age-stream.js';
import { VaultError } from './errors.js';
import { FORMAT, MAX_MANIFEST, readManifest, type StoredFile } from './manifest.js';
import { isOfTheService } from './s3-errors.js';
import { SealedWriter } from './sealed-writer.js';
import { readWhole, type Settled, type Staged, type Store } from './store.js';

/** A public key recordings are encrypted to. There is none of the other half anywhere in the controller. */
export interface VaultKey {
  readonly id: string;
  /** `escrow` keys open sealed recordings; those of a facility open its own ordinary ones. */
  readonly role: 'facility' | 'escrow' | 'canary';
  readonly recipient: Recipient;
}

export interface VaultOptions {
  readonly store: Store;
  /** Keys of each facility. One without any cannot record. */
  readonly facilities: ReadonlyMap<string, readonly VaultKey[]>;
  /** What sealed recordings are encrypted to, whatever their facility. */
  readonly sealed: readonly VaultKey[];
  /** What test calls' ordinary recordings are encrypted to besides: its other half lives in this process alone. */
  readonly canary?: VaultKey;
}

/** Folder of the sealed recordings within that of the ordinary ones, filed by day as they are. */
export const SEALED = 'sealed';
const kinds = ['wav', 'txt', 'pcap'] as const;
type Kind = (typeof kinds)[number];
const DAY_MS = 86_400_000;
/** Nobody has a reason to change a sealed recording. */
const modeOf = (sealed: string | null): number => (sealed === null ? 0o600 : 0o400);

/** At the end of a call the recording is encrypted and staged, whether or not the storage service answers. */
const unlessUnasked = (error: unknown): void => {
  if (!isOfTheService(error)) throw error;
};

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');
const folderOf = ({ receivedAt, sealed }: VaultEntry): string =>
  `${sealed === null ? '' : `${SEALED}/`}${dayOf(receivedAt)}`;

/** One encrypted file in the making: plain bytes go in, encrypted ones into the store. */
class SealedFile implements DraftFile {
  readonly kind: Kind;
  readonly staged: Staged;
  readonly #writer: SealedWriter;
  readonly #hash: Hash = createHash('sha256');
  #settled: Settled | null = null;
  #plainBytes: number;

  constructor(kind: Kind, staged: Staged, recipients: readonly Recipient[], headBytes: number) {
    this.kind = kind;
    this.staged = staged;
    this.#writer = new SealedWriter(staged, recipients, headBytes);
    this.#plainBytes = headBytes;
  }

  async write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    this.#plainBytes += bytes.length;
    await this.#writer.write(bytes);
  }

  async end(head?: Buffer): Promise<void> {
    const sha256 = await this.#writer.end(head);
    this.#settled = await this.staged.settle(sha256 ?? undefined);
  }

  /** As it is stored. */
  get stored(): StoredFile {
    if (this.#settled === null) throw new RangeError('a file that has no end');
    return { name: this.staged.name.slice(this.staged.name.lastIndexOf('/') + 1), ...this.#settled };
  }

  /** Of what was encrypted: its size, and the digest of all but a head that was given last. */
  plain(): JsonObject {
    return { bytes: this.#plainBytes, bodySha256: this.#hash.digest('hex') };
  }

  async discard(): Promise<void> {
    this.#writer.forget();
    await this.staged.discard();
  }
}

class Draft implements VaultDraft {
  readonly #store: Store;
  readonly #entry: VaultEntry;
  readonly #keys: readonly VaultKey[];
  readonly #files: SealedFile[] = [];
  #manifest: Staged | null = null;

  constructor(store: Store, entry: VaultEntry, keys: readonly VaultKey[]) {
    this.#store = store;
    this.#entry = entry;
    this.#keys = keys;
  }

  async file(kind: Kind, headBytes = 0): Promise<DraftFile> {
    const name = `${this.#name}.${kind}.age`;
    const staged = await this.#stage(name);
    const file = new SealedFile(kind, staged, this.#recipients, headBytes);
    this.#files.push(file);
    return file;
  }

  async commit(open: JsonObject, closed: JsonObject, now: WallMs): Promise<Kept> {
    const files = this.#files.map(({ stored }) => stored);
    const bytes = Buffer.from(`${JSON.stringify(this.#content(open, closed, files, now), null, 2)}\n`);
    if (bytes.length > MAX_MANIFEST)
      throw new VaultError('manifest-malformed', 'a manifest beyond its bound');
    const manifest = await this.#stage(`${this.#name}.json`);
    this.#manifest = manifest;
    await manifest.writeAt(bytes, 0);
    const { sha256 } = await manifest.settle(createHash('sha256').update(bytes).digest('hex'));
    // A manifest that is there says that all it names is there.
    await this.#store.commit(this.#files.map(({ staged }) => staged));
    await this.#store.commit([manifest]);
    return keptOf(this.#store, this.#name, files, this.#keys, sha256);
  }

  async discard(): Promise<void> {
    for (const file of this.#files) await file.discard();
    await this.#manifest?.discard();
  }

  #content(open: JsonObject, closed: JsonObject, files: readonly StoredFile[], now: WallMs): JsonObject {
    const { callId, facility, receivedAt, sealed, canary } = this.#entry;
    const at = new Date(now).toISOString();
    const plain = Object.fromEntries(this.#files.map((file) => [file.kind, file.plain()]));
    const details = Buffer.from(JSON.stringify({ callId, ...closed, plain }));
    return {
      format: FORMAT,
      callId,
      facility,
      receivedAt: new Date(receivedAt).toISOString(),
      createdAt: at,
      ...(sealed === null ? {} : { sealed: { why: sealed, at } }),
      ...(canary === true ? { canary: true } : {}),
      ...open,
      keys: this.#keys.map(({ id, role, recipient }) => ({ id, role, recipient: recipient.text })),
      files: files.map((file) => ({ ...file })),
      details: armored(sealBytes(details, this.#recipients)),
    };
  }

  #stage(name: string): Promise<Staged> {
    return this.#store.stage(name, modeOf(this.#entry.sealed));
  }

  get #name(): string {
    return `${folderOf(this.#entry)}/${this.#entry.callId}`;
  }

  get #recipients(): readonly Recipient[] {
    return this.#keys.map(({ recipient }) => recipient);
  }
}

const keptOf = (
  store: Store,
  name: string,
  files: readonly StoredFile[],
  keys: readonly { readonly id: string }[],
  manifestSha256: string,
): Kept => {
  const folder = name.slice(0, name.lastIndexOf('/'));
  return {
    file: store.locate(`${folder}/${files[0]?.name ?? ''}`),
    manifest: store.locate(`${name}.json`),
    manifestSha256,
    keys: keys.map(({ id }) => id),
    files,
  };
};

class Vault implements RecordingVault {
  readonly #store: Store;
  readonly #facilities: ReadonlyMap<string, readonly VaultKey[]>;
  readonly #sealed: readonly VaultKey[];
  readonly #canary: VaultKey | null;

  constructor({ store, facilities, sealed, canary }: VaultOptions) {
    this.#store = store;
    this.#facilities = facilities;
    this.#sealed = sealed;
    this.#canary = canary ?? null;
  }

  keysOf(facility: FacilityId): readonly string[] | null {
    const keys = this.#facilities.get(facility) ?? [];
    // Without an escrow key a call that becomes private could not be sealed: it is not recorded in the first place.
    return keys.length === 0 || this.#sealed.length === 0 ? null : keys.map(({ id }) => id);
  }

  judge(): Promise<string | null> {
    return this.#store.judge();
  }

  async kept(entry: VaultEntry): Promise<Kept | null> {
    const name = `${folderOf(entry)}/${entry.callId}`;
    if (!(await this.#isThere(`${name}.json`))) return null;
    const bytes = await readWhole(this.#store, `${name}.json`, MAX_MANIFEST);
    const { files, keys } = readManifest(bytes, `${entry.callId}.json`);
    const sha256 = createHash('sha256')
      .update(bytes ?? '')
      .digest('hex');
    return keptOf(this.#store, name, files, keys, sha256);
  }

  async begin(entry: VaultEntry): Promise<VaultDraft> {
    const own = entry.sealed === null ? this.#facilities.get(entry.facility) : this.#sealed;
    if (own === undefined || own.length === 0) throw new VaultError('no-recording-key');
    const name = `${folderOf(entry)}/${entry.callId}`;
    if (await this.#isThere(`${name}.json`)) throw new VaultError('recording-exists');
    // An interrupted commit leaves files without a manifest: they are no recording yet.
    for (const kind of kinds) {
      const file = `${name}.${kind}.age`;
      if (await this.#isThere(file)) await this.#store.remove(file).catch(unlessUnasked);
    }
    const hears = entry.canary === true && entry.sealed === null;
    const keys = hears && this.#canary !== null ? [...own, this.#canary] : own;
    return new Draft(this.#store, entry, keys);
  }

  /** False also where a storage service cannot be asked: a commit never replaces what is there, and finds out. */
  async #isThere(name: string): Promise<boolean> {
    return (await this.#store.has(name).catch(unlessUnasked)) === true;
  }

  async filesOf(callId: CallId, now: WallMs): Promise<{ ordinary: string[]; sealed: string[] }> {
    const found = { ordinary: [] as string[], sealed: [] as string[] };
    // Recordings are filed by day: a call just ended can only lie in the days around now.
    for (const day of [-DAY_MS, 0, DAY_MS].map((shift) => dayOf(now + shift))) {
      const named = async (folder: string): Promise<string[]> =>
        (await this.#store.list(folder, callId))
          .filter((name) => name.includes(callId))
          .map((name) => `${day}/${name}`);
      found.ordinary.push(...(await named(day)));
      found.sealed.push(...(await named(`${SEALED}/${day}`)));
    }
    return found;
  }
}

export const createVault = (options: VaultOptions): RecordingVault => new Vault(options);
