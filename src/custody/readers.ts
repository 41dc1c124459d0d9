import { readJournal } from '../journal/read.js';

/** Who decrypted a recording, as the journal of readings has it. */
export interface PastReader {
  readonly at: string;
  readonly by: string;
  readonly why: string;
  /** How the reading ended; null where nothing says so. */
  outcome: string | null;
}

/** More are counted and not named. */
export const MAX_READERS = 100;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Past readings of these calls, in one pass. None where there is no journal of readings. */
export const readersOf = async (
  dir: string,
  callIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, readonly PastReader[]>> => {
  const found = new Map<string, PastReader[]>();
  if (callIds.size === 0) return found;
  const kinds = ['recording-read', 'recording-read-ended'];
  try {
    for await (const { at, kind, body } of readJournal(dir, { kinds })) {
      const callId = textOf(body.callId);
      if (!callIds.has(callId)) continue;
      const readers = found.get(callId) ?? [];
      found.set(callId, readers);
      if (kind === 'recording-read') {
        readers.push({ at, by: textOf(body.by), why: textOf(body.why), outcome: null });
        continue;
      }
      const open = readers.findLast((one) => one.by === body.by && one.outcome === null);
      if (open !== undefined) open.outcome = textOf(body.outcome);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return found;
};
