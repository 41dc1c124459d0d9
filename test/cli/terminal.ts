import { type ChildProcess, spawn } from 'node:child_process';
import { CommandError, type Terminal as Written } from '../../src/cli/output.js';
import { fromRoot } from '../../src/root.js';

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A running command line, as an operator starts it. */
export class Terminal {
  readonly child: ChildProcess;
  out = '';
  err = '';
  readonly done: Promise<Run>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = { USER: 'alice' }) {
    this.child = spawn(process.execPath, [fromRoot('dist', 'src', 'cli', 'main.js'), ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.done = new Promise((resolve) => {
      this.child.once('close', (code) => resolve({ code, out: this.out, err: this.err }));
    });
  }
}

/** A command without a process of its own, which costs a second on a loaded machine; it ends as main.ts ends it. */
export const inProcess = async (command: (terminal: Written) => Promise<void>): Promise<Run> => {
  const said = { out: '', err: '' };
  const terminal: Written = {
    out: (text) => {
      said.out += `${text}\n`;
    },
    err: (text) => {
      said.err += `${text}\n`;
    },
    live: false,
  };
  try {
    await command(terminal);
    return { code: 0, ...said };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { ...said, code: error.exitCode, err: `${said.err}sallyport: ${error.message} [${error.code}]\n` };
  }
};
