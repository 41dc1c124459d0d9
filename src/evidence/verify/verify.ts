import type { PublicKey } from '../../journal/verify/ask.js';
import { atOnce } from '../../journal/verify/at-once.js';
import type { Case } from './case.js';
import { concluded, proveEvidence, type Verified } from './check.js';
import { EvidenceError } from './codes.js';
import type { Finding } from './finding.js';
import { compareRecording } from './recording.js';

export interface EvidenceOptions {
  /** Keys that sign the journal's heads, known from elsewhere. */
  readonly keys: readonly PublicKey[];
  /** Keys of second parties of whom one must have countersigned; none: whoever did is told. */
  readonly countersigners: readonly PublicKey[];
  /** Folder of the recording's encrypted files, to be compared; null: they are not. */
  readonly recording: string | null;
}

/**
 * Verifies the bytes of a bundle with public keys alone. Throws EvidenceError where it is not what the journal signed;
 * what genuine evidence lacks, or shows against somebody, is in the result.
 */
export const verifyEvidence = async (bytes: Uint8Array, options: EvidenceOptions): Promise<Verified> => {
  const proved = atOnce(proveEvidence(bytes, options.keys));
  const compared = options.recording === null ? [] : await compare(proved.call, options.recording);
  return concluded(proved, compared, options.countersigners);
};

const compare = async (call: Case, dir: string): Promise<readonly Finding[]> => {
  try {
    return await compareRecording(call, dir);
  } catch {
    throw new EvidenceError('bundle-unreadable', `the recording below ${dir}`);
  }
};
