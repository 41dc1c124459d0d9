import { join } from 'node:path';
import { closeQuietly, type JournalDisk, type JournalFile, writeAll, writeAllDurably } from './disk.js';
import { JournalError } from './errors.js';
import type { Reopened } from './reopen.js';
import { composeRow, FORMAT, type Head, segmentName } from './row.js';
import { scanSegment } from './scan.js';
import type { RowTree } from './tree/row-tree.js';

/** A row before it has its place in the chain. `body` is canonical JSON. */
export interface Draft {
  readonly kind: string;
  readonly body: string;
}

/** When a batch is written: wall time as in the row, and monotonic microseconds. */
export interface Stamp {
  readonly at: string;
  readonly mono: number;
}

export interface SegmentLimits {
  readonly segmentBytes: number;
  readonly segmentRows: number;
}

interface OpenSegment {
  readonly number: number;
  readonly file: JournalFile;
  /** Bytes and rows that are durable. What the file holds beyond them does not exist. */
  length: number;
  rows: number;
}

/**
 * The files of one journal, written by one batch at a time. Everything it counts (`head`, lengths, rows)
 * is durable; a batch that failed leaves no trace once {@link SegmentWriter.restore} has succeeded.
 */
export class SegmentWriter {
  readonly #disk: JournalDisk;
  readonly #directory: string;
  readonly #node: string;
  readonly #limits: SegmentLimits;
  readonly #genesisNote: string | undefined;
  /** Grows with the durable rows; undefined in a journal without heads. */
  readonly #tree: RowTree | undefined;
  #head: Head;
  #segment: OpenSegment | undefined;
  /** The last row of the segment before the open one. */
  #beforeSegment: Head;
  /** What must happen before the next byte is written. */
  #restore: 'nothing' | 'truncate' | 'reread' = 'nothing';
  /** A segment that was created for a batch which then failed. */
  #stray: number | undefined;

  private constructor(
    disk: JournalDisk,
    directory: string,
    node: string,
    limits: SegmentLimits,
    genesisNote: string | undefined,
    head: Head,
    tree: RowTree | undefined,
  ) {
    this.#tree = tree;
    this.#disk = disk;
    this.#directory = directory;
    this.#node = node;
    this.#limits = limits;
    this.#genesisNote = genesisNote;
    this.#head = head;
    this.#beforeSegment = head;
  }

  static async continue(
    disk: JournalDisk,
    directory: string,
    node: string,
    limits: SegmentLimits,
    genesisNote: string | undefined,
    found: Reopened,
    tree?: RowTree,
  ): Promise<SegmentWriter> {
    const writer = new SegmentWriter(disk, directory, node, limits, genesisNote, found.head, tree);
    const { segment } = found;
    if (segment !== undefined) {
      const file = await disk.open(writer.#path(segment.number), 'edit durable');
      writer.#segment = { number: segment.number, file, length: segment.length, rows: segment.rows };
      writer.#beforeSegment = segment.before;
    }
    return writer;
  }

  /** The last durable row. */
  get head(): Head {
    return this.#head;
  }

  get segmentNumber(): number {
    return this.#segment?.number ?? 0;
  }

  /** True after a failure, until {@link restore} has succeeded: nothing may be appended. */
  get dirty(): boolean {
    return this.#restore !== 'nothing';
  }

  /**
   * Writes the rows and syncs them: when it resolves, each is durable; it resolves to their places in order.
   * A segment that is full is followed by a new one first. When it rejects, none of the rows is part of
   * the journal, but bytes may be on disk: `dirty` is true.
   */
  async append(drafts: readonly Draft[], stamp: Stamp): Promise<Head[]> {
    if (this.dirty) throw new JournalError('journal-write-failed', 'the journal is not restored yet');
    const current = this.#segment;
    const full =
      current === undefined ||
      current.length >= this.#limits.segmentBytes ||
      current.rows >= this.#limits.segmentRows;
    return full ? this.#appendToNew(drafts, stamp) : this.#appendTo(current, drafts, stamp);
  }

  async #appendTo(segment: OpenSegment, drafts: readonly Draft[], stamp: Stamp): Promise<Head[]> {
    const { bytes, places } = this.#compose(drafts, stamp);
    // After a failed sync the kernel may have dropped the dirty pages and call the next one a success, so
    // a failure here never leads to a second try on the same descriptor (PostgreSQL's fsyncgate).
    this.#restore = 'reread';
    let synced = writeAllDurably(segment.file, bytes, segment.length);
    if (synced === null) {
      this.#restore = 'truncate';
      await writeAll(segment.file, bytes, segment.length);
      this.#restore = 'reread';
      synced = segment.file.datasync();
    }
    // Meanwhile we would be idle.
    const growTree = this.#tree?.prepare(bytes, places);
    await synced;
    this.#restore = 'nothing';
    growTree?.();
    segment.length += bytes.length;
    segment.rows += drafts.length;
    this.#head = places.at(-1) ?? this.#head;
    return places;
  }

  async #appendToNew(drafts: readonly Draft[], stamp: Stamp): Promise<Head[]> {
    const number = this.segmentNumber + 1;
    const { bytes, places } = this.#compose([this.#firstRow(number), ...drafts], stamp);
    this.#restore = 'truncate';
    const file = await this.#disk.open(this.#path(number), 'create durable');
    // Only a file that this call created may be removed again; one that was there already is left alone.
    this.#stray = number;
    try {
      await writeAll(file, bytes, 0);
      await file.datasync();
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
    await closeQuietly(this.#segment?.file);
    this.#restore = 'nothing';
    this.#stray = undefined;
    this.#tree?.prepare(bytes, places)();
    this.#segment = { number, file, length: bytes.length, rows: drafts.length + 1 };
    this.#beforeSegment = this.#head;
    this.#head = places.at(-1) ?? this.#head;
    return places.slice(1);
  }

  #firstRow(number: number): Draft {
    const note = number === 1 && this.#genesisNote !== undefined ? `"note":${this.#genesisNote},` : '';
    return {
      kind: 'segment',
      body: `{"format":${FORMAT},${note}"previous":"${this.#head.hash}","segment":${number}}`,
    };
  }

  #compose(drafts: readonly Draft[], stamp: Stamp): { bytes: Buffer; places: Head[] } {
    let { seq, hash } = this.#head;
    const places: Head[] = [];
    let text = '';
    for (const draft of drafts) {
      seq += 1;
      const row = composeRow({
        at: stamp.at,
        batch: this.#head.seq + 1,
        body: draft.body,
        kind: draft.kind,
        mono: stamp.mono,
        node: this.#node,
        prev: hash,
        seq,
      });
      hash = row.hash;
      text += row.line;
      places.push({ seq, hash });
    }
    return { bytes: Buffer.from(text, 'utf8'), places };
  }

  /**
   * Brings the files back to the last durable row: removes a segment that never became part of the journal,
   * opens the current one anew and cuts off what was not acknowledged. After a failed fdatasync it is also
   * read and checked from its first row to its last. Rejects when the disk is not ready, or with `journal-damaged`
   * when the file does not hold what was durable; then it may be tried again later.
   */
  async restore(): Promise<void> {
    if (this.#restore === 'nothing') return;
    if (this.#stray !== undefined) {
      await this.#disk.remove(this.#path(this.#stray));
      await this.#disk.syncDirectory(this.#directory);
      this.#stray = undefined;
    }
    const segment = this.#segment;
    if (segment !== undefined) {
      await closeQuietly(segment.file);
      const file = await this.#disk.open(this.#path(segment.number), 'edit durable');
      this.#segment = { ...segment, file };
      if ((await file.size()) < segment.length) throw this.#changedBehindUs();
      await file.truncate(segment.length);
      await file.datasync();
      if (this.#restore === 'reread') await this.#reread(file, segment);
    }
    this.#restore = 'nothing';
  }

  async #reread(file: JournalFile, segment: OpenSegment): Promise<void> {
    const found = await scanSegment(file, this.#node, this.#beforeSegment);
    const same =
      found.fault === undefined &&
      found.length === segment.length &&
      found.rows === segment.rows &&
      found.head.hash === this.#head.hash;
    if (!same) throw this.#changedBehindUs();
  }

  #changedBehindUs(): JournalError {
    const file = segmentName(this.segmentNumber);
    return new JournalError('journal-damaged', `${file} no longer holds what was written to it`, {
      detail: 'changed-while-open',
      file,
    });
  }

  async close(): Promise<void> {
    await closeQuietly(this.#segment?.file);
  }

  #path(segment: number): string {
    return join(this.#directory, segmentName(segment));
  }
}
