import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RetentionCode } from './codes.js';
import { HOUR_MS } from './rules.js';

/** What the last round left for the controller and for whoever asks: a small file beside the journal of custody. */
export interface RetentionStatus {
  readonly format: 1;
  readonly at: string;
  readonly outcome: 'complete' | 'partial' | 'refused';
  readonly code: string | null;
  readonly completeUntil: string | null;
  /** Recordings that are due for longer than the bound, held by nothing, and still there. */
  readonly overdue: number;
  /** The last row of the journal of custody after the round: the next one must find it again. */
  readonly seq: number;
  readonly hash: string;
}

const FILE = 'retention-status.json';
const MAX_BYTES = 4096;
/** How far the clocks of two processes of one host may be apart. */
const AHEAD_MS = 5 * 60_000;

export const statusFile = (dir: string): string => join(dir, FILE);

/** Writes it under another name and gives it its own, so that nobody reads half of it. */
export const writeStatus = async (dir: string, status: RetentionStatus): Promise<void> => {
  const path = statusFile(dir);
  const part = `${path}.${randomBytes(4).toString('hex')}.part`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(part, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(status)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
};

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= 30 && !Number.isNaN(Date.parse(value));

const isStatus = (value: unknown): value is RetentionStatus => {
  if (typeof value !== 'object' || value === null) return false;
  const { format, at, outcome, code, completeUntil, overdue, seq, hash } = value as Readonly<
    Record<string, unknown>
  >;
  return (
    format === 1 &&
    isTime(at) &&
    (outcome === 'complete' || outcome === 'partial' || outcome === 'refused') &&
    (code === null || typeof code === 'string') &&
    (completeUntil === null || isTime(completeUntil)) &&
    Number.isSafeInteger(overdue) &&
    (overdue as number) >= 0 &&
    Number.isSafeInteger(seq) &&
    (seq as number) > 0 &&
    typeof hash === 'string' &&
    /^[0-9a-f]{64}$/.test(hash)
  );
};

/** The status, or why there is none. Never follows a link, never reads more than a status takes. */
export const readStatus = async (
  dir: string,
): Promise<RetentionStatus | 'status-missing' | 'status-malformed'> => {
  try {
    const file = await open(
      statusFile(dir),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > MAX_BYTES) return 'status-malformed';
      const value: unknown = JSON.parse(await file.readFile('utf8'));
      return isStatus(value) ? value : 'status-malformed';
    } finally {
      await file.close();
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'status-missing' : 'status-malformed';
  }
};

/** Why somebody must look now; null where nobody must. */
export const alarmOf = (
  status: RetentionStatus | 'status-missing' | 'status-malformed',
  now: number,
  overdueHours: number,
): RetentionCode | null => {
  if (typeof status === 'string') return status;
  if (Date.parse(status.at) > now + AHEAD_MS) return 'status-future';
  const until = status.completeUntil === null ? Number.NaN : Date.parse(status.completeUntil);
  if (until > now + AHEAD_MS) return 'status-future';
  // No complete round ever is one that is too long ago.
  if (!(now - until <= overdueHours * HOUR_MS)) return 'round-overdue';
  return status.overdue > 0 ? 'recordings-overdue' : null;
};
