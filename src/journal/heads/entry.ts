import { createHash } from 'node:crypto';
import { canonicalJson, type JsonObject } from '../canonical.js';
import { type Handover, type SigningKey, signBody } from './signing-key.js';

/** The tree as it was at one moment: what a head is about. */
export interface TreeState {
  /** `hash` of row 1: which journal this is, whatever directory it lies in. */
  readonly journal: string;
  /** How many rows are in the tree. */
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** `hash` of row number `size`. */
  readonly rowHash: string;
}

/** A line of the heads' files, in the order of the members. `head` signs the tree; `key` brings in a key. */
export type EntryBody =
  | (TreeState & {
      readonly kind: 'head';
      readonly at: string;
      /** Seconds after which, at the latest, a journal that grew has its next head. */
      readonly every: number;
      readonly format: 1;
      readonly node: string;
      /** 1, 2, 3 … over all lines of all files. */
      readonly number: number;
      /** SHA-256, hex, of the line before without its newline; 64 zeros for the first. */
      readonly previous: string;
    })
  | {
      readonly kind: 'key';
      readonly at: string;
      readonly format: 1;
      /** Null for the first key of a journal. */
      readonly handover: { readonly at: string; readonly signature: string } | null;
      readonly journal: string;
      readonly node: string;
      readonly number: number;
      readonly previous: string;
      /** SPKI DER in base64. */
      readonly public: string;
    };

/** Where the next line goes on. */
export interface EntryPlace {
  readonly number: number;
  readonly digest: string;
}

export const NO_ENTRY: EntryPlace = { number: 0, digest: '0'.repeat(64) };
export const HEADS_FORMAT = 1;

export interface Entry extends EntryPlace {
  /** With its newline. */
  readonly line: string;
}

interface Common {
  readonly at: string;
  readonly node: string;
  readonly after: EntryPlace;
}

export function headEntry(
  tree: TreeState,
  every: number,
  { at, node, after }: Common,
  key: SigningKey,
): Entry {
  const { journal, size, root, rowHash } = tree;
  const place = { number: after.number + 1, previous: after.digest };
  return sealed(
    { at, every, format: HEADS_FORMAT, journal, kind: 'head', node, ...place, root, rowHash, size },
    key,
  );
}

/** Brings in `key`, which signs the line itself: whoever was handed over to must also hold the key. */
export function keyEntry(
  journal: string,
  handover: Handover | undefined,
  { at, node, after }: Common,
  key: SigningKey,
): Entry {
  const place = { number: after.number + 1, previous: after.digest };
  const said = handover === undefined ? null : { at: handover.at, signature: handover.signature };
  return sealed(
    {
      at,
      format: HEADS_FORMAT,
      handover: said,
      journal,
      kind: 'key',
      node,
      ...place,
      public: key.publicText,
    },
    key,
  );
}

function sealed(body: EntryBody, key: SigningKey): Entry {
  const text = canonicalJson(body as unknown as JsonObject);
  const line = `{"body":${text},"key":"${key.id}","signature":"${signBody(key, body.kind, text)}"}`;
  return { line: `${line}\n`, number: body.number, digest: digestOf(line) };
}

/** `line` without its newline. */
export function digestOf(line: string): string {
  return createHash('sha256').update(line, 'utf8').digest('hex');
}

/** A line as the writer finds it again. */
export interface FoundEntry extends EntryPlace {
  readonly body: EntryBody;
  readonly bodyText: string;
  readonly key: string;
  readonly signature: string;
}

/**
 * Reads a line without its newline; undefined when it is not one of ours byte for byte. Only what the writer goes on from
 * is looked at: everything else is the verifier's, who has its own eyes.
 */
export function readEntry(line: string): FoundEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
    if (canonicalJson(value) !== line) return undefined;
  } catch {
    return undefined;
  }
  const { body, key, signature } = value as { body?: unknown; key?: unknown; signature?: unknown };
  if (typeof body !== 'object' || body === null || typeof key !== 'string' || typeof signature !== 'string')
    return undefined;
  const entry = body as Partial<Record<string, unknown>>;
  const common =
    entry.format === HEADS_FORMAT && Number.isSafeInteger(entry.number) && typeof entry.journal === 'string';
  const own =
    entry.kind === 'key'
      ? typeof entry.public === 'string'
      : entry.kind === 'head' &&
        Number.isSafeInteger(entry.size) &&
        typeof entry.root === 'string' &&
        typeof entry.rowHash === 'string';
  if (!common || !own) return undefined;
  return {
    body: body as EntryBody,
    bodyText: canonicalJson(body),
    key,
    signature,
    number: Number(entry.number),
    digest: digestOf(line),
  };
}
