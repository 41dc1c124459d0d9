import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Verification, type VerifyOptions, verifyJournal } from '../verify.js';
import type { PublicKey } from './ask.js';
import { atOnce } from './at-once.js';
import { verifyInclusion } from './proof.js';
import { publicKeyOf } from './signed.js';

/**
 * The verifier as a program of its own: it needs Node.js and the files of `journal/verify.ts` and `journal/verify/`,
 * and no configuration, no package and nothing of what writes a journal.
 */
export const usage = `journal-verify [options] DIR          verify a journal
journal-verify --proof FILE --key FILE     verify the proof of one row, without the journal

  --key FILE            public key (PEM) that signs the heads; may be given several times
  --shipped DIR         where heads and closed segments were shipped
  --countersigned FILE  countersignatures; may be given several times
  --countersigner FILE  public key (PEM) of a second party; may be given several times
  --head SEQ:HASH       a head that was written down; may be given several times
  --json                print JSON for programs

Exit code 0: verified. 2: not verified, or not understood.`;

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** What can be said on the command line, as texts. */
export interface VerifyFlags {
  readonly key?: readonly string[];
  readonly shipped?: string | undefined;
  readonly countersigned?: readonly string[];
  readonly countersigner?: readonly string[];
  readonly head?: readonly string[];
}

/** Flags as options. Throws a RangeError that says what is wrong with one. */
export function verifyOptions(flags: VerifyFlags): VerifyOptions {
  const heads = (flags.head ?? []).map((text) => {
    const match = /^(\d{1,16}):([0-9a-f]{64})$/.exec(text);
    if (match === null) throw new RangeError('a head is SEQ:HASH, the hash as 64 hex digits');
    return { seq: Number(match[1]), hash: match[2] ?? '' };
  });
  return {
    keys: (flags.key ?? []).map(readPublicKey),
    countersigners: (flags.countersigner ?? []).map(readPublicKey),
    countersigned: flags.countersigned ?? [],
    heads,
    ...(flags.shipped === undefined ? {} : { shipped: flags.shipped }),
  };
}

export function readPublicKey(path: string): PublicKey {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch {
    throw new RangeError(`${path} cannot be read`);
  }
  // A public key can be made of a private one, which has no business with who verifies.
  const key = pem.includes('PRIVATE KEY') ? undefined : atOnce(publicKeyOf(pem));
  if (key === undefined) throw new RangeError(`${path} holds no Ed25519 public key in PEM`);
  return key;
}

/** What a person reads. */
export function verificationText(dir: string, result: Verification): string {
  const { heads } = result;
  const lines = [
    `journal   ${dir}`,
    `rows      ${result.rows} in ${result.segments} segment(s), ${result.firstSeq} to ${result.lastSeq}`,
    `head      ${result.headHash}`,
    `root      ${result.root}`,
    heads === null
      ? 'signed    no: nothing but the hash chain protects it, which whoever can write can write anew'
      : `signed    ${heads.count} head(s), the last of ${heads.at} over ${heads.size} rows; ${heads.unsignedRows} row(s) after it; key(s) ${heads.keys.join(', ')}`,
    `witness   ${result.countersigned} countersignature(s) that hold`,
    ...result.problems.map(
      ({ severity, file, line, seq, code, message }) =>
        `${severity.padEnd(9)} ${file}:${line} row ${seq}: ${code}: ${message}`,
    ),
  ];
  if (result.moreProblems > 0) lines.push(`          and ${result.moreProblems} more problems`);
  lines.push(
    result.ok ? 'verified  every row is where it was written' : 'NOT VERIFIED: see the problems above',
  );
  return lines.join('\n');
}

/** Resolves to the exit code. */
export async function verifyProgram(args: readonly string[], { out, err }: Output): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        key: { type: 'string', multiple: true },
        shipped: { type: 'string' },
        countersigned: { type: 'string', multiple: true },
        countersigner: { type: 'string', multiple: true },
        head: { type: 'string', multiple: true },
        proof: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const options = verifyOptions(values);
    const [dir, ...more] = positionals;
    if (values.proof !== undefined && dir === undefined) {
      const result = checkProof(values.proof, options.keys ?? []);
      out(values.json ? JSON.stringify(result) : result.text);
      return result.ok ? 0 : 2;
    }
    if (dir === undefined || more.length > 0 || values.proof !== undefined) throw new RangeError(usage);
    const result = await verifyJournal(dir, options);
    out(values.json ? JSON.stringify(result) : verificationText(dir, result));
    return result.ok ? 0 : 2;
  } catch (error) {
    err(error instanceof Error ? error.message : String(error));
    return 2;
  }
}

export interface ProofCheck {
  readonly ok: boolean;
  readonly seq: number | null;
  readonly text: string;
}

/** Checks a file that `journal prove` wrote. */
export function checkProof(path: string, keys: readonly PublicKey[]): ProofCheck {
  let proof: unknown;
  try {
    proof = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { ok: false, seq: null, text: `NOT PROVED: ${path} cannot be read as JSON` };
  }
  if (keys.length === 0)
    return { ok: false, seq: null, text: 'NOT PROVED: give the key that you know, --key FILE' };
  const result = atOnce(verifyInclusion(proof, keys));
  if (!result.ok) return { ok: false, seq: null, text: `NOT PROVED: ${result.why}` };
  const { head, seq } = result;
  return {
    ok: true,
    seq,
    text: `proved: row ${seq} of journal ${head.journal.slice(0, 16)} of ${head.node} is as it was when head ${head.number} was signed, ${head.at}`,
  };
}
