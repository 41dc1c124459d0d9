import { hash } from 'node:crypto';

/** The verifier's own RFC 6962: the tree as it grows out of all rows of a journal. Proofs of single rows: path.ts. */

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
