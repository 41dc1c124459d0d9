import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fromRoot } from '../../src/root.js';

/**
 * Questions and answers between the benchmark and the processes it starts, over Node's own channel. Each part runs in
 * a process of its own, so that the CPU time a part takes can be read from outside.
 */
interface Question {
  readonly id: number;
  readonly ask: string;
  readonly value: unknown;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** What a part answers to: question → answer, both plain data. */
export type Answers = Readonly<Record<string, (value: never) => unknown>>;

/** Ends the program when its parent goes away, and tells of every rejection nobody handled. */
export const serve = (answers: Answers): void => {
  let unhandled = 0;
  process.on('unhandledRejection', (error) => {
    unhandled++;
    process.stderr.write(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}\n`);
  });
  const all: Answers = { ...answers, unhandled: () => unhandled };
  process.on('message', (question: Question) => {
    const answer = all[question.ask] as ((value: unknown) => unknown) | undefined;
    Promise.resolve()
      .then(() => {
        if (answer === undefined) throw new Error(`unknown question ${question.ask}`);
        return answer(question.value);
      })
      .then(
        (value) => process.send?.({ id: question.id, value }),
        (error: unknown) =>
          process.send?.({ id: question.id, error: error instanceof Error ? error.message : String(error) }),
      );
  });
  // An interrupt reaches the whole process group; the parent decides when a part ends.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  process.send?.({ id: 0, value: 'ready' });
};

/** A part in a process of its own. */
export class Part {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #open = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #last = 0;

  /** `root` is that of the build it is taken from; default this one's. */
  constructor(name: string, program: string, execArgv: readonly string[] = [], root = fromRoot()) {
    this.name = name;
    this.#child = fork(join(root, 'dist', 'test', 'bench', `${program}.js`), [], {
      execArgv: [...execArgv],
      // The controller logs at its usual level; nobody reads it here.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#ready = new Promise((resolve, reject) => {
      this.#child.once('message', () => resolve());
      this.#child.once('exit', (code) => {
        reject(new Error(`${name} ended before it was ready (${code})`));
        for (const one of this.#open.values()) one.reject(new Error(`${name} ended (${code})`));
        this.#open.clear();
      });
    });
    // Whoever asks is told; a part that nobody asks any more may end.
    this.#ready.catch(() => undefined);
    this.#child.on('message', (reply: Reply) => {
      const one = this.#open.get(reply.id);
      if (one === undefined) return;
      this.#open.delete(reply.id);
      if (reply.error === undefined) one.resolve(reply.value as never);
      else one.reject(new Error(`${name}: ${reply.error}`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask<T>(question: string, value?: unknown, deadlineMs = 60_000): Promise<T> {
    await this.#ready;
    const id = ++this.#last;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#open.delete(id);
        reject(new Error(`${this.name} did not answer ${question} within ${deadlineMs} ms`));
      }, deadlineMs);
      const settle =
        <V>(done: (value: V) => void) =>
        (value: V) => {
          clearTimeout(timer);
          done(value);
        };
      this.#open.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.send({ id, ask: question, value }, (error) => {
        if (error !== null) this.#open.get(id)?.reject(error);
      });
    });
  }

  /** Asks the part to end itself, and ends it where it does not. */
  async stop(): Promise<void> {
    await this.ask('stop', undefined, 15_000).catch(() => undefined);
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(timer);
  }
}
