import { createHash } from 'node:crypto';

const lanes = 1024;

/**
 * The digest of all allow lists together, from which one list can be taken and to which one can be added without looking
 * at the others: LtHash (Bellare and Micciancio, "A new paradigm for collision-free hashing", 1997, section 6; lattice
 * instance with 1,024 lanes of 16 bits, as in Lewi et al., "Securing update propagation with homomorphic hashing", 2019).
 */
export class AllowSum {
  readonly #lanes: Uint16Array;
  #owners: number;

  constructor(like: AllowSum | null = null) {
    this.#lanes = like === null ? new Uint16Array(lanes) : Uint16Array.from(like.#lanes);
    this.#owners = like === null ? 0 : like.#owners;
  }

  /** How many lists are in it. */
  get owners(): number {
    return this.#owners;
  }

  add(owner: string, digest: string): void {
    this.#put(owner, digest, 1);
  }

  /** Takes out what was put in; of anything else the digest is wrong from then on. */
  remove(owner: string, digest: string): void {
    this.#put(owner, digest, -1);
  }

  #put(owner: string, digest: string, sign: 1 | -1): void {
    const bytes = createHash('shake128', { outputLength: lanes * 2 })
      .update(`${owner} ${digest}`)
      .digest();
    // Lanes wrap round at 2^16 by themselves.
    for (let lane = 0; lane < lanes; lane++)
      this.#lanes[lane] = (this.#lanes[lane] ?? 0) + sign * bytes.readUInt16LE(lane * 2);
    this.#owners += sign;
  }

  digest(): string {
    const hash = createHash('sha256').update(`${this.#owners}\n`);
    const bytes = Buffer.alloc(lanes * 2);
    for (const [lane, value] of this.#lanes.entries()) bytes.writeUInt16LE(value, lane * 2);
    return hash.update(bytes).digest('hex');
  }
}
