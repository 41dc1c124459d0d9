import { textOf } from '../../journal/verify/ask.js';
import { canonicalText, HEX_HASH } from '../../journal/verify/canonical.js';
import { EvidenceError } from './codes.js';

/** One row with the path that leads from it to the root of the tree. */
export interface BundleRow {
  readonly path: readonly string[];
  /** The line of the journal, byte for byte. */
  readonly row: string;
  readonly seq: number;
}

/** A head of the same journal that a second party signed, and how the tree of `heads` grew out of its tree. */
export interface BundleCountersigned {
  readonly heads: readonly string[];
  readonly path: readonly string[];
  readonly signatures: readonly string[];
}

/**
 * The evidence of one call, as it lies in its file. There is nothing in it that is not proved: rows by their paths, the
 * head by its signature, and the rest says again what these say.
 */
export interface Bundle {
  readonly callId: string;
  readonly countersigned: readonly BundleCountersigned[];
  readonly format: 1;
  /** The `key` lines of the journal's heads, and last the head over all of `rows`. */
  readonly heads: readonly string[];
  readonly kind: 'sallyport-evidence';
  readonly rows: readonly BundleRow[];
}

export const MAX_BUNDLE_BYTES = 32 * 1024 * 1024;
export const MAX_ROWS = 2048;
const MAX_LINES = 1000;
const MAX_COUNTERSIGNED = 16;
const MAX_SIGNATURES = 64;
const MAX_DEPTH = 64;
/** Values of a bundle of the most rows: each has a path of at most 54 digests. */
const MAX_VALUES = 200_000;

/** The text a bundle is, in UTF-8. */
export const bundleText = (bundle: Bundle): string => `${canonicalText(bundle)}\n`;

/**
 * Bounds what a parser would have to do, before it does it: how deep, and how many values. Strings are passed over as
 * JSON has them; what is no JSON at all is for the parser to say.
 */
export const isWithinBounds = (text: string, maxDepth = MAX_DEPTH, maxValues = MAX_VALUES): boolean => {
  let [depth, values, inString] = [0, 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) inString = false;
      continue;
    }
    if (code === 0x22) inString = true;
    else if (code === 0x2c) values += 1;
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      values += 1;
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
    if (depth > maxDepth || values > maxValues) return false;
  }
  return true;
};

/** Reads the bytes of a bundle. Throws EvidenceError; nothing is proved yet. */
export const readBundle = (bytes: Uint8Array): Bundle => {
  if (bytes.length > MAX_BUNDLE_BYTES) throw new EvidenceError('bundle-beyond-bounds', 'bytes');
  const text = textOf(bytes);
  if (text === undefined) throw new EvidenceError('bundle-malformed', 'not UTF-8');
  if (!isWithinBounds(text)) throw new EvidenceError('bundle-beyond-bounds', 'depth or number of values');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new EvidenceError('bundle-malformed', 'not JSON');
  }
  if (!isBundle(value)) throw new EvidenceError('bundle-malformed');
  // Members twice, white space, other spellings of the same: of all of them there is one form.
  if (bundleText(value) !== text) throw new EvidenceError('bundle-not-canonical');
  return value;
};

type Unknowns = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is Unknowns =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const hasJust = (value: Unknowns, ...names: readonly string[]): boolean =>
  Object.keys(value).sort().join() === [...names].sort().join();
const isList = (value: unknown, most: number, each: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= most && value.every(each);
const isText = (value: unknown): boolean => typeof value === 'string';
const isDigest = (value: unknown): boolean => typeof value === 'string' && HEX_HASH.test(value);
const isSeq = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 1;

const isRow = (value: unknown): boolean =>
  isObject(value) &&
  hasJust(value, 'path', 'row', 'seq') &&
  isList(value.path, 54, isDigest) &&
  isText(value.row) &&
  isSeq(value.seq);

const isCountersigned = (value: unknown): boolean =>
  isObject(value) &&
  hasJust(value, 'heads', 'path', 'signatures') &&
  isList(value.heads, MAX_LINES, isText) &&
  isList(value.path, 128, isDigest) &&
  isList(value.signatures, MAX_SIGNATURES, isText);

const isBundle = (value: unknown): value is Bundle =>
  isObject(value) &&
  hasJust(value, 'callId', 'countersigned', 'format', 'heads', 'kind', 'rows') &&
  isText(value.callId) &&
  value.format === 1 &&
  value.kind === 'sallyport-evidence' &&
  isList(value.heads, MAX_LINES, isText) &&
  isList(value.rows, MAX_ROWS, isRow) &&
  isList(value.countersigned, MAX_COUNTERSIGNED, isCountersigned);
