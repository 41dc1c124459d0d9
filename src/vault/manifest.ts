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

/** What stands open in a manifest, as far as we read it back. */
export interface Manifest {
  readonly callId: CallId;
  readonly facility: FacilityId;
  readonly createdAt: string;
  readonly receivedAt: string;
  readonly sealed: { readonly why: string; readonly at: string } | null;
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

/** Only a name of this call: it becomes a part of a path. */
const isNameOf = (callId: CallId, name: unknown): name is string =>
  isText(name) && name.startsWith(`${callId}.`) && /^\.(wav|txt|pcap)\.age$/.test(name.slice(callId.length));

const isFile = (callId: CallId, file: unknown): file is StoredFile =>
  isRecord(file) &&
  isNameOf(callId, file.name) &&
  Number.isSafeInteger(file.bytes) &&
  typeof file.sha256 === 'string' &&
  /^[0-9a-f]{64}$/.test(file.sha256);

const isKey = (key: unknown): key is UsedKey =>
  isRecord(key) &&
  isText(key.id) &&
  (key.role === 'facility' || key.role === 'escrow' || key.role === 'canary') &&
  isText(key.recipient);

const isSealed = (sealed: unknown): sealed is Manifest['sealed'] =>
  sealed === null || (isRecord(sealed) && isText(sealed.why) && isDate(sealed.at));

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
  const seconds = value.seconds ?? 0;
  const callId = isText(value.callId) ? parseCallId(value.callId) : null;
  const facility = isText(value.facility) ? parseFacilityId(value.facility) : null;
  if (callId === null || facility === null || name !== `${callId}.json`) throw wrong();
  if (!isDate(createdAt) || !isDate(receivedAt) || !isSealed(sealed)) throw wrong();
  if (typeof seconds !== 'number' || typeof complete !== 'boolean') throw wrong();
  if (!Array.isArray(keys) || keys.length > MAX_KEYS || !keys.every(isKey)) throw wrong();
  if (!Array.isArray(files) || files.length === 0 || files.length > MAX_FILES) throw wrong();
  if (!files.every((file) => isFile(callId, file)) || !isText(details, MAX_MANIFEST)) throw wrong();
  // Only a test call's recording may open with a key of this process.
  const { canary = false } = value;
  if (typeof canary !== 'boolean' || (!canary && keys.some(({ role }) => role === 'canary'))) throw wrong();
  return { callId, facility, createdAt, receivedAt, sealed, canary, seconds, complete, keys, files, details };
};
