import { inspect } from 'node:util';

/**
 * Text out of a list file, for the eyes of the operator who owns the file. It may be a privileged number, so it
 * shows itself nowhere by accident: not in JSON, not in a log line, not in a template.
 */
export class OperatorsEyesOnly {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  }
  /** The text itself; call it only where it goes to the operator's terminal. */
  reveal(): string {
    return this.#text;
  }
  toJSON(): string {
    return '[withheld]';
  }
  toString(): string {
    return '[withheld]';
  }
  [inspect.custom](): string {
    return '[withheld]';
  }
}

export const problemCodes = {
  'file-unreadable': 'The file cannot be read.',
  'file-too-large': 'The file is larger than a list may be.',
  'kind-unknown': 'The file name says neither allow, privileged, block nor pending.',
  'format-unknown': 'The file is neither .csv nor .yaml.',
  'not-utf8': 'The text is not UTF-8.',
  'control-character': 'The field holds a control character.',
  'csv-malformed': 'The CSV is malformed here.',
  'yaml-malformed': 'The YAML is malformed here.',
  'header-missing': 'The file has no header.',
  'unknown-column': 'No list of this kind has this column.',
  'repeated-column': 'The column stands twice.',
  'missing-column': 'The header lacks a column this kind of list needs.',
  'field-count': 'The row has not as many fields as the header.',
  'field-too-long': 'The field is longer than a field may be.',
  'too-many-rows': 'The file has more rows than a list may have.',
  'field-missing': 'The field must not be empty.',
  'caller-malformed': 'A caller is * or 1 to 64 characters of A-Z a-z 0-9 . _ -',
  'facility-malformed': 'A facility is 1 to 48 characters of a-z 0-9 -',
  'target-count': 'Exactly one of number, range, prefix and alias must be given.',
  'number-malformed': 'The number cannot be read.',
  'number-not-ordinary': 'An emergency number or service code cannot be listed.',
  'range-malformed': 'The range cannot be read.',
  'prefix-malformed': 'The prefix cannot be read.',
  'class-unknown': 'No privileged class has this name.',
  'cause-unknown': 'No cause of a block has this name.',
  'of-without-alias': 'Only an alias has a number it stands for.',
  'alias-target-missing': 'The number the alias stands for is not listed as a privileged number.',
  'alias-class-differs': 'The alias has another class than the number it stands for.',
  'time-malformed': 'A time is a date (2026-01-31) or RFC 3339 (2026-01-31T08:00:00-05:00).',
  'time-order': 'The end is not after the beginning.',
  'conflicting-class': 'The number is listed with another class already.',
  'conflicting-cause': 'The number is blocked with another cause already.',
  duplicate: 'The row says what another one said already.',
  'privileged-and-blocked': 'The number is privileged too; privileged comes first.',
  'privileged-and-pending': 'The number is privileged already.',
} as const;
export type ProblemCode = keyof typeof problemCodes;

/** Not an error: the lists can be published with it. */
const warnings: ReadonlySet<ProblemCode> = new Set([
  'duplicate',
  'privileged-and-blocked',
  'privileged-and-pending',
]);

export interface Place {
  readonly file: string;
  /** From 1; 0 where the whole file is meant. */
  readonly line: number;
}

export interface Problem extends Place {
  readonly severity: 'error' | 'warning';
  /** From 1: the field in a CSV row, the character in YAML; null where a whole row or file is meant. */
  readonly column: number | null;
  readonly code: ProblemCode;
  /** Holds nothing of the file's text: safe to log. */
  readonly message: string;
  /** The text at fault. */
  readonly text: OperatorsEyesOnly | null;
}

/** Gathers problems: all are counted, the first ones kept. */
export class Problems {
  readonly #kept: Problem[] = [];
  readonly #most: number;
  #errors = 0;
  #warnings = 0;

  constructor(most = 1000) {
    this.#most = most;
  }

  get errors(): number {
    return this.#errors;
  }
  get warnings(): number {
    return this.#warnings;
  }
  /** The first problems, in the order they were found. */
  get kept(): readonly Problem[] {
    return this.#kept;
  }

  add(code: ProblemCode, place: Place, column: number | null, text: string | null, detail?: string): void {
    const severity = warnings.has(code) ? 'warning' : 'error';
    if (severity === 'error') this.#errors += 1;
    else this.#warnings += 1;
    if (this.#kept.length >= this.#most) return;
    this.#kept.push({
      severity,
      file: place.file,
      line: place.line,
      column,
      code,
      message: detail === undefined ? problemCodes[code] : `${problemCodes[code]} ${detail}`,
      text: text === null ? null : new OperatorsEyesOnly(text),
    });
  }
}
