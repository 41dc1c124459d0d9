import {
  type BlockCause,
  blockCauses,
  type EntryId,
  type PrivilegedClass,
  privilegedClasses,
} from '../core/lists.js';
import { facilityShape } from './shapes.js';
import { formatVersion, parseVersion, type Version } from './versions.js';

/**
 * One row of the number index. A number is a prefix of full length, a range is taken apart into prefixes: one
 * index answers all three, by asking for every leading part of the number that was dialled.
 */
export type Row = PrivilegedRow | BlockRow | PendingRow;

export interface PrivilegedRow {
  readonly part: 'privileged';
  readonly id: EntryId;
  readonly class: PrivilegedClass;
  readonly how: 'number' | 'range' | 'prefix' | 'alias';
  /** Only for a range: how many digits a number of the range has. */
  readonly length: number | null;
  readonly extension: string | null;
  readonly validFrom: number | null;
  readonly validTo: number | null;
  readonly scope: string;
}

export interface BlockRow {
  readonly part: 'block';
  readonly id: EntryId;
  readonly cause: BlockCause;
  readonly extension: string | null;
  readonly expires: number | null;
  readonly facility: string | null;
}

export interface PendingRow {
  readonly part: 'pending';
  readonly id: EntryId;
  readonly extension: string | null;
}

export type IndexPart = Row['part'];
export const indexParts = ['privileged', 'block', 'pending'] as const satisfies readonly IndexPart[];

/** One row as it lies in Redis: the body without its version is what digests and snapshots are made of. */
export interface StoredRow {
  readonly version: Version;
  readonly body: string;
}

/** A number with more rows than this is refused when published and malformed when read. */
export const maxRowsPerNumber = 1000;
/** Longest value of one number: bounds what a poisoned key can make us read. */
export const maxValueBytes = 131_072;

const or = (value: number | string | null): string => (value === null ? '' : String(value));

/** The text of a row: `|` between the fields, none of which can hold one. */
export const formatBody = (row: Row): string => {
  switch (row.part) {
    case 'privileged': {
      const how = row.how === 'range' ? `r${or(row.length)}` : row.how.charAt(0);
      const validity = `${or(row.validFrom)}|${or(row.validTo)}`;
      return `p|${row.id}|${row.class}|${how}|${or(row.extension)}|${validity}|${row.scope}`;
    }
    case 'block':
      return `b|${row.id}|${row.cause}|${or(row.extension)}|${or(row.expires)}|${or(row.facility)}`;
    case 'pending':
      return `q|${row.id}|${or(row.extension)}`;
    default: {
      const never: never = row;
      return never;
    }
  }
};

const idShape = /^[A-Za-z0-9_-]{16}$/;
const extensionShape = /^(?:[0-9]{1,15})?$/;
const timeShape = /^(?:-?[0-9]{1,15})?$/;
const howShape = /^(?:n|a|p|r([1-9]|1[0-5]))$/;

const text = (value: string): string | null => (value === '' ? null : value);
const time = (value: string): number | null => (value === '' ? null : Number(value));
const isId = (value: string | undefined): value is EntryId => value !== undefined && idShape.test(value);

const parsePrivileged = (fields: readonly string[]): PrivilegedRow | null => {
  const [, id, name, how = '', extension = '', from = '', to = '', scope = ''] = fields;
  const cls = privilegedClasses.find((known) => known === name);
  const found = howShape.exec(how);
  if (fields.length !== 8 || !isId(id) || cls === undefined || found === null) return null;
  if (!extensionShape.test(extension) || !timeShape.test(from) || !timeShape.test(to)) return null;
  if (!facilityShape.test(scope)) return null;
  const kinds = { n: 'number', a: 'alias', p: 'prefix', r: 'range' } as const;
  return {
    part: 'privileged',
    id,
    class: cls,
    how: kinds[how.charAt(0) as keyof typeof kinds],
    length: found[1] === undefined ? null : Number(found[1]),
    extension: text(extension),
    validFrom: time(from),
    validTo: time(to),
    scope,
  };
};

const parseBlock = (fields: readonly string[]): BlockRow | null => {
  const [, id, name, extension = '', expires = '', facility = ''] = fields;
  const cause = blockCauses.find((known) => known === name);
  if (fields.length !== 6 || !isId(id) || cause === undefined) return null;
  if (!extensionShape.test(extension) || !timeShape.test(expires)) return null;
  if (facility !== '' && !facilityShape.test(facility)) return null;
  return {
    part: 'block',
    id,
    cause,
    extension: text(extension),
    expires: time(expires),
    facility: text(facility),
  };
};

const parsePending = (fields: readonly string[]): PendingRow | null => {
  const [, id, extension = ''] = fields;
  if (fields.length !== 3 || !isId(id) || !extensionShape.test(extension)) return null;
  return { part: 'pending', id, extension: text(extension) };
};

/** Strict: anything odd is null, which callers treat as a poisoned list and never as an absent row. */
export const parseBody = (body: string): Row | null => {
  const fields = body.split('|', 10);
  switch (fields[0]) {
    case 'p':
      return parsePrivileged(fields);
    case 'b':
      return parseBlock(fields);
    case 'q':
      return parsePending(fields);
    default:
      return null;
  }
};

export const partOf = (body: string): IndexPart | null => {
  switch (body.charAt(0)) {
    case 'p':
      return 'privileged';
    case 'b':
      return 'block';
    case 'q':
      return 'pending';
    default:
      return null;
  }
};

/** The value of one field of the index: rows on lines of their own, each `<version>|<body>`. */
export const formatValue = (rows: readonly StoredRow[]): string =>
  rows.map(({ version, body }) => `${formatVersion(version)}|${body}`).join('\n');

/** The rows of one field, or null where it is malformed. Bodies are not looked into. */
export const parseValue = (value: string): readonly StoredRow[] | null => {
  if (value.length > maxValueBytes) return null;
  const lines = value.split('\n', maxRowsPerNumber * 2 + 1);
  if (lines.length > maxRowsPerNumber * 2) return null;
  const rows: StoredRow[] = [];
  for (const line of lines) {
    const bar = line.indexOf('|');
    const version = bar < 0 ? null : parseVersion(line.slice(0, bar));
    const body = line.slice(bar + 1);
    if (version === null || partOf(body) === null) return null;
    rows.push({ version, body });
  }
  return rows;
};
