import assert from 'node:assert/strict';
import { relative } from 'node:path';
import ts from 'typescript';
import { fromRoot } from '../../src/root.js';
import type { Edit } from './guards.js';
import type { Named } from './named.js';

/** What does not compile cannot be run by anybody: no option, no role, no patch of one line in a hurry. */

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
};

/** The sources, with what mutant-child.ts takes out of them. */
const sourceOf = (file: string, text: string): string => {
  const { sourceEdits = [] } = globalThis as { sourceEdits?: readonly Edit[] };
  return sourceEdits
    .filter((edit) => edit.file === relative(fromRoot('.'), file))
    .reduce((source, { find, replace }) => source.replace(find, () => replace), text);
};

/** The lines (from 1) of a module below src/ that do not compile. */
const errorsIn = (text: string): readonly number[] => {
  const file = fromRoot('src', 'somebody.ts');
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  const read = (name: string): string | undefined => {
    const found = name === file ? text : readFile(name);
    return found === undefined ? undefined : sourceOf(name, found);
  };
  Object.assign(host, {
    fileExists: (name: string) => name === file || fileExists(name),
    readFile: read,
    getSourceFile: (name: string, target: ts.ScriptTarget) => {
      const found = read(name);
      return found === undefined ? undefined : ts.createSourceFile(name, found, target, true);
    },
  } satisfies Partial<ts.CompilerHost>);
  const program = ts.createProgram([file], options, host);
  const source = program.getSourceFile(file);
  assert.ok(source !== undefined);
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  const lines = found.map(({ start = 0 }) => source.getLineAndCharacterOfPosition(start).line + 1);
  return [...new Set(lines)].sort((a, b) => a - b);
};

const attempts = `
import type { PrivateAnchor, RecordedAnchor, Recorder } from './call/ports.js';
import type { Decision, Monitored, Private, Refused } from './core/decision.js';
declare const recorder: Recorder;
declare const anchors: { recorded: RecordedAnchor; private: PrivateAnchor };
declare const is: { monitored: Monitored; private: Private; refused: Refused; any: Decision };
export const tries = [
  () => recorder.arm(is.monitored, anchors.recorded, 'v=0'),
  () => recorder.arm(is.private, anchors.recorded, 'v=0'),
  () => recorder.arm(is.refused, anchors.recorded, 'v=0'),
  () => recorder.arm(is.any, anchors.recorded, 'v=0'),
  () => recorder.arm({ ...is.private, verdict: 'monitored' }, anchors.recorded, 'v=0'),
  () => recorder.arm({ verdict: 'monitored', key: is.private.key, reasons: is.private.reasons, epoch: null, policy: is.private.policy }, anchors.recorded, 'v=0'),
  () => recorder.arm(is.monitored, anchors.private, 'v=0'),
];
`;

const doesNotCompile: Named = {
  cause: 9,
  name: 'recording a private call does not compile, nor does making up the decision to record one',
  run: async () => {
    const lines = attempts.split('\n');
    const lineOf = (part: string): number => lines.findIndex((line) => line.includes(part)) + 1;
    const first = lineOf('arm(is.monitored, anchors.recorded');
    assert.deepEqual(
      errorsIn(attempts),
      Array.from({ length: 6 }, (_, n) => first + 1 + n),
      'the first compiles, and none of the others',
    );
  },
};

export const typeCases: readonly Named[] = [doesNotCompile];
