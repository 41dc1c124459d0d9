import type { Config } from '../config/schema.js';
import type { RowFilter } from '../journal/read.js';
import { checkProof, type VerifyFlags, verificationText, verifyOptions } from '../journal/verify/program.js';
import { type VerifyOptions, verifyJournal } from '../journal/verify.js';
import { journalsOf } from '../workers/worker-config.js';
import { CommandError, columns, progress, type Terminal } from './output.js';
import { standingRows } from './standing-rows.js';

/** Reads every row, and says what is wrong. */
const verifyOne = async (
  dir: string,
  flags: VerifyFlags,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const bar = progress(terminal, 'rows verified');
  const options = optionsOf(flags);
  const result = await verifyJournal(dir, { ...options, onProgress: (p) => bar.at(p.rows, null) });
  bar.end();
  terminal.out(json ? JSON.stringify(result) : verificationText(dir, result));
  if (!result.ok) throw new CommandError('journal-not-verified', 'the journal does not verify', 2);
};

/**
 * `journal verify` of one journal or of several: reads every row, and says what is wrong; what is wrong with one does not
 * hide what is with another. Exit code 2 where a journal was changed.
 */
export const journalVerify = async (
  dirs: string | readonly string[],
  flags: VerifyFlags,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const wrong: unknown[] = [];
  for (const dir of [dirs].flat())
    await verifyOne(dir, flags, json, terminal).catch((error: unknown) => wrong.push(error));
  if (wrong.length > 0) throw wrong[0];
};

/** `journal verify --proof`: one row and its proof, without the journal. */
export const journalVerifyProof = (
  file: string,
  keys: readonly string[],
  json: boolean,
  terminal: Terminal,
): void => {
  const { keys: known = [] } = optionsOf({ key: keys });
  const result = checkProof(file, known);
  terminal.out(json ? JSON.stringify(result) : result.text);
  if (!result.ok) throw new CommandError('proof-not-verified', 'the proof does not verify', 2);
};

const optionsOf = (flags: VerifyFlags): VerifyOptions => {
  try {
    return verifyOptions(flags);
  } catch (error) {
    throw new CommandError('usage', error instanceof Error ? error.message : String(error), 2);
  }
};

export interface ShowOptions {
  readonly kind: string | undefined;
  readonly call: string | undefined;
  readonly since: string | undefined;
  readonly last: string | undefined;
}

/** The rows that stand. Those the journal took back are in its files, and in `journal verify`. */
const showOne = async (
  dir: string,
  options: ShowOptions,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const filter: { -readonly [K in keyof RowFilter]: RowFilter[K] } = {};
  if (options.kind !== undefined) filter.kinds = options.kind.split(',');
  if (options.call !== undefined) filter.callId = options.call;
  if (options.since !== undefined) filter.since = dateOf(options.since);
  const last = options.last === undefined ? Number.POSITIVE_INFINITY : countOf(options.last);
  const kept: { seq: number; at: string; kind: string; body: unknown }[] = [];
  for await (const row of standingRows(dir, filter)) {
    if (Number.isFinite(last)) {
      kept.push(row);
      if (kept.length > last) kept.shift();
    } else print(row, json, terminal);
  }
  for (const row of kept) print(row, json, terminal);
};

/** `journal show` of one journal, or of several one after the other. */
export const journalShow = async (
  dirs: string | readonly string[],
  options: ShowOptions,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const all = [dirs].flat();
  for (const dir of all) {
    if (all.length > 1) terminal.err(`journal ${dir}`);
    await showOne(dir, options, json, terminal);
  }
};

const print = (
  row: { seq: number; at: string; kind: string; body: unknown },
  json: boolean,
  terminal: Terminal,
): void =>
  terminal.out(
    json
      ? JSON.stringify(row)
      : `${String(row.seq).padStart(7)}  ${row.at}  ${row.kind.padEnd(18)} ${JSON.stringify(row.body)}`,
  );

const dateOf = (text: string): Date => {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new CommandError('date-invalid', `${text} is not a date; try 2026-11-21 or 2026-11-21T08:00:00Z`);
  return date;
};

const countOf = (text: string): number => {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new CommandError('count-invalid', `${text} is not a count`);
  return count;
};

interface CdrBody {
  readonly callId?: unknown;
  readonly facility?: unknown;
  readonly caller?: unknown;
  readonly dialled?: { readonly kind?: unknown; readonly number?: unknown };
  readonly verdict?: unknown;
  readonly ending?: unknown;
  readonly connectedMs?: unknown;
  readonly spool?: { readonly state?: unknown } | null;
}

/** `calls --past`: the CDRs of all controllers' journals as a table. */
export const pastCalls = async (
  config: Config,
  last: string | undefined,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const bound = last === undefined ? 50 : countOf(last);
  const kept: { at: string; body: CdrBody }[] = [];
  for (const dir of journalsOf(config)) {
    const last: typeof kept = [];
    for await (const row of standingRows(dir, { kinds: ['cdr'] })) {
      last.push(row as { at: string; body: CdrBody });
      if (last.length > bound) last.shift();
    }
    kept.push(...last);
  }
  kept.sort((left, right) => (left.at < right.at ? -1 : left.at > right.at ? 1 : 0));
  kept.splice(0, Math.max(0, kept.length - bound));
  if (json) {
    for (const row of kept) terminal.out(JSON.stringify(row));
    return;
  }
  const text = (value: unknown): string => (value === undefined || value === null ? '-' : String(value));
  terminal.out(
    columns([
      ['ended', 'call', 'facility', 'caller', 'dialled', 'verdict', 'ending', 'seconds', 'spool'],
      ...kept.map(({ at, body }) => [
        at,
        text(body.callId),
        text(body.facility),
        text(body.caller),
        text(body.dialled?.number ?? body.dialled?.kind),
        text(body.verdict),
        text(body.ending),
        (Number(body.connectedMs ?? 0) / 1000).toFixed(1),
        text(body.spool?.state),
      ]),
    ]),
  );
};
