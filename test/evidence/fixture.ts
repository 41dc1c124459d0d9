import type { Test } from 'tap';
import type { FollowedRows, Journal, JsonObject } from '../../src/call/ports.js';
import type { CallId } from '../../src/core/leg.js';
import { makeEvidence } from '../../src/evidence/make.js';
import { type Bundle, bundleText } from '../../src/evidence/verify/bundle.js';
import type { Verified } from '../../src/evidence/verify/check.js';
import { EvidenceError } from '../../src/evidence/verify/codes.js';
import { type EvidenceOptions, verifyEvidence } from '../../src/evidence/verify/verify.js';
import type { Journal as JournalFile } from '../../src/journal/log.js';
import type { JournalOptions } from '../../src/journal/options.js';
import { observed } from '../../src/rows.js';
import { type SignedPlace, signedPlace } from '../journal/signed.js';

/** A journal with the rows of calls, as the controller writes them, and what can go wrong with them. */

export const ids = {
  monitored: 'cmonitored000000000000000001',
  private: 'cprivate00000000000000000001',
  refused: 'crefused00000000000000000001',
} as const;

const digest = (letter: string): string => letter.repeat(64);

let lastMs = 0;
/** Times of what happened one after the other, also within the same millisecond of the machine's clock. */
export const moment = (): number => {
  lastMs = Math.max(lastMs + 1, Date.now());
  return lastMs;
};

export const attestation = (node: string, pool: string, more: JsonObject = {}): JsonObject => ({
  node,
  pool,
  at: moment(),
  verdict: 'attested',
  failures: [],
  notSeen: [],
  seen: {
    recordingDir: pool === 'private' ? null : '/spool',
    pid: 7,
    startTime: 5,
    holdsNgPort: true,
    maxFileBytes: pool === 'private' ? '0' : 'unlimited',
    foreignCommands: 0,
  },
  ...more,
});

export const decision = (callId: string, verdict: string, more: JsonObject = {}): JsonObject => ({
  callId,
  trunk: 'wall',
  facility: 'north',
  unit: null,
  phone: null,
  caller: '4711',
  dialled: { kind: 'number', number: '+12125550142', type: 'fixed' },
  verdict,
  reasons: [{ code: verdict === 'private' ? 'privileged-listed' : 'allowed-by-caller-list', detail: null }],
  epoch: { id: 3, digest: digest('e') },
  policy: 'p1',
  ...more,
});

const replies = (node: string, pool: string): JsonObject => ({
  node,
  pool,
  commands: { answer: 1, delete: 2, offer: 1 },
  failed: 0,
  recordings: pool === 'private' ? 0 : 1,
  deleted: true,
  leftAt: moment(),
  tags: ['called', 'caller'],
});

/** A CDR without `rows`, which are the journal's to name. `up`: the two spoke. */
export const cdr = (
  callId: string,
  verdict: string,
  node: string | null,
  more: JsonObject = {},
): JsonObject => {
  const pool = verdict === 'private' ? 'private' : 'recorded';
  const up = node !== null;
  return {
    ...decision(callId, verdict),
    ending: up ? 'caller-hung-up' : 'not-allowed',
    disposition: up ? 'completed' : 'refused',
    arrivedAt: new Date().toISOString(),
    durationMs: up ? 61_000 : 3,
    connectedMs: up ? 1_000 : 0,
    node,
    carrier: up ? 'carrier-1' : null,
    attempts: up ? [{ trunk: 'carrier-1', status: 200, ms: 70 }] : [],
    media: up ? { packets: { caller: 50, called: 50 }, lost: { caller: 0, called: 0 } } : null,
    replies: up ? [replies(node, pool)] : [],
    armed: null,
    spool:
      verdict === 'private'
        ? {
            state: 'nothing-found',
            looked: ['recorded-1', 'recordings'],
            names: { 'recorded-1': 3 },
            found: [],
          }
        : null,
    conversation: {
      held: 'here',
      prompts: 'x',
      course: [{ ms: 1, to: 'caller', said: ['en/hello.wav'] }],
      more: 0,
    },
    ...more,
  };
};

const recording = (callId: string): JsonObject => ({
  armed: { file: `${callId}-1.pcap`, heldOpen: true, size: 24 },
  spool: {
    state: 'recording-finished',
    seconds: 1,
    missingPackets: 0,
    files: [{ name: `${callId}.wav.age`, bytes: 3, sha256: digest('a') }],
    manifestSha256: digest('b'),
  },
});

/** The bytes that a bundle is. */
export const bundleBytes = (bundle: Bundle): Buffer => Buffer.from(bundleText(bundle), 'utf8');

export class EvidencePlace {
  readonly place: SignedPlace;
  readonly file: JournalFile;
  readonly rows: Journal;

  constructor(place: SignedPlace, file: JournalFile) {
    this.place = place;
    this.file = file;
    this.rows = observed(file, () => undefined);
  }

  follow(callId: string): FollowedRows {
    const followed = this.rows.follow?.(callId as CallId);
    if (followed === undefined) throw new Error('the journal follows nothing');
    return followed;
  }

  append(kind: string, body: JsonObject): Promise<{ readonly seq: number }> {
    return this.rows.append(kind, body);
  }

  /** The CDR with its rows named, as the controller does it. */
  async close(followed: FollowedRows, body: JsonObject, nodes: readonly string[]): Promise<void> {
    await followed.settled(60_000, nodes);
    await this.append('cdr', { ...body, rows: followed.named(nodes) });
    followed.end();
  }

  async begin(): Promise<void> {
    await this.append('attestation', attestation('private-1', 'private'));
    await this.append('attestation', attestation('recorded-1', 'recorded'));
    await this.append('controller-started', { version: '0.1.0', config: digest('c'), policy: 'p1' });
  }

  /** One call of each verdict, the second look at the nodes, and a head. */
  async threeCalls(): Promise<void> {
    await this.begin();
    await this.monitored(ids.monitored);
    await this.private(ids.private);
    const refused = this.follow(ids.refused);
    await this.append('decision', decision(ids.refused, 'refused'));
    await this.close(refused, cdr(ids.refused, 'refused', null), []);
    await this.lookAfter();
    await this.file.signHead();
  }

  async monitored(callId: string): Promise<void> {
    const followed = this.follow(callId);
    await this.append('decision', decision(callId, 'monitored'));
    const { armed, ...more } = recording(callId);
    await this.append('armed', { callId, proof: armed ?? null });
    await this.close(followed, cdr(callId, 'monitored', 'recorded-1', { armed: armed ?? null, ...more }), [
      'recorded-1',
    ]);
  }

  /** `between` may write more rows before the CDR. */
  async private(
    callId: string,
    more: JsonObject = {},
    between: () => Promise<unknown> = async () => undefined,
  ): Promise<void> {
    const followed = this.follow(callId);
    await this.append('decision', decision(callId, 'private'));
    await between();
    await this.close(followed, cdr(callId, 'private', 'private-1', more), ['private-1']);
  }

  async lookAfter(): Promise<void> {
    await this.append('attestation', attestation('private-1', 'private'));
    await this.append('attestation', attestation('recorded-1', 'recorded'));
  }

  make(callId: string, countersigned: readonly string[] = []): Promise<Buffer> {
    return makeEvidence({ journal: this.place.dir, callId, countersigned });
  }

  verify(bytes: Buffer, more: Partial<EvidenceOptions> = {}): Promise<Verified> {
    return verifyEvidence(bytes, { keys: [this.place.known], countersigners: [], recording: null, ...more });
  }

  /** The code of what a verification comes to: null where everything is proved. */
  codeOf(bytes: Buffer, more: Partial<EvidenceOptions> = {}): Promise<string | null> {
    return coded(async () => (await this.verify(bytes, more)).code);
  }
}

/** What it gives, or the code of what it rejects with: an EvidenceError, or a fault of ours that the test must see. */
export const coded = async <T>(work: () => Promise<T>): Promise<T | string> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EvidenceError) return error.code;
    throw error;
  }
};

export const openPlace = async (t: Test, more: Partial<JournalOptions> = {}): Promise<EvidencePlace> => {
  const place = await signedPlace(t);
  const file = await place.open(more);
  t.teardown(() => file.close());
  return new EvidencePlace(place, file);
};
