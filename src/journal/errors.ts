/** Every way the journal can refuse, as a stable code. */
export type JournalErrorCode =
  | 'journal-full'
  | 'journal-timeout'
  | 'journal-write-failed'
  | 'journal-closed'
  | 'journal-locked'
  | 'journal-damaged'
  | 'journal-misconfigured'
  /** The private key that signs heads: `detail` is missing, permissions, invalid, foreign or handover-invalid. */
  | 'head-key-unusable'
  /** The files of heads are not what this journal's writer left; like `journal-damaged`, it is not continued. */
  | 'heads-damaged'
  /** What was shipped is not the beginning of what is here. */
  | 'ship-diverged'
  /** A copy could not be made, or is not equal to what was copied. */
  | 'ship-failed'
  /** There is no such row or tree to prove anything about. */
  | 'proof-impossible'
  | 'row-too-large'
  | 'row-invalid';

/** Where the trouble is, when it is in a file. */
export interface JournalErrorPlace {
  readonly cause?: unknown;
  /** A stable kebab-case refinement of the code, such as `not-finite` or `chain-broken`. */
  readonly detail?: string;
  readonly file?: string;
  readonly line?: number;
  readonly seq?: number;
}

/**
 * The only error the journal rejects with. Messages never hold a value out of a row, because
 * rows may hold numbers that must not reach a log.
 */
export class JournalError extends Error {
  override readonly name = 'JournalError';
  readonly code: JournalErrorCode;
  readonly detail: string | undefined;
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly seq: number | undefined;

  constructor(code: JournalErrorCode, message: string, place: JournalErrorPlace = {}) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause });
    this.code = code;
    this.detail = place.detail;
    this.file = place.file;
    this.line = place.line;
    this.seq = place.seq;
  }
}

/** The `code` of a Node system error (`ENOSPC`, `EIO`), or the error's name. Never its message, which holds paths. */
export function errorCode(error: unknown): string {
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code;
    return typeof code === 'string' ? code : error.name;
  }
  return 'unknown';
}
