import type { JournalDisk } from '../disk.js';
import { JournalError } from '../errors.js';
import type { TreeState } from '../heads/entry.js';
import { GENESIS, type Head, scanRow } from '../row.js';
import { readBlocks } from './blocks.js';
import { BLOCK_ROWS, type Digest, Frontier, hexOf, leafOf, leavesOf } from './merkle.js';
import { rowLines } from './row-lines.js';

/**
 * The tree of a journal that is being written: what a head signs. It holds what was handed to the disk, so a row
 * that somebody changes on the disk a moment later no longer fits the next head.
 */
export class RowTree {
  #frontier: Frontier;
  #journal: string | undefined;
  #last: Head = GENESIS;
  /** Blocks that are complete and not yet in the cache, and the place of the first. */
  #blocks: Digest[] = [];
  #firstBlock = 0;

  private constructor() {
    this.#frontier = new Frontier((block) => this.#blocks.push(block));
  }

  get size(): number {
    return this.#frontier.size;
  }

  /**
   * Takes the lines of a batch, each with its newline, that is on its way to the disk; `places` are those of its rows, in
   * order. Nothing has changed until the function it gives is called, which is when they are durable: hashing
   * happens while the disk is busy, and costs no append any time.
   */
  prepare(lines: Buffer, places: readonly Head[]): () => void {
    const blocks: Digest[] = [];
    const grown = new Frontier((block) => blocks.push(block), this.#frontier);
    for (const leaf of leavesOf(lines)) grown.push(leaf);
    return () => {
      this.#frontier = grown;
      this.#blocks.push(...blocks);
      if (this.#journal === undefined && places[0]?.seq === 1) this.#journal = places[0].hash;
      this.#last = places.at(-1) ?? this.#last;
    };
  }

  /** Undefined while there is no row. Throws where the tree is not of the rows that were written: nothing is signed then. */
  state(): TreeState | undefined {
    if (this.#last.seq !== this.size) {
      throw new JournalError('journal-damaged', 'the tree is not of the rows that were written', {
        detail: 'tree-out-of-step',
      });
    }
    if (this.#journal === undefined) return undefined;
    const root = hexOf(this.#frontier.root());
    return { journal: this.#journal, size: this.size, root, rowHash: this.#last.hash };
  }

  /** The blocks that the cache does not have yet. They are given once. */
  takeBlocks(): { readonly first: number; readonly blocks: readonly Digest[] } {
    const taken = { first: this.#firstBlock, blocks: this.#blocks };
    this.#firstBlock += this.#blocks.length;
    this.#blocks = [];
    return taken;
  }

  /**
   * The tree of a journal that is there already, up to the row `end`. `signed` is its last head: where the rows
   * before it do not have its root, the journal was cut, changed or put back, and this rejects with
   * `journal-damaged`. With the cache only the rows since the last head's last whole block are read.
   */
  static async rebuild(
    disk: JournalDisk,
    directory: string,
    end: Head,
    signed: TreeState | undefined,
    useCache: boolean,
  ): Promise<RowTree> {
    const blocks = signed === undefined || !useCache ? 0 : Math.floor(signed.size / BLOCK_ROWS);
    const known = await readBlocks(disk, directory, blocks);
    const quick = await RowTree.#read(disk, directory, end, signed, known);
    if (quick !== undefined) return quick;
    const whole = known.length > 0 ? await RowTree.#read(disk, directory, end, signed, []) : undefined;
    if (whole !== undefined) return whole;
    throw new JournalError(
      'journal-damaged',
      'the journal is not the one whose head was signed last: rows are missing or were changed. ' +
        'It is not continued; keep it and start a new directory',
      { detail: 'head-not-in-journal', ...(signed === undefined ? {} : { seq: signed.size }) },
    );
  }

  /** Undefined when the rows do not have the root that was signed. */
  static async #read(
    disk: JournalDisk,
    directory: string,
    end: Head,
    signed: TreeState | undefined,
    known: readonly Digest[],
  ): Promise<RowTree | undefined> {
    const tree = new RowTree();
    for (const block of known) tree.#frontier.pushBlock(block);
    if (known.length > 0) {
      // Of these the cache knows already.
      tree.takeBlocks();
      tree.#journal = signed?.journal;
    }
    const fits = (rowHash: string | undefined): boolean =>
      signed === undefined || (hexOf(tree.#frontier.root()) === signed.root && rowHash === signed.rowHash);
    let checked = signed === undefined;
    // The signed row is read also where it ends a block, for its hash.
    const from = Math.min(tree.size, (signed?.size ?? tree.size + 1) - 1) + 1;
    for await (const rows of rowLines(disk, directory, from, end.seq)) {
      for (const row of rows) {
        if (row.seq > tree.size) tree.#frontier.push(leafOf(row.bytes));
        if (row.seq === 1) tree.#journal = scanRow(row.bytes)?.hash;
        if (row.seq !== signed?.size) continue;
        if (!fits(scanRow(row.bytes)?.hash) || tree.#journal !== signed.journal) return undefined;
        checked = true;
      }
    }
    if (!checked || tree.size !== end.seq) return undefined;
    tree.#last = end;
    return tree;
  }
}
