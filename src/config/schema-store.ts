import { z } from 'zod';
import { path, seconds } from './shapes.js';

const isEndpoint = (text: string): boolean => {
  try {
    const { protocol, hostname, pathname, username, password, search, hash } = new URL(text);
    const here = /^(127\.|\[::1\]$|localhost$)/.test(hostname);
    const plain = pathname === '/' && [username, password, search, hash].every((part) => part === '');
    return plain && (protocol === 'https:' || (protocol === 'http:' && here));
  } catch {
    return false;
  }
};

const s3 = z
  .strictObject({
    endpoint: z
      .string()
      .max(200)
      .refine(isEndpoint, 'must be https://HOST or https://HOST:PORT; http only on this host')
      .describe('Where the service is: `https://HOST`. Without encryption only on this host.'),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,48}$/, 'must be the name of a region')
      .describe('The region requests are signed for.'),
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
      .describe('The bucket. It is there already.'),
    prefix: z
      .string()
      .max(200)
      .regex(/^([a-z0-9][a-z0-9._-]*\/)*$/, 'must be empty, or end in a slash')
      .default('')
      .describe('What the names of all objects begin with: `site-1/`.'),
    credentialsFile: path.describe(
      'File with `aws_access_key_id = …` and `aws_secret_access_key = …`. Readable by its owner alone.',
    ),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe('`HOST/BUCKET/…` in the place of `BUCKET.HOST/…`, as most services of one’s own want it.'),
    stagingDirectory: path
      .default('var/staging')
      .describe('Folder of this host where encrypted recordings wait for the service. Durable, not a tmpfs.'),
    maxStagedMegabytes: z
      .number()
      .positive()
      .max(1e9)
      .default(20_000)
      .describe('So much may wait; with more, no monitored call is dialled.'),
    maxStagedHours: z
      .number()
      .positive()
      .max(24 * 30)
      .default(24)
      .describe('So long may a recording wait; after that, no monitored call is dialled.'),
    commitSeconds: seconds(300)
      .default(10)
      .describe('How long the end of a call waits for the service before the delivery is left to later.'),
    requestSeconds: seconds(300).default(20).describe('Bound of one request, with 8 MiB at most.'),
  })
  .describe('A bucket of a storage service that speaks S3.');

export const store = z
  .strictObject({ s3: s3.optional() })
  .prefault({})
  .describe('Where recordings are kept: without a key here, in `recording.directory` on this host.');
