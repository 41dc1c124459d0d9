import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type CsvError, parse } from 'csv-parse';
import { columnsOf, faultOfField, type ListKind, neededOf, type RawRow } from './file-kinds.js';
import type { Problems } from './problems.js';

/** Rows in one file: the twenty million numbers of a million callers, twice. */
const maxRows = 50_000_000;
const maxRecordBytes = 65_536;

interface Counted {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

const newlines = (text: string): number => text.split('\n').length - 1;

/** The line a record begins on; the parser counts the one it ends on. */
const lineOf = ({ record, info }: Counted): number =>
  info.lines - record.reduce((n, f) => n + newlines(f), 0);

class Header {
  readonly names: readonly string[];
  readonly #places: ReadonlyMap<string, number>;

  constructor(names: readonly string[]) {
    this.names = names;
    this.#places = new Map(names.map((name, i) => [name, i]));
  }
  place(column: string): number | null {
    return this.#places.get(column) ?? null;
  }
}

/** Null where the header cannot be used: then no row is read, because nobody knows what its fields mean. */
const readHeader = (
  kind: ListKind,
  file: string,
  record: readonly string[],
  problems: Problems,
): Header | null => {
  const place = { file, line: 1 };
  const names = record.map((name) => name.trim().toLowerCase());
  const errorsBefore = problems.errors;
  for (const [i, name] of names.entries()) {
    if (!columnsOf(kind).includes(name)) problems.add('unknown-column', place, i + 1, name);
    else if (names.indexOf(name) !== i) problems.add('repeated-column', place, i + 1, name);
  }
  for (const name of neededOf(kind)) {
    if (!names.includes(name)) problems.add('missing-column', place, null, null, `Missing: ${name}.`);
  }
  return problems.errors === errorsBefore ? new Header(names) : null;
};

const rowOf = (
  kind: ListKind,
  file: string,
  line: number,
  header: Header,
  fields: readonly string[],
): RawRow => ({
  kind,
  file,
  line,
  get: (column) => {
    const place = header.place(column);
    return place === null ? '' : (fields[place] ?? '').trim();
  },
  columnOf: (column) => {
    const place = header.place(column);
    return place === null ? null : place + 1;
  },
});

/** True where every field of the row is text one can go on with. */
const soundFields = (row: RawRow, names: readonly string[], problems: Problems): boolean => {
  let sound = true;
  for (const name of names) {
    const text = row.get(name);
    const fault = faultOfField(name, text);
    if (fault === null) continue;
    problems.add(fault, row, row.columnOf(name), text);
    sound = false;
  }
  return sound;
};

/**
 * Reads a CSV file (RFC 4180; byte order mark, CRLF and blank lines are fine) and hands over each sound row. Every
 * fault becomes a problem with its line. Returns the number of rows seen.
 */
export const readCsv = async (
  path: string,
  kind: ListKind,
  problems: Problems,
  take: (row: RawRow) => void,
): Promise<number> => {
  let header: Header | null | undefined;
  let rows = 0;
  const onRecord = (counted: Counted): void => {
    const line = lineOf(counted);
    if (header === undefined) {
      header = readHeader(kind, path, counted.record, problems);
      return;
    }
    if (header === null) return;
    rows += 1;
    if (rows > maxRows) {
      if (rows === maxRows + 1) problems.add('too-many-rows', { file: path, line }, null, null);
      return;
    }
    if (counted.record.length !== header.names.length) {
      problems.add('field-count', { file: path, line }, null, null);
      return;
    }
    const row = rowOf(kind, path, line, header, counted.record);
    if (soundFields(row, header.names, problems)) take(row);
  };
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: maxRecordBytes,
    on_skip: (error: CsvError | undefined) => {
      const line = typeof error?.lines === 'number' ? error.lines : 0;
      problems.add('csv-malformed', { file: path, line }, null, null);
    },
  });
  parser.on('data', onRecord);
  await pipeline(createReadStream(path, { highWaterMark: 262_144 }), parser);
  if (header === undefined) problems.add('header-missing', { file: path, line: 1 }, null, null);
  return rows;
};
