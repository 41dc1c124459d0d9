import type { Clock, Emit } from '../call/ports.js';
import type { Answer, PrivilegedEntry, UnknownWhy } from '../core/lists.js';
import { replaceFile } from '../durable/files.js';
import { formatHead, type Tombstone } from './manifest.js';
import { type Asked, listedOrAbsent } from './match.js';
import type { PrivilegedIndex } from './privileged-index.js';
import { parseBody, type Row } from './rows.js';
import type { TrustedKeys } from './signed.js';
import {
  type KeptHeartbeat,
  loadSnapshot,
  openHeartbeat,
  readBounded,
  type SnapshotContent,
  saveSnapshot,
} from './snapshot-file.js';
import type { VerifiedEpoch } from './verify.js';

export interface SnapshotOptions {
  /** File of the snapshot; `<path>.heartbeat` lies beside it. */
  readonly path: string;
  readonly trusted: TrustedKeys;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Tombstones are kept this long, so an older snapshot cannot tell a removal from a loss. */
export const tombstoneDays = 7;
const tombstoneMs = tombstoneDays * 86_400_000;
const persistHeartbeatMs = 60_000;
const maxFutureMs = 5_000;
/** Between two writings of the snapshot at least this many times what one took, and at most this long. */
const pauseShare = 10;
const maxPauseMs = 60_000;

interface Seen {
  readonly kept: KeptHeartbeat;
  readonly seenMono: number;
  /** Its age when it was seen, by the wall clock; negative where one of two clocks is wrong. */
  readonly firstAgeMs: number;
}

const seenNow = (kept: KeptHeartbeat, clock: Clock): Seen => ({
  kept,
  seenMono: clock.mono(),
  firstAgeMs: clock.wall() - kept.body.at,
});

type Held =
  | { readonly state: 'held'; readonly content: SnapshotContent }
  | { readonly state: 'unknown'; readonly why: UnknownWhy };

/**
 * The privileged part of the last verified epoch, in memory and on the local disk. It answers when Redis cannot,
 * and it does not forget: an entry leaves only with a tombstone in a newer signed epoch.
 */
export class Snapshot {
  readonly #options: SnapshotOptions;
  #held: Held;
  #heartbeat: Seen | null = null;
  #persistedAt = 0;
  #persisting = false;
  #highest = 0;
  #unsaved = false;
  #saving: Promise<void> | null = null;
  #savedMono = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;
  #saveTimer: NodeJS.Timeout | null = null;

  private constructor(options: SnapshotOptions, held: Held) {
    this.#options = options;
    this.#held = held;
  }

  /** Loads what is on the disk. Never rejects: what cannot be trusted answers unknown. */
  static async open(options: SnapshotOptions): Promise<Snapshot> {
    const { path, trusted, clock } = options;
    const loaded = await loadSnapshot(path, trusted);
    const beside = await readBounded(`${path}.heartbeat`, 8192);
    if (loaded.state !== 'loaded') {
      const why = { absent: 'no-epoch', malformed: 'malformed', forged: 'bad-signature' } as const;
      const snapshot = new Snapshot(options, { state: 'unknown', why: why[loaded.state] });
      const last = beside === null ? null : openHeartbeat(trusted, beside, null);
      snapshot.#highest = last?.body.epoch ?? 0;
      return snapshot;
    }
    const { content } = loaded;
    const newer = beside === null ? null : openHeartbeat(trusted, beside, content.epoch);
    const kept = newer !== null && newer.body.at > content.heartbeat.body.at ? newer : content.heartbeat;
    const snapshot = new Snapshot(options, { state: 'held', content });
    snapshot.#heartbeat = seenNow(kept, clock);
    snapshot.#highest = Math.max(
      content.epoch.head.epoch,
      beside === null ? 0 : (openHeartbeat(trusted, beside, null)?.body.epoch ?? 0),
    );
    return snapshot;
  }

  /** The highest epoch this controller has ever verified, as far as its disk remembers. */
  get highestEpoch(): number {
    return this.#highest;
  }

  get epoch(): VerifiedEpoch | null {
    return this.#held.state === 'held' ? this.#held.content.epoch : null;
  }

  /** What is held of one epoch; null where that is another. */
  indexOf(epoch: VerifiedEpoch): PrivilegedIndex | null {
    return this.#held.state === 'held' && this.#held.content.epoch.text === epoch.text
      ? this.#held.content.index
      : null;
  }

  /** Age of the last heartbeat verified for this epoch, by the clock that makes it older. */
  #ageMs(): number {
    const { clock } = this.#options;
    if (this.#heartbeat === null) return Number.POSITIVE_INFINITY;
    const { kept, seenMono, firstAgeMs } = this.#heartbeat;
    return Math.max(clock.wall() - kept.body.at, firstAgeMs + clock.mono() - seenMono);
  }

  find(asked: Asked): Answer<PrivilegedEntry> {
    if (this.#held.state === 'unknown') return this.#held;
    // Only where no clock ever gave it an age: a clock set back later must not take protection away.
    if ((this.#heartbeat?.firstAgeMs ?? 0) < -maxFutureMs) return { state: 'unknown', why: 'clock' };
    if (!(this.#ageMs() <= this.#options.maxAgeMs)) return { state: 'unknown', why: 'stale' };
    const entries = this.#held.content.index.find(asked);
    return entries === null ? { state: 'unknown', why: 'malformed' } : listedOrAbsent(entries);
  }

  /**
   * How many entries held here the new publication lacks: no tombstone, and nothing that covers the same number in
   * the same way. Zero is the only good answer. Reads in slices, so that calls go on beside it.
   */
  async missingIn(next: PrivilegedIndex, tombstones: readonly Tombstone[]): Promise<number> {
    if (this.#held.state === 'unknown' || this.#ageMs() > tombstoneMs) return 0;
    const { index, epoch } = this.#held.content;
    const buried = new Set(tombstones.filter(({ epoch: id }) => id > epoch.head.epoch).map(({ id }) => id));
    let missing = 0;
    let read = 0;
    for (const [digits, bodies] of index.notIn(next)) {
      if (++read % 2_000 === 0) await new Promise((resolve) => setImmediate(resolve));
      const there = new Set(next.bodies(digits).map((body) => readBody(body).covers));
      const lost = bodies.map(readBody).filter(({ id, covers }) => !there.has(covers) && !buried.has(id));
      missing += lost.length;
    }
    return missing;
  }

  /** Takes the privileged part of a verified epoch into memory at once, and to the disk. Never rejects. */
  async adopt(epoch: VerifiedEpoch, index: PrivilegedIndex, heartbeat: string): Promise<void> {
    const { trusted, clock } = this.#options;
    const kept = openHeartbeat(trusted, heartbeat, epoch);
    if (kept === null) return;
    this.#held = { state: 'held', content: { epoch, index, heartbeat: kept } };
    this.#heartbeat = seenNow(kept, clock);
    this.#highest = Math.max(this.#highest, epoch.head.epoch);
    this.#unsaved = true;
    const wait = this.#savedMono + this.#pauseMs - clock.mono();
    if (!(wait > 0)) return this.#save();
    this.#saveTimer ??= setTimeout(() => void this.#save(), Math.min(wait, maxPauseMs)).unref();
  }

  /**
   * Writes what is held to the disk, one after the other. Half a million entries take a second to write and may change
   * every second: writing takes a bounded share of the time, and the disk is as much behind as that.
   */
  async #save(): Promise<void> {
    const { path, clock, emit } = this.#options;
    if (this.#saveTimer !== null) clearTimeout(this.#saveTimer);
    this.#saveTimer = null;
    await this.#saving;
    if (!this.#unsaved || this.#held.state !== 'held') return;
    this.#unsaved = false;
    const { content } = this.#held;
    const began = clock.mono();
    const work = async (): Promise<void> => {
      try {
        await saveSnapshot(path, content);
        emit({ event: 'snapshot-saved', epoch: content.epoch.head.epoch, entries: content.index.rows });
      } catch {
        emit({ event: 'fault', where: 'snapshot', code: 'snapshot-not-saved' });
      }
      this.#savedMono = clock.mono();
      this.#pauseMs = (this.#savedMono - began) * pauseShare;
    };
    this.#saving = work();
    await this.#saving;
  }

  /** Takes note of a heartbeat of this epoch, and keeps it on the disk about once a minute. */
  touch(text: string): void {
    const epoch = this.epoch;
    if (epoch === null || this.#heartbeat?.kept.text === text) return;
    const { trusted, clock } = this.#options;
    const kept = openHeartbeat(trusted, text, epoch);
    if (kept === null || kept.body.at <= (this.#heartbeat?.kept.body.at ?? 0)) return;
    this.#heartbeat = seenNow(kept, clock);
    if (this.#persisting || clock.mono() - this.#persistedAt < persistHeartbeatMs) return;
    this.#persistedAt = clock.mono();
    void this.#persist();
  }

  /** Writes what is not on the disk yet, the last heartbeat beside the snapshot. Never rejects. */
  async flush(): Promise<void> {
    await this.#save();
    await this.#persist();
  }

  async #persist(): Promise<void> {
    if (this.#heartbeat === null || this.#persisting) return;
    this.#persisting = true;
    try {
      await replaceFile(`${this.#options.path}.heartbeat`, [this.#heartbeat.kept.text]);
    } catch {
      this.#options.emit({ event: 'fault', where: 'snapshot', code: 'heartbeat-not-saved' });
    } finally {
      this.#persisting = false;
    }
  }

  /** True where the same epoch was verified before with another content: a publisher that forked. */
  isForkOf(epoch: VerifiedEpoch): boolean {
    const held = this.epoch;
    return (
      held !== null &&
      held.head.epoch === epoch.head.epoch &&
      formatHead(held.head) !== formatHead(epoch.head)
    );
  }
}

/** Id of a row, and what it covers of the digits it lies under. */
const readBody = (body: string): { readonly id: string; readonly covers: string } => {
  const row: Row | null = parseBody(body);
  if (row?.part !== 'privileged') return { id: '', covers: '' };
  return { id: row.id, covers: `${row.how} ${row.length ?? ''} ${row.extension ?? ''}` };
};
