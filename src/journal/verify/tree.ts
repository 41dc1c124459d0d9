import { hash } from 'node:crypto';

/** The verifier's own RFC 6962: hashing, the growing tree, and the two proofs as RFC 9162 sections 2.1.3.2 and 2.1.4.2 check them. */

/** 0x01 and two children. */
const pair = Buffer.alloc(65, 1);
/** 0x00 and a line. */
let leaf = Buffer.alloc(4096);

/** `line` without its newline. */
export function leafHash(line: Uint8Array): Buffer {
  if (line.length >= leaf.length) leaf = Buffer.alloc(2 * line.length);
  leaf.set(line, 1);
  return hash('sha256', leaf.subarray(0, line.length + 1), 'buffer');
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  pair.set(left, 1);
  pair.set(right, 33);
  return hash('sha256', pair, 'buffer');
}

/** Perfect subtrees from the largest, on the left, to the smallest: as many as the size has binary ones. */
export class GrowingTree {
  readonly #subtrees: { readonly leaves: number; readonly root: Buffer }[] = [];
  size = 0;

  add(ofRow: Buffer): void {
    let grown = { leaves: 1, root: ofRow };
    for (
      let last = this.#subtrees.at(-1);
      last !== undefined && last.leaves === grown.leaves;
      last = this.#subtrees.at(-1)
    ) {
      this.#subtrees.pop();
      grown = { leaves: 2 * last.leaves, root: nodeHash(last.root, grown.root) };
    }
    this.#subtrees.push(grown);
    this.size += 1;
  }

  /** Hex. */
  root(): string {
    const root = this.#subtrees.reduceRight<Buffer | undefined>(
      (right, { root: left }) => (right === undefined ? left : nodeHash(left, right)),
      undefined,
    );
    return (root ?? hash('sha256', '', 'buffer')).toString('hex');
  }
}

/** Whether the leaf `ofRow`, at `index` from 0, is in the tree of `size` leaves with this root. Digests are hex. */
export function isIncluded(
  ofRow: Buffer,
  index: number,
  size: number,
  path: readonly string[],
  root: string,
): boolean {
  if (index < 0 || index >= size) return false;
  let [place, last] = [index, size - 1];
  let node = ofRow;
  for (const sibling of path) {
    if (last === 0) return false;
    const other = Buffer.from(sibling, 'hex');
    if (place % 2 === 1 || place === last) {
      node = nodeHash(other, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else node = nodeHash(node, other);
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && node.toString('hex') === root;
}

/** Whether the tree of `from` leaves with its root is the beginning of that of `to` leaves with its root. */
export function isConsistent(
  from: number,
  to: number,
  fromRoot: string,
  toRoot: string,
  path: readonly string[],
): boolean {
  if (from < 0 || from > to) return false;
  if (from === to) return fromRoot === toRoot && path.length === 0;
  // Everything grows out of nothing.
  if (from === 0) return path.length === 0 && fromRoot === hash('sha256', '', 'hex');
  let [place, last] = [from - 1, to - 1];
  while (place % 2 === 1) [place, last] = [half(place), half(last)];
  const nodes = path.map((node) => Buffer.from(node, 'hex'));
  // Where the old tree is perfect, its root is a node of the new one, and the proof leaves it out.
  const first = place === 0 ? Buffer.from(fromRoot, 'hex') : nodes.shift();
  if (first === undefined) return false;
  let old: Buffer = first;
  let grown: Buffer = first;
  for (const node of nodes) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      old = nodeHash(node, old);
      grown = nodeHash(node, grown);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else grown = nodeHash(grown, node);
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && old.toString('hex') === fromRoot && grown.toString('hex') === toRoot;
}

const half = (number: number): number => Math.floor(number / 2);
