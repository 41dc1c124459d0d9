import { type Check, fromHex, hexOf, sha256 } from './ask.js';

/** The two proofs of RFC 6962's tree, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 check them. */

/** 0x00 and a line without its newline. */
export function* leafOf(line: Uint8Array): Check<Uint8Array> {
  const bytes = new Uint8Array(line.length + 1);
  bytes.set(line, 1);
  return yield* sha256(bytes);
}

/** 0x01 and two children. */
function* nodeHash(left: Uint8Array, right: Uint8Array): Check<Uint8Array> {
  const bytes = new Uint8Array(65).fill(1, 0, 1);
  bytes.set(left, 1);
  bytes.set(right, 33);
  return yield* sha256(bytes);
}

/** Whether the leaf `ofRow`, at `index` from 0, is in the tree of `size` leaves with this root. Digests are hex. */
export function* isIncluded(
  ofRow: Uint8Array,
  index: number,
  size: number,
  path: readonly string[],
  root: string,
): Check<boolean> {
  if (index < 0 || index >= size) return false;
  let [place, last] = [index, size - 1];
  let node = ofRow;
  for (const sibling of path) {
    if (last === 0) return false;
    const other = fromHex(sibling);
    if (place % 2 === 1 || place === last) {
      node = yield* nodeHash(other, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else node = yield* nodeHash(node, other);
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && hexOf(node) === root;
}

/** Whether the tree of `from` leaves with its root is the beginning of that of `to` leaves with its root. */
export function* isConsistent(
  from: number,
  to: number,
  fromRoot: string,
  toRoot: string,
  path: readonly string[],
): Check<boolean> {
  if (from < 0 || from > to) return false;
  if (from === to) return fromRoot === toRoot && path.length === 0;
  // Everything grows out of nothing.
  if (from === 0) return path.length === 0 && fromRoot === hexOf(yield* sha256(new Uint8Array(0)));
  let [place, last] = [from - 1, to - 1];
  while (place % 2 === 1) [place, last] = [half(place), half(last)];
  const nodes = path.map(fromHex);
  // Where the old tree is perfect, its root is a node of the new one, and the proof leaves it out.
  const first = place === 0 ? fromHex(fromRoot) : nodes.shift();
  if (first === undefined) return false;
  let old: Uint8Array = first;
  let grown: Uint8Array = first;
  for (const node of nodes) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      old = yield* nodeHash(node, old);
      grown = yield* nodeHash(node, grown);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else grown = yield* nodeHash(grown, node);
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && hexOf(old) === fromRoot && hexOf(grown) === toRoot;
}

const half = (number: number): number => Math.floor(number / 2);
