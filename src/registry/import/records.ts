import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { decoded, Unreadable } from './decode.js';
import { problem } from './problems.js';
import type { Profile } from './profile.js';

/** Where reading goes on: what was read is whole up to here. */
export interface Place {
  /** Of the text as UTF-8. */
  readonly bytes: number;
  readonly lines: number;
}

/** One row of a file as it stands there. */
export interface FileRecord {
  /** The line it begins on, from 1. */
  readonly line: number;
  /** Behind it. */
  readonly end: Place;
  /** CSV: its fields in their order. JSON: its members. */
  readonly fields: readonly string[] | Readonly<Record<string, unknown>>;
}

const maxRecordBytes = 65_536;

async function* asBytes(texts: AsyncIterable<string>, skip: number): AsyncGenerator<Buffer, void, undefined> {
  let left = skip;
  for await (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    if (left >= bytes.length) {
      left -= bytes.length;
      continue;
    }
    yield left === 0 ? bytes : bytes.subarray(left);
    left = 0;
  }
}

const newlines = (text: string): number => text.split('\n').length - 1;

async function* csvRecords(
  bytes: AsyncIterable<Buffer>,
  from: Place,
  delimiter: string,
): AsyncGenerator<FileRecord, void, undefined> {
  // A fault is told with the line its row begins on, not with the one on which the parser gave up.
  let lines = 0;
  const parser = parse({
    on_record: (record: string[], info) => {
      lines = info.lines;
      return record;
    },
    ...{ bom: false, info: true, relax_column_count: true, skip_empty_lines: true, delimiter },
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: maxRecordBytes,
  });
  const source = Readable.from(bytes);
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const one of parser as AsyncIterable<{
      readonly record: readonly string[];
      readonly info: { readonly lines: number; readonly bytes: number };
    }>) {
      const { record, info } = one;
      const end = { bytes: from.bytes + info.bytes, lines: from.lines + info.lines };
      yield { line: end.lines - record.reduce((n, text) => n + newlines(text), 0), end, fields: record };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const code = error.code === 'CSV_MAX_RECORD_SIZE' ? 'row-too-long' : 'csv-malformed';
    throw new Unreadable(problem(code, from.lines + lines + 1));
  } finally {
    source.destroy();
    parser.destroy();
  }
}

const OPEN = 0x7b;
const CLOSE = 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** Finds the objects of a list, or of lines, in bytes that come in pieces; an object is never in memory but whole. */
class Objects {
  #depth = 0;
  #quoted = false;
  #escaped = false;
  #pieces: Buffer[] = [];
  #size = 0;
  #bytes: number;
  #lines: number;
  #begun = 0;
  /** What may come between objects: the list's beginning, an object, a comma or the list's end, or nothing more. */
  #awaits: 'begin' | 'object' | 'comma' | 'end';
  readonly #list: boolean;

  constructor(from: Place, list: boolean) {
    this.#bytes = from.bytes;
    this.#lines = from.lines;
    this.#list = list;
    this.#awaits = !list ? 'object' : from.bytes === 0 ? 'begin' : 'comma';
  }

  get over(): boolean {
    return this.#depth === 0 && (this.#list ? this.#awaits === 'end' : true);
  }
  get line(): number {
    return this.#lines + 1;
  }

  *take(chunk: Buffer): Generator<FileRecord, void, undefined> {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      this.#bytes += 1;
      if (byte === 0x0a) this.#lines += 1;
      if (this.#depth === 0) {
        if (this.#between(byte)) start = at;
        continue;
      }
      this.#inside(byte);
      if (this.#depth > 0) continue;
      this.#pieces.push(chunk.subarray(start, at + 1));
      yield this.#record();
    }
    if (this.#depth > 0) {
      this.#pieces.push(Buffer.from(chunk.subarray(start)));
      this.#size += chunk.length - start;
      if (this.#size > maxRecordBytes) throw new Unreadable(problem('row-too-long', this.#begun));
    }
  }

  /** True where an object begins. */
  #between(byte: number): boolean {
    if (isSpace(byte)) return false;
    const malformed = new Unreadable(problem('json-malformed', this.line));
    if (this.#awaits === 'begin' && byte === 0x5b) this.#awaits = 'object';
    else if (this.#awaits === 'comma' && byte === 0x2c) this.#awaits = 'object';
    else if (this.#list && (this.#awaits === 'comma' || this.#awaits === 'object') && byte === 0x5d)
      this.#awaits = 'end';
    else if (this.#awaits === 'object' && byte === OPEN) {
      this.#depth = 1;
      this.#begun = this.line;
      return true;
    } else throw malformed;
    return false;
  }

  #inside(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#quoted) {
      if (byte === 0x5c) this.#escaped = true;
      else if (byte === 0x22) this.#quoted = false;
    } else if (byte === 0x22) this.#quoted = true;
    else if (byte === OPEN) this.#depth += 1;
    else if (byte === CLOSE) this.#depth -= 1;
  }

  #record(): FileRecord {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#size = 0;
    this.#awaits = this.#list ? 'comma' : 'object';
    if (text.length > maxRecordBytes) throw new Unreadable(problem('row-too-long', this.#begun));
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Unreadable(problem('json-malformed', this.#begun));
    }
    return {
      line: this.#begun,
      end: { bytes: this.#bytes, lines: this.#lines },
      fields: value as Readonly<Record<string, unknown>>,
    };
  }
}

async function* jsonRecords(
  bytes: AsyncIterable<Buffer>,
  from: Place,
  list: boolean,
): AsyncGenerator<FileRecord, void, undefined> {
  const objects = new Objects(from, list);
  for await (const chunk of bytes) yield* objects.take(chunk);
  if (!objects.over) throw new Unreadable(problem('json-malformed', objects.line));
}

/** Whether a JSON text begins as a list; else it is one object a line. */
export const beginsAsList = async (chunks: AsyncIterable<Buffer>, profile: Profile): Promise<boolean> => {
  for await (const text of decoded(chunks, profile.encoding)) {
    const first = text.trimStart()[0];
    if (first !== undefined) return first === '[';
  }
  return true;
};

/**
 * The rows of a file from a place on, one at a time: a file of any length takes the memory of one row and of one
 * chunk. Throws Unreadable where it cannot be read further.
 */
export const fileRecords = (
  chunks: AsyncIterable<Buffer>,
  profile: Profile,
  from: Place,
  list: boolean,
): AsyncGenerator<FileRecord, void, undefined> => {
  const bytes = asBytes(decoded(chunks, profile.encoding), from.bytes);
  return profile.format === 'csv'
    ? csvRecords(bytes, from, profile.delimiter)
    : jsonRecords(bytes, from, list);
};
