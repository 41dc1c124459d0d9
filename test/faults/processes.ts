import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { fromRoot } from '../../src/root.js';
import { freeTcpPort, freeUdpPort } from '../../src/stack/free-ports.js';
import type { Site } from '../site/site.js';

/** The controller as its own process, as `sallyport run` starts it. */
export class Processes {
  readonly #t: Test;
  readonly #site: Site;
  /** The same for every run of it: who is in a call knows the controller by its address. */
  #port: number | null = null;

  constructor(t: Test, site: Site) {
    this.#t = t;
    this.#site = site;
  }

  async #sipPort(): Promise<number> {
    this.#port ??= await freeUdpPort('127.0.0.1');
    return this.#port;
  }

  /** Starts it and kills it so long after, wherever it is by then. */
  async startAndKill(ms: number): Promise<void> {
    const { child, exited } = await this.#spawn(null);
    await new Promise((resolve) => setTimeout(resolve, ms));
    child.kill('SIGKILL');
    await exited;
  }

  /** `other`: a second controller beside it, by another name and with a journal of its own. */
  async start(other: string | null = null) {
    const { child, exited, http, sip } = await this.#spawn(other);
    await ready(child, http.port);
    if (other === null) this.#site.callThrough({ host: sip.address, port: sip.port });
    const children = childrenOf(child.pid ?? 0);
    return {
      child,
      exited,
      childrenLeft: () => children.filter((pid) => childIsThere(pid)),
    };
  }

  async #spawn(other: string | null) {
    const { config, dir } = this.#site;
    const port = other === null ? await this.#sipPort() : await freeUdpPort('127.0.0.1');
    const sip = { transport: 'udp' as const, address: '127.0.0.1', port };
    const http = { address: '127.0.0.1', port: await freeTcpPort('127.0.0.1') };
    const file = join(dir, `${other ?? 'sallyport'}.yaml`);
    const controller = { ...config.controller, drainSeconds: 0 };
    const { heads, ...journal } = config.journal;
    const own =
      other === null
        ? {}
        : {
            controller: { ...controller, name: other },
            journal: { ...journal, directory: join(dir, `journal-of-${other}`) },
            control: { ...config.control, socket: join(dir, `${other}.sock`) },
          };
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({ ...config, controller, sip: { agent: 'embedded', listen: [sip] }, http, ...own }),
    );
    const child = spawn(
      process.execPath,
      [fromRoot('dist', 'src', 'cli', 'main.js'), 'run', '--config', file],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#t.teardown(() => child.kill('SIGKILL'));
    const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    return { child, exited, http, sip };
  }
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

const childIsThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Waits until `/ready` says so. */
const ready = async (child: ChildProcess, port: number): Promise<void> => {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  const end = performance.now() + 90_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended: ${said}`);
    const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null);
    if (response?.status === 200) return;
    if (performance.now() > end) throw new Error(`not ready: ${await response?.text()} ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
