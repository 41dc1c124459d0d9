import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import { readJournal } from '../../src/journal/read.js';
import { fromRoot } from '../../src/root.js';
import { freeTcpPort, freeUdpPort } from '../../src/stack/free-ports.js';
import { journalsOf } from '../../src/workers/worker-config.js';
import type { Row, Site } from '../site/site.js';

/** A line of the parent's log. */
interface Line {
  readonly event: string;
  readonly part?: string;
  readonly pid?: number;
}

/** `sallyport run` with workers, as an operator starts it. */
export class Stack {
  readonly site: Site;
  readonly config: Config;
  readonly file: string;
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly lines: Line[] = [];
  said = '';

  private constructor(t: Test, site: Site, config: Config, file: string) {
    this.site = site;
    this.config = config;
    this.file = file;
    this.child = spawn(
      process.execPath,
      [fromRoot('dist', 'src', 'cli', 'main.js'), 'run', '--config', file],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.child.stdout?.resume();
    let rest = '';
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-8000);
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Line);
    });
    this.exited = new Promise((resolve) =>
      this.child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    t.teardown(async () => {
      const pids = [this.child.pid, ...this.pids()];
      for (const pid of pids) if (pid !== undefined) kill(pid, 'SIGKILL');
      await this.exited;
    });
  }

  static async start(
    t: Test,
    site: Site,
    controller: Partial<Config['controller']>,
    port?: number,
  ): Promise<Stack> {
    port ??= await freeUdpPort('127.0.0.1');
    const config: Config = {
      ...site.config,
      controller: { ...site.config.controller, drainSeconds: 0, ...controller },
      sip: {
        ...site.config.sip,
        agent: 'embedded',
        listen: [{ transport: 'udp', address: '127.0.0.1', port }],
      },
      http: { address: '127.0.0.1', port: await freeTcpPort('127.0.0.1') },
    };
    const file = join(site.dir, 'workers.yaml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config));
    const stack = new Stack(t, site, config, file);
    site.callThrough({ host: '127.0.0.1', port });
    await stack.untilReady();
    return stack;
  }

  get port(): number {
    return this.config.sip.listen[0]?.port ?? 0;
  }

  /** The processes there were, as far as the parent has told. */
  pids(): readonly number[] {
    return this.lines.flatMap(({ event, pid }) =>
      event === 'part-started' && pid !== undefined ? [pid] : [],
    );
  }

  /** The process that is this part now. */
  pid(part: string): number {
    const pid = this.lines.findLast((line) => line.event === 'part-started' && line.part === part)?.pid;
    if (pid === undefined) throw new Error(`no ${part}: ${this.said}`);
    return pid;
  }

  worker(number: number): string {
    return `${this.config.controller.name}-w${number}`;
  }

  signal(part: string, signal: NodeJS.Signals): void {
    process.kill(this.pid(part), signal);
  }

  /** Waits for a line of the parent's log after those that were there. */
  async line(event: string, fits: (line: Line) => boolean = () => true, after = 0): Promise<Line> {
    return until(
      `a line ${event}`,
      () => this.lines.slice(after).find((one) => one.event === event && fits(one)),
      () => this.said,
    );
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const { address, port } = this.config.http;
    const response = await fetch(`http://${address}:${port}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Waits until every check of every part holds. */
  async untilReady(): Promise<void> {
    let last = '';
    await until(
      'every part is ready',
      async () => {
        if (this.child.exitCode !== null) throw new Error(`it ended: ${this.said}`);
        last = await this.get('/ready').then(
          ({ text }) => text,
          () => '',
        );
        if (last === '') return undefined;
        const { checks } = JSON.parse(last) as { checks: readonly { name: string; ok: boolean }[] };
        const all = checks.filter(({ name }) => name.endsWith('/journal')).length;
        return all === this.config.controller.workers && checks.every(({ ok }) => ok) ? true : undefined;
      },
      () => `${last} ${this.said}`,
      90_000,
    );
  }

  get journals(): readonly string[] {
    return journalsOf(this.config);
  }

  /** Rows of one worker's journal. */
  async rowsOf(number: number, kind: string): Promise<readonly Row[]> {
    const rows: Row[] = [];
    const dir = `${this.config.journal.directory}-w${number}`;
    for await (const row of readJournal(dir, { kinds: [kind] })) rows.push(row as Row);
    return rows;
  }

  /** The one CDR of a caller's call, waited for, and whose it is. */
  async cdr(as: string): Promise<{ readonly worker: number; readonly body: Row['body'] }> {
    return until(`a CDR of ${as}`, async () => {
      const found: { worker: number; body: Row['body'] }[] = [];
      for (let worker = 1; worker <= this.config.controller.workers; worker++) {
        for (const { body } of await this.rowsOf(worker, 'cdr'))
          if (body.caller === as) found.push({ worker, body });
      }
      if (found.length > 1) throw new Error(`${found.length} CDRs of ${as}`);
      return found[0];
    });
  }

  /** Whose call this is, by its decision. */
  async workerOf(as: string): Promise<number> {
    return until(`a decision of ${as}`, async () => {
      for (let worker = 1; worker <= this.config.controller.workers; worker++) {
        if ((await this.rowsOf(worker, 'decision')).some(({ body }) => body.caller === as)) return worker;
      }
      return undefined;
    });
  }
}

const kill = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
};

/** Polls until there is something, and gives it. */
export const until = async <Value>(
  what: string,
  look: () => Value | undefined | Promise<Value | undefined>,
  state: () => string = () => '',
  deadlineMs = 60_000,
): Promise<Value> => {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}: ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};
