import { createHash } from 'node:crypto';
import { parseCallerId, parseFacilityId } from '../core/leg.js';
import { parseNumberKeyText } from '../core/number.js';
import { firstDifference } from './digests.js';
import { AllowLists, type IndexRows } from './entries.js';
import { type ListKind, listKinds } from './file-kinds.js';
import { keySpaces } from './key-spaces.js';
import { wholeFacility } from './layout.js';
import type { Manifest } from './manifest.js';
import { allowDigests, digestAllow, readAllow } from './publish-allow.js';
import { readStored } from './publish-before.js';
import { partDigests, rowsAt } from './publish-plan.js';
import { Connection, type RedisEndpoint, RedisError } from './redis.js';
import { type BlockRow, type PendingRow, type PrivilegedRow, parseBody } from './rows.js';
import { trustedKeys } from './signed.js';
import { readHead, readManifest } from './verify.js';

export interface ExportOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly publisherKeys: readonly string[];
}

export type Exported =
  | {
      readonly state: 'genuine';
      readonly epoch: number;
      readonly digest: string;
      /** Lines of CSV of each kind, the header first. They hold numbers: for a file of the operator's, never for a log. */
      readonly files: Readonly<Record<ListKind, readonly string[]>>;
      /** sha256 over all entries: the same wherever the same entries are published, by whichever publisher. */
      readonly fingerprint: string;
    }
  | { readonly state: 'unusable'; readonly why: string };

/** Fields of one file by the names of its columns. None of them holds a comma or a quote. */
type Fields = Readonly<Record<string, string>>;

const number = (digits: string, extension: string | null): string =>
  `+${digits}${extension === null ? '' : `;ext=${extension}`}`;
const time = (ms: number | null): string => (ms === null ? '' : new Date(ms).toISOString());

/** A range lies in the index in pieces, each a prefix of its numbers; together they are the range again. */
interface Piece {
  readonly row: PrivilegedRow;
  from: string;
  to: string;
}

const privilegedFields = (row: PrivilegedRow, target: Fields): Fields => ({
  ...target,
  class: row.class,
  scope: row.scope,
  valid_from: time(row.validFrom),
  valid_to: time(row.validTo),
});

/**
 * What a row stands for. An alias is carried as a number of its own: it protects the same calls, and what it stands
 * for is not kept in a publication.
 */
const targetOf = (digits: string, row: PrivilegedRow): Fields =>
  row.how === 'prefix' ? { prefix: `+${digits}*` } : { number: number(digits, row.extension) };

const blockFields = (digits: string, row: BlockRow, note: string): Fields => ({
  number: number(digits, row.extension),
  cause: row.cause,
  note,
  expiry: time(row.expires),
  facility: row.facility ?? '',
});

const pendingFields = (digits: string, row: PendingRow, note: string): Fields => ({
  number: number(digits, row.extension),
  note,
});

const indexFields = (rows: IndexRows, manifest: Manifest): Record<Exclude<ListKind, 'allow'>, Fields[]> => {
  const canaries = new Set(manifest.canaries.map(({ digits }) => digits));
  const note = `carried over from publication ${manifest.epoch}`;
  const found: Record<Exclude<ListKind, 'allow'>, Fields[]> = { privileged: [], block: [], pending: [] };
  const ranges = new Map<string, Piece>();
  for (const [digits, bodies] of rows) {
    for (const row of bodies.map(parseBody)) {
      if (row === null || (row.part === 'privileged' && canaries.has(digits))) continue;
      if (row.part === 'block') found.block.push(blockFields(digits, row, note));
      else if (row.part === 'pending') found.pending.push(pendingFields(digits, row, note));
      else if (row.how === 'range') widen(ranges, digits, row);
      else found.privileged.push(privilegedFields(row, targetOf(digits, row)));
    }
  }
  for (const { row, from, to } of ranges.values()) {
    found.privileged.push(privilegedFields(row, { range: `+${from} - +${to}` }));
  }
  return found;
};

const widen = (ranges: Map<string, Piece>, digits: string, row: PrivilegedRow): void => {
  const rest = (row.length ?? digits.length) - digits.length;
  const [from, to] = [digits + '0'.repeat(rest), digits + '9'.repeat(rest)];
  const piece = ranges.get(row.id);
  if (piece === undefined) ranges.set(row.id, { row, from, to });
  else {
    // All of one length, so that the order of texts is that of numbers.
    if (from < piece.from) piece.from = from;
    if (to > piece.to) piece.to = to;
  }
};

const allowFields = (
  owners: ReadonlyMap<string, readonly string[]>,
): { fields: Fields[]; lists: AllowLists } => {
  const lists = new AllowLists();
  const fields: Fields[] = [];
  for (const [owner, numbers] of owners) {
    const [where = '', who = ''] = owner.split(':', 2);
    const facility = parseFacilityId(where);
    const caller = who === wholeFacility ? null : parseCallerId(who);
    for (const one of numbers) {
      const [digits = '', extension] = one.split(';', 2);
      const text = number(digits, extension ?? null);
      const key = parseNumberKeyText(text);
      if (facility === null || key === null || (caller === null && who !== wholeFacility)) continue;
      lists.add(facility, caller, key);
      fields.push({ caller: who, facility: where, number: text });
    }
  }
  return { fields, lists };
};

const lineOf = (kind: ListKind, fields: Fields): string =>
  listKinds[kind].columns.map((column) => fields[column] ?? '').join(',');

/** Without notes: they say where an entry comes from, and not what it does. */
const fingerprintOf = (found: Readonly<Record<ListKind, readonly Fields[]>>): string => {
  const lines = Object.entries(found).flatMap(([kind, all]) =>
    all.map((fields) => `${kind} ${lineOf(kind as ListKind, { ...fields, note: '' })}\n`),
  );
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
};

const read = async (connection: Connection, options: ExportOptions): Promise<Exported> => {
  const unusable = (why: string): Exported => ({ state: 'unusable', why });
  const spaces = keySpaces(options.redis, options.keyPrefix);
  const [keys] = spaces.lists;
  const head = await readHead(connection, keys);
  if (head === null) return unusable('no-epoch');
  if (head === 'malformed') return unusable('head-malformed');
  const epoch = await readManifest(connection, keys, head, trustedKeys(options.publisherKeys));
  if (typeof epoch === 'string') return unusable(`manifest-${epoch}`);
  const { manifest } = epoch;
  const rows = rowsAt(await readStored(connection, keys), manifest.epoch);
  const owners = new Map<string, readonly string[]>();
  for (const shard of spaces.lists) {
    for (const [owner, numbers] of await readAllow(connection, shard, manifest.epoch))
      owners.set(owner, numbers);
  }
  const allow = allowFields(owners);
  const now = await readHead(connection, keys);
  if (now === null || now === 'malformed' || now.epoch !== manifest.epoch) return unusable('being-published');
  // What is carried away is what was signed, all of it, or nothing.
  const { privileged, block, pending } = manifest.parts;
  const differs = firstDifference(partDigests(rows, manifest.format), { privileged, block, pending });
  if (differs !== null) return unusable(`${differs}-differs`);
  if (digestAllow(allowDigests(allow.lists), manifest.format) !== manifest.allow.digest)
    return unusable('allow-differs');
  const found = { ...indexFields(rows, manifest), allow: allow.fields };
  const linesOf = (kind: ListKind): readonly string[] => [
    listKinds[kind].columns.join(','),
    ...found[kind].map((fields) => lineOf(kind, fields)).sort(),
  ];
  return {
    state: 'genuine',
    epoch: manifest.epoch,
    digest: manifest.digest,
    files: {
      privileged: linesOf('privileged'),
      block: linesOf('block'),
      pending: linesOf('pending'),
      allow: linesOf('allow'),
    },
    fingerprint: fingerprintOf(found),
  };
};

/**
 * The publication in Redis as list files that any publisher can publish again: for a hand-over to another provider, or
 * an upgrade. It is held against its signed manifest first. Keeps all of it in memory. Never rejects on account of Redis.
 */
export const exportLists = async (options: ExportOptions): Promise<Exported> => {
  const connection = new Connection(options.redis, 30_000);
  try {
    await connection.open();
    return await read(connection, options);
  } catch (error) {
    if (error instanceof RedisError) return { state: 'unusable', why: error.code };
    throw error;
  } finally {
    connection.close();
  }
};
