import { constants, type FileHandle, open } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { type CallerId, type FacilityId, parseCallerId, parseFacilityId } from '../core/leg.js';
import { type Language, languages } from '../core/prompt.js';
import { checkLengths, type PinLengths } from './callers.js';
import { type PinHash, parsePinHash } from './pin-record.js';

/**
 * The file callers and their PINs are published from: CSV with a header,
 *
 *     facility,caller,number_digits,pin,pin_hash,language
 *
 * where each row has a `pin` or a `pin_hash` (pin-record.ts), and `language` may be left out. A file with PINs must
 * be readable by its owner alone.
 */
export interface CallerRow {
  readonly facility: FacilityId;
  readonly caller: CallerId;
  /** The digits the caller keys in before the PIN. */
  readonly id: string;
  readonly pin: string | PinHash;
  readonly language: Language | null;
}

export const callersErrorCodes = {
  'file-unreadable': 'The file cannot be read.',
  'file-not-private': 'Others than the owner may read or write the file: chmod 600 it, and change the PINs.',
  'file-too-large': 'The file is larger than 64 MiB.',
  'bad-rows': 'Some rows are at fault, so nothing was published.',
  'lengths-odd': 'A caller number has 4 to 12 digits, a PIN 4 to 10.',
  'no-callers': 'No callers of this facility were published.',
  'caller-unknown': 'Nobody of this name is among the callers of this facility.',
  'taken-by-another': 'Another caller has this number, or this caller has another number.',
  'changed-meanwhile': 'Somebody else changed the callers of this facility meanwhile; try again.',
  malformed: 'What is in Redis is not what was published.',
  'redis-failed': 'Redis did not answer.',
} as const;
export type CallersErrorCode = keyof typeof callersErrorCodes;

export const rowFaults = {
  'header-missing': 'The header must have facility, caller, number_digits and pin or pin_hash.',
  'header-unknown': 'The header has a column that no file of callers has, or one twice.',
  'csv-malformed': 'The CSV is malformed, or a row has not as many fields as the header.',
  'too-many-rows': 'The file has more than 200,000 rows.',
  'facility-malformed': 'A facility is 1 to 48 characters of a-z 0-9 -',
  'caller-malformed': 'A caller is 1 to 64 characters of A-Z a-z 0-9 . _ -',
  'number-malformed': 'The number has not as many digits as caller numbers have here.',
  'pin-malformed': 'The PIN has not as many digits as PINs have here.',
  'hash-malformed': 'The hash is not scrypt$n$r$p$salt$hash within the bounds.',
  'pin-count': 'A row has either a PIN or a hash.',
  'language-unknown': 'No prompts are spoken in this language.',
  'number-repeated': 'The number stands twice in this facility.',
  'caller-repeated': 'The caller stands twice in this facility.',
} as const;
export type RowFault = keyof typeof rowFaults;

export interface RowProblem {
  /** From 1, the header counted. */
  readonly line: number;
  readonly code: RowFault;
}

/** Holds no text of the file: it may be a PIN. */
export class CallersError extends Error {
  readonly code: CallersErrorCode;
  /** The first thousand rows at fault. */
  readonly problems: readonly RowProblem[];
  constructor(code: CallersErrorCode, problems: readonly RowProblem[] = []) {
    super(`${code}: ${callersErrorCodes[code]}`);
    this.name = 'CallersError';
    this.code = code;
    this.problems = problems;
  }
}

const maxBytes = 67_108_864;
const maxRows = 200_000;
const maxProblems = 1_000;
const needed = ['facility', 'caller', 'number_digits'] as const;
const known: readonly string[] = [...needed, 'pin', 'pin_hash', 'language'];

const readPrivate = async (path: string): Promise<string> => {
  let file: FileHandle | null = null;
  try {
    file = await open(path, constants.O_RDONLY);
    // Of the open file, not of its name: what is looked at is what is read.
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) throw new CallersError('file-not-private');
    if (size > maxBytes) throw new CallersError('file-too-large');
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof CallersError) throw error;
    throw new CallersError('file-unreadable');
  } finally {
    await file?.close();
  }
};

const records = (text: string): readonly (readonly string[])[] => {
  try {
    return parse(text, { bom: true, trim: true, skip_empty_lines: false, relax_quotes: false });
  } catch {
    // Its error quotes the text.
    throw new CallersError('bad-rows', [{ line: 0, code: 'csv-malformed' }]);
  }
};

/** One row, or what is wrong with it. */
export const readCallerRow = (
  fields: Readonly<Record<string, string | undefined>>,
  { idDigits, pinDigits }: PinLengths,
): CallerRow | RowFault => {
  const facility = parseFacilityId(fields.facility ?? '');
  if (facility === null) return 'facility-malformed';
  const caller = parseCallerId(fields.caller ?? '');
  if (caller === null) return 'caller-malformed';
  const id = fields.number_digits ?? '';
  if (!/^[0-9]+$/.test(id) || id.length !== idDigits) return 'number-malformed';
  const { pin = '', pin_hash: hashText = '', language: spoken = '' } = fields;
  if ((pin === '') === (hashText === '')) return 'pin-count';
  if (pin !== '' && (!/^[0-9]+$/.test(pin) || pin.length !== pinDigits)) return 'pin-malformed';
  const hash = hashText === '' ? null : parsePinHash(hashText);
  if (hash === null && pin === '') return 'hash-malformed';
  const language = languages.find((one) => one === spoken) ?? null;
  if (spoken !== '' && language === null) return 'language-unknown';
  return { facility, caller, id, pin: hash ?? pin, language };
};

/** Rejects with CallersError; 'bad-rows' tells every row at fault. */
export const readCallersFile = async (path: string, lengths: PinLengths): Promise<readonly CallerRow[]> => {
  try {
    checkLengths(lengths);
  } catch {
    throw new CallersError('lengths-odd');
  }
  const [header = [], ...rows] = records(await readPrivate(path));
  const problems: RowProblem[] = [];
  const add = (line: number, code: RowFault): void => {
    if (problems.length < maxProblems) problems.push({ line, code });
  };
  if (!needed.every((name) => header.includes(name))) add(1, 'header-missing');
  if (!header.includes('pin') && !header.includes('pin_hash')) add(1, 'header-missing');
  if (new Set(header).size !== header.length || !header.every((name) => known.includes(name))) {
    add(1, 'header-unknown');
  }
  if (rows.length > maxRows) add(1, 'too-many-rows');
  if (problems.length > 0) throw new CallersError('bad-rows', problems);
  const seen = new Set<string>();
  const isNew = (what: string): boolean => seen.size !== seen.add(what).size;
  const sound: CallerRow[] = [];
  rows.forEach((fields, i) => {
    const row = readCallerRow(Object.fromEntries(header.map((name, at) => [name, fields[at]])), lengths);
    if (typeof row === 'string') add(i + 2, row);
    else if (!isNew(`number ${row.facility} ${row.id}`)) add(i + 2, 'number-repeated');
    else if (!isNew(`caller ${row.facility} ${row.caller}`)) add(i + 2, 'caller-repeated');
    else sound.push(row);
  });
  if (problems.length > 0) throw new CallersError('bad-rows', problems);
  return sound;
};
