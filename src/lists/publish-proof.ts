import { AllowSum } from './allow-sum.js';
import { BucketDigests, firstDifference } from './digests.js';
import { AllowLists, addCanaries, compileIndex, type IndexRows, type ListSet } from './entries.js';
import { bucketOf } from './layout.js';
import type { Base } from './publish.js';
import { allowDigest } from './publish-allow.js';

/** Entries compiled, and buckets digested, between two turns of the event loop. */
const entriesAtOnce = 2_000;
const bucketsAtOnce = 32;

const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Proves that publishing everything anew would make what is published, digest by digest. It writes nothing, it keeps no
 * allow list longer than it takes to digest it, and lets whatever else this process does go on.
 */
export class Proof {
  readonly #base: Base;
  readonly #allow = new AllowSum();
  #entries = 0;

  constructor(base: Base) {
    this.#base = base;
  }

  /** Takes one whole allow list; `fields` as {@link AllowLists.fields} gives them. */
  list(owner: string, fields: readonly string[]): void {
    if (fields.length === 0) return;
    this.#allow.add(owner, allowDigest(owner, fields));
    this.#entries += fields.length;
  }

  /** Whether it is the same, given all lists and with all numbers. */
  async same(numbers: Omit<ListSet, 'allow'>): Promise<boolean> {
    const { manifest, digests, allow } = this.#base;
    if (this.#entries !== manifest.allow.entries || this.#allow.digest() !== allow.digest()) return false;
    const found = await this.#digest(numbers);
    return firstDifference(found.finish(), digests.finish()) === null;
  }

  async #digest({ privileged, block, pending }: Omit<ListSet, 'allow'>): Promise<BucketDigests> {
    const { salt, canaries } = this.#base.manifest;
    const rows: IndexRows = new Map();
    const none = { privileged: [], block: [], pending: [], allow: new AllowLists() };
    const take = async <T>(
      all: readonly T[],
      of: (some: readonly T[]) => Partial<ListSet>,
    ): Promise<void> => {
      for (let first = 0; first < all.length; first += entriesAtOnce) {
        const some = compileIndex({ ...none, ...of(all.slice(first, first + entriesAtOnce)) }, salt);
        for (const [digits, bodies] of some)
          rows.set(digits, [...new Set([...(rows.get(digits) ?? []), ...bodies])]);
        await breath();
      }
    };
    await take(privileged, (some) => ({ privileged: some }));
    await take(block, (some) => ({ block: some }));
    await take(pending, (some) => ({ pending: some }));
    addCanaries(rows, canaries, salt);
    const buckets = new Map<number, [string, string][]>();
    for (const [digits, bodies] of rows) {
      const there = buckets.get(bucketOf(digits)) ?? [];
      buckets.set(bucketOf(digits), there);
      for (const body of bodies) there.push([digits, body]);
    }
    const digests = new BucketDigests();
    let done = 0;
    for (const [bucket, some] of buckets) {
      digests.bucket(bucket, some);
      done += 1;
      if (done % bucketsAtOnce === 0) await breath();
    }
    return digests;
  }
}
