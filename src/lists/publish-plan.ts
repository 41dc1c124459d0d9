import { BucketDigests, type Digester, digesterOf, type PartDigests } from './digests.js';
import type { IndexRows } from './entries.js';
import { bucketOf, type KeyNames } from './layout.js';
import { keptEpochs } from './manifest.js';
import { formatValue, maxValueBytes, parseValue, type StoredRow } from './rows.js';
import type { HashRead } from './scan.js';
import { collect, prepare, visibleAt } from './versions.js';

/** One field to be written. An empty value deletes the field, an empty field deletes the whole key. */
export interface WriteOp {
  readonly key: string;
  readonly field: string;
  readonly value: string;
}

/** What is to be written before the flip, and what after it. */
export interface Writes {
  readonly before: WriteOp[];
  readonly after: WriteOp[];
}

/** What the index holds now. `odd` deletes what no publisher wrote. */
export interface StoredIndex {
  readonly fields: Map<string, readonly StoredRow[]>;
  readonly odd: WriteOp[];
}

/** Takes one bucket into the picture of what is stored. What cannot be read is to be deleted and written anew. */
export const takeBucket = (stored: StoredIndex, key: string, bucket: number, hash: HashRead): void => {
  if (hash.state === 'absent') return;
  if (hash.state === 'broken') {
    stored.odd.push({ key, field: '', value: '' });
    return;
  }
  for (const [digits, value] of hash.fields) {
    const rows = bucketOf(digits) === bucket ? parseValue(value) : null;
    if (rows === null) stored.odd.push({ key, field: digits, value: '' });
    else stored.fields.set(digits, rows);
  }
};

/** The rows of the index that are part of an epoch. */
export const rowsAt = (stored: StoredIndex, epoch: number): IndexRows => {
  const rows: IndexRows = new Map();
  for (const [digits, all] of stored.fields) {
    const bodies = all.filter(({ version }) => visibleAt(version, epoch)).map(({ body }) => body);
    if (bodies.length > 0) rows.set(digits, bodies);
  }
  return rows;
};

const sameRows = (a: readonly StoredRow[], b: readonly StoredRow[]): boolean =>
  formatValue(a) === formatValue(b);

const preparedRows = (
  stored: readonly StoredRow[],
  wanted: readonly string[],
  current: number,
  next: number,
): readonly StoredRow[] => {
  const bodies = [...new Set([...stored.map(({ body }) => body), ...wanted])].sort();
  return bodies.flatMap((body) => {
    const versions = stored.filter((row) => row.body === body).map(({ version }) => version);
    return prepare(versions, wanted.includes(body), current, next).map((version) => ({ version, body }));
  });
};

/** Half a million numbers that stay as they are must not cost more than this look at each. */
const unchanged = (stored: readonly StoredRow[], wanted: readonly string[], current: number): boolean =>
  stored.length === wanted.length &&
  stored.every(
    ({ version, body }) => version.to === null && version.from <= current && wanted.includes(body),
  );

/** A value this long keeps no more than what the epoch before needs: readers take no value over twice this. */
const roomyBytes = maxValueBytes / 2;

const keptRows = (prepared: readonly StoredRow[], current: number, next: number): readonly StoredRow[] => {
  const since = (previous: number) =>
    prepared.filter(({ version }) => collect([version], previous).length > 0);
  const kept = since(next - keptEpochs);
  return formatValue(kept).length > roomyBytes ? since(current) : kept;
};

/** Brings the stored index from epoch `current` to `wanted` in epoch `next`. */
export const planIndex = (
  keys: KeyNames,
  stored: StoredIndex,
  wanted: IndexRows,
  current: number,
  next: number,
): Writes => {
  const writes: Writes = { before: [...stored.odd], after: [] };
  for (const digits of new Set([...stored.fields.keys(), ...wanted.keys()])) {
    const rows = stored.fields.get(digits) ?? [];
    if (unchanged(rows, wanted.get(digits) ?? [], current)) continue;
    const prepared = preparedRows(rows, wanted.get(digits) ?? [], current, next);
    const key = keys.bucket(bucketOf(digits));
    if (!sameRows(rows, prepared)) writes.before.push({ key, field: digits, value: formatValue(prepared) });
    const kept = keptRows(prepared, current, next);
    if (kept.length !== prepared.length) {
      writes.after.push({ key, field: digits, value: formatValue(kept) });
    }
  }
  return writes;
};

const fill = <D extends Digester>(digester: D, rows: IndexRows): D => {
  const buckets = new Map<number, [string, string][]>();
  for (const [digits, bodies] of rows) {
    const bucket = bucketOf(digits);
    const there = buckets.get(bucket) ?? [];
    if (there.length === 0) buckets.set(bucket, there);
    for (const body of bodies) there.push([digits, body]);
  }
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    digester.bucket(bucket, buckets.get(bucket) ?? []);
  }
  return digester;
};

/** Digests of a compiled index, without Redis. */
export const digestIndex = (rows: IndexRows): BucketDigests => fill(new BucketDigests(), rows);

/** The same as a publication of some format has it in its manifest. */
export const partDigests = (rows: IndexRows, format: 1 | 2): PartDigests =>
  fill(digesterOf(format), rows).finish();
