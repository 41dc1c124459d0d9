import type { JournalDisk } from '../disk.js';
import { errorCode, JournalError } from '../errors.js';
import type { JournalClock } from '../options.js';
import type { Head } from '../row.js';
import { writeBlocks } from '../tree/blocks.js';
import { RowTree } from '../tree/row-tree.js';
import { type Entry, type EntryPlace, headEntry, keyEntry, NO_ENTRY } from './entry.js';
import { type FoundHeads, HeadLog } from './head-log.js';
import type { ShipTarget } from './ship-target.js';
import { Shipment } from './shipment.js';
import { type Handover, isSigned, keyIdOf, type SigningKey, unusable } from './signing-key.js';

/** What happens to the heads, for logs and metrics. */
export type HeadEvent =
  | { readonly type: 'head-signed'; readonly number: number; readonly size: number }
  | { readonly type: 'heads-repaired'; readonly bytes: number }
  /** No head could be made; rows go on being written, and the next head will cover them. */
  | { readonly type: 'heads-unhealthy'; readonly reason: string }
  | { readonly type: 'heads-recovered'; readonly reason: string }
  | { readonly type: 'ship-behind'; readonly reason: string }
  | { readonly type: 'ship-recovered'; readonly reason: string };

export interface HeadSettings {
  readonly key: SigningKey;
  /** What the key before says of this one; needed only where the journal's last head is signed by another. */
  readonly handover?: Handover;
  /** How often a journal that grew gets a head. */
  readonly everySeconds: number;
  /** Where heads and closed segments are copied to. */
  readonly ship?: ShipTarget;
}

interface Surroundings {
  readonly disk: JournalDisk;
  readonly directory: string;
  readonly node: string;
  readonly clock: JournalClock;
  readonly tell: (event: HeadEvent) => void;
}

/**
 * Signs the tree of a journal that is being written: when it is opened with rows that no head covers, every
 * `everySeconds` in which it grew, when a segment begins, and when it is closed. It works beside the appends and never
 * in their way: a head that cannot be written is told, tried again, and holds no row up.
 */
export class HeadSigner {
  readonly tree: RowTree;
  readonly #around: Surroundings;
  readonly #settings: HeadSettings;
  readonly #log: HeadLog;
  readonly #shipment: Shipment | undefined;
  #after: EntryPlace;
  #signedSize: number;
  /** True until the key has its line in the heads. */
  #keyIsNew: boolean;
  #signing: Promise<void> | undefined;
  #since = 0;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #trouble: string | undefined;

  private constructor(
    around: Surroundings,
    settings: HeadSettings,
    tree: RowTree,
    log: HeadLog,
    shipment: Shipment | undefined,
    found: FoundHeads,
  ) {
    this.tree = tree;
    this.#shipment = shipment;
    this.#around = around;
    this.#settings = settings;
    this.#log = log;
    this.#after = found.last ?? NO_ENTRY;
    this.#signedSize = found.lastHead?.body.size ?? 0;
    this.#keyIsNew = found.last?.key !== settings.key.id;
  }

  /**
   * Reads the heads that are there and rebuilds the tree up to `end`. Rejects with `heads-damaged`, with
   * `journal-damaged` where the rows are not those that were signed, with `head-key-unusable` (`foreign`) where the
   * last head is signed by a key that did not hand over to this one, and with `ship-diverged` where more was shipped than is here.
   */
  static async open(
    around: Surroundings,
    settings: HeadSettings,
    end: Head,
    useCache: boolean,
  ): Promise<HeadSigner> {
    const { disk, directory, tell } = around;
    const { log, found } = await HeadLog.open(disk, directory);
    if (found.torn > 0) tell({ type: 'heads-repaired', bytes: found.torn });
    checkKey(found, settings);
    const tree = await RowTree.rebuild(disk, directory, end, found.lastHead?.body, useCache);
    const journal = found.last?.body.journal ?? tree.state()?.journal;
    const { everySeconds, ship } = settings;
    const shipment =
      ship === undefined ? undefined : new Shipment({ ...around, log, target: ship, everySeconds });
    if (journal !== undefined) await shipment?.check(journal);
    return new HeadSigner(around, settings, tree, log, shipment, found);
  }

  /** From now on heads are signed. */
  start(): void {
    this.#timer = setInterval(() => void this.sign(), this.#settings.everySeconds * 1000);
    this.#timer.unref();
    void this.sign();
  }

  /** Signs the tree as it is, if it grew. Never rejects; resolves when the head is durable or could not be made. */
  sign(): Promise<void> {
    if (this.#signing !== undefined) {
      this.#again = true;
      // A disk that hangs fails nothing, and signs nothing.
      const late = performance.now() - this.#since > this.#settings.everySeconds * 1000;
      if (late && this.#trouble === undefined) {
        this.#trouble = 'hangs';
        this.#around.tell({ type: 'heads-unhealthy', reason: this.#trouble });
      }
      return this.#signing;
    }
    this.#since = performance.now();
    this.#signing = this.#run();
    return this.#signing;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#signOnce();
        if (this.#trouble !== undefined) {
          this.#around.tell({ type: 'heads-recovered', reason: this.#trouble });
          this.#trouble = undefined;
        }
      } catch (error) {
        const reason = error instanceof JournalError ? (error.detail ?? error.code) : errorCode(error);
        if (this.#trouble === undefined) this.#around.tell({ type: 'heads-unhealthy', reason });
        this.#trouble = reason;
        break;
      }
    } while (this.#again);
    this.#signing = undefined;
  }

  async #signOnce(): Promise<void> {
    const { disk, directory, node, clock, tell } = this.#around;
    const { key, handover, everySeconds } = this.#settings;
    const state = this.tree.state();
    if (state === undefined) return;
    if (state.size > this.#signedSize) {
      const wall = clock.wallMs();
      // The head says what the wall clock says, also where it went back: a corrected time would be an invented one.
      const at = new Date(wall).toISOString();
      const entries: Entry[] = [];
      const place = (): EntryPlace => entries.at(-1) ?? this.#after;
      if (this.#keyIsNew) {
        const from = this.#after.number === 0 ? undefined : handover;
        entries.push(keyEntry(state.journal, from, { at, node, after: place() }, key));
      }
      entries.push(headEntry(state, everySeconds, { at, node, after: place() }, key));
      await this.#log.append(entries);
      this.#after = place();
      this.#signedSize = state.size;
      this.#keyIsNew = false;
      tell({ type: 'head-signed', number: this.#after.number, size: state.size });
      const { first, blocks } = this.tree.takeBlocks();
      // A cache that cannot be written costs time at the next opening and nothing else.
      if (blocks.length > 0) await writeBlocks(disk, directory, first, blocks).catch(() => undefined);
    }
    this.#shipment?.due(state.journal);
  }

  /** Signs what is left, ships it within a bound, and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.sign();
    await this.#shipment?.close();
    await this.#log.close();
  }
}

function checkKey(found: FoundHeads, { key, handover }: HeadSettings): void {
  const { last } = found;
  if (last === undefined) return;
  if (last.key === key.id) {
    if (isSigned(key.publicText, last.body.kind, last.bodyText, last.signature)) return;
    throw new JournalError('heads-damaged', 'the last head does not bear the signature of its key', {
      detail: 'bad-signature',
      file: 'heads',
    });
  }
  if (handover === undefined) {
    throw unusable(
      'foreign',
      'the configured key',
      `this journal is signed by key ${last.key}; let that key hand over to ${key.id}, or start a new directory`,
    );
  }
  if (handover.public !== key.publicText || !isHandedOverBy(last.key, handover)) {
    throw unusable('foreign', 'the handover', `it is not from key ${last.key} to key ${key.id}`);
  }
}

/** That the handover bears the signature of the key it comes from was checked when it was read. */
function isHandedOverBy(keyId: string, handover: Handover): boolean {
  return keyIdOf(handover.from) === keyId;
}
