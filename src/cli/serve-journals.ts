import type { Config } from '../config/schema.js';
import { CustodyError } from '../custody/codes.js';
import { rowsFrom, theBeginning } from '../custody/follower.js';
import { makeEvidence } from '../evidence/make.js';
import { EvidenceError } from '../evidence/verify/codes.js';
import { type JournalsPort, PartError, type ShownRow } from '../http/ports.js';
import { nodeDisk } from '../journal/disk.js';
import { JournalError } from '../journal/errors.js';
import { headLineAt, readHeadLines } from '../journal/heads/head-lines.js';
import { readJournal } from '../journal/read.js';
import type { JournalRow } from '../journal/row.js';
import { rowLines } from '../journal/tree/row-lines.js';
import { custodyJournalDir } from './custody-journal.js';
import { enquiriesDir } from './enquiries.js';

/** The journals as the API sees them: read beside their writers, never written to. */

const shown = (journal: string, { node, seq, at, kind, body }: JournalRow): ShownRow => ({
  journal,
  ...{ node, seq, at, kind },
  body: body as Readonly<Record<string, unknown>>,
});

const unread = (error: unknown): PartError => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'journal-unread';
  return new PartError(code, 'a journal cannot be read', { unreachable: true });
};

const isMissing = (error: unknown): boolean =>
  error instanceof Error && /ENOENT/.test(error.message + ('code' in error ? String(error.code) : ''));

async function* grownOf(
  dir: string,
  state: { place: typeof theBeginning },
): AsyncGenerator<ShownRow, void, undefined> {
  try {
    for await (const batch of rowsFrom(dir, state.place))
      for (const { row, place } of batch) {
        state.place = place;
        yield shown(dir, row);
      }
  } catch (error) {
    // No call was made there yet.
    if (isMissing(error)) return;
    if (!(error instanceof CustodyError) || error.code !== 'journal-other') throw unread(error);
    // Rows that were seen before they were durable were taken back, or the journal is another one.
    state.place = theBeginning;
    yield { journal: dir, node: '', seq: 0, at: '', kind: 'reset', body: {} };
    yield* grownOf(dir, state);
  }
}

/** The rows that a journal has grown by since this was asked last; all of them at first, none where there is no journal. */
export const grownRows = (dir: string): (() => AsyncGenerator<ShownRow, void, undefined>) => {
  const state = { place: theBeginning };
  return () => grownOf(dir, state);
};

async function* callRows(dir: string, callId: string, fromSeq: number): AsyncGenerator<ShownRow> {
  try {
    for await (const row of readJournal(dir, { callId, fromSeq })) yield shown(dir, row);
  } catch (error) {
    if (isMissing(error)) return;
    throw error instanceof JournalError ? unread(error) : error;
  }
}

async function* rowsAt(dir: string, seqs: readonly number[]): AsyncGenerator<ShownRow> {
  const wanted = new Set(seqs);
  try {
    for await (const lines of rowLines(nodeDisk, dir, Math.min(...seqs), Math.max(...seqs)))
      for (const { seq, bytes } of lines)
        if (wanted.has(seq)) yield shown(dir, JSON.parse(bytes.toString('utf8')) as JournalRow);
  } catch (error) {
    throw unread(error);
  }
}

const headOf = async (dir: string) => {
  const { heads } = await readHeadLines(nodeDisk, dir);
  const last = heads.at(-1);
  if (last === undefined) return null;
  const { body, key } = JSON.parse(await headLineAt(nodeDisk, dir, last)) as {
    readonly body: { readonly size: number; readonly root: string; readonly at: string };
    readonly key: string;
  };
  return { size: body.size, root: body.root, at: body.at, key };
};

const problemOf = (error: unknown): string => {
  if (isMissing(error)) return 'no-heads';
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
};

export const callJournalsOf = ({ journal, serve }: Config): readonly string[] =>
  serve.journals.length === 0 ? [journal.directory] : serve.journals;

export const journalsPort = (config: Config): JournalsPort => {
  const calls = callJournalsOf(config);
  const states = new Map(calls.map((dir) => [dir, { place: theBeginning }]));
  const parts: readonly (readonly [string, string])[] = [
    ...calls.map((dir) => [dir, 'controller'] as const),
    [custodyJournalDir(config), 'custody'],
    [enquiriesDir(config), 'enquiries'],
    ...(config.registry === undefined ? [] : [[config.registry.journal, 'registry'] as const]),
    [config.serve.journal, 'http'],
  ];
  return {
    calls,
    grown: (journal) => {
      const state = states.get(journal);
      if (state === undefined) throw new TypeError('a journal that is not of calls');
      return grownOf(journal, state);
    },
    ofCall: callRows,
    rowsAt,
    heads: () =>
      Promise.all(
        parts.map(async ([journal, part]) => {
          try {
            const head = await headOf(journal);
            return { journal, part, head, problem: head === null ? 'no-heads' : null };
          } catch (error) {
            return { journal, part, head: null, problem: problemOf(error) };
          }
        }),
      ),
    evidence: async (callId) => {
      let last: unknown = new PartError('call-unknown', 'no journal has a row of that call');
      for (const journal of calls) {
        try {
          return await makeEvidence({ journal, callId, countersigned: [] });
        } catch (error) {
          if (!(error instanceof EvidenceError)) throw error;
          last = new PartError(error.code, error.message);
          if (error.code !== 'call-unknown') throw last;
        }
      }
      throw last;
    },
  };
};
