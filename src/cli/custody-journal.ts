import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config/schema.js';
import { JournalError } from '../journal/errors.js';
import { type Journal, openJournal } from '../journal/log.js';
import { UNHURRIED_MS } from '../journal/options.js';

/**
 * What is done to recordings after their calls has a journal of its own, hash-chained like the controller's: that one
 * has a single writer, and custody is a process of its own, so that no call waits for it.
 */
export const custodyJournalDir = (config: Config): string => `${config.journal.directory}-custody`;

const waitMs = 30_000;
const tryEveryMs = 50;

const open = async (config: Config): Promise<Journal> => {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      return await openJournal({
        dir: custodyJournalDir(config),
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

/**
 * Opens the journal of custody for one round or command and closes it after. It has one writer at a time: another
 * one is waited for, at most 30 seconds. Rejects with JournalError, or with what `use` rejects with.
 */
export const withCustodyJournal = async <T>(
  config: Config,
  use: (journal: Journal) => Promise<T>,
): Promise<T> => {
  const journal = await open(config);
  try {
    return await use(journal);
  } finally {
    await journal.close().catch(() => undefined);
  }
};
