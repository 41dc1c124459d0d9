import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { absolute } from './absolute.js';
import { crossCheck } from './check.js';
import { type Config, configSchema } from './schema.js';
import type { Path } from './shapes.js';

/** One thing wrong with a configuration file, with the place where it stands. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Path of the key, such as `trunks.carriers[0].port`. */
  readonly key: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly code = 'config-invalid';
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map((p) => `${p.file}:${p.line}:${p.column}: ${p.key === '' ? '' : `${p.key}: `}${p.message}`)
        .join('\n'),
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const keyText = (path: Path): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  );

const maxBytes = 4 * 1024 * 1024;

/** Reads and checks a configuration file; throws ConfigError with every problem found. */
export const loadConfig = (file: string): Config => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError([{ file, line: 0, column: 0, key: '', message: `cannot be read (${why})` }]);
  }
  return parseConfig(text, file);
};

/** Checks configuration text. Paths in it are made absolute against the file's folder only where they begin with `./`. */
export const parseConfig = (text: string, file: string): Config => {
  if (text.length > maxBytes)
    throw new ConfigError([{ file, line: 0, column: 0, key: '', message: 'is too large' }]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const at = (offset: number): { line: number; column: number } => {
    const position = lines.linePos(offset);
    return { line: position.line, column: position.col };
  };
  // A warning is a value read otherwise than it is written, such as one with a tag nobody knows.
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((error) => ({
        file,
        ...at(error.pos[0]),
        key: '',
        message: error.message.split('\n', 1)[0] ?? 'is not YAML',
      })),
    );
  }
  const place = (path: Path): { line: number; column: number } =>
    at(offsetOf(document.contents as Node | null, path));
  const parsed = configSchema.safeParse(
    plain(document, (offset, message) => {
      throw new ConfigError([{ file, ...at(offset), key: '', message }]);
    }),
  );
  if (!parsed.success)
    throw new ConfigError(parsed.error.issues.flatMap((issue) => problemsOf(issue, file, place)));
  const crossed = crossCheck(parsed.data).map(({ path, message }) => ({
    file,
    ...place(path),
    key: keyText(path),
    message,
  }));
  if (crossed.length > 0) throw new ConfigError(crossed);
  return absolute(parsed.data, dirname(resolve(file)));
};

/** The document as plain values. Aliases are counted: a few lines of them can stand for gigabytes. */
const plain = (document: Document.Parsed, fail: (offset: number, message: string) => never): unknown => {
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) === undefined)
        fail(alias.range?.[0] ?? 0, 'is an alias of nothing above it');
    },
  });
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return fail(0, 'has too many aliases, or an alias within what it stands for');
  }
};

/** Where the deepest part of the path that is in the document begins. */
const offsetOf = (root: Node | null, path: Path): number => {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(part)];
      if (item === undefined) break;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
};

const problemsOf = (
  issue: z.core.$ZodIssue,
  file: string,
  place: (path: Path) => { line: number; column: number },
): ConfigProblem[] => {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { file, ...place(path), key: keyText(path), message: 'is not a key we know' };
    });
  }
  // One of several shapes: where only one is of the kind that was written, its own problems are the ones to tell.
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.filter((inner) => !inner.some(isOfAnotherKind));
    if (meant.length === 1) {
      return (meant[0] ?? []).flatMap((inner) =>
        problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, file, place),
      );
    }
  }
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [{ file, ...place(issue.path), key: keyText(issue.path), message }];
};

const isOfAnotherKind = (issue: z.core.$ZodIssue): boolean =>
  issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
