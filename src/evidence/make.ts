import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { JournalError } from '../journal/errors.js';
import { openProver, type Prover } from '../journal/prove.js';
import { atOnce } from '../journal/verify/at-once.js';
import { readCountersignature } from '../journal/verify/countersignature.js';
import { countersignedFiles } from '../journal/verify/countersigned.js';
import { LineReader } from '../journal/verify/lines.js';
import { MAX_SIGNED_LINE } from '../journal/verify/signed.js';
import { collectRows } from './collect.js';
import {
  type Bundle,
  type BundleCountersigned,
  bundleText,
  MAX_BUNDLE_BYTES,
  MAX_ROWS,
} from './verify/bundle.js';
import { EvidenceError } from './verify/codes.js';

export interface MakeOptions {
  /** The journal's directory; it is only read, also beside a living writer. */
  readonly journal: string;
  readonly callId: string;
  /** Files of countersignatures besides those in the journal's own `countersigned/`. */
  readonly countersigned: readonly string[];
}

/** Signatures of second parties under one head that are taken along. */
const MAX_SIGNATURES = 16;
const MAX_COUNTERSIGNATURES = 1_000_000;

/** Makes the evidence of one call out of the journal and its heads. Throws EvidenceError. */
export const makeEvidence = async ({ journal, callId, countersigned }: MakeOptions): Promise<Buffer> => {
  const dir = resolve(journal);
  try {
    const prover = await proverOf(dir);
    const seqs = await collectRows(dir, callId, prover.size);
    if (seqs.length > MAX_ROWS) throw new EvidenceError('bundle-too-large');
    const rows: { path: readonly string[]; row: string; seq: number }[] = [];
    let heads: readonly string[] = [];
    for (const seq of seqs) {
      const proof = await prover.inclusion(seq, prover.size);
      rows.push({ path: proof.path, row: proof.row, seq });
      heads = proof.heads;
    }
    const files = [...(await countersignedFiles(dir)), ...countersigned];
    const bundle: Bundle = {
      callId,
      countersigned: await countersignedOf(prover, heads, files),
      format: 1,
      heads,
      kind: 'sallyport-evidence',
      rows,
    };
    const bytes = Buffer.from(bundleText(bundle), 'utf8');
    if (bytes.length > MAX_BUNDLE_BYTES) throw new EvidenceError('bundle-too-large');
    return bytes;
  } catch (error) {
    throw explained(error);
  }
};

const proverOf = async (dir: string): Promise<Prover> => {
  // A place without a journal has no heads either, and that is not what is wrong with it.
  if (!(await readdir(dir)).some((name) => /^\d{8}\.jsonl$/.test(name)))
    throw new EvidenceError('journal-unreadable', 'there is no journal');
  try {
    return await openProver(dir);
  } catch (error) {
    if (error instanceof JournalError && error.code === 'proof-impossible')
      throw new EvidenceError('heads-missing');
    throw error;
  }
};

const explained = (error: unknown): unknown => {
  if (error instanceof EvidenceError) return error;
  if (error instanceof JournalError) return new EvidenceError('journal-unreadable', error.message);
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? new EvidenceError('journal-unreadable', code) : error;
};

interface Found {
  readonly head: string;
  readonly size: number;
  readonly line: string;
}

/**
 * The latest head that second parties signed, with their signatures and the growth from its tree to ours. Signatures
 * that do not hold, or are of other journals, are passed over: `journal verify` tells of them.
 */
const countersignedOf = async (
  prover: Prover,
  heads: readonly string[],
  files: readonly string[],
): Promise<BundleCountersigned[]> => {
  const main = JSON.parse(heads.at(-1) ?? '{}') as { readonly body?: { readonly journal?: string } };
  const found: Found[] = [];
  for (const file of files) {
    for await (const line of linesOf(file)) {
      const read = atOnce(readCountersignature(line));
      if (read === undefined || read.journal !== main.body?.journal || read.size > prover.size) continue;
      if (found.length < MAX_COUNTERSIGNATURES) found.push({ head: read.head, size: read.size, line });
    }
  }
  for (const { size, head } of found.sort((a, b) => b.size - a.size)) {
    const lines = await headOf(prover, size);
    if (lines === null || sha256(lines.at(-1) ?? '') !== head) continue;
    const { path } = await prover.consistency(size, prover.size);
    const signatures = [...new Set(found.filter((one) => one.head === head).map(({ line }) => line))];
    return [{ heads: lines, path, signatures: signatures.slice(0, MAX_SIGNATURES) }];
  }
  return [];
};

/** Lines of the head of a tree; null where none was signed of that size. */
const headOf = async (prover: Prover, size: number): Promise<readonly string[] | null> => {
  try {
    return (await prover.inclusion(size, size)).heads;
  } catch (error) {
    if (error instanceof JournalError && error.code === 'proof-impossible') return null;
    throw error;
  }
};

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = await open(path, 'r');
  try {
    const reader = new LineReader(file, MAX_SIGNED_LINE);
    for (let lines = await reader.next(); lines !== undefined; lines = await reader.next())
      for (const line of lines) yield line.toString('utf8');
  } finally {
    await file.close();
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
