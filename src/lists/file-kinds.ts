import { basename, extname } from 'node:path';

/** The four kinds of list file, and the columns each may and must have. */
export const listKinds = {
  allow: { columns: ['caller', 'facility', 'number'], needed: ['caller', 'facility', 'number'] },
  privileged: {
    columns: [
      'number',
      'range',
      'prefix',
      'alias',
      'of',
      'class',
      'scope',
      'valid_from',
      'valid_to',
      'note',
      'evidence',
    ],
    needed: ['class'],
  },
  block: {
    columns: ['number', 'cause', 'note', 'expiry', 'facility'],
    needed: ['number', 'cause', 'note'],
  },
  pending: { columns: ['number', 'note'], needed: ['number'] },
} as const satisfies Record<
  string,
  { readonly columns: readonly string[]; readonly needed: readonly string[] }
>;
export type ListKind = keyof typeof listKinds;

export const isListKind = (name: string): name is ListKind => Object.hasOwn(listKinds, name);

export const columnsOf = (kind: ListKind): readonly string[] => listKinds[kind].columns;
export const neededOf = (kind: ListKind): readonly string[] => listKinds[kind].needed;

/** The kind a file name states with its first word: `privileged.example.csv`, `allow-north.csv`. */
export const kindOfFile = (path: string): ListKind | null => {
  const word =
    basename(path)
      .toLowerCase()
      .split(/[^a-z]/, 1)[0] ?? '';
  return isListKind(word) ? word : null;
};

export const formatOfFile = (path: string): 'csv' | 'yaml' | null => {
  switch (extname(path).toLowerCase()) {
    case '.csv':
      return 'csv';
    case '.yaml':
    case '.yml':
      return 'yaml';
    default:
      return null;
  }
};

/** One row as it stands in a file, whichever the format. */
export interface RawRow {
  readonly kind: ListKind;
  readonly file: string;
  readonly line: number;
  /** The trimmed text of a column; empty where the column or the field is not there. */
  get(column: string): string;
  /** Where the column stands in this row (see Problem.column). */
  columnOf(column: string): number | null;
}

/** Longest text of one field, in characters. */
export const maxField = 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const controls = /[\u0000-\u001f\u007f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a note may have several lines.
const controlsInNote = /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f]/;

/** What is wrong with the text of a field before anyone asks what it means; null where nothing is. */
export const faultOfField = (
  column: string,
  text: string,
): 'field-too-long' | 'not-utf8' | 'control-character' | null => {
  if (text.length > maxField) return 'field-too-long';
  if (text.includes('\ufffd')) return 'not-utf8';
  const control = column === 'note' || column === 'evidence' ? controlsInNote : controls;
  return control.test(text) ? 'control-character' : null;
};
