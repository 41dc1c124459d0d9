/**
 * What a round can find, and why it can find nothing. docs/custody.md holds the same table, and a test proves it. Codes
 * of the vault (docs/vault.md) come besides, where the vault itself refuses.
 */
export const custodyTexts = {
  'recording-privileged': 'A recording’s number is privileged at the time of its call: it was sealed.',
  'recording-ordinary': 'A call became private, and an ordinary recording of it is there: it was sealed.',
  'seal-failed': 'A recording could not be sealed. Nothing was removed, and it is tried again.',
  'recording-missing': 'A call was recorded, and its recording is not in the vault.',
  'recording-none': 'A monitored call was up, and its CDR knows of no recording.',
  'recording-incomplete': 'The manifest says that something of the call is not in its recording.',
  'recording-changed': 'A recording’s manifest, or a file of it, is not the one the journal names.',
  'recording-unreadable': 'A recording’s manifest or a file’s header cannot be read, or is a link.',
  'stray-file': 'A file that no call owns: it was moved to `quarantine/`, encrypted to the escrow keys.',
  'stray-link': 'A name that no call owns is a link, no plain file, or no UTF-8. It is left where it is.',
  'stray-folder': 'A folder that the vault has no use for. It is left where it is.',
  'stray-growing': 'A file that no call owns is still being written. It is left until it rests.',
  'strays-too-many': 'More files than an accident leaves have no owner: none was moved.',
  'lists-unread':
    'Neither the publication in Redis nor the snapshot could be read and proved: nothing was matched.',
  'lists-older': 'The publication in Redis is older than one seen before: it was not believed.',
  'journal-unread': 'A controller’s journal cannot be read: what only it knows was not looked at.',
  'journal-other': 'A controller’s journal is not the one read before; it was read again from its first row.',
  'vault-empty': 'The journals know of recordings, and the vault holds no folder of any day.',
} as const;
export type CustodyCode = keyof typeof custodyTexts;

/** Never holds a number. */
export class CustodyError extends Error {
  readonly code: CustodyCode;
  constructor(code: CustodyCode, detail: string = custodyTexts[code]) {
    super(`${code}: ${detail}`);
    this.name = 'CustodyError';
    this.code = code;
  }
}

/** The stable code of any error, for rows and alarms: never its message. */
export const codeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'failed';
};
