import { writeFile } from 'node:fs/promises';
import { makeEvidence } from '../evidence/make.js';
import { vconOf } from '../evidence/vcon.js';
import type { Verified } from '../evidence/verify/check.js';
import { EvidenceError } from '../evidence/verify/codes.js';
import { checkEvidence, exitCodeOf, type VerifyFlags } from '../evidence/verify/program.js';
import { verifyEvidence } from '../evidence/verify/verify.js';
import { readJournal } from '../journal/read.js';
import type { PublicKey } from '../journal/verify/ask.js';
import { atOnce } from '../journal/verify/at-once.js';
import { publicKeyOf } from '../journal/verify/signed.js';
import { CommandError, type Terminal } from './output.js';

export interface EvidenceFlags {
  /** The journals of all controllers the call can have been one of. */
  readonly journal: string | readonly string[];
  readonly callId: string;
  readonly countersigned: readonly string[];
  /** Null: standard output. */
  readonly out: string | null;
  readonly vcon: string | null;
}

const told = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new CommandError(error.code, error.message, exitCodeOf(error));
  }
};

/**
 * `evidence`: makes the evidence of one call out of the journal, verifies it as a reader would, and writes it. What it
 * lacks is told and no reason not to write it: it is all there is.
 */
export const evidenceMake = (flags: EvidenceFlags, terminal: Terminal): Promise<void> =>
  told(async () => {
    const journal = await journalOf(flags.callId, [flags.journal].flat());
    const bytes = await makeEvidence({ ...flags, journal });
    const verified = await verifyEvidence(bytes, {
      keys: [ownKey(bytes)],
      countersigners: [],
      recording: null,
    });
    if (flags.vcon !== null) {
      const vcon = vconOf(verified.call, verified.head.node, bytes);
      await write(flags.vcon, `${JSON.stringify(vcon, null, 2)}\n`);
    }
    if (flags.out === null) terminal.out(bytes.toString('utf8').trimEnd());
    else {
      await write(flags.out, bytes);
      terminal.err(madeText(flags.out, verified));
    }
  });

/** The journal that has rows of the call; where none has, the first, which says so. */
const journalOf = async (callId: string, journals: readonly string[]): Promise<string> => {
  const [first = ''] = journals;
  if (journals.length > 1) {
    for (const dir of journals) {
      try {
        for await (const _row of readJournal(dir, { callId })) return dir;
      } catch {
        // What is wrong with it is told where the call is in no other.
      }
    }
  }
  return first;
};

/** The first key of the journal, as the bundle itself says it: enough to find out what it would show a reader who knows the key. */
const ownKey = (bytes: Buffer): PublicKey => {
  const { heads } = JSON.parse(bytes.toString('utf8')) as { readonly heads: readonly string[] };
  const { body } = JSON.parse(heads[0] ?? '{}') as { readonly body?: { readonly public?: string } };
  const key = atOnce(publicKeyOf(body?.public ?? ''));
  if (key === undefined)
    throw new EvidenceError('journal-unreadable', 'the first line of its heads is no key');
  return key;
};

/** It names who called whom: its owner alone may read it. */
const write = async (path: string, content: Buffer | string): Promise<void> => {
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new EvidenceError(exists ? 'out-exists' : 'out-unwritable', path);
  }
};

const madeText = (path: string, { call, code, verdict, genuine, findings }: Verified): string => {
  const lacking = findings
    .filter(({ state }) => state === 'missing' || state === 'contrary')
    .map(({ words, code: what }) => `  ${words} [${what}]`);
  return [
    `${path}: evidence of ${call.callId}, ${verdict}, ${genuine.rows.length} rows`,
    ...(code === null ? [] : [`but ${code}:`, ...lacking]),
    ...(genuine.countersigned.length === 0
      ? ['no second party has countersigned a head: the journal’s key alone vouches for it']
      : []),
  ].join('\n');
};

/** `evidence verify`: with public keys alone, on any machine. */
export const evidenceVerify = (file: string, flags: VerifyFlags, terminal: Terminal): Promise<void> =>
  told(() => checkEvidence(file, flags, terminal));
