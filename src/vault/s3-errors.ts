import { VaultError, type VaultErrorCode } from './errors.js';

/** What a request to the storage service came to, where it did not come to what was asked. */
export type S3Outcome =
  /** There is no such object, or no such upload. */
  | { readonly kind: 'absent' }
  /** `If-None-Match` or `If-Match` said no. */
  | { readonly kind: 'taken' }
  /** May be tried again. */
  | { readonly kind: 'busy'; readonly error: VaultError }
  /** Will be refused again until somebody changes something. */
  | { readonly kind: 'refused'; readonly error: VaultError };

const byName: Readonly<Record<string, VaultErrorCode>> = {
  NoSuchBucket: 'store-bucket-missing',
  RequestTimeTooSkewed: 'store-clock-skewed',
  RequestExpired: 'store-clock-skewed',
  AccessDenied: 'store-denied',
  AllAccessDisabled: 'store-denied',
  InvalidAccessKeyId: 'store-denied',
  SignatureDoesNotMatch: 'store-denied',
  ExpiredToken: 'store-denied',
  InvalidToken: 'store-denied',
};
/** Refusals that a second try may not meet: bytes changed on the way, or two at a time. */
const again = new Set([
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
  'IncompleteBody',
  'RequestTimeout',
  'ConditionalRequestConflict',
  'OperationAborted',
  'SlowDown',
]);

/** Only a name goes on: the message of an error may quote what was sent. */
const nameOf = (error: unknown): string => {
  const name = error instanceof Error ? error.name : 'unknown';
  return /^[A-Za-z]{1,60}$/.test(name) ? name : 'unknown';
};

const statusOf = (error: unknown): number | undefined => {
  const metadata = (error as { $metadata?: { httpStatusCode?: unknown } } | null)?.$metadata;
  return typeof metadata?.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
};

/** Classifies what the SDK threw. Whatever is not known to be final may be tried again. */
export const outcomeOf = (error: unknown): S3Outcome => {
  if (error instanceof VaultError) return { kind: 'refused', error };
  const name = nameOf(error);
  const status = statusOf(error);
  const known = byName[name];
  if (known !== undefined) return { kind: 'refused', error: serviceError(known, name, status) };
  if (status === 412) return { kind: 'taken' };
  if (name === 'NoSuchKey' || name === 'NoSuchUpload' || status === 404) return { kind: 'absent' };
  const busy = status === undefined || status < 300 || status === 429 || status === 408 || again.has(name);
  if (busy || (status >= 500 && status !== 501)) {
    return { kind: 'busy', error: serviceError('store-unreachable', name, status) };
  }
  const code = status === 401 || status === 403 ? 'store-denied' : 'store-refused';
  return { kind: 'refused', error: serviceError(code, name, status) };
};

const serviceError = (code: VaultErrorCode, name: string, status: number | undefined): VaultError =>
  new VaultError(code, `the storage service said ${status ?? 'nothing'} (${name})`);

const ofTheService: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'store-unreachable',
  'store-bucket-missing',
  'store-denied',
  'store-clock-skewed',
  'store-refused',
  'store-unsafe',
  'credentials-unreadable',
  'credentials-exposed',
]);

/** True for an error which says that the storage service could not be asked, and nothing of what is stored there. */
export const isOfTheService = (error: unknown): error is VaultError =>
  error instanceof VaultError && ofTheService.has(error.code);
