/** Every way the evidence of a call is refused, or does not prove what it should. docs/evidence.md holds the same table. */
export const evidenceErrorTexts = {
  // making
  'call-unknown': 'The journal has no row of that call.',
  'call-under-way': 'The call has no CDR: it is under way, or its controller crashed.',
  'evidence-not-yet-headed':
    'The call has ended, and no signed head covers its CDR yet: wait for the next head.',
  'heads-missing': 'No head was ever signed for this journal, so nothing of it can be proved without it.',
  'journal-unreadable': 'The journal cannot be read, or is not what was signed.',
  'bundle-too-large': 'There are more rows or bytes than one bundle may have.',
  'out-exists': 'There is a file of that name already; it is not overwritten.',
  'out-unwritable': 'The file cannot be written there.',
  // verifying: it is not what the journal signed
  'bundle-unreadable': 'The file cannot be read.',
  'bundle-beyond-bounds': 'The file is larger, deeper or more than anything this program writes.',
  'bundle-malformed': 'The file is not evidence of a call in this format.',
  'bundle-not-canonical': 'The bytes are not the one form these contents have.',
  'key-missing': 'No key was given, or a file holds no Ed25519 public key.',
  'head-unproved': 'The head is not signed by a key that you gave, or a key it handed over to.',
  'row-unproved': 'A row is not in the tree that the head signed.',
  'row-misplaced': 'Rows are not in their order, or one is there twice.',
  'row-foreign': 'A row is of another call, or of nothing this evidence is about.',
  'row-left-out': 'A row that the CDR names as this call’s is not there.',
  'countersignature-unproved': 'A countersignature does not hold, or is of another tree.',
  'bundle-contradictory': 'There is no CDR that counts, or there are two.',
  // verifying: genuine, and not enough
  'countersignature-missing': 'None of the second parties that you named has countersigned these rows.',
  'recording-differs': 'The recording’s files are not those the CDR names.',
  'evidence-incomplete': 'All of it is genuine, and it lacks something that its conclusion needs.',
  'evidence-contrary': 'All of it is genuine, and it shows that something was not as it should have been.',
} as const;

export type EvidenceErrorCode = keyof typeof evidenceErrorTexts;

/** Genuine evidence of the wrong thing: exit code 1. All else that fails is 2. */
export const genuineCodes: ReadonlySet<EvidenceErrorCode> = new Set([
  'countersignature-missing',
  'recording-differs',
  'evidence-incomplete',
  'evidence-contrary',
]);

/** Messages hold codes, row numbers and file names, never what a row says. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
  readonly code: EvidenceErrorCode;
  constructor(code: EvidenceErrorCode, detail: string | null = null) {
    super(detail === null ? evidenceErrorTexts[code] : `${evidenceErrorTexts[code]} (${detail})`);
    this.code = code;
  }
}
