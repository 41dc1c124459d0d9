import { spawn } from 'node:child_process';
import { fromRoot } from '../../src/root.js';

/** What a test came to in a process of its own. A test that broke in another way than an assertion proves nothing. */
export const exits = { passed: 0, noticed: 10, broken: 11 } as const;

export interface Outcome {
  readonly came: 'passed' | 'noticed' | 'broken';
  readonly said: string;
  readonly ms: number;
}

/** Runs one named test in a process of its own, with one of its guards taken away. */
export const runAlone = (
  { module, name, guard }: { readonly module: string; readonly name: string; readonly guard: string },
  deadlineMs: number,
): Promise<Outcome> => {
  const began = performance.now();
  const args = [fromRoot('dist', 'test', 'field', 'mutant-child.js'), module, name, guard];
  const child = spawn(process.execPath, args, {
    cwd: fromRoot('.'),
    // Nothing of what a test runner asks of its own children: they would only be slower.
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      said += `\nnot over within ${deadlineMs} ms`;
      child.kill('SIGTERM');
    }, deadlineMs);
    child.once('close', (code) => {
      clearTimeout(timer);
      const came = code === exits.passed ? 'passed' : code === exits.noticed ? 'noticed' : 'broken';
      resolve({ came, said: said.trim(), ms: performance.now() - began });
    });
  });
};
