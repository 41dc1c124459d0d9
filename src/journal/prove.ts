import { resolve as resolvePath } from 'node:path';
import { type JournalDisk, nodeDisk } from './disk.js';
import { JournalError } from './errors.js';
import { type HeadPlace, headLineAt, readHeadLines } from './heads/head-lines.js';
import { readBlocks } from './tree/blocks.js';
import {
  BLOCK_LEVEL,
  BLOCK_ROWS,
  consistencyPath,
  type Digest,
  Frontier,
  hexOf,
  inclusionPath,
  leafOf,
  nodeOf,
  rootOf,
} from './tree/merkle.js';
import { rowLines } from './tree/row-lines.js';

/** That a row is in the tree that a head signed. Digests are hex; it verifies without the journal. */
export interface InclusionProof {
  readonly kind: 'inclusion';
  readonly format: 1;
  readonly seq: number;
  /** The tree: how many rows, and its root. */
  readonly size: number;
  readonly root: string;
  /** Siblings from the leaf up: PATH(seq - 1, D[size]) of RFC 6962 section 2.1.1. */
  readonly path: readonly string[];
  /** The row's line without its newline, byte for byte: SHA-256 of 0x00 and this is the leaf. */
  readonly row: string;
  /** The line of the head that signed this tree, and the `key` lines before it: with them nothing else is needed. */
  readonly heads: readonly string[];
}

/** That the tree of `to` rows has the tree of `from` rows in it, unchanged. */
export interface ConsistencyProof {
  readonly kind: 'consistency';
  readonly format: 1;
  readonly from: number;
  readonly to: number;
  readonly fromRoot: string;
  readonly toRoot: string;
  /** PROOF(from, D[to]) of RFC 6962 section 2.1.2. */
  readonly path: readonly string[];
}

/** Proves things about the rows of one journal that a head covers. Make one for several rows: it remembers what it read. */
export interface Prover {
  /** Rows that the last head covers: the largest tree of which anything is proved. */
  readonly size: number;
  /** `size`: a tree that a head signed; default the first one that has the row. Rejects with `proof-impossible`. */
  inclusion(seq: number, size?: number): Promise<InclusionProof>;
  /** Any two sizes up to `size`, in order, also those no head was signed for. Rejects with `proof-impossible`. */
  consistency(from: number, to: number): Promise<ConsistencyProof>;
  /** Hex. */
  root(size: number): Promise<string>;
}

/** Blocks whose leaves are kept: 32 kB each. */
const KEPT_BLOCKS = 16;

/**
 * Opens a journal for proofs, also beside a living writer. It reads the heads, takes the cache of blocks where that comes out at the
 * root of the last head, and otherwise every row once. Rejects with `proof-impossible` for a journal
 * without heads, and with `journal-damaged` (`head-not-in-journal`) where the rows do not have the root that was signed.
 */
export async function openProver(dir: string, disk: JournalDisk = nodeDisk): Promise<Prover> {
  const directory = resolvePath(dir);
  const { heads, keys, lastRoot: root } = await readHeadLines(disk, directory);
  const size = heads.at(-1)?.size;
  if (size === undefined || root === undefined) throw impossible('no head was signed for this journal');
  const cached = await readBlocks(disk, directory, Math.floor(size / BLOCK_ROWS));
  const quick = new TreeProver(disk, directory, cached, heads, keys);
  if (cached.length === Math.floor(size / BLOCK_ROWS) && (await quick.root(size)) === root) return quick;
  const blocks: Digest[] = [];
  const frontier = new Frontier((block) => blocks.push(block));
  for await (const rows of rowLines(disk, directory, 1, size)) {
    for (const row of rows) frontier.push(leafOf(row.bytes));
  }
  if (frontier.size !== size || hexOf(frontier.root()) !== root) {
    throw notSigned(size);
  }
  return new TreeProver(disk, directory, blocks, heads, keys);
}

class TreeProver implements Prover {
  readonly #disk: JournalDisk;
  readonly #directory: string;
  readonly #heads: readonly HeadPlace[];
  readonly #keys: readonly string[];
  /** `[0]` are the roots of whole blocks, `[1]` those of two blocks each, and so on. */
  readonly #levels: Digest[][];
  readonly #leaves = new Map<number, readonly Digest[]>();

  constructor(
    disk: JournalDisk,
    directory: string,
    blocks: readonly Digest[],
    heads: readonly HeadPlace[],
    keys: readonly string[],
  ) {
    this.#disk = disk;
    this.#directory = directory;
    this.#heads = heads;
    this.#keys = keys;
    this.#levels = levelsOver(blocks);
  }

  get size(): number {
    return this.#heads.at(-1)?.size ?? 0;
  }

  async inclusion(seq: number, size?: number): Promise<InclusionProof> {
    const head = this.#heads.find((one) => (size === undefined ? one.size >= seq : one.size === size));
    if (!Number.isSafeInteger(seq) || seq < 1 || head === undefined || seq > head.size) {
      throw impossible('no signed head covers this row with a tree of this size');
    }
    const path = await inclusionPath(this.#subtree, seq - 1, head.size);
    return {
      kind: 'inclusion',
      format: 1,
      seq,
      size: head.size,
      root: await this.root(head.size),
      path: path.map(hexOf),
      row: await this.#row(seq),
      heads: [...this.#keys.slice(0, head.keys), await headLineAt(this.#disk, this.#directory, head)],
    };
  }

  async consistency(from: number, to: number): Promise<ConsistencyProof> {
    if (![from, to].every((size) => Number.isSafeInteger(size) && size >= 0) || from > to || to > this.size) {
      throw impossible(`sizes must be in order and at most ${this.size}`);
    }
    const path = await consistencyPath(this.#subtree, from, to);
    const [fromRoot, toRoot] = [await this.root(from), await this.root(to)];
    return { kind: 'consistency', format: 1, from, to, fromRoot, toRoot, path: path.map(hexOf) };
  }

  async root(size: number): Promise<string> {
    return hexOf(await rootOf(this.#subtree, size));
  }

  async #row(seq: number): Promise<string> {
    for await (const rows of rowLines(this.#disk, this.#directory, seq, seq)) {
      for (const row of rows) return row.bytes.toString('utf8');
    }
    throw impossible('the row is not there');
  }

  readonly #subtree = async (level: number, index: number): Promise<Digest> => {
    const known = level >= BLOCK_LEVEL ? this.#levels[level - BLOCK_LEVEL]?.[index] : undefined;
    if (known !== undefined) return known;
    if (level > BLOCK_LEVEL) throw impossible('the tree has no such part');
    const size = 2 ** level;
    const start = index * size;
    const leaves = await this.#leavesOf(Math.floor(start / BLOCK_ROWS));
    const wanted = leaves.slice(start % BLOCK_ROWS, (start % BLOCK_ROWS) + size);
    if (wanted.length !== size) throw impossible('rows are missing');
    return rootOfLeaves(wanted);
  };

  async #leavesOf(block: number): Promise<readonly Digest[]> {
    const known = this.#leaves.get(block);
    if (known !== undefined) return known;
    const leaves: Digest[] = [];
    const first = block * BLOCK_ROWS + 1;
    const last = Math.min(first + BLOCK_ROWS - 1, this.size);
    for await (const rows of rowLines(this.#disk, this.#directory, first, last)) {
      for (const row of rows) leaves.push(leafOf(row.bytes));
    }
    // The root that was signed is over the blocks, so rows that do not make their block are not those that were signed.
    const whole = this.#levels[0]?.[block];
    if (leaves.length !== last - first + 1 || (whole !== undefined && rootOfLeaves(leaves) !== whole)) {
      throw notSigned(last);
    }
    const oldest = this.#leaves.keys().next();
    if (this.#leaves.size >= KEPT_BLOCKS && oldest.done !== true) this.#leaves.delete(oldest.value);
    this.#leaves.set(block, leaves);
    return leaves;
  }
}

function levelsOver(blocks: readonly Digest[]): Digest[][] {
  const levels: Digest[][] = [[...blocks]];
  for (let level = levels[0] ?? []; level.length > 1; ) {
    level = pairs(level);
    levels.push(level);
  }
  return levels;
}

/** The parents of these nodes; a last one without a sibling has none. */
function pairs(nodes: readonly Digest[]): Digest[] {
  const parents: Digest[] = [];
  for (let i = 0; i + 1 < nodes.length; i += 2) parents.push(nodeOf(nodes[i] ?? '', nodes[i + 1] ?? ''));
  return parents;
}

/** Of a power of two of them. */
function rootOfLeaves(leaves: readonly Digest[]): Digest {
  let nodes = leaves;
  while (nodes.length > 1) nodes = pairs(nodes);
  return nodes[0] ?? '';
}

function notSigned(seq: number): JournalError {
  return new JournalError('journal-damaged', 'the rows do not have the root that was signed', {
    detail: 'head-not-in-journal',
    seq,
  });
}

function impossible(why: string): JournalError {
  return new JournalError('proof-impossible', why);
}
