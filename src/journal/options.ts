import { canonicalJson, type JsonObject } from './canonical.js';
import { type JournalDisk, nodeDisk } from './disk.js';
import { JournalError } from './errors.js';
import type { HeadEvent, HeadSettings } from './heads/head-signer.js';
import type { OpenCheck, Repair } from './reopen.js';
import { MAX_LINE_BYTES, NODE_PATTERN, ROW_OVERHEAD } from './row.js';

/** Where the journal gets the time from. */
export interface JournalClock {
  /** Milliseconds since 1970, UTC. May jump. */
  wallMs(): number;
  /** Microseconds since any fixed moment. Never goes back. */
  monoUs(): number;
}

/** What happens to the journal besides appends, for logs and metrics. Holds nothing out of any row's body. */
export type JournalEvent =
  | { readonly type: 'opened'; readonly seq: number; readonly previous: 'none' | 'clean' | 'unclean' }
  | { readonly type: 'repaired'; readonly repair: Repair }
  | { readonly type: 'rotated'; readonly segment: number }
  | { readonly type: 'unhealthy'; readonly reason: string }
  | { readonly type: 'recovered'; readonly reason: string; readonly refused: number }
  | { readonly type: 'abandoned'; readonly firstSeq: number; readonly lastSeq: number }
  | { readonly type: 'closed'; readonly clean: boolean }
  | HeadEvent;

/**
 * `appendDeadlineMs` of the journals that no call waits for: those of commands, of the API and of the registry. A disk that
 * others are busy with is waited for there.
 */
export const UNHURRIED_MS = 10_000;

export interface JournalOptions {
  /** The directory; made if it is not there. One journal, one writer, one directory. */
  readonly dir: string;
  /** The controller whose journal this is; written into every row. */
  readonly nodeId: string;
  /** A segment that has reached this many bytes is followed by a new one. Default 16 MiB: reading one at open takes well under a second. */
  readonly segmentBytes?: number;
  /** The same for rows. Default 100,000. A segment may go over either bound by one batch. */
  readonly segmentRows?: number;
  /** The largest line, in bytes, of which 512 are kept for what is not the body. Default 64 KiB, at most 1 MiB. */
  readonly maxRowBytes?: number;
  /** How many rows may wait for the disk. Default 10,000. */
  readonly maxQueuedRows?: number;
  /** And how many bytes. Default 16 MiB. */
  readonly maxQueuedBytes?: number;
  /** After this many milliseconds an append is refused. Default 1,000. */
  readonly appendDeadlineMs?: number;
  /** How long a disk that could not be brought in order is left alone. Default 1,000 milliseconds. */
  readonly retryPauseMs?: number;
  /** How much is read when an existing journal is opened. Default `last-segment`; see {@link OpenCheck}. */
  readonly check?: OpenCheck;
  /** Goes into the first row of a new journal: why it was begun, and after which head of which damaged one. */
  readonly genesisNote?: JsonObject;
  /** Sign the journal's Merkle tree. Without it there is neither a tree nor a head, and only the hash chain protects rows. */
  readonly heads?: HeadSettings;
  readonly clock?: JournalClock;
  /** Called synchronously; what it throws is dropped. */
  readonly onEvent?: (event: JournalEvent) => void;
  readonly fs?: JournalDisk;
}

export interface Settings {
  readonly dir: string;
  readonly nodeId: string;
  readonly segmentBytes: number;
  readonly segmentRows: number;
  readonly maxRowBytes: number;
  readonly maxQueuedRows: number;
  readonly maxQueuedBytes: number;
  readonly appendDeadlineMs: number;
  readonly retryPauseMs: number;
  readonly check: OpenCheck;
  readonly genesisNote: string | undefined;
  readonly heads: HeadSettings | undefined;
  readonly clock: JournalClock;
  readonly onEvent: (event: JournalEvent) => void;
  readonly disk: JournalDisk;
}

const MIB = 1024 * 1024;

const systemClock: JournalClock = {
  wallMs: () => Date.now(),
  monoUs: () => Math.round(performance.now() * 1000),
};

/** Options with their defaults; anything out of bounds throws `journal-misconfigured`. */
export function settingsFrom(options: JournalOptions): Settings {
  if (options.dir === '') throw misconfigured('dir is empty');
  if (!NODE_PATTERN.test(options.nodeId)) throw misconfigured('nodeId must be 1 to 64 of A-Z a-z 0-9 . _ -');
  return {
    dir: options.dir,
    nodeId: options.nodeId,
    segmentBytes: within('segmentBytes', options.segmentBytes ?? 16 * MIB, 4096, 1024 * MIB),
    segmentRows: within('segmentRows', options.segmentRows ?? 100_000, 2, 10_000_000),
    maxRowBytes: within('maxRowBytes', options.maxRowBytes ?? 64 * 1024, 2 * ROW_OVERHEAD, MAX_LINE_BYTES),
    maxQueuedRows: within('maxQueuedRows', options.maxQueuedRows ?? 10_000, 1, 1_000_000),
    maxQueuedBytes: within('maxQueuedBytes', options.maxQueuedBytes ?? 16 * MIB, 4096, 1024 * MIB),
    appendDeadlineMs: within('appendDeadlineMs', options.appendDeadlineMs ?? 1000, 1, 60_000),
    retryPauseMs: within('retryPauseMs', options.retryPauseMs ?? 1000, 1, 60_000),
    check: options.check ?? 'last-segment',
    genesisNote:
      options.genesisNote === undefined
        ? undefined
        : canonicalJson(options.genesisNote, { maxBytes: 2 * ROW_OVERHEAD }),
    heads: headsFrom(options.heads),
    clock: options.clock ?? systemClock,
    onEvent: options.onEvent ?? (() => {}),
    disk: options.fs ?? nodeDisk,
  };
}

function headsFrom(heads: HeadSettings | undefined): HeadSettings | undefined {
  if (heads !== undefined && !(heads.everySeconds > 0 && heads.everySeconds <= 3600)) {
    throw misconfigured('heads.everySeconds must be above 0 and at most 3600');
  }
  return heads;
}

function within(name: string, value: number, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw misconfigured(`${name} must be a whole number from ${least} to ${most}`);
  }
  return value;
}

function misconfigured(message: string): JournalError {
  return new JournalError('journal-misconfigured', message);
}
