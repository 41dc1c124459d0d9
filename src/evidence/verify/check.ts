import type { Check, PublicKey } from '../../journal/verify/ask.js';
import type { HeadClaim } from '../../journal/verify/succession.js';
import { readBundle } from './bundle.js';
import { type Case, caseOf } from './case.js';
import { EvidenceError, type EvidenceErrorCode } from './codes.js';
import { type Finding, type Verdict, verdictOf } from './finding.js';
import { findingsOf } from './findings.js';
import { type Genuine, proveBundle } from './genuine.js';

/** What the rows of a bundle are proved to say. */
export interface Proved {
  readonly genuine: Genuine;
  readonly call: Case;
  readonly findings: readonly Finding[];
}

/** What genuine evidence shows. */
export interface Verified extends Proved {
  /** Null: it shows what it is to show. Else one of the codes of genuine evidence. */
  readonly code: EvidenceErrorCode | null;
  readonly verdict: Verdict;
  readonly head: HeadClaim;
}

/**
 * Proves the bytes of a bundle with public keys that are known from elsewhere: the one implementation of it, for the
 * program (verify.ts) and for browsers. Throws EvidenceError where it is not what the journal signed.
 */
export function* proveEvidence(bytes: Uint8Array, keys: readonly PublicKey[]): Check<Proved> {
  if (keys.length === 0) throw new EvidenceError('key-missing');
  const genuine = yield* proveBundle(readBundle(bytes), keys);
  const call = yield* caseOf(genuine);
  return { genuine, call, findings: findingsOf(call, genuine) };
}

/**
 * What all of it comes to. `compared`: what was found where the recording's files were looked at. `countersigners`: second
 * parties of whom one must have countersigned; none: whoever did is told.
 */
export const concluded = (
  { genuine, call, findings: own }: Proved,
  compared: readonly Finding[],
  countersigners: readonly PublicKey[],
): Verified => {
  const findings = [...own, ...compared];
  const code = codeOf(findings, compared, isCountersigned(call, genuine, countersigners));
  return { code, verdict: verdictOf(call), head: genuine.head, genuine, call, findings };
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
