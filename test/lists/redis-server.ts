import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freeTcpPort } from '../../src/stack/free-ports.js';

/** Asks until the answer is true; throws after the deadline. */
export const until = async (
  what: string,
  ask: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> => {
  const end = performance.now() + ms;
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(5);
  }
};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.write('PING\r\n'));
  });

/** A real redis-server of our own on a free port, in a folder of its own. It keeps nothing on disk. */
export class RedisServer {
  readonly port: number;
  readonly folder: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(
      await freeTcpPort('127.0.0.1'),
      await mkdtemp(join(tmpdir(), 'lists-redis-')),
    );
    await server.run();
    return server;
  }

  /** Starts the process, empty; again after `kill`. */
  async run(): Promise<void> {
    const child = spawn(
      'redis-server',
      [
        '--port',
        String(this.port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        this.folder,
      ],
      { stdio: 'ignore' },
    );
    this.#child = child;
    // A test that ends early, by bailing out or by an exception, runs no teardown; its Redis must not outlive it.
    const end = (): void => {
      child.kill('SIGKILL');
    };
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    await until('redis-server answers', async () => {
      const there = await answers(this.port);
      // Somebody else's server at that port would answer as well.
      if (child.exitCode !== null) throw new Error(`redis-server ended: port ${this.port} may be taken`);
      return there;
    });
  }

  get endpoint(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  /** A client with every right, for looking and for doing harm. */
  client(): Redis {
    const client = new Redis({ ...this.endpoint, protocol: 2 });
    client.on('error', () => {});
    return client;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
