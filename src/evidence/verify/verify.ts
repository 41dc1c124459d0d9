import type { PublicKey } from '../../journal/verify/signed.js';
import type { HeadClaim } from '../../journal/verify/succession.js';
import { readBundle } from './bundle.js';
import { type Case, caseOf } from './case.js';
import { EvidenceError, type EvidenceErrorCode } from './codes.js';
import { type Finding, type Verdict, verdictOf } from './finding.js';
import { findingsOf } from './findings.js';
import { type Genuine, proveBundle } from './genuine.js';
import { compareRecording } from './recording.js';

export interface EvidenceOptions {
  /** Keys that sign the journal's heads, known from elsewhere. */
  readonly keys: readonly PublicKey[];
  /** Keys of second parties of whom one must have countersigned; none: whoever did is told. */
  readonly countersigners: readonly PublicKey[];
  /** Folder of the recording's encrypted files, to be compared; null: they are not. */
  readonly recording: string | null;
}

/** What genuine evidence shows. */
export interface Verified {
  /** Null: it shows what it is to show. Else one of the codes of genuine evidence. */
  readonly code: EvidenceErrorCode | null;
  readonly verdict: Verdict;
  readonly head: HeadClaim;
  readonly genuine: Genuine;
  readonly call: Case;
  readonly findings: readonly Finding[];
}

/**
 * Verifies the bytes of a bundle with public keys alone. Throws EvidenceError where it is not what the journal signed;
 * what genuine evidence lacks, or shows against somebody, is in the result.
 */
export const verifyEvidence = async (bytes: Buffer, options: EvidenceOptions): Promise<Verified> => {
  if (options.keys.length === 0) throw new EvidenceError('key-missing');
  const genuine = proveBundle(readBundle(bytes), options.keys);
  const call = caseOf(genuine);
  const compared = options.recording === null ? [] : await compare(call, options.recording);
  const findings = [...findingsOf(call, genuine), ...compared];
  const code = codeOf(findings, compared, isCountersigned(call, genuine, options.countersigners));
  return { code, verdict: verdictOf(call), head: genuine.head, genuine, call, findings };
};

const compare = async (call: Case, dir: string): Promise<readonly Finding[]> => {
  try {
    return await compareRecording(call, dir);
  } catch {
    throw new EvidenceError('bundle-unreadable', `the recording below ${dir}`);
  }
};

const isCountersigned = ({ cdr }: Case, { countersigned }: Genuine, wanted: readonly PublicKey[]): boolean =>
  wanted.length === 0 ||
  countersigned.some(({ key, size }) => size >= cdr.seq && wanted.some(({ text }) => text === key.text));

const codeOf = (
  findings: readonly Finding[],
  compared: readonly Finding[],
  countersigned: boolean,
): EvidenceErrorCode | null => {
  const some = (of: readonly Finding[], state: Finding['state']): boolean =>
    of.some((one) => one.state === state);
  if (some(compared, 'contrary')) return 'recording-differs';
  if (some(findings, 'contrary')) return 'evidence-contrary';
  if (some(findings, 'missing')) return 'evidence-incomplete';
  return countersigned ? null : 'countersignature-missing';
};
