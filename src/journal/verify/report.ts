/** What a verification can find. The codes are stable. */
export type ProblemCode =
  // rows
  | 'journal-empty'
  | 'bad-json'
  | 'bad-row'
  | 'not-canonical'
  | 'hash-mismatch'
  | 'chain-broken'
  | 'seq-gap'
  | 'seq-repeat'
  | 'node-mismatch'
  | 'line-too-long'
  | 'segment-missing'
  | 'segment-unreadable'
  | 'segment-chain-broken'
  | 'torn-tail'
  | 'head-missing'
  | 'foreign-file'
  | 'time-went-back'
  | 'mono-went-back'
  // heads
  | 'heads-missing'
  | 'heads-torn'
  | 'head-unreadable'
  | 'head-chain-broken'
  | 'head-foreign'
  | 'head-order'
  | 'head-signature'
  | 'head-key-unknown'
  | 'handover-invalid'
  | 'head-beyond-rows'
  | 'head-root-mismatch'
  | 'head-row-mismatch'
  | 'head-late'
  | 'head-time-went-back'
  | 'rows-unsigned'
  | 'key-unpinned'
  // countersignatures
  | 'countersignature-invalid'
  | 'countersigned-head-missing'
  | 'countersigner-unknown'
  // copies elsewhere
  | 'shipped-missing'
  | 'shipped-unreadable'
  | 'shipped-differs'
  | 'shipped-ahead'
  | 'shipped-behind'
  | 'shipped-other-journal';

export interface Problem {
  /** A warning is worth a look and does not make the journal fail. */
  readonly severity: 'error' | 'warning';
  readonly code: ProblemCode;
  readonly file: string;
  /** 1 for the first line; 0 when it is about the file as a whole. */
  readonly line: number;
  /** The row's own sequence number when it could be read, or else the one expected there; 0 for none. */
  readonly seq: number;
  /** For people. Holds nothing from the row's body. */
  readonly message: string;
}

const WARNINGS: ReadonlySet<ProblemCode> = new Set([
  'foreign-file',
  'time-went-back',
  'mono-went-back',
  'head-late',
  'head-time-went-back',
  'rows-unsigned',
  'key-unpinned',
  'countersigner-unknown',
  'shipped-behind',
  'shipped-other-journal',
]);

/** The problems found so far, of which at most so many are listed. */
export class Report {
  readonly problems: Problem[] = [];
  readonly #most: number;
  #more = 0;
  #errors = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get ok(): boolean {
    return this.#errors === 0;
  }

  /** Problems that are counted only. */
  get more(): number {
    return this.#more;
  }

  add(code: ProblemCode, place: { file: string; line?: number; seq?: number }, message: string): void {
    const severity = WARNINGS.has(code) ? 'warning' : 'error';
    if (severity === 'error') this.#errors += 1;
    if (this.problems.length >= this.#most) this.#more += 1;
    else {
      const { file, line = 0, seq = 0 } = place;
      this.problems.push({ severity, code, file, line, seq, message });
    }
  }
}
