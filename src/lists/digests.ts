import { createHash, type Hash } from 'node:crypto';
import { bucketCount } from './layout.js';
import { type IndexPart, indexParts, partOf } from './rows.js';

export interface PartDigest {
  /** sha256 (hex) over `<digits> <body>\n`, in order of bucket, then of text. */
  readonly digest: string;
  readonly rows: number;
}
export type PartDigests = Readonly<Record<IndexPart, PartDigest>>;

/** Takes an index bucket by bucket, in rising order, and says the digest of each of its parts. */
export interface Digester {
  /** `rows` are [digits, body] of one bucket in any order. */
  bucket(bucket: number, rows: readonly (readonly [string, string])[]): void;
  finish(): PartDigests;
}

/** Of publications of format 1: one digest over all rows, which one change makes anew from all of them. */
class StreamDigester implements Digester {
  readonly #parts: Record<IndexPart, { hash: Hash; rows: number }>;
  #last = -1;

  constructor() {
    const part = () => ({ hash: createHash('sha256'), rows: 0 });
    this.#parts = { privileged: part(), block: part(), pending: part() };
  }

  bucket(bucket: number, rows: readonly (readonly [string, string])[]): void {
    if (bucket <= this.#last) throw new RangeError('buckets out of order');
    this.#last = bucket;
    const lines = rows.map(([digits, body]) => `${digits} ${body}\n`).sort();
    for (const line of lines) {
      const part = partOf(line.slice(line.indexOf(' ') + 1));
      if (part === null) throw new RangeError('row of no part');
      this.#parts[part].hash.update(line);
      this.#parts[part].rows += 1;
    }
  }

  finish(): PartDigests {
    const done = (part: IndexPart): PartDigest => ({
      digest: this.#parts[part].hash.digest('hex'),
      rows: this.#parts[part].rows,
    });
    return { privileged: done('privileged'), block: done('block'), pending: done('pending') };
  }
}

type BucketDigest = Readonly<Partial<Record<IndexPart, PartDigest>>>;

/**
 * Of publications of format 2: a digest for each bucket and part, and one over those. It is the same whether the
 * publisher computes it from files, a controller from Redis or a snapshot from its own rows; and where one bucket
 * changed, it is made anew from that bucket alone, however long the lists are.
 */
export class BucketDigests implements Digester {
  readonly #buckets: (BucketDigest | undefined)[];

  constructor(buckets: readonly (BucketDigest | undefined)[] = new Array(bucketCount)) {
    this.#buckets = [...buckets];
  }

  copy(): BucketDigests {
    return new BucketDigests(this.#buckets);
  }

  /** In any order, and again where a bucket changed. */
  bucket(bucket: number, rows: readonly (readonly [string, string])[]): void {
    this.#buckets[bucket] = rows.length === 0 ? undefined : bucketDigest(rows);
  }

  /** Whether a bucket is known to hold exactly these rows. */
  holds(bucket: number, rows: readonly (readonly [string, string])[]): boolean {
    const [known, there] = [this.#buckets[bucket] ?? {}, bucketDigest(rows)];
    return indexParts.every(
      (part) => known[part]?.digest === there[part]?.digest && known[part]?.rows === there[part]?.rows,
    );
  }

  finish(): PartDigests {
    const done = (part: IndexPart): PartDigest => {
      const hash = createHash('sha256');
      let rows = 0;
      for (const [at, bucket] of this.#buckets.entries()) {
        const found = bucket?.[part];
        if (found === undefined) continue;
        hash.update(`${at} ${found.rows} ${found.digest}\n`);
        rows += found.rows;
      }
      return { digest: hash.digest('hex'), rows };
    };
    return { privileged: done('privileged'), block: done('block'), pending: done('pending') };
  }
}

const bucketDigest = (rows: readonly (readonly [string, string])[]): BucketDigest => {
  const digester = new StreamDigester();
  digester.bucket(0, rows);
  return Object.fromEntries(Object.entries(digester.finish()).filter(([, part]) => part.rows > 0));
};

export const digesterOf = (format: 1 | 2): Digester =>
  format === 1 ? new StreamDigester() : new BucketDigests();

/** The digest of a whole publication, which evidence names. */
export const wholeDigest = (parts: PartDigests, allow: string): string => {
  const hash = createHash('sha256');
  for (const part of indexParts) hash.update(`${part} ${parts[part].rows} ${parts[part].digest}\n`);
  return hash.update(`allow ${allow}\n`).digest('hex');
};

/** Null where both agree; otherwise the first part that differs, for an alarm. */
export const firstDifference = (a: PartDigests, b: PartDigests): IndexPart | null =>
  indexParts.find((part) => a[part].digest !== b[part].digest || a[part].rows !== b[part].rows) ?? null;
