/** What can be wrong with a file, each with a stable code. Those of `notices` hold nothing up. */
export const importProblems = {
  'encoding-unfit': 'The text is not in the encoding the profile says.',
  'encoding-utf16':
    'The file is UTF-16 (“Unicode text”): save it as UTF-8, or say `encoding: utf-16` in the profile.',
  'encoding-not-utf8':
    'The text is not UTF-8. Older programs write Latin-1: save it as UTF-8, or say `encoding: latin-1` in the profile.',
  'file-empty': 'The file holds no rows.',
  'header-missing': 'The first line does not hold the names of the columns.',
  'column-missing': 'A column that is needed is not there.',
  'column-unknown': 'The profile does not know this column: nothing of it is taken.',
  'column-repeated': 'Two columns say the same thing.',
  'csv-malformed': 'The quotes of this row are not in order. Nothing after it was read.',
  'json-malformed': 'This is not a list of JSON objects. Nothing after it was read.',
  'row-too-long': 'The row is longer than a row may be: is a quote open? Nothing after it was read.',
  'too-many-rows': 'The file has more rows than are taken at once. Nothing after it was read.',
  'field-count': 'The row has not as many fields as the header.',
  'field-missing': 'The field must not be empty.',
  'field-too-long': 'The field is longer than a field may be.',
  'field-not-text': 'The value is neither text, nor a number, nor yes or no.',
  'control-character': 'The field holds a control character.',
  'number-malformed': 'The number cannot be read without guessing.',
  'target-count': 'A row is about one number, one range or one prefix.',
  'value-unknown': 'The profile does not say what this value means, and it is not guessed.',
  'flag-unknown': 'The profile does not say whether this value means yes or no, and it is not guessed.',
  'time-malformed': 'The date or time cannot be read.',
  'time-order': 'The end is not after the beginning.',
  'id-malformed': 'This cannot be an id here.',
  'too-many-aliases': 'The row has more extensions and further numbers than are taken.',
  'facility-unknown': 'The registry has no such facility.',
  'unit-unknown': 'The facility has no such unit.',
  'caller-unknown': 'The registry has no such caller: import bookings first.',
  'rows-conflict': 'Two rows say different things of the same.',
  'row-again': 'The row says what another one said already.',
} as const;
export type ImportProblemCode = keyof typeof importProblems;

const notices: ReadonlySet<ImportProblemCode> = new Set(['column-unknown', 'row-again']);
export const isFatal = (code: ImportProblemCode): boolean => !notices.has(code);

/** Faults that are kept to be shown; all are counted. */
export const maxProblems = 1_000;

/** A fault of a file, with its place. What stood there is not in it: it may be a privileged number. */
export interface ImportProblem {
  readonly line: number;
  /** From 1; null where it is about the whole row, or the file. */
  readonly column: number | null;
  /** Name of the column, as the file or the profile has it. */
  readonly field: string | null;
  readonly code: ImportProblemCode;
  readonly detail: string;
  /** The other row it is about. */
  readonly otherLine: number | null;
}

export const problem = (
  code: ImportProblemCode,
  line: number,
  more: Partial<Omit<ImportProblem, 'code' | 'line'>> = {},
): ImportProblem => ({
  ...{ column: null, field: null, detail: importProblems[code], otherLine: null },
  ...more,
  ...{ code, line },
});
