import { createHmac, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config/schema.js';
import type { JsonObject } from '../journal/canonical.js';
import { JournalError } from '../journal/errors.js';
import { type Journal, openJournal } from '../journal/log.js';
import { UNHURRIED_MS } from '../journal/options.js';
import { CommandError } from './output.js';

/**
 * Enquiries have a journal of their own, hash-chained like the controller's: that one has a single writer, and a
 * question must not have to wait for it or stop it.
 */
export const enquiriesDir = (config: Config): string => `${config.journal.directory}-enquiries`;

const waitMs = 5_000;
const tryEveryMs = 50;
const keyBytes = 32;

/**
 * Who asked about a number is written with a digest of the number under a key of this host. A plain digest would be
 * the number itself to anybody who tries them all, and such a journal may be given to people who must not learn which
 * numbers were asked about; whoever holds the key can still prove that a given number was, and see who asks again
 * and again.
 */
export const enquiryDigest = async (config: Config, number: string): Promise<string> => {
  const path = `${enquiriesDir(config)}.key`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(path, randomBytes(keyBytes).toString('base64url'), { mode: 0o600, flag: 'wx' });
    await chmod(path, 0o600);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw unwritten(error);
  }
  const key = Buffer.from(await readFile(path, 'utf8'), 'base64url');
  // Another process may be writing it at this moment; a short key would be no secret.
  if (key.length !== keyBytes)
    throw new CommandError('enquiry-key-unusable', `${path} holds no key; ask again`);
  return createHmac('sha256', key).update(number).digest('base64url');
};

const unwritten = (error: unknown): CommandError => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
  return new CommandError(
    'enquiry-not-journalled',
    `the enquiry could not be written down (${code}), so it is not answered`,
  );
};

const open = async (config: Config): Promise<Journal> => {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      return await openJournal({
        dir: enquiriesDir(config),
        nodeId: config.controller.name,
        appendDeadlineMs: UNHURRIED_MS,
      });
    } catch (error) {
      const busy = error instanceof JournalError && error.code === 'journal-locked';
      if (!busy || performance.now() > until) throw error;
      await pause(tryEveryMs);
    }
  }
};

/** Writes an enquiry down, durably, before it is answered. Throws CommandError 'enquiry-not-journalled'. */
export const journalEnquiry = async (config: Config, kind: string, body: JsonObject): Promise<void> => {
  try {
    const journal = await open(config);
    try {
      await journal.append(kind, body);
    } finally {
      await journal.close();
    }
  } catch (error) {
    throw unwritten(error);
  }
};
