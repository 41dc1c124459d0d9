import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { replaceFile } from '../durable/files.js';
import { digesterOf } from './digests.js';
import { bucketOf, digitsOf } from './layout.js';
import { formatHead, type Heartbeat, headOf, heartbeatSchema, manifestSchema } from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { openText, type TrustedKeys } from './signed.js';
import type { VerifiedEpoch } from './verify.js';

/** A heartbeat that was found genuine, with its text. */
export interface KeptHeartbeat {
  readonly text: string;
  readonly body: Heartbeat;
}

export interface SnapshotContent {
  readonly epoch: VerifiedEpoch;
  readonly index: PrivilegedIndex;
  readonly heartbeat: KeptHeartbeat;
}

export type Loaded =
  | { readonly state: 'loaded'; readonly content: SnapshotContent }
  | { readonly state: 'absent' | 'malformed' | 'forged' };

const maxBytes = 268_435_456;
const header = z.strictObject({ format: z.literal(1), manifest: z.string(), heartbeat: z.string() });

/** Genuine and of that publication, or null. */
export const openHeartbeat = (
  trusted: TrustedKeys,
  text: string,
  epoch: VerifiedEpoch | null,
): KeptHeartbeat | null => {
  const opened = openText(trusted, 'heartbeat', text, heartbeatSchema);
  if (opened.state !== 'genuine') return null;
  if (epoch !== null && formatHead(opened.body) !== formatHead(epoch.head)) return null;
  return { text, body: opened.body };
};

/** The text of a small file, or null where it cannot be read or is too long. */
export const readBounded = async (path: string, bytes: number): Promise<string | null> => {
  try {
    if ((await stat(path)).size > bytes) return null;
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
};

const openManifest = (trusted: TrustedKeys, text: string): VerifiedEpoch | 'forged' | 'malformed' => {
  const opened = openText(trusted, 'manifest', text, manifestSchema);
  if (opened.state !== 'genuine') return opened.state;
  return { manifest: opened.body, text, head: headOf(opened.body, text) };
};

/** The rows of a snapshot, checked against the manifest's digest; null where they are not those it speaks of. */
const readRows = (lines: readonly string[], epoch: VerifiedEpoch): PrivilegedIndex | null => {
  const buckets = new Map<number, [string, string][]>();
  const numbers = new Map<string, string[]>();
  for (const line of lines) {
    const space = line.indexOf(' ');
    const digits = line.slice(0, Math.max(0, space));
    const body = line.slice(space + 1);
    if (digitsOf(digits) !== digits || !body.startsWith('p|')) return null;
    const bucket = bucketOf(digits);
    const rows = buckets.get(bucket);
    if (rows === undefined) buckets.set(bucket, [[digits, body]]);
    else rows.push([digits, body]);
    const bodies = numbers.get(digits);
    if (bodies === undefined) numbers.set(digits, [body]);
    else bodies.push(body);
  }
  const digester = digesterOf(epoch.manifest.format);
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    digester.bucket(bucket, buckets.get(bucket) ?? []);
  }
  const { digest, rows } = epoch.manifest.parts.privileged;
  const found = digester.finish().privileged;
  if (found.digest !== digest || found.rows !== rows) return null;
  const index = new PrivilegedIndex();
  for (const [digits, bodies] of numbers) index.add(digits, bodies.sort());
  return index;
};

/** Reads a snapshot and proves it: signature, digest of every row, and the heartbeat kept with it. Never throws. */
export const loadSnapshot = async (path: string, trusted: TrustedKeys): Promise<Loaded> => {
  try {
    await stat(path);
  } catch {
    return { state: 'absent' };
  }
  const text = await readBounded(path, maxBytes);
  if (text === null) return { state: 'malformed' };
  const lines = text.split('\n');
  if (lines.pop() !== '') return { state: 'malformed' };
  let first: unknown;
  try {
    first = JSON.parse(lines.shift() ?? '');
  } catch {
    return { state: 'malformed' };
  }
  const head = header.safeParse(first);
  if (!head.success) return { state: 'malformed' };
  const epoch = openManifest(trusted, head.data.manifest);
  if (typeof epoch === 'string') return { state: epoch };
  const heartbeat = openHeartbeat(trusted, head.data.heartbeat, epoch);
  const index = readRows(lines, epoch);
  if (heartbeat === null || index === null) return { state: 'forged' };
  return { state: 'loaded', content: { epoch, index, heartbeat } };
};

function* chunksOf({ epoch, index, heartbeat }: SnapshotContent): IterableIterator<string> {
  yield `${JSON.stringify({ format: 1, manifest: epoch.text, heartbeat: heartbeat.text })}\n`;
  let lines = '';
  for (const [digits, bodies] of index.entries()) {
    for (const body of bodies) lines += `${digits} ${body}\n`;
    if (lines.length < 262_144) continue;
    yield lines;
    lines = '';
  }
  yield lines;
}

/** Rejects with the error of the file system. */
export const saveSnapshot = (path: string, content: SnapshotContent): Promise<void> =>
  replaceFile(path, chunksOf(content));
