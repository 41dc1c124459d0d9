import { createHash, type Hash } from 'node:crypto';
import { type IndexPart, indexParts, partOf } from './rows.js';

export interface PartDigest {
  /** sha256 (hex) over `<digits> <body>\n`, in order of bucket, then of text. */
  readonly digest: string;
  readonly rows: number;
}
export type PartDigests = Readonly<Record<IndexPart, PartDigest>>;

/**
 * The digest of each part of the index, fed bucket by bucket in rising order: the same whether the publisher
 * computes it from files, a controller from Redis or a snapshot from its own rows, and never with more than one
 * bucket in memory.
 */
export class PartDigester {
  readonly #parts: Record<IndexPart, { hash: Hash; rows: number }>;
  #last = -1;

  constructor() {
    const part = () => ({ hash: createHash('sha256'), rows: 0 });
    this.#parts = { privileged: part(), block: part(), pending: part() };
  }

  /** `rows` are [digits, body] of one bucket in any order; buckets must come in rising order. */
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

/** The digest of a whole publication, which evidence names. */
export const wholeDigest = (parts: PartDigests, allow: string): string => {
  const hash = createHash('sha256');
  for (const part of indexParts) hash.update(`${part} ${parts[part].rows} ${parts[part].digest}\n`);
  return hash.update(`allow ${allow}\n`).digest('hex');
};

/** Null where both agree; otherwise the first part that differs, for an alarm. */
export const firstDifference = (a: PartDigests, b: PartDigests): IndexPart | null =>
  indexParts.find((part) => a[part].digest !== b[part].digest || a[part].rows !== b[part].rows) ?? null;
