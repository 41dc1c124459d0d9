import { createHash } from 'node:crypto';
import { canonicalJson, type JsonObject } from '../../journal/canonical.js';
import { readJournal } from '../../journal/read.js';
import { composeRow } from '../../journal/row.js';
import { codeOf, RetentionError } from './codes.js';
import { HOLD_KIND, type Hold, holdOf, RELEASE_KIND } from './holds.js';
import { readProved, UnprovedError } from './proved-rows.js';
import type { RecordingClass } from './rules.js';

export const TOMBSTONE_KIND = 'tombstone';
export const REMOVED_KIND = 'recording-removed';
export const ROUND_KIND = 'retention-round';

/** A recording that is to be removed, or was: written before its first file goes. */
export interface Tombstone {
  /** Of what was quarantined, which no call owns, the name it lies under: `q…`. */
  readonly callId: string;
  /** Of its files within the vault: with the call it names the recording. */
  readonly folder: string;
  readonly facility: string;
  readonly class: RecordingClass;
  readonly manifestSha256: string;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  readonly receivedAt: string;
  readonly dueAt: string;
  readonly rule: string;
  readonly days: number;
  readonly round: string;
  readonly by: string;
}

/** A tombstone whose recording is not known to be gone. */
export interface Pending extends Tombstone {
  readonly seq: number;
}

const MAX_ASKED = 100;

/** What the last round that believed its clock left. */
export interface PastRound {
  readonly at: number;
  /** Recordings that were in the vault after it. */
  readonly left: number;
}

const kinds: ReadonlySet<string> = new Set([
  HOLD_KIND,
  RELEASE_KIND,
  TOMBSTONE_KIND,
  REMOVED_KIND,
  ROUND_KIND,
]);

const callShape = /^(?:c[a-z2-7]{26}|q[0-9a-f]{32})$/;
const folderShape = /^(?:(?:sealed|quarantine)\/)?\d{4}\/\d\d\/\d\d$/;
const isFileOf = (callId: string, name: unknown): boolean =>
  typeof name === 'string' &&
  name.startsWith(`${callId}.`) &&
  /^(?:\.[a-z]{1,8}){1,3}$/.test(name.slice(callId.length));

type Fields = Readonly<Record<string, unknown>>;
interface Row {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly hash: string;
  readonly body: Fields;
  /** Written and told to have failed; not there where that is not known yet. */
  readonly abandoned?: boolean;
}

/** 52 bits of a digest: millions of removed recordings fit in memory; a hit is asked again of the journal. */
const shortOf = (callId: string, folder: string): number =>
  createHash('sha256').update(`${folder}/${callId}`).digest().readUIntBE(0, 6);

/**
 * The journal of custody as far as expiry needs it, proved row by row: the holds in force, what is being removed, what
 * was, and the last round. Rows that cannot be understood refuse: a hold nobody can read holds all the same.
 */
export class Ledger {
  readonly #dir: string;
  readonly #holds = new Map<string, Hold>();
  readonly #pending = new Map<string, Pending>();
  readonly #removed = new Set<number>();
  readonly #released = new Set<string>();
  #seq = 0;
  #hash = '';
  /** Rows another process must still find: what the round before saw last. */
  #anchor: { readonly seq: number; readonly hash: string } | null = null;
  #accepted: PastRound | null = null;
  #asked = 0;
  #complete: number | null = null;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Reads the whole journal. One that is not there yet, or holds no row, is empty. `anchor` is a row that must be in
   * it. Rejects with RetentionError `custody-journal-unread` or `custody-journal-rewound`.
   */
  static async read(dir: string, anchor: { seq: number; hash: string } | null = null): Promise<Ledger> {
    const ledger = new Ledger(dir);
    ledger.#anchor = anchor;
    try {
      await readProved(
        dir,
        (kind) => kinds.has(kind),
        (row) => ledger.#take(row),
      );
    } catch (error) {
      const none = error instanceof UnprovedError && error.code === 'journal-missing';
      if (!none) throw unread(error);
    }
    if (anchor !== null && ledger.#anchor !== null) throw new RetentionError('custody-journal-rewound');
    return ledger;
  }

  /**
   * Takes what was appended since, each row proved to follow the one before; releases of holds are left to the next
   * round. To be called while the journal is open for writing, so that nothing is added meanwhile. Rejects with RetentionError `custody-journal-unread`.
   */
  async catchUp(): Promise<void> {
    try {
      for await (const row of readJournal(this.#dir, { fromSeq: this.#seq + 1 })) {
        const { hash } = composeRow({ ...row, body: canonicalJson(row.body) });
        const follows = this.#seq === 0 || (row.prev === this.#hash && row.seq === this.#seq + 1);
        if (!follows || hash !== row.hash) throw new RetentionError('custody-journal-unread');
        this.#take(row);
      }
    } catch (error) {
      // Nothing was written to it yet.
      if (this.#seq === 0 && codeOf(error) === 'enoent') return;
      throw unread(error);
    }
  }

  get holds(): readonly Hold[] {
    return [...this.#holds.values()];
  }

  wasReleased(id: string): boolean {
    return this.#released.has(id);
  }

  get pending(): readonly Pending[] {
    return [...this.#pending.values()];
  }

  isPending(callId: string, folder: string): boolean {
    return this.#pending.has(`${folder}/${callId}`);
  }

  /** The last row read. */
  get last(): { readonly seq: number; readonly hash: string } {
    return { seq: this.#seq, hash: this.#hash };
  }

  get acceptedRound(): PastRound | null {
    return this.#accepted;
  }

  /** Until when everything due was removed, by the last complete round; ms since 1970. */
  get completeUntil(): number | null {
    return this.#complete;
  }

  /** Whether it was removed, as far as a short digest tells: for counting. */
  isGone(callId: string, folder: string): boolean {
    return this.#removed.has(shortOf(callId, folder));
  }

  /** Whether that recording was removed once. */
  async wasRemoved(callId: string, folder: string): Promise<boolean> {
    if (!this.#removed.has(shortOf(callId, folder))) return false;
    // Each question reads the whole journal. After so many it is no accident of digests, and a recording that is taken
    // for a removed one is kept and reported.
    this.#asked += 1;
    if (this.#asked > MAX_ASKED) return true;
    for await (const { body } of readJournal(this.#dir, { kinds: [REMOVED_KIND], callId })) {
      if (body.folder === folder) return true;
    }
    return false;
  }

  #take(row: Row): void {
    this.#seq = row.seq;
    this.#hash = row.hash;
    if (this.#anchor?.seq === row.seq) {
      if (this.#anchor.hash !== row.hash) throw new RetentionError('custody-journal-rewound');
      this.#anchor = null;
    }
    switch (row.kind) {
      case HOLD_KIND:
        this.#hold(row);
        return;
      case RELEASE_KIND:
        // A release that was told to have failed is none; a hold that was is one all the same. Which rows were told to
        // have failed is known to a reading of the whole journal alone.
        if (row.abandoned === false) this.#release(String(row.body.id));
        return;
      case TOMBSTONE_KIND:
        this.#tombstone(row);
        return;
      case REMOVED_KIND:
        this.#gone(row.body);
        return;
      case ROUND_KIND:
        if (row.abandoned !== true) this.#round(row.body);
        return;
      default:
        return;
    }
  }

  #release(id: string): void {
    if (this.#holds.delete(id)) this.#released.add(id);
  }

  #hold(row: Row): void {
    const hold = holdOf(row.at, row.body);
    if (hold === null)
      throw new RetentionError('custody-journal-unread', `row ${row.seq} is a hold nobody can read`);
    this.#holds.set(hold.id, hold);
  }

  #tombstone({ seq, body }: Row): void {
    const stone = body as unknown as Tombstone;
    const { callId, folder, files, manifestSha256 } = stone;
    // These become parts of paths that are removed: none may lead elsewhere.
    const sound =
      callShape.test(callId) &&
      folderShape.test(folder) &&
      typeof manifestSha256 === 'string' &&
      Array.isArray(files) &&
      files.every(({ name }) => isFileOf(callId, name));
    if (!sound)
      throw new RetentionError('custody-journal-unread', `row ${seq} is a tombstone nobody can read`);
    this.#pending.set(`${folder}/${callId}`, { ...stone, seq });
  }

  #gone({ callId, folder }: Fields): void {
    this.#pending.delete(`${String(folder)}/${String(callId)}`);
    this.#removed.add(shortOf(String(callId), String(folder)));
  }

  #round({ now, accepted, completeUntil, left }: Fields): void {
    const at = Date.parse(String(now));
    if (accepted !== true || Number.isNaN(at)) return;
    this.#accepted = { at, left: typeof left === 'number' ? left : 0 };
    if (typeof completeUntil === 'string') this.#complete = Date.parse(completeUntil);
  }
}

const unread = (error: unknown): RetentionError =>
  error instanceof RetentionError
    ? error
    : new RetentionError(
        'custody-journal-unread',
        `the journal of custody cannot be read (${codeOf(error)})`,
      );

export const tombstoneRow = (stone: Tombstone): JsonObject => ({
  ...stone,
  files: stone.files.map((file) => ({ ...file })),
});
