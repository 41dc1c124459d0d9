import { join } from 'node:path';
import { closeQuietly, type JournalDisk } from '../disk.js';
import { errorCode, JournalError } from '../errors.js';
import { segmentName, segmentNumbers } from '../row.js';
import { ENTRIES_A_FILE, type HeadLog, headsDirectory, MAX_ENTRY_BYTES } from './head-log.js';
import type { HeadEvent } from './head-signer.js';
import type { ShipTarget } from './ship-target.js';

export interface ShipmentParts {
  readonly disk: JournalDisk;
  readonly directory: string;
  readonly node: string;
  readonly log: HeadLog;
  readonly target: ShipTarget;
  readonly everySeconds: number;
  readonly tell: (event: HeadEvent) => void;
}

/** Tries of one copy within a round, and the pause between them. The next round tries again. */
const TRIES = 3;
const PAUSE_MS = 100;
/** How long closing waits for the last round. What is not shipped then is shipped after the next opening. */
const CLOSE_MS = 5000;
const MAX_HEADS_BYTES = 2 * ENTRIES_A_FILE * MAX_ENTRY_BYTES;

/**
 * Copies heads and closed segments to a second place, under a folder of this journal's own: `NODE-` and 16 digits of
 * the journal's first row. Heads go first: they are small, and they alone show a journal that was put back.
 * It works beside the journal, one copy at a time, and holds nothing up: where it fails or hangs, that is told once and
 * it goes on at the next head. It never takes a shipped head back: where the copy is not the beginning of
 * what is here, it stops and says so.
 */
export class Shipment {
  readonly #parts: ShipmentParts;
  /** Segments that the target holds; undefined until it was asked. */
  #segments: Set<string> | undefined;
  #firstHeads = 1;
  #shippedHeads = -1;
  #running: Promise<void> | undefined;
  #again = false;
  #since = 0;
  #trouble: string | undefined;
  #diverged = false;

  constructor(parts: ShipmentParts) {
    this.#parts = parts;
  }

  /**
   * Compares what was shipped earlier with the heads that are here. Rejects with `ship-diverged` where there is more or
   * something else: then this directory was put back to an older state, or is not the only one that is written
   * to. Where the target cannot be read that is told, and nothing is known.
   */
  async check(journal: string): Promise<void> {
    const { target, disk, directory } = this.#parts;
    try {
      const prefix = `${this.#folder(journal)}/heads/`;
      const shipped = segmentNumbers(await target.list(prefix));
      // The heads are chained, so the two newest files stand for those before.
      for (const number of shipped.slice(-2)) {
        const theirs = await target.read(`${prefix}${segmentName(number)}`, MAX_HEADS_BYTES);
        const here = segmentNumbers(await disk.list(headsDirectory(directory))).includes(number);
        const ours = here ? await this.#heads(number) : Buffer.alloc(0);
        if (theirs !== undefined && !isPrefix(theirs, ours)) throw diverged(number);
      }
      this.#firstHeads = shipped.at(-1) ?? 1;
    } catch (error) {
      if (error instanceof JournalError && error.code === 'ship-diverged') throw error;
      this.#failed(error);
    }
  }

  /** Something may have to be copied. Returns at once. */
  due(journal: string): void {
    if (this.#diverged) return;
    if (this.#running !== undefined) {
      this.#again = true;
      if (performance.now() - this.#since > 2000 * this.#parts.everySeconds)
        this.#failed(new Error('hangs'), 'hangs');
      return;
    }
    this.#since = performance.now();
    this.#running = this.#run(journal);
  }

  /** Waits for the round that is under way, within a bound. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#running, late]);
    clearTimeout(timer);
  }

  async #run(journal: string): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#round(this.#folder(journal));
        if (this.#trouble !== undefined) {
          this.#parts.tell({ type: 'ship-recovered', reason: this.#trouble });
          this.#trouble = undefined;
        }
      } catch (error) {
        this.#failed(error);
        break;
      }
    } while (this.#again);
    this.#running = undefined;
  }

  #failed(error: unknown, why?: string): void {
    const reason = why ?? (error instanceof JournalError ? (error.detail ?? error.code) : errorCode(error));
    this.#diverged ||= reason === 'diverged';
    if (this.#trouble === undefined) this.#parts.tell({ type: 'ship-behind', reason });
    this.#trouble = reason;
  }

  async #round(folder: string): Promise<void> {
    const { disk, directory, target, log } = this.#parts;
    const { number: newest, length } = log.durable;
    for (let number = this.#firstHeads; number <= newest; number += 1) {
      if (number === newest && length === this.#shippedHeads && number === this.#firstHeads) break;
      await this.#shipHeads(`${folder}/heads/${segmentName(number)}`, number);
      this.#firstHeads = number;
      this.#shippedHeads = number === newest ? length : -1;
    }
    this.#segments ??= new Set(await target.list(`${folder}/`));
    // All but the newest are closed and never change again.
    for (const number of segmentNumbers(await disk.list(directory)).slice(0, -1)) {
      const name = segmentName(number);
      if (this.#segments.has(name)) continue;
      await retried(() => target.put(`${folder}/${name}`, join(directory, name)));
      this.#segments.add(name);
    }
  }

  async #shipHeads(name: string, number: number): Promise<void> {
    const { target } = this.#parts;
    const ours = await this.#heads(number);
    const theirs = await target.read(name, MAX_HEADS_BYTES);
    if (theirs !== undefined && !isPrefix(theirs, ours)) throw diverged(number);
    if (theirs?.length !== ours.length) await retried(() => target.put(name, ours));
  }

  /** As much of a file of heads as is durable. */
  async #heads(number: number): Promise<Buffer> {
    const { disk, directory, log } = this.#parts;
    const file = await disk.open(join(headsDirectory(directory), segmentName(number)), 'read');
    try {
      const durable = log.durable;
      const length = number === durable.number ? durable.length : await file.size();
      const bytes = Buffer.alloc(Math.min(length, MAX_HEADS_BYTES));
      let done = 0;
      while (done < bytes.length) {
        const count = await file.read(bytes, done, bytes.length - done, done);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    } finally {
      await closeQuietly(file);
    }
  }

  #folder(journal: string): string {
    return `${this.#parts.node}-${journal.slice(0, 16)}`;
  }
}

function isPrefix(theirs: Buffer, ours: Buffer): boolean {
  return theirs.length <= ours.length && theirs.equals(ours.subarray(0, theirs.length));
}

async function retried(one: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await one();
    } catch (error) {
      if (tries >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

function diverged(number: number): JournalError {
  return new JournalError(
    'ship-diverged',
    `the shipped heads/${segmentName(number)} is not the beginning of what is here: this directory was put back to an older state, or another one goes on under its name`,
    { detail: 'diverged', file: `heads/${segmentName(number)}` },
  );
}
