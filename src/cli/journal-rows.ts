import { JournalError } from '../journal/errors.js';
import { type RowFilter, readJournal } from '../journal/read.js';
import type { JournalRow } from '../journal/row.js';
import { CommandError, progress, type Terminal } from './output.js';

/** What a journal that cannot be read is at the terminal. */
const explained = (error: unknown, dir: string): unknown => {
  if (error instanceof JournalError) {
    return new CommandError(error.code, `${error.message}; \`sallyport journal verify\` says more`);
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ENOENT', 'ENOTDIR', 'EACCES'].includes(code)
    ? new CommandError('journal-unreadable', `there is no journal that can be read in ${dir} (${code})`)
    : error;
};

/** The rows of one journal after the other, with progress for whoever watches. One row at a time is in memory. */
export async function* journalRows(
  dirs: readonly string[],
  filter: RowFilter,
  terminal: Terminal,
): AsyncGenerator<JournalRow> {
  const bar = progress(terminal, 'rows read');
  let rows = 0;
  try {
    for (const dir of dirs) {
      try {
        for await (const row of readJournal(dir, filter)) {
          rows += 1;
          bar.at(rows, null);
          yield row;
        }
      } catch (error) {
        throw explained(error, dir);
      }
    }
  } finally {
    bar.end();
  }
}
