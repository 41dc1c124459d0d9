import { realpathSync, statSync } from 'node:fs';
import type { JsonObject } from '../call/ports.js';
import type { WallMs } from '../core/leg.js';
import type { BencodeDict } from './bencode.js';
import { dictAt, integerAt } from './bencode.js';
import type { ProcessLook } from './node-process.js';

export type Pool = 'private' | 'recorded';

/** What must not be: each is positive evidence that a node is not what its pool requires. */
export const attestationFailures = [
  'nothing-to-see',
  'cli-of-another-node',
  'records-although-private',
  'recording-dir-is-another',
  'recording-method-is-another',
  'redis-configured',
  'process-gone',
  'process-of-another-node',
  'process-recording-option',
  'process-may-write-files',
  'spool-missing',
  'foreign-command',
  'unexpected-recording',
] as const;
export type AttestationFailure = (typeof attestationFailures)[number];

/** What was seen of a node in one look. Null is "not seen", whatever the reason. */
export interface NodeLook {
  /** `params current`; undefined where no CLI is configured. */
  readonly params: ReadonlyMap<string, string> | null | undefined;
  /** undefined where no pid is configured. */
  readonly process: ProcessLook | undefined;
  readonly holdsNgPort: boolean | null;
}

export interface Expected {
  readonly pool: Pool;
  readonly ngPort: number;
  /** The spool as configured; recorded nodes only. */
  readonly spool: string | null;
  /** What the node counted beyond our own commands, as `ForeignCommands` found it; null where it did not say. */
  readonly foreign: { readonly seen: number; readonly isNew: boolean } | null;
}

export interface NodeAttestation {
  readonly node: string;
  readonly pool: Pool;
  /** When the look began. */
  readonly at: WallMs;
  /** `unseen`: nothing speaks against it, but what must be seen could not be. It is not used meanwhile. */
  readonly verdict: 'attested' | 'failed' | 'unseen';
  readonly failures: readonly AttestationFailure[];
  /** What could not be looked at. An attested node may have some: they are the limits of the attestation. */
  readonly notSeen: readonly string[];
  readonly seen: JsonObject;
}

type Judgement = Pick<NodeAttestation, 'verdict' | 'failures' | 'notSeen' | 'seen'>;

export const uptimeOf = (statistics: BencodeDict | null): number | null =>
  integerAt(dictAt(dictAt(statistics, 'statistics'), 'totalstatistics'), 'uptime');

const samePath = (left: string, right: string): boolean => {
  try {
    return realpathSync(left) === realpathSync(right);
  } catch {
    return false;
  }
};

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

class Findings {
  readonly failures: AttestationFailure[] = [];
  readonly notSeen: string[] = [];
  readonly seen: { [key: string]: string | number | boolean | null } = {};
  /** True once something was seen that proves where the node can write. */
  proved = false;
  /** True where a configured source did not answer. */
  blind = false;
}

const judgeParams = (look: NodeLook, expected: Expected, findings: Findings): void => {
  const { params } = look;
  if (params === undefined) {
    findings.notSeen.push('cli');
    return;
  }
  const dir = params?.get('recording-dir');
  const listens = params?.get('listen-ng');
  if (params === null || dir === undefined || listens === undefined) {
    findings.notSeen.push('cli');
    findings.blind = true;
    return;
  }
  findings.seen.recordingDir = dir === '(null)' ? null : dir;
  if (!listens.endsWith(`:${expected.ngPort}`)) findings.failures.push('cli-of-another-node');
  if (expected.pool === 'private') {
    if (dir !== '(null)') findings.failures.push('records-although-private');
  } else {
    const method = params.get('recording-method') ?? null;
    findings.seen.recordingMethod = method;
    if (expected.spool === null || !samePath(dir, expected.spool))
      findings.failures.push('recording-dir-is-another');
    if (method !== 'pcap') findings.failures.push('recording-method-is-another');
  }
  // A node that restores calls from Redis resumes recordings that had been stopped (facts: reliability F3).
  const stores = ['redis-db', 'redis-write-db'].map((name) => params.get(name));
  if (stores.some((store) => store !== '-1')) findings.failures.push('redis-configured');
  findings.proved = true;
};

const judgeProcess = (look: NodeLook, expected: Expected, findings: Findings): void => {
  const { process } = look;
  if (process === undefined) {
    findings.notSeen.push('process');
    return;
  }
  if (process === 'gone') {
    findings.failures.push('process-gone');
    return;
  }
  if (process === 'unreadable') {
    findings.notSeen.push('process');
    findings.blind = true;
    return;
  }
  findings.seen.pid = process.pid;
  findings.seen.startTime = process.startTime;
  findings.seen.holdsNgPort = look.holdsNgPort;
  if (look.holdsNgPort === false) findings.failures.push('process-of-another-node');
  if (look.holdsNgPort === null) findings.notSeen.push('ng-port-owner');
  const limit = process.maxFileBytes;
  findings.seen.maxFileBytes = limit?.hard ?? null;
  if (expected.pool === 'private') {
    if (process.args.some((arg) => arg.includes('recording')))
      findings.failures.push('process-recording-option');
    if (limit === null) {
      findings.notSeen.push('file-size-limit');
      findings.blind = true;
    } else if (limit.soft !== '0' || limit.hard !== '0') {
      findings.failures.push('process-may-write-files');
    } else {
      findings.proved = true;
    }
  }
};

/**
 * Judges one look at a node. A private node is attested only where something was seen that makes recording
 * impossible; a recorded node only where it records into our spool. What a configured source did not show is
 * `unseen`, which is never taken for good.
 */
export const judge = (look: NodeLook, expected: Expected, poisoned: boolean): Judgement => {
  const findings = new Findings();
  judgeParams(look, expected, findings);
  judgeProcess(look, expected, findings);
  const { foreign } = expected;
  findings.seen.foreignCommands = foreign?.seen ?? null;
  if (foreign === null) {
    findings.notSeen.push('statistics');
    findings.blind = true;
  } else if (foreign.isNew) {
    findings.failures.push('foreign-command');
  }
  if (expected.pool === 'recorded' && (expected.spool === null || !isFolder(expected.spool))) {
    findings.failures.push('spool-missing');
  }
  if (poisoned) findings.failures.push('unexpected-recording');
  if (look.params === undefined && look.process === undefined) findings.failures.push('nothing-to-see');
  const { failures, notSeen, seen } = findings;
  const verdict = failures.length > 0 ? 'failed' : findings.blind || !findings.proved ? 'unseen' : 'attested';
  return { verdict, failures, notSeen, seen };
};
