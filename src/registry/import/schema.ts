import type { ColumnType, Generated } from 'kysely';

/** The tables of imports, as they are after the last migration. */
type Once = ColumnType<Date, Date | undefined, never>;

export const importStates = [
  'receiving',
  'staging',
  'faulty',
  'staged',
  'compared',
  'applying',
  'applied',
  'undoing',
  'undone',
  'abandoned',
] as const;
export type ImportState = (typeof importStates)[number];

interface ImportTable {
  id: Generated<string>;
  source: string;
  profile: unknown;
  plan: string;
  file_name: string;
  maker: string;
  made_at: Once;
  state: ImportState;
  sha256: string | null;
  bytes: Generated<string>;
  read_bytes: Generated<string>;
  read_lines: Generated<string>;
  read_rows: Generated<string>;
  headers: unknown;
  errors: Generated<number>;
  warnings: Generated<number>;
  counts: unknown;
  guard: unknown;
  what_if: unknown;
  reason: string | null;
  applied_by: string | null;
  undone_by: string | null;
  changed_at: ColumnType<Date, Date | undefined, Date>;
}
interface ProblemTable {
  import: string;
  nr: number;
  line: string;
  column: number | null;
  field: string | null;
  code: string;
  detail: string;
  other_line: string | null;
  fatal: boolean;
}
interface RowTable {
  import: string;
  place: string;
  list: string;
  key: string;
  essence: string;
  body: unknown;
}
interface StepTable {
  import: string;
  undo: boolean;
  nr: string;
  phase: number;
  what: 'added' | 'changed' | 'removed';
  list: string;
  key: string;
  line: string | null;
  op: unknown;
  before: unknown;
  change: string | null;
}
interface NearTable {
  import: string;
  nr: number;
  line: string;
  number: string;
  near: string;
  class: string;
  why: string;
}
interface ImportChangeTable {
  import: string;
  undo: boolean;
  nr: number;
  change: string;
}
interface WordTable {
  import: string;
  who: string;
  digest: string;
  at: Once;
}

export interface ImportTables {
  import: ImportTable;
  import_problem: ProblemTable;
  import_row: RowTable;
  import_step: StepTable;
  import_near: NearTable;
  import_change: ImportChangeTable;
  import_word: WordTable;
}
