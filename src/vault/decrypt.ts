import { createHash } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Beside } from '../durable/files.js';
import { statOf, syncFolder } from '../durable/folders.js';
import { unarmored } from './age-armor.js';
import type { Identity } from './age-keys.js';
import { openBytes, openSealed } from './age-stream.js';
import type { Found } from './catalogue.js';
import { VaultError } from './errors.js';
import { MAX_MANIFEST, type Manifest, readManifest, type StoredFile } from './manifest.js';
import type { Store } from './store.js';

/** What of a file's plain bytes its digest does not cover: the header of a WAV, which is made last. */
const HEAD_BYTES: Readonly<Record<string, number>> = { wav: 44 };

interface Plain {
  readonly bytes: number;
  readonly bodySha256: string;
}

export interface Decrypted {
  /** Paths of the plain files. */
  readonly files: readonly string[];
  /** What stood encrypted in the manifest. */
  readonly details: Readonly<Record<string, unknown>>;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Before anything is read: these identities are those of keys the recording was encrypted to. */
const checkIdentities = ({ manifest }: Found, identities: readonly Identity[]): void => {
  const own = new Set(identities.map(({ recipient }) => recipient.text));
  const fits = (keys: Manifest['keys']): boolean => keys.some(({ recipient }) => own.has(recipient));
  const { inner } = manifest;
  if (!fits(manifest.keys))
    throw new VaultError(manifest.sealed === null ? 'identity-unfit' : 'escrow-needed');
  if (inner === null || inner.keys.length === 0 || fits(inner.keys)) return;
  const ids = inner.keys.map(({ id }) => id).join(' or ');
  throw new VaultError('facility-needed', `besides the escrow identity it needs that of ${ids}`);
};

const readDetails = async (manifest: Manifest, identities: readonly Identity[]) => {
  const bytes = await openBytes(unarmored(manifest.details), identities);
  let details: unknown;
  try {
    details = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new VaultError('manifest-malformed');
  }
  if (!isRecord(details) || details.callId !== manifest.callId || !isRecord(details.plain)) {
    throw new VaultError('recording-changed', 'the manifest’s details are those of another recording');
  }
  return { details, plain: details.plain };
};

const plainOf = (plain: Readonly<Record<string, unknown>>, kind: string): Plain => {
  const one = plain[kind];
  if (!isRecord(one) || typeof one.bytes !== 'number' || typeof one.bodySha256 !== 'string') {
    throw new VaultError('recording-changed', 'the manifest’s details do not know a file');
  }
  return { bytes: one.bytes, bodySha256: one.bodySha256 };
};

const changed = (detail: string): VaultError => new VaultError('recording-changed', detail);

/** Passes the stored bytes on, and holds them against the manifest when they end. */
async function* asStored(
  source: AsyncIterable<Buffer>,
  file: StoredFile,
): AsyncGenerator<Buffer, void, undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of source) {
    hash.update(part);
    bytes += part.length;
    if (bytes > file.bytes) throw changed('a file is longer than its manifest says');
    yield part;
  }
  if (bytes !== file.bytes || hash.digest('hex') !== file.sha256) {
    throw changed('a file is not the one its manifest names');
  }
}

/** A recording as it is decrypted: its manifest, and its files as that manifest knows them. */
interface Opened {
  readonly manifest: Manifest;
  readonly read: (file: StoredFile) => AsyncIterable<Buffer>;
}

const wholeOf = async (source: AsyncIterable<Buffer>, most: number): Promise<Buffer> => {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of source) {
    length += part.length;
    if (length > most) throw new VaultError('manifest-malformed');
    parts.push(part);
  }
  return Buffer.concat(parts);
};

/**
 * Takes the escrow's layer off, where there is one: below it lie the files as they were stored before the recording was
 * sealed, and the manifest that the controller's journal knows.
 */
const openLayers = async (
  store: Store,
  { manifest, folder }: Found,
  identities: readonly Identity[],
): Promise<Opened> => {
  const stored = (file: StoredFile): AsyncIterable<Buffer> =>
    asStored(store.read(`${folder}/${file.name}`), file);
  const { inner, callId, files } = manifest;
  if (inner === null) return { manifest, read: stored };
  const below = (name: string): AsyncIterable<Buffer> => {
    const outer = files.find((one) => one.name === `${name}.age`);
    const known = inner.files.find((one) => one.name === name);
    if (outer === undefined || known === undefined) throw changed('the manifest does not know a file');
    return asStored(openSealed(stored(outer), identities), known);
  };
  const bytes = await wholeOf(below(`${callId}.json`), MAX_MANIFEST);
  if (createHash('sha256').update(bytes).digest('hex') !== inner.manifestSha256) {
    throw changed('the manifest below the seal is not the one the seal names');
  }
  const read = (file: StoredFile): AsyncIterable<Buffer> => asStored(below(file.name), file);
  return { manifest: readManifest(bytes, `${callId}.json`), read };
};

interface Writing {
  readonly source: AsyncIterable<Buffer>;
  readonly identities: readonly Identity[];
  readonly plain: Plain;
  readonly head: number;
  readonly stop: AbortSignal;
}

/** Plain bytes that are held until they are written: a write each would cost more than its chunk's cipher. */
const HELD_BYTES = 2 ** 20;

const writePlain = async (out: Beside, { source, identities, plain, head, stop }: Writing): Promise<void> => {
  const hash = createHash('sha256');
  const held: Buffer[] = [];
  let [bytes, written] = [0, 0];
  for await (const part of openSealed(source, identities)) {
    stop.throwIfAborted();
    hash.update(bytes >= head ? part : part.subarray(Math.min(head - bytes, part.length)));
    bytes += part.length;
    held.push(part);
    if (bytes - written < HELD_BYTES) continue;
    await out.writeAt(held.splice(0), written).catch(unwritable);
    written = bytes;
  }
  await out.writeAt(held, written).catch(unwritable);
  if (bytes !== plain.bytes || hash.digest('hex') !== plain.bodySha256) {
    throw changed('the plain bytes are not those that were encrypted');
  }
  await out.settle().catch(unwritable);
};

const unwritable = (error: unknown): never => {
  throw new VaultError(
    'out-unwritable',
    `the folder for what is decrypted cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
  );
};

/** Plain files under names that say that they are not whole yet; every one goes again unless all become final. */
class OutFolder {
  readonly #dir: string;
  readonly #files: Beside[] = [];
  readonly #final: string[] = [];
  #kept = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async create(name: string): Promise<Beside> {
    const path = join(this.#dir, name);
    if ((await statOf(path).catch(unwritable)) !== null) throw new VaultError('out-exists');
    const file = await Beside.create(path).catch(unwritable);
    this.#files.push(file);
    return file;
  }

  /** Gives all of them their names, or leaves none. */
  async publish(): Promise<readonly string[]> {
    for (const file of this.#files) {
      await file.publish().catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') throw new VaultError('out-exists');
        return unwritable(error);
      });
      this.#final.push(file.path);
    }
    await syncFolder(this.#dir);
    this.#kept = true;
    return this.#final;
  }

  async tidy(): Promise<void> {
    for (const file of this.#files) await file.discard();
    if (!this.#kept) for (const path of this.#final) await unlink(path).catch(() => undefined);
  }
}

/**
 * Decrypts every file of a recording into a folder, as `c….wav` and so on. A file gets its name only when all of them
 * are authenticated to the last byte; on any error nothing plain is left. Rejects with VaultError, or with the reason
 * of `stop`.
 */
export const decryptRecording = async (
  store: Store,
  found: Found,
  identities: readonly Identity[],
  outDir: string,
  stop: AbortSignal = new AbortController().signal,
): Promise<Decrypted> => {
  checkIdentities(found, identities);
  const { manifest, read } = await openLayers(store, found, identities);
  const { details, plain } = await readDetails(manifest, identities);
  const out = new OutFolder(outDir);
  try {
    for (const stored of manifest.files) {
      const name = stored.name.replace(/\.age$/, '');
      const kind = name.slice(name.lastIndexOf('.') + 1);
      const file = await out.create(name);
      const source = read(stored);
      const head = HEAD_BYTES[kind] ?? 0;
      await writePlain(file, { source, identities, plain: plainOf(plain, kind), head, stop });
    }
    return { files: await out.publish(), details };
  } finally {
    await out.tidy();
  }
};
