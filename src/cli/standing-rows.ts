import { type RowFilter, readJournal } from '../journal/read.js';
import { type JournalRow, OWN_KINDS } from '../journal/row.js';

interface Range {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

const rangeOf = ({ body }: JournalRow): Range => ({
  firstSeq: Number(body.firstSeq),
  lastSeq: Number(body.lastSeq),
});
const isIn = ({ seq }: JournalRow, { firstSeq, lastSeq }: Range): boolean =>
  seq >= firstSeq && seq <= lastSeq;

const own: ReadonlySet<string> = new Set(OWN_KINDS);

/**
 * The rows of a journal that stand. A row whose append timed out can get to the disk all the same: whoever gave it has
 * taken it for lost and gave it again, and the journal marks it `abandoned` at the beginning of its next batch. Without
 * this a call could have two CDRs.
 */
export async function* standingRows(
  dir: string,
  filter: Omit<RowFilter, 'until'> = {},
): AsyncGenerator<JournalRow> {
  if (filter.callId !== undefined) {
    yield* rowsOfCall(dir, filter);
    return;
  }
  const { kinds } = filter;
  // What is held back is of one batch, or as much of it as is asked for.
  let held: JournalRow[] = [];
  for await (const row of readJournal(
    dir,
    kinds === undefined ? filter : { ...filter, kinds: [...kinds, 'abandoned'] },
  )) {
    if (row.kind === 'abandoned') {
      const range = rangeOf(row);
      held = held.filter((one) => !isIn(one, range));
    } else if (!own.has(row.kind) && row.batch > (held[0]?.batch ?? row.batch)) {
      // The mark would have come before the first row that is not the journal's own.
      yield* held;
      held = [];
    }
    if (row.kind !== 'abandoned' || kinds === undefined || kinds.includes('abandoned')) held.push(row);
  }
  yield* held;
}

/** Few rows, found without reading all others; the marks are looked for from the first of them on. */
async function* rowsOfCall(dir: string, filter: RowFilter): AsyncGenerator<JournalRow> {
  const rows: JournalRow[] = [];
  for await (const row of readJournal(dir, filter)) rows.push(row);
  const [first] = rows;
  if (first === undefined) return;
  const gone: Range[] = [];
  for await (const row of readJournal(dir, { kinds: ['abandoned'], fromSeq: first.seq })) {
    gone.push(rangeOf(row));
  }
  yield* rows.filter((row) => !gone.some((range) => isIn(row, range)));
}
