/**
 * Every way a round of expiry refuses or reports, and every way a hold is refused. docs/retention.md holds the same
 * table, and a test proves it. Codes of the vault come besides, where the vault itself refuses.
 */
export const retentionTexts = {
  'retention-unconfigured':
    'The configuration has no `recording.retention`: every recording is kept for ever.',
  'custody-journal-new':
    'The journal of custody has seen no round. If it was lost, so were the legal holds in it; if this is the first round ever, `--first` says so.',
  'custody-journal-unread': 'The journal of custody cannot be read and proved, so nobody knows what is held.',
  'custody-journal-rewound':
    'The journal of custody lacks a row that the round before saw in it: holds may be missing too.',
  'clock-unsure':
    'The clock stands before the last round, or time went by that no row of a controller shows. `--clock-ok` says that it is right.',
  'retention-guard':
    'More recordings than the guard lets pass are due. `--confirm-count` with their number removes them.',
  'due-too-many': 'More recordings are due than one round removes; the next one goes on.',
  'journals-unread':
    'A controller’s journal cannot be read and proved: recordings that a hold on a caller or a number may cover were kept.',
  'call-unknown':
    'No journal says who called whom, so a hold on a caller or a number may cover it: it was kept.',
  'manifest-misfiled': 'A manifest names another day than the folder it lies in.',
  'time-unsure': 'A manifest’s time lies in the future, or before there were recordings.',
  'being-sealed': 'A recording waits to be sealed: it was kept until it is.',
  'vault-empty': 'The round before left recordings, and the vault holds none.',
  'recording-changed': 'A recording that was to be removed is not the one that was decided on.',
  'recording-returned': 'A recording that was removed is there again. It was left as it is.',
  'left-over': 'A file of a removed recording is still there, or is there again. It was left as it is.',
  'no-manifest': 'A file of a recording has no manifest. It was left as it is.',
  'name-unknown': 'A name in the vault is none of ours, or a link. It was left as it is.',
  'removal-failed': 'A file could not be removed. The next round goes on.',
  'hold-unknown': 'There is no such hold.',
  'hold-released': 'The hold was released before.',
  'hold-malformed':
    'A hold is on one call, one caller, one number or one facility, each of them well written.',
  'status-missing': 'There is no status of a round.',
  'status-malformed': 'The status of the last round cannot be read.',
  'status-future': 'The status of the last round is dated in the future.',
  'round-overdue': 'No round has been complete for longer than the configuration allows.',
  'recordings-overdue': 'Recordings are due for longer than the configuration allows.',
} as const;

export type RetentionCode = keyof typeof retentionTexts;

/** Never holds a number. */
export class RetentionError extends Error {
  readonly code: RetentionCode;
  constructor(code: RetentionCode, detail: string = retentionTexts[code]) {
    super(detail);
    this.name = 'RetentionError';
    this.code = code;
  }
}

/** The stable code of any error: never its message. */
export const codeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code.toLowerCase() : 'failed';
};
