/**
 * `npm run bench -- --workers 1,2,4`: one agent with as many controller processes, calls through all of them. The rates are
 * climbed until one is not clean, and CPU is told by process: on two cores that is what a call costs where, and no scaling.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { type LocalSite, startLocal } from '../../src/local.js';
import { fromRoot } from '../../src/root.js';
import { freeTcpPort, freeUdpPort } from '../../src/stack/free-ports.js';
import { journalsOf } from '../../src/workers/worker-config.js';
import { Part } from './ask.js';
import type { CalledReport } from './called.js';
import type { RunResult } from './load.js';
import { cpuUs } from './processes.js';
import { quantile } from './rung.js';
import type { SeveralStarted } from './several.js';
import { type Address, configFor, lists } from './stack.js';

const plan = {
  ladder: [10, 20, 30, 40, 60, 80, 100, 120],
  seconds: 4,
  holdMs: 1000,
  /** Young processes compile: calls a second, and for how long, before anything is measured. */
  warmUp: { callsPerSecond: 20, seconds: 8 },
  privateEvery: 10,
  settleMs: 20_000,
  /** Ports of a node, four a call. */
  portCount: 1024,
  mostWorkers: 8,
} as const;

/** One rate with so many workers, once. */
interface WorkersRung {
  readonly workers: number;
  readonly rate: number;
  readonly calls: number;
  readonly clean: boolean;
  readonly failures: Readonly<Record<string, number>>;
  readonly retransmissions: number;
  /** What a call adds to the journals, in bytes. */
  readonly journalBytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU µs a call of the parent, the agent, all workers, the busiest of them, Redis, and all media nodes. */
  readonly cpuUs: Readonly<Record<'parent' | 'agent' | 'workers' | 'busiest' | 'redis' | 'media', number>>;
}

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ms = (us: number): string => (us / 1000).toFixed(1);

const bytesIn = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

/** A site with media nodes of its own for each worker, its workers, and the phones. */
class Bench {
  readonly #stops: (() => unknown)[] = [];
  readonly #caller: Part;
  readonly #called: Part;
  readonly #parent: Part;
  readonly #workers: number;
  #site: LocalSite | null = null;
  #at: SeveralStarted | null = null;
  #journals: readonly string[] = [];

  private constructor(workers: number) {
    this.#workers = workers;
    this.#caller = this.#part('caller', 'caller');
    this.#called = this.#part('called', 'called');
    this.#parent = this.#part('parent', 'several');
  }

  #part(name: string, program: string): Part {
    const part = new Part(name, program, ['--enable-source-maps']);
    this.#stops.push(() => part.stop());
    return part;
  }

  static async start(workers: number): Promise<Bench> {
    const bench = new Bench(workers);
    try {
      await bench.#start();
      return bench;
    } catch (error) {
      await bench.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    mkdirSync(fromRoot('var'), { recursive: true });
    const dir = mkdtempSync(fromRoot('var', 'bench-workers-'));
    this.#stops.unshift(() => rmSync(dir, { recursive: true, force: true }));
    const [callerAt, calledAt] = [
      await this.#caller.ask<Address>('open'),
      await this.#called.ask<Address>('open'),
    ];
    const workers = this.#workers;
    const site = await startLocal({
      config: configFor(callerAt, calledAt),
      dir: join(dir, 'site'),
      nodes: { recorded: workers, private: workers },
      portCount: plan.portCount,
    });
    this.#site = site;
    // Below the parts: they are ended first.
    this.#stops.splice(1, 0, () => site.stop());
    await site.publish(lists(site.config));
    await site.beat();
    const config: Config = {
      ...site.config,
      controller: { ...site.config.controller, workers, drainSeconds: 0 },
      sip: {
        ...site.config.sip,
        listen: [{ transport: 'udp', address: '127.0.0.1', port: await freeUdpPort('127.0.0.1') }],
      },
      http: { address: '127.0.0.1', port: await freeTcpPort('127.0.0.1') },
    };
    this.#at = await this.#parent.ask<SeveralStarted>('start', config, 120_000);
    this.#journals = journalsOf(config);
  }

  #cpu(): { readonly own: Omit<WorkersRung['cpuUs'], 'workers' | 'busiest'>; readonly each: number[] } {
    const [at, site] = [this.#at, this.#site];
    if (at === null || site === null) throw new Error('it has not been started');
    const nodes = [...site.recorded, ...site.private];
    return {
      own: {
        parent: cpuUs(this.#parent.pid),
        agent: cpuUs(at.agent),
        redis: cpuUs(site.redis.pid),
        media: nodes.reduce((sum, { pid }) => sum + cpuUs(pid), 0),
      },
      each: at.workers.map(cpuUs),
    };
  }

  /** A sum over all samples of a metric, as the parent tells it. */
  #metric(text: string, name: string): number {
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async #metrics(): Promise<{ readonly underWay: number; readonly alarms: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#at?.healthPort ?? 0}/metrics`)).text();
    return {
      underWay: this.#metric(text, 'sallyport_calls_under_way'),
      alarms: this.#metric(text, 'sallyport_alarms_total'),
    };
  }

  /** Waits until nobody has a call any more; false where that is not so at the bound. */
  async #settled(): Promise<boolean> {
    const end = performance.now() + plan.settleMs;
    while (performance.now() < end) {
      const { liveCalls } = await this.#called.ask<CalledReport>('report');
      if (liveCalls === 0 && (await this.#metrics()).underWay === 0) return true;
      await pause(250);
    }
    return false;
  }

  async rung(callsPerSecond: number, seconds: number): Promise<WorkersRung> {
    const at = this.#at;
    if (at === null) throw new Error('it has not been started');
    await this.#called.ask('reset');
    const journalled = (): number => this.#journals.reduce((sum, folder) => sum + bytesIn(folder), 0);
    const [before, alarmsBefore, rowsBefore] = [this.#cpu(), (await this.#metrics()).alarms, journalled()];
    const run = await this.#caller.ask<RunResult>('run', {
      ...{ callsPerSecond, seconds, holdMs: plan.holdMs, privateEvery: plan.privateEvery },
      target: { host: at.host, port: at.port },
    });
    const settled = await this.#settled();
    const after = this.#cpu();
    const called = await this.#called.ask<CalledReport>('report');
    const failures: Record<string, number> = { ...run.failures };
    if (!settled) failures['not ended at the bound'] = 1;
    const alarms = (await this.#metrics()).alarms - alarmsBefore;
    if (alarms > 0) failures.alarms = alarms;
    const retransmissions = run.retransmissions + called.retransmissions;
    const of = (name: keyof typeof before.own): number => (after.own[name] - before.own[name]) / run.calls;
    const each = after.each.map((us, i) => (us - (before.each[i] ?? 0)) / run.calls);
    return {
      workers: this.#workers,
      rate: callsPerSecond,
      calls: run.calls,
      clean: Object.keys(failures).length === 0 && retransmissions === 0 && called.calls === run.calls,
      failures,
      retransmissions,
      journalBytes: (journalled() - rowsBefore) / run.calls,
      p50Us: quantile(run.latenciesUs, 0.5),
      p99Us: quantile(run.latenciesUs, 0.99),
      cpuUs: {
        parent: of('parent'),
        agent: of('agent'),
        redis: of('redis'),
        media: of('media'),
        workers: each.reduce((sum, one) => sum + one, 0),
        busiest: Math.max(...each),
      },
    };
  }

  async stop(): Promise<void> {
    for (const one of this.#stops.splice(0).reverse()) await one();
  }
}

const tell = (rung: WorkersRung): void => {
  const { parent, agent, workers, busiest, redis, media } = rung.cpuUs;
  const bad = Object.entries(rung.failures).map(([why, times]) => `${times} × ${why}`);
  say(
    `${rung.workers} workers ${String(rung.rate).padStart(3)}/s  p50 ${ms(rung.p50Us)} p99 ${ms(rung.p99Us)} ms  CPU ms a call: ` +
      `agent ${ms(agent)}, workers ${ms(workers)} (busiest ${ms(busiest)}), parent ${ms(parent)}, redis ${ms(redis)}, media ${ms(media)}; journal ${Math.round(rung.journalBytes)} B` +
      (rung.clean ? '' : `  NOT CLEAN, ${rung.retransmissions} sent twice; ${bad.join('; ')}`),
  );
};

/** Every rate until one is not clean in two tries. */
const climb = async (workers: number): Promise<WorkersRung[]> => {
  const bench = await Bench.start(workers);
  try {
    await bench.rung(plan.warmUp.callsPerSecond, plan.warmUp.seconds);
    const rungs: WorkersRung[] = [];
    for (const rate of plan.ladder) {
      for (const attempt of [1, 2]) {
        const rung = await bench.rung(rate, plan.seconds);
        tell(rung);
        rungs.push(rung);
        if (rung.clean || attempt === 2) break;
        await pause(1500);
      }
      if (rungs.at(-1)?.clean !== true) break;
    }
    return rungs;
  } finally {
    await bench.stop();
  }
};

const table = (rungs: readonly WorkersRung[]): string => {
  const clean = rungs.filter((rung) => rung.clean);
  const counts = [...new Set(rungs.map(({ workers }) => workers))];
  const best = counts.map((workers) =>
    Math.max(0, ...clean.filter((rung) => rung.workers === workers).map(({ rate }) => rate)),
  );
  const rows = clean.map(({ workers, rate, p50Us, p99Us, journalBytes, cpuUs: cpu }) =>
    [
      ...[workers, rate, ms(cpu.agent), ms(cpu.workers), ms(cpu.busiest), ms(cpu.parent), ms(cpu.redis)],
      ...[ms(cpu.media), ms(p50Us), ms(p99Us), Math.round(journalBytes)],
    ].join(' | '),
  );
  return [
    `Calls a second that were clean: ${counts.map((n, i) => `${n} workers ${best[i]}`).join(', ')}.`,
    '',
    '| workers | calls/s | agent | all workers | the busiest | parent | Redis | media nodes | p50 ms | p99 ms | journal B |',
    `|${' --- |'.repeat(11)}`,
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
};

/** How many workers, from `1,2,4`. Throws a RangeError on anything else. */
const countsOf = (text: string): readonly number[] =>
  text.split(',').map((one) => {
    const count = Number(one);
    if (!Number.isInteger(count) || count < 1 || count > plan.mostWorkers)
      throw new RangeError(`--workers takes numbers of 1 to ${plan.mostWorkers}, such as 1,2,4`);
    return count;
  });

/** Measures, and prints a table in Markdown: CPU in ms a call by process. */
export const measureWorkers = async (counts: string, json: string | null): Promise<void> => {
  const load = [loadavg()[0] ?? 0];
  say(
    `${availableParallelism()} cores, load average ${load[0]?.toFixed(2)} before; the phones are on them too`,
  );
  const rungs: WorkersRung[] = [];
  for (const workers of countsOf(counts)) {
    rungs.push(...(await climb(workers)));
    load.push(loadavg()[0] ?? 0);
  }
  process.stdout.write(table(rungs));
  say(`load average at the ends: ${load.map((one) => one.toFixed(1)).join(', ')}`);
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), load };
  if (json !== null) writeFileSync(json, `${JSON.stringify({ machine, rungs }, null, 1)}\n`);
};
