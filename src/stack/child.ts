import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { findProgram, type PlacedProgram, type Program, StackError } from './program.js';
import { privilegeArgs, type RunAs } from './run-as.js';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server we started. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process is gone, however that came about. */
  readonly exited: Promise<ChildExit>;
  /** SIGTERM, and SIGKILL after a bound. Settles when the process is gone. */
  stop(): Promise<ChildExit>;
  /** SIGKILL. Settles when the process is gone. */
  kill(): Promise<ChildExit>;
  /** SIGSTOP: the process keeps its ports and answers nothing. It stands still when this returns. */
  freeze(): void;
  thaw(): void;
  /** The last lines it wrote to stdout and stderr. */
  stderrTail(): string;
}

export interface ChildOptions {
  readonly name: string;
  readonly program: Program | PlacedProgram;
  readonly args: readonly string[];
  readonly runAs: RunAs | null;
  readonly cwd: string;
  /** RLIMIT_FSIZE of the process in bytes: 0 forbids it every byte in every regular file. */
  readonly maxFileBytes?: number;
}

const TAIL_CHARS = 16_384;
const STOP_MS = 2_000;

const living = new Set<ChildProcess>();
let guarded = false;

/** Ends children when this process ends in an orderly way; PR_SET_PDEATHSIG does it for all other ends. */
const guard = (child: ChildProcess): void => {
  living.add(child);
  child.once('exit', () => living.delete(child));
  if (guarded) return;
  guarded = true;
  process.on('exit', () => {
    for (const each of living) each.kill('SIGKILL');
  });
};

const collectTail = (child: ChildProcess): (() => string) => {
  let tail = '';
  const take = (chunk: Buffer): void => {
    tail = (tail + chunk.toString('utf8')).slice(-TAIL_CHARS);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return () => tail;
};

const STOPPING_MS = 1_000;

/** Waits, without letting go of this thread, until every thread of the process has taken the signal. */
export const untilStopped = (pid: number): void => {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const stopped = (): boolean =>
    readdirSync(`/proc/${pid}/task`).every((task) =>
      /^State:\t[TtZ]/m.test(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')),
    );
  try {
    for (let waited = 0; waited < STOPPING_MS && !stopped(); waited++) Atomics.wait(sleeper, 0, 0, 1);
  } catch {
    // It is gone: nothing stands stiller.
  }
};

/**
 * Starts a server as a child: setpriv execs prlimit execs the server, so the child's pid is the server's. Its
 * output goes to a pipe, never to a file.
 */
export const startChild = async (options: ChildOptions): Promise<Child> => {
  const { name, runAs, maxFileBytes } = options;
  const limited =
    maxFileBytes === undefined
      ? []
      : [findProgram('prlimit'), `--fsize=${maxFileBytes}:${maxFileBytes}`, '--core=0', '--'];
  const { program } = options;
  const path = typeof program === 'string' ? findProgram(program) : program.path;
  const command = [...privilegeArgs(runAs), '--', ...limited, path, ...options.args];
  const child = spawn(findProgram('setpriv'), command, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a process group of its own: a Ctrl-C at the terminal is for us, and ends what we started in its order.
    detached: true,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: options.cwd },
  });
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const stderrTail = collectTail(child);
  const pid = child.pid;
  if (pid === undefined) {
    await exited;
    throw new StackError('died-early', `${name} could not be started`);
  }
  guard(child);
  const kill = (): Promise<ChildExit> => {
    child.kill('SIGKILL');
    return exited;
  };
  const stop = async (): Promise<ChildExit> => {
    child.kill('SIGTERM');
    // A frozen process takes SIGTERM only once it goes on.
    child.kill('SIGCONT');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  return {
    name,
    pid,
    exited,
    stop,
    kill,
    freeze: () => {
      child.kill('SIGSTOP');
      untilStopped(pid);
    },
    thaw: () => void child.kill('SIGCONT'),
    stderrTail,
  };
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until `answers` is true, asking again and again. Where the child dies meanwhile or the bound passes, it is
 * ended and the error holds what it wrote.
 */
export const untilReady = async (
  child: Child,
  answers: () => Promise<boolean>,
  withinMs = 10_000,
): Promise<void> => {
  let dead = false;
  void child.exited.then(() => {
    dead = true;
  });
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    if (dead)
      throw new StackError('died-early', `${child.name} ended before it was ready:\n${child.stderrTail()}`);
    if (await answers()) return;
    await pause(10);
  }
  await child.kill();
  throw new StackError('not-ready', `${child.name} did not answer in ${withinMs} ms:\n${child.stderrTail()}`);
};
