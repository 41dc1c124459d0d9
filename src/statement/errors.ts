/** Every way a statement is refused, as a stable code. docs/statement.md holds the same list. */
export const statementErrorTexts = {
  'period-malformed': 'The period cannot be read.',
  'period-empty': 'The period ends before it begins.',
  'period-too-long': 'The period is longer than ten years.',
  'period-not-over': 'The period is not over yet.',
  'period-without-rows': 'No journal that was given has a row of this period.',
  'facility-unknown': 'No call of this period came from this facility.',
  'journal-missing': 'A journal folder is not there.',
  'journal-unreadable': 'A journal folder or file cannot be read.',
  'journal-empty': 'A journal folder holds no row.',
  'journal-incomplete': 'A segment of the journal is missing.',
  'journal-torn': 'The last line of the journal is unfinished.',
  'journal-damaged': 'A row was changed, dropped, repeated or reordered.',
  'node-repeated': 'Two journal folders are of one controller.',
  'key-missing': 'The key file is not there or cannot be read.',
  'key-exposed': 'Others than its owner may use the private key.',
  'key-unreadable': 'The file holds no Ed25519 key in PEM.',
  'out-exists': 'There is a statement in this folder already.',
  'out-unwritable': 'The folder cannot be written.',
  'statement-missing': 'A file of the statement is missing.',
  'statement-forged': 'The signature is not of these bytes by this key.',
  'statement-malformed': 'The file is signed and is no statement of this format.',
  'statement-other-version': 'The statement was made by another version, so it cannot be made again here.',
  'pdf-differs': 'The PDF is not the one that belongs to the signed statement.',
  'journal-differs': 'The journal leads to another statement than the signed one.',
} as const;

export type StatementErrorCode = keyof typeof statementErrorTexts;

/** The only error this house throws on purpose. Messages name files and rows, never what a row holds. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
  readonly code: StatementErrorCode;

  constructor(code: StatementErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
