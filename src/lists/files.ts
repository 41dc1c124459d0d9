import { stat } from 'node:fs/promises';
import type { DialPlan } from '../core/number.js';
import { AllowLists, type BlockItem, type ListSet, type PendingItem } from './entries.js';
import {
  checkAgainstPrivileged,
  type Placed,
  settleBlock,
  settlePending,
  settlePrivileged,
} from './file-checks.js';
import { formatOfFile, kindOfFile, type ListKind, type RawRow } from './file-kinds.js';
import { type PrivilegedDraft, RowReader } from './file-rows.js';
import { readCsv } from './files-csv.js';
import { readYaml } from './files-yaml.js';
import { type Problem, Problems } from './problems.js';

/** A list file; its kind is what its name begins with, unless it is stated. */
export interface ListFile {
  readonly path: string;
  readonly kind?: ListKind;
}

export interface ReadOptions {
  readonly plan: DialPlan;
  /** Problems kept with line and message; all are counted. Default 1000. */
  readonly maxProblems?: number;
}

export interface ReadLists {
  /** Only of use where there is no error: rows at fault are missing from it. */
  readonly lists: ListSet;
  readonly files: readonly { readonly path: string; readonly rows: number }[];
  readonly errors: number;
  readonly warnings: number;
  /** The first problems found. */
  readonly problems: readonly Problem[];
}

const maxCsvBytes = 4_294_967_296;
/** The whole document is kept in memory while it is read. */
const maxYamlBytes = 16_777_216;

class Drafts {
  readonly privileged: PrivilegedDraft[] = [];
  readonly block: Placed<BlockItem>[] = [];
  readonly pending: Placed<PendingItem>[] = [];
  readonly allow = new AllowLists();
  readonly #reader: RowReader;
  readonly #problems: Problems;

  constructor(plan: DialPlan, problems: Problems) {
    this.#reader = new RowReader(plan, problems);
    this.#problems = problems;
  }

  take(row: RawRow): void {
    const place = { file: row.file, line: row.line };
    const column = row.columnOf('number');
    switch (row.kind) {
      case 'allow':
        this.#takeAllow(row);
        break;
      case 'privileged': {
        const draft = this.#reader.privileged(row);
        if (draft !== null) this.privileged.push(draft);
        break;
      }
      case 'block': {
        const item = this.#reader.block(row);
        if (item !== null) this.block.push({ item, place, column });
        break;
      }
      case 'pending': {
        const item = this.#reader.pending(row);
        if (item !== null) this.pending.push({ item, place, column });
        break;
      }
      default:
        row.kind satisfies never;
    }
  }

  #takeAllow(row: RawRow): void {
    const draft = this.#reader.allow(row);
    if (draft === null || this.allow.add(draft.facility, draft.caller, draft.key)) return;
    this.#problems.add('duplicate', row, row.columnOf('number'), row.get('number'));
  }
}

const readFileInto = async (file: ListFile, drafts: Drafts, problems: Problems): Promise<number> => {
  const { path } = file;
  const place = { file: path, line: 0 };
  const refuse = (code: Parameters<Problems['add']>[0]): number => {
    problems.add(code, place, null, null);
    return 0;
  };
  const kind = file.kind ?? kindOfFile(path);
  const format = formatOfFile(path);
  if (format === null) return refuse('format-unknown');
  if (format === 'csv' && kind === null) return refuse('kind-unknown');
  try {
    const { size } = await stat(path);
    if (size > (format === 'csv' ? maxCsvBytes : maxYamlBytes)) return refuse('file-too-large');
    const take = (row: RawRow): void => drafts.take(row);
    if (format === 'yaml') return await readYaml(path, kind, problems, take);
    return kind === null ? 0 : await readCsv(path, kind, problems, take);
  } catch (error) {
    // The error of the file system, or of the CSV parser where it could not go on.
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return refuse(code.startsWith('CSV_') ? 'csv-malformed' : 'file-unreadable');
  }
};

/** Reads list files whole, and every fault in them. Never rejects on account of a file's content. */
export const readListFiles = async (files: readonly ListFile[], options: ReadOptions): Promise<ReadLists> => {
  const problems = new Problems(options.maxProblems);
  const drafts = new Drafts(options.plan, problems);
  const read: { path: string; rows: number }[] = [];
  for (const file of files) {
    read.push({ path: file.path, rows: await readFileInto(file, drafts, problems) });
  }
  const privileged = settlePrivileged(drafts.privileged, problems);
  const block = settleBlock(drafts.block, problems);
  const pending = settlePending(drafts.pending, problems);
  checkAgainstPrivileged(privileged, drafts.block, drafts.pending, problems);
  return {
    lists: { privileged, block, pending, allow: drafts.allow },
    files: read,
    errors: problems.errors,
    warnings: problems.warnings,
    problems: problems.kept,
  };
};
