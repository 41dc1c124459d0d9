import { hash } from 'node:crypto';

/**
 * The RFC 6962 tree of a journal. Leaf `i` is row `i + 1`: SHA-256 of 0x00 and the row's line without its newline.
 * An interior node is SHA-256 of 0x01 and its two children. The whole line is the leaf, and not the row's own
 * hash, so that whoever holds a line and a proof needs no canonical JSON to check the two.
 *
 * A digest is kept as 32 latin1 characters: node:crypto gives and takes that in half the time of a Buffer.
 */
export type Digest = string;

/** Levels below this are not kept anywhere but computed from rows: 1,024 rows are one block. */
export const BLOCK_LEVEL = 10;
export const BLOCK_ROWS = 2 ** BLOCK_LEVEL;

const EMPTY: Digest = hash('sha256', '', 'binary');
const pair = Buffer.alloc(65);
pair[0] = 1;
let leafBytes = Buffer.alloc(4096);
const NEWLINE = 0x0a;

/** The leaf of a line without its newline. */
export function leafOf(line: Buffer): Digest {
  makeRoom(line.length);
  line.copy(leafBytes, 1);
  leafBytes[0] = 0;
  return hash('sha256', leafBytes.subarray(0, line.length + 1), 'binary');
}

/** The leaves of lines that stand one after another, each with its newline. One copy for all of them saves a third. */
export function leavesOf(lines: Buffer): Digest[] {
  const leaves: Digest[] = [];
  makeRoom(lines.length);
  lines.copy(leafBytes, 1);
  let start = 0;
  for (let end = lines.indexOf(NEWLINE); end !== -1; end = lines.indexOf(NEWLINE, start)) {
    // The place of the newline before it, or of nothing, is that of the byte that marks a leaf.
    leafBytes[start] = 0;
    leaves.push(hash('sha256', leafBytes.subarray(start, end + 1), 'binary'));
    start = end + 1;
  }
  return leaves;
}

function makeRoom(bytes: number): void {
  if (bytes >= leafBytes.length) leafBytes = Buffer.alloc(2 * bytes);
}

export function nodeOf(left: Digest, right: Digest): Digest {
  pair.write(left, 1, 'latin1');
  pair.write(right, 33, 'latin1');
  return hash('sha256', pair, 'binary');
}

export function hexOf(digest: Digest): string {
  return Buffer.from(digest, 'latin1').toString('hex');
}

/** The right edge of a growing tree: of each level, the perfect subtree that waits for its sibling. */
export class Frontier {
  readonly #peaks: (Digest | undefined)[];
  readonly #onBlock: (block: Digest) => void;
  #size: number;

  /** `onBlock` gets the root of every 1,024 rows, in order, as they become complete. `from`: what it goes on from. */
  constructor(onBlock: (block: Digest) => void = () => {}, from?: Frontier) {
    this.#onBlock = onBlock;
    this.#peaks = from === undefined ? [] : [...from.#peaks];
    this.#size = from?.size ?? 0;
  }

  get size(): number {
    return this.#size;
  }

  push(leaf: Digest): void {
    this.#carry(0, leaf);
    this.#size += 1;
  }

  /** Takes 1,024 rows at once, whose root is known. Only where the size is a multiple of 1,024. */
  pushBlock(block: Digest): void {
    if (this.#size % BLOCK_ROWS !== 0) throw new RangeError('a block does not begin here');
    this.#carry(BLOCK_LEVEL, block);
    this.#size += BLOCK_ROWS;
  }

  root(): Digest {
    let root: Digest | undefined;
    for (const peak of this.#peaks) {
      if (peak !== undefined) root = root === undefined ? peak : nodeOf(peak, root);
    }
    return root ?? EMPTY;
  }

  #carry(from: number, digest: Digest): void {
    let level = from;
    let carried = digest;
    for (;;) {
      if (level === BLOCK_LEVEL) this.#onBlock(carried);
      const left = this.#peaks[level];
      if (left === undefined) break;
      this.#peaks[level] = undefined;
      carried = nodeOf(left, carried);
      level += 1;
    }
    this.#peaks[level] = carried;
  }
}

/** Gives the root of the perfect subtree over leaves `index * 2^level` to `(index + 1) * 2^level`, the end exclusive. */
export type Subtree = (level: number, index: number) => Promise<Digest>;

/** MTH(D[start:end]) of RFC 6962 section 2.1. */
async function rangeRoot(subtree: Subtree, start: number, end: number): Promise<Digest> {
  const size = end - start;
  if (size === 0) return EMPTY;
  const split = splitOf(size);
  // RFC 6962 splits so that the left part is always perfect and stands where a subtree of its size begins.
  if (size === 1 || split * 2 === size) return subtree(Math.round(Math.log2(size)), start / size);
  const middle = start + split;
  return nodeOf(await rangeRoot(subtree, start, middle), await rangeRoot(subtree, middle, end));
}

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

export function rootOf(subtree: Subtree, size: number): Promise<Digest> {
  return rangeRoot(subtree, 0, size);
}

/** PATH(leaf, D[0:size]) of RFC 6962 section 2.1.1: the siblings from the leaf up. `leaf` counts from 0. */
export async function inclusionPath(subtree: Subtree, leaf: number, size: number): Promise<Digest[]> {
  const path: Digest[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    if (leaf < middle) {
      path.push(await rangeRoot(subtree, middle, end));
      end = middle;
    } else {
      path.push(await rangeRoot(subtree, start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/** PROOF(from, D[0:to]) of RFC 6962 section 2.1.2; empty where `from` is 0 or `to`. */
export async function consistencyPath(subtree: Subtree, from: number, to: number): Promise<Digest[]> {
  if (from === 0 || from === to) return [];
  const path: Digest[] = [];
  let [start, end] = [0, to];
  // Whether what is left of the old tree is a subtree of the new one from its first leaf on: then its root is known.
  let whole = true;
  while (from < end) {
    const middle = start + splitOf(end - start);
    if (from <= middle) {
      path.push(await rangeRoot(subtree, middle, end));
      end = middle;
    } else {
      path.push(await rangeRoot(subtree, start, middle));
      start = middle;
      whole = false;
    }
  }
  if (!whole) path.push(await rangeRoot(subtree, start, end));
  return path.reverse();
}
