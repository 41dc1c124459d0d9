import { stat } from 'node:fs/promises';
import type { CallersChange } from '../api/control.js';
import type { Config } from '../config/schema.js';
import { JournalError } from '../journal/errors.js';
import { type Journal, openJournal } from '../journal/log.js';
import { askController } from './control-client.js';
import { CommandError } from './output.js';

/** Who changes callers, why where that was said, and the controller that keeps the journal. */
export interface Changer {
  readonly config: Config;
  /** Control socket of the controller. */
  readonly socket: string;
  readonly by: string;
  readonly why: string | null;
}

/**
 * Has the change written down before it is made: by the controller that runs here, else in the journal itself, which
 * no one has open then. Rejects with CommandError where there is no row; the change must not be made.
 */
export const noteChange = async (change: CallersChange, changer: Changer): Promise<void> => {
  const { socket, by, why } = changer;
  try {
    await askController(socket, { command: 'callers', ...change, by, ...(why === null ? {} : { why }) });
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'controller-unreachable') throw error;
    await ownRow(change, changer);
  }
};

const ownRow = async (change: CallersChange, { config, by, why }: Changer): Promise<void> => {
  const { directory, deadlineMs } = config.journal;
  await checkOwner(directory);
  let journal: Journal | null = null;
  try {
    journal = await openJournal({
      dir: directory,
      nodeId: config.controller.name,
      appendDeadlineMs: deadlineMs,
    });
    await journal.append('supervision', { use: 'callers', callId: null, by, why, ...change });
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    const more =
      error.code === 'journal-locked'
        ? '; the controller that has it open does not answer on its control socket: name that with --socket'
        : '';
    throw new CommandError(error.code, `nothing was changed, for it cannot be journalled${more}`);
  } finally {
    await journal?.close().catch(() => undefined);
  }
};

/** Files of another account would keep the controller from its own journal. */
const checkOwner = async (directory: string): Promise<void> => {
  const owner = (await stat(directory).catch(() => null))?.uid;
  if (owner === undefined || owner === process.getuid?.()) return;
  throw new CommandError(
    'journal-of-another',
    'nothing was changed: the journal is another account’s; run this as the account the controller runs as',
  );
};
