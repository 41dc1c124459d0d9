import { type CallId, type FacilityId, parseCallId, parseFacilityId } from '../core/leg.js';
import { VaultError } from './errors.js';

/** A file of a recording as it is stored: encrypted. */
export interface StoredFile {
  /** Without its folder: `c….wav.age`. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A key a recording is encrypted to. Public: it tells which identity opens it. */
export interface UsedKey {
  readonly id: string;
  readonly role: 'facility' | 'escrow' | 'canary';
  readonly recipient: string;
}

/** Why a recording is sealed, and where lists asked for it, by which publication and which of its entries. */
export interface SealedBecause {
  readonly why: string;
  readonly at: string;
  readonly lists?: {
    readonly epoch: number;
    readonly digest: string;
    readonly entries: readonly { readonly id: string; readonly match: string }[];
  };
}

/**
 * What a recording was before it was sealed: its files lie encrypted once more, to the escrow keys, as they were
 * stored, and its manifest among them.
 */
export interface Inner {
  /** Of the manifest as the controller's journal names it. */
  readonly manifestSha256: string;
  /** What the inner layer is encrypted to; none where that manifest could not be read. */
  readonly keys: readonly UsedKey[];
  /** As they were stored, the manifest included. */
  readonly files: readonly StoredFile[];
}

/** What stands open in a manifest, as far as we read it back. */
export interface Manifest {
  readonly callId: CallId;
  readonly facility: FacilityId;
  readonly createdAt: string;
  readonly receivedAt: string;
  readonly sealed: SealedBecause | null;
  /** Null where the files are encrypted once. */
  readonly inner: Inner | null;
  /** A test call's recording: nobody's words, and no evidence worth keeping for long. */
  readonly canary: boolean;
  readonly seconds: number;
  readonly complete: boolean;
  readonly keys: readonly UsedKey[];
  readonly files: readonly StoredFile[];
  /** An armored age file: digests of the plain bytes, and the decision in full. */
  readonly details: string;
}

export const FORMAT = 'sallyport-recording-2';
export const MAX_MANIFEST = 1_048_576;
const MAX_FILES = 8;
const MAX_KEYS = 64;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, max = 200): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= max;
const isDate = (value: unknown): value is string =>
  isText(value, 30) && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value));

/** Endings of stored files, and of those that a seal lies over. */
const STORED = /^\.(?:(?:wav|txt|pcap)\.age(?:\.age)?|json\.age)$/;
const BELOW = /^\.(?:(?:wav|txt|pcap)\.age|json)$/;

/** Only a name of this call: it becomes a part of a path. */
const isNameOf = (callId: CallId, name: unknown, endings: RegExp): name is string =>
  isText(name) && name.startsWith(`${callId}.`) && endings.test(name.slice(callId.length));

const isHex = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

const isFile = (callId: CallId, file: unknown, endings: RegExp): file is StoredFile =>
  isRecord(file) &&
  isNameOf(callId, file.name, endings) &&
  Number.isSafeInteger(file.bytes) &&
  isHex(file.sha256);

const isKey = (key: unknown): key is UsedKey =>
  isRecord(key) &&
  isText(key.id) &&
  (key.role === 'facility' || key.role === 'escrow' || key.role === 'canary') &&
  isText(key.recipient);

const isBecause = (lists: unknown): boolean =>
  lists === undefined ||
  (isRecord(lists) &&
    Number.isSafeInteger(lists.epoch) &&
    isHex(lists.digest) &&
    Array.isArray(lists.entries) &&
    lists.entries.every((one: unknown) => isRecord(one) && isText(one.id) && isText(one.match)));

const isSealed = (sealed: unknown): sealed is Manifest['sealed'] =>
  sealed === null || (isRecord(sealed) && isText(sealed.why) && isDate(sealed.at) && isBecause(sealed.lists));

const isFiles = (callId: CallId, files: unknown, endings: RegExp): files is readonly StoredFile[] =>
  Array.isArray(files) &&
  files.length > 0 &&
  files.length <= MAX_FILES &&
  files.every((file) => isFile(callId, file, endings));

const isKeys = (keys: unknown): keys is readonly UsedKey[] =>
  Array.isArray(keys) && keys.length <= MAX_KEYS && keys.every(isKey);

const isInner = (callId: CallId, inner: unknown): inner is Inner | null =>
  inner === null ||
  (isRecord(inner) &&
    isHex(inner.manifestSha256) &&
    isKeys(inner.keys) &&
    isFiles(callId, inner.files, BELOW));

/** Reads a manifest that was filed under this name. Throws VaultError `manifest-malformed`. */
export const readManifest = (bytes: Buffer | null, name: string): Manifest => {
  const wrong = (): VaultError => new VaultError('manifest-malformed');
  let value: unknown;
  try {
    value = JSON.parse(bytes?.toString('utf8') ?? '');
  } catch {
    throw wrong();
  }
  if (!isRecord(value) || value.format !== FORMAT) throw wrong();
  const { createdAt, receivedAt, complete, keys, files, details } = value;
  const sealed = value.sealed ?? null;
  const inner = value.inner ?? null;
  const seconds = value.seconds ?? 0;
  const callId = isText(value.callId) ? parseCallId(value.callId) : null;
  const facility = isText(value.facility) ? parseFacilityId(value.facility) : null;
  if (callId === null || facility === null || name !== `${callId}.json`) throw wrong();
  if (!isDate(createdAt) || !isDate(receivedAt) || !isSealed(sealed)) throw wrong();
  if (typeof seconds !== 'number' || typeof complete !== 'boolean') throw wrong();
  if (!isKeys(keys) || !isFiles(callId, files, STORED) || !isText(details, MAX_MANIFEST)) throw wrong();
  // Only what is sealed is encrypted twice.
  if (!isInner(callId, inner) || (inner !== null && sealed === null)) throw wrong();
  // Only a test call's recording may open with a key of this process.
  const { canary = false } = value;
  if (typeof canary !== 'boolean' || (!canary && keys.some(({ role }) => role === 'canary'))) throw wrong();
  return {
    callId,
    facility,
    createdAt,
    receivedAt,
    sealed,
    inner,
    canary,
    seconds,
    complete,
    keys,
    files,
    details,
  };
};
