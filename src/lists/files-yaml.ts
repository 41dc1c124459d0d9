import { readFile } from 'node:fs/promises';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { columnsOf, faultOfField, isListKind, type ListKind, type RawRow } from './file-kinds.js';
import type { Problems } from './problems.js';

interface Cell {
  readonly text: string;
  readonly column: number;
}

interface Context {
  readonly file: string;
  readonly lines: LineCounter;
  readonly problems: Problems;
  readonly take: (row: RawRow) => void;
}

const placeOf = (context: Context, node: unknown): { file: string; line: number; column: number } => {
  const start = (node as Node | null)?.range?.[0] ?? 0;
  const { line, col } = context.lines.linePos(start);
  return { file: context.file, line, column: col };
};

const fault = (context: Context, node: unknown, detail: string): void => {
  const place = placeOf(context, node);
  context.problems.add('yaml-malformed', place, place.column, null, detail);
};

/** The text of a scalar; null (and a problem) for anything else. Every scalar is text: +1555 is no number. */
const textOf = (context: Context, node: unknown): string | null => {
  if (node === null) return '';
  if (isScalar(node) && (typeof node.value === 'string' || node.value === null)) return node.value ?? '';
  fault(context, node, 'Plain text is expected.');
  return null;
};

const readCell = (context: Context, kind: ListKind, pair: Pair): readonly [string, Cell] | null => {
  const name = textOf(context, pair.key);
  const place = placeOf(context, pair.key);
  if (name === null) return null;
  if (!columnsOf(kind).includes(name)) {
    context.problems.add('unknown-column', place, place.column, name);
    return null;
  }
  const text = textOf(context, pair.value);
  if (text === null) return null;
  const { column } = placeOf(context, pair.value ?? pair.key);
  const wrong = faultOfField(name, text);
  if (wrong !== null) {
    context.problems.add(wrong, place, column, text);
    return null;
  }
  return [name, { text: text.trim(), column }];
};

const readRow = (context: Context, kind: ListKind, node: unknown): void => {
  if (!isMap(node)) {
    fault(context, node, 'Each row is a mapping of columns to texts.');
    return;
  }
  const cells = new Map<string, Cell>();
  let sound = true;
  for (const pair of node.items) {
    const cell = readCell(context, kind, pair);
    if (cell === null) sound = false;
    else cells.set(cell[0], cell[1]);
  }
  if (!sound) return;
  const { file, line } = placeOf(context, node);
  context.take({
    kind,
    file,
    line,
    get: (column) => cells.get(column)?.text ?? '',
    columnOf: (column) => cells.get(column)?.column ?? null,
  });
};

const readList = (context: Context, kind: ListKind, node: unknown): number => {
  if (node === null || (isScalar(node) && (node.value === null || node.value === ''))) return 0;
  if (!isSeq(node)) {
    fault(context, node, 'A list of rows is expected.');
    return 0;
  }
  for (const item of node.items) readRow(context, kind, item);
  return node.items.length;
};

/**
 * Reads a YAML file: either a list of rows, its kind stated by the file name, or a mapping of kinds (allow,
 * privileged, block, pending) to lists of rows. For lists of thousands, not of millions. Returns the number of rows.
 */
export const readYaml = async (
  path: string,
  kind: ListKind | null,
  problems: Problems,
  take: (row: RawRow) => void,
): Promise<number> => {
  const text = await readFile(path, 'utf8');
  const lines = new LineCounter();
  const context = { file: path, lines, problems, take };
  // The failsafe schema knows no numbers, booleans or dates: +15550100 and "no" stay what they are.
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, uniqueKeys: true });
  if (document.errors.length > 0) {
    for (const error of document.errors) {
      const at = lines.linePos(error.pos[0]);
      problems.add('yaml-malformed', { file: path, line: at.line }, at.col, null, `(${error.code})`);
    }
    return 0;
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === '')) return 0;
  if (isSeq(contents)) {
    if (kind !== null) return readList(context, kind, contents);
    problems.add('kind-unknown', { file: path, line: 0 }, null, null);
    return 0;
  }
  if (!isMap(contents)) {
    fault(context, contents, 'A list of rows or a mapping of kinds is expected.');
    return 0;
  }
  let rows = 0;
  for (const pair of contents.items) {
    const name = textOf(context, pair.key);
    if (name !== null && isListKind(name)) rows += readList(context, name, pair.value);
    else if (name !== null) fault(context, pair.key, 'Kinds are allow, privileged, block and pending.');
  }
  return rows;
};
