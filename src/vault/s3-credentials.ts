import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { VaultError } from './errors.js';

/** What signs requests to the storage service. Never logged, and in no error. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const MAX_BYTES = 16_384;
const names = {
  aws_access_key_id: 'accessKeyId',
  aws_secret_access_key: 'secretAccessKey',
  aws_session_token: 'sessionToken',
} as const;

const unreadable = (path: string, why: string): VaultError =>
  new VaultError('credentials-unreadable', `${path} ${why}`);

/**
 * Reads an access key from a file of lines `aws_access_key_id = …`, `aws_secret_access_key = …` and, where there is one,
 * `aws_session_token = …`; comments and one section's heading may stand between them. Rejects with VaultError
 * `credentials-exposed` where others than its owner may use the file, or `credentials-unreadable`.
 */
export const readCredentialsFile = async (path: string): Promise<S3Credentials> => {
  // A secret may be mounted as a link; what counts is the file that was opened.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw unreadable(path, `cannot be read (${error.code ?? 'unknown'})`);
    },
  );
  try {
    const { mode, size } = await file.stat().then((found) => {
      if (found.isFile() && found.size <= MAX_BYTES) return found;
      throw unreadable(path, 'is no file of an access key');
    });
    if ((mode & 0o077) !== 0) {
      throw new VaultError('credentials-exposed', `others may read ${path}: chmod 600 it`);
    }
    const buffer = Buffer.alloc(size);
    const { bytesRead } = await file.read(buffer, 0, size, 0);
    return credentialsIn(path, buffer.toString('utf8', 0, bytesRead));
  } finally {
    await file.close();
  }
};

const credentialsIn = (path: string, text: string): S3Credentials => {
  const found: Partial<Record<(typeof names)[keyof typeof names], string>> = {};
  let sections = 0;
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    if (/^\[.*\]$/.test(line)) {
      sections += 1;
      continue;
    }
    const [, name = '', value = ''] = /^([a-z_]+)\s*=\s*(\S+)$/.exec(line) ?? [];
    const known = Object.hasOwn(names, name) ? names[name as keyof typeof names] : undefined;
    // The line is not told: it may be a secret that was put there in another way.
    if (known === undefined || found[known] !== undefined)
      throw unreadable(path, 'has a line that is none of ours');
    found[known] = value;
  }
  const { accessKeyId, secretAccessKey, sessionToken } = found;
  if (accessKeyId === undefined || secretAccessKey === undefined || sections > 1) {
    throw unreadable(path, 'does not hold exactly one access key');
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
};
