export const publishErrorCodes = [
  'bad-rows',
  'shrink-refused',
  'no-privileged',
  'approval-missing',
  'lock-held',
  'lock-lost',
  'epoch-moved',
  'partly-published',
  'not-replicated',
  'too-many-removals',
  'too-many-entries',
  'canaries-impossible',
  'effective-in-future',
  'current-not-genuine',
  'redis-failed',
  'content-differs',
  'whole-needed',
] as const;
export type PublishErrorCode = (typeof publishErrorCodes)[number];

/** Why nothing was published. The epoch served before is served still. The message holds no number. */
export class PublishError extends Error {
  readonly code: PublishErrorCode;
  constructor(code: PublishErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'PublishError';
    this.code = code;
  }
}
