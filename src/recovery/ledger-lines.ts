import type { JsonObject, LedgerNote } from '../call/ports.js';
import { type CallId, parseCallId } from '../core/leg.js';

/**
 * The ledger as text: one line of JSON each. The first says which journal it belongs to and how far that was; each other
 * is a note of a call, or that a call is over. A later note of one kind takes the place of the earlier one.
 */
export interface LedgerHead {
  readonly node: string;
  /** Rows of the journal up to here hold no unfinished call but those of this ledger. */
  readonly through: number;
  /** When the run that left the calls was last seen to work, in ms since the epoch, where that was not this file's own. */
  readonly seen?: number;
}

/** What was noted of one call. */
export type Notes = { readonly [what in LedgerNote]?: JsonObject };

export interface ReadLedger {
  /** Null where the file has no first line, or one that is not ours: then nothing is known of the journal. */
  readonly head: LedgerHead | null;
  readonly calls: ReadonlyMap<CallId, Notes>;
  /** Lines that could not be read; one at the end, which a kill cut short, is not among them. */
  readonly damaged: number;
}

const kinds: ReadonlySet<string> = new Set<LedgerNote>([
  'arrived',
  'place',
  'decided',
  'node',
  'caller',
  'dialling',
  'called',
  'opened',
  'sealing',
  'ending',
]);

const format = 1;
/** More calls than a controller takes (configuration: 20,000). */
const maxCalls = 50_000;

export const headLine = (head: LedgerHead): string => `${JSON.stringify({ ledger: format, ...head })}\n`;

export const noteLine = (callId: CallId, what: LedgerNote, fact: JsonObject): string =>
  `${JSON.stringify({ call: callId, what, fact })}\n`;

export const overLine = (callId: CallId): string => `${JSON.stringify({ call: callId, over: true })}\n`;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const parsed = (line: string): Readonly<Record<string, unknown>> | null => {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
};

const headOf = (line: string, node: string): LedgerHead | null => {
  const value = parsed(line);
  if (value?.ledger !== format || value.node !== node) return null;
  const { through, seen } = value;
  if (typeof through !== 'number' || !Number.isSafeInteger(through)) return null;
  return typeof seen === 'number' && Number.isFinite(seen) ? { node, through, seen } : { node, through };
};

/** Reads a whole ledger. What is not of this node is read as nothing: another controller's calls are not ours to end. */
export const readLedgerText = (text: string, node: string): ReadLedger => {
  const lines = text.split('\n');
  // What follows the last line end was being written.
  lines.pop();
  const head = headOf(lines[0] ?? '', node);
  const calls = new Map<CallId, Record<string, JsonObject>>();
  let damaged = 0;
  if (head === null) return { head, calls, damaged };
  for (const line of lines.slice(1)) {
    const value = parsed(line);
    const callId = typeof value?.call === 'string' ? parseCallId(value.call) : null;
    if (value === null || callId === null) damaged += 1;
    else if (value.over === true) calls.delete(callId);
    else if (typeof value.what === 'string' && kinds.has(value.what) && isObject(value.fact)) {
      const notes = calls.get(callId);
      if (notes !== undefined) notes[value.what] = value.fact as JsonObject;
      else if (calls.size < maxCalls) calls.set(callId, { [value.what]: value.fact as JsonObject });
    } else damaged += 1;
  }
  return { head, calls, damaged };
};
