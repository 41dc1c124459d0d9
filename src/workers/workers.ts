import type { SipTimers } from '../agent/agent.js';
import { agentMetrics } from '../api/agent-metrics.js';
import { startControl } from '../api/control-server.js';
import { type Check, startHealth } from '../api/health.js';
import type { Config } from '../config/schema.js';
import { version } from '../main.js';
import {
  type AgentAt,
  applicationAt,
  FIRST_TAG,
  ownSecret,
  remoteAgent,
  type SipListener,
} from '../sip-agent.js';
import { Part, type PartEvent } from './child.js';
import { WorkersControl } from './far-control.js';
import { openKeyRelay } from './key-relay.js';
import { ask, checksIn, mergedMetrics } from './merge.js';
import { leftBehind, workerConfig } from './worker-config.js';

/** What the parent tells of itself and its parts, for the log. */
export type WorkersEvent =
  | PartEvent
  | { readonly event: 'restart-begun' | 'restart-done' }
  | {
      readonly event: 'restart-refused' | 'restart-stopped';
      readonly code: string;
      readonly message: string;
    };

export interface WorkersOptions {
  readonly config: Config;
  /** Reads the configuration again, for a rolling restart. Throws where it is unsound. */
  readonly reload?: () => Config;
  readonly tell: (event: WorkersEvent) => void;
  readonly timers?: Partial<SipTimers>;
}

export interface Workers {
  readonly sip: readonly SipListener[];
  readonly healthPort: number;
  /** Process ids now: of the agent (null where it is not ours) and of the workers, null while one is started again. */
  pids(): { readonly agent: number | null; readonly workers: readonly (number | null)[] };
  /**
   * Restarts one worker after the other, each once its calls are over or had their time. False where that is under way
   * already, or the configuration is unsound. What the agent and the parent itself have of the configuration stays.
   */
  restart(): Promise<boolean>;
  /** Lets the calls of all workers go on for as long, and ends everything. */
  stop(drainSeconds?: number): Promise<void>;
}

/** How long the others may take to be ready before a worker is taken away from beside them. */
const READY_MS = 60_000;
const LOOK_MS = 50;
/** How long a controller that is not run any more may take to close what it left. */
const SETTLE_MS = 30_000;

/** One worker and where its health is asked. */
interface Worker {
  readonly number: number;
  readonly part: Part;
  healthPort: number | null;
}

const portOf = (config: Config, sip: readonly SipListener[]): Config => ({
  ...config,
  sip: {
    ...config.sip,
    // Who is in a call knows the agent by its addresses: its successor has the same ones.
    listen: sip.map(({ transport, host, port }) => ({ transport, address: host, port })),
  },
});

class Parent {
  readonly #options: WorkersOptions;
  #config: Config;
  #agent: Part | null = null;
  #at: AgentAt = { host: '127.0.0.1', port: 0, secret: '' };
  #sip: readonly SipListener[] = [];
  readonly #workers: Worker[] = [];
  readonly #closers: (() => unknown)[] = [];
  #restarting: Promise<boolean> | null = null;
  #stopping: Promise<void> | null = null;
  #isStopping = false;
  healthPort = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  get sip(): readonly SipListener[] {
    return this.#sip;
  }

  pids(): ReturnType<Workers['pids']> {
    return { agent: this.#agent?.pid ?? null, workers: this.#workers.map(({ part }) => part.pid) };
  }

  async start(): Promise<void> {
    const config = this.#config;
    const { keypad } = config.media;
    const relay = await openKeyRelay(keypad, (report, from) => {
      for (const { part } of this.#workers) part.send({ do: 'take-key', report, from });
    });
    this.#closers.push(() => relay.close());
    await this.#startAgent();
    for (const left of leftBehind(config)) await this.#settle(left);
    for (let number = 1; number <= config.controller.workers; number++) {
      const worker: Worker = { number, part: this.#partOf(number, () => worker), healthPort: null };
      this.#workers.push(worker);
    }
    const started = await Promise.allSettled(this.#workers.map(({ part }) => part.start()));
    for (const one of started) if (one.status === 'rejected') throw one.reason;
    await this.#serve();
  }

  async #startAgent(): Promise<void> {
    const { config, tell, timers = {} } = this.#options;
    const { agent, application } = config.sip;
    if (agent !== 'embedded' || application !== undefined) {
      this.#at = application === undefined ? remoteAgent(config) : applicationAt(application);
      this.#sip = config.sip.listen.map(({ transport, address, port = 0 }) => ({
        transport,
        host: address,
        port,
      }));
      return;
    }
    this.#at = { ...this.#at, secret: ownSecret() };
    const part = new Part({
      name: 'agent',
      role: 'agent',
      begin: () => {
        const { port, secret } = this.#at;
        const where = this.#sip.length === 0 ? config : portOf(config, this.#sip);
        return { do: 'be-agent', config: where, app: { port, secret }, timers, version };
      },
      tell,
      // Whoever of them is up: it is counted and journalled once.
      onTold: (said) => this.#workers.find(({ part: one }) => one.ready)?.part.send({ do: 'hear', said }),
      onReady: (word) => {
        if (word.is !== 'agent') return;
        this.#at = { ...this.#at, port: word.port };
        this.#sip = word.sip;
      },
    });
    this.#agent = part;
    await part.start();
  }

  #partOf(number: number, worker: () => Worker | null): Part {
    const name = workerConfig(this.#config, number).controller.name;
    return new Part({
      name,
      role: 'controller',
      begin: () => ({
        do: 'be-controller',
        config: workerConfig(this.#config, number),
        among: {
          agent: { ...this.#at, tags: number === 1 ? [FIRST_TAG] : [] },
          sip: this.#sip,
          first: number === 1,
          custody: `${this.#config.journal.directory}-custody`,
        },
      }),
      tell: this.#options.tell,
      onReady: (word) => {
        const one = worker();
        if (word.is === 'controller' && one !== null) one.healthPort = word.healthPort;
      },
    });
  }

  /** Lets a controller that is not run any more close the calls it left: it comes up, does that, and goes. */
  async #settle(number: number): Promise<void> {
    const part = this.#partOf(number, () => null);
    await part.start();
    // Ready, it has told the parties; the recordings and the CDRs follow. What is not done in time the next start does.
    const end = performance.now() + SETTLE_MS;
    while (leftBehind(this.#config).includes(number) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await part.stop(0);
  }

  async #serve(): Promise<void> {
    const { http, control } = this.#options.config;
    const sockets = this.#workers.map(
      ({ number }) => workerConfig(this.#options.config, number).control.socket,
    );
    const workersControl = new WorkersControl(sockets);
    const operators = await startControl({
      path: control.socket,
      control: workersControl,
      onFault: (command) =>
        this.#options.tell({ event: 'part-failed', part: 'control', code: command, message: 'it threw' }),
    });
    this.#closers.push(() => operators.close());
    const health = await startHealth({
      host: http.address,
      port: http.port,
      checks: () => this.#checks(),
      isReady: (checks) => this.#isReady(checks),
      metrics: () => this.#metrics(),
      metricsType: 'text/plain; version=0.0.4; charset=utf-8',
      calls: () => workersControl.calls(),
    });
    this.#closers.push(() => health.close());
    this.healthPort = health.port;
  }

  async #checksOf({ part, healthPort }: Worker): Promise<readonly Check[]> {
    if (!part.ready || healthPort === null) return [{ name: 'worker', ok: false, why: 'is not up' }];
    return checksIn((await ask(healthPort, '/ready'))?.text);
  }

  async #checks(): Promise<readonly Check[]> {
    const each = await Promise.all(
      this.#workers.map(async (worker) =>
        (await this.#checksOf(worker)).map((check) => ({
          ...check,
          name: `${worker.part.name}/${check.name}`,
        })),
      ),
    );
    const agent = this.#agent;
    const own: Check[] =
      agent === null
        ? []
        : [{ name: 'agent-process', ok: agent.ready, why: agent.ready ? 'is up' : 'is not up' }];
    return [...own, ...each.flat()];
  }

  /** Calls are taken as long as one worker takes them. */
  #isReady(checks: readonly Check[]): boolean {
    const agent = checks.every(({ name, ok }) => name !== 'agent-process' || ok);
    return (
      agent &&
      this.#workers.some(({ part }) =>
        checks.filter(({ name }) => name.startsWith(`${part.name}/`)).every(({ ok }) => ok),
      )
    );
  }

  async #metrics(): Promise<string> {
    const texts = await Promise.all(
      this.#workers.map(async ({ part, healthPort }) => {
        const answer = !part.ready || healthPort === null ? null : await ask(healthPort, '/metrics');
        const up = answer?.status === 200;
        const own = [
          '# HELP sallyport_worker_up 1 while a worker answers.',
          '# TYPE sallyport_worker_up gauge',
          `sallyport_worker_up ${up ? 1 : 0}`,
          '# HELP sallyport_worker_starts_total Starts of a worker, the first included.',
          '# TYPE sallyport_worker_starts_total counter',
          `sallyport_worker_starts_total ${part.starts}`,
        ].join('\n');
        return { worker: part.name, text: `${own}\n${up ? answer.text : ''}` };
      }),
    );
    const agent = (await this.#agent?.counts()) ?? null;
    return mergedMetrics(agent === null ? texts : [...texts, { worker: 'agent', text: agentMetrics(agent) }]);
  }

  async #untilReady(workers: readonly Worker[]): Promise<boolean> {
    const end = performance.now() + READY_MS;
    for (const worker of workers) {
      while (!(await this.#checksOf(worker)).every(({ ok }) => ok)) {
        if (performance.now() > end || this.#isStopping) return false;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    }
    return true;
  }

  restart(): Promise<boolean> {
    this.#agent?.send({ do: 'reload-tls' });
    if (this.#restarting !== null || this.#isStopping) {
      const message = 'the workers are being restarted, or stopped, already';
      this.#options.tell({ event: 'restart-refused', code: 'restart-under-way', message });
      return Promise.resolve(false);
    }
    this.#restarting = this.#roll().finally(() => {
      this.#restarting = null;
    });
    return this.#restarting;
  }

  async #roll(): Promise<boolean> {
    const { reload, tell } = this.#options;
    try {
      if (reload !== undefined) this.#config = this.#kept(reload());
    } catch (error) {
      const message = error instanceof Error ? error.message : 'it cannot be read';
      tell({ event: 'restart-refused', code: 'config-invalid', message });
      return false;
    }
    tell({ event: 'restart-begun' });
    for (const worker of this.#workers) {
      const others = this.#workers.filter((one) => one !== worker);
      // Taken away from beside workers that take no calls, it would leave nobody who does.
      if (!(await this.#untilReady(others))) return this.#stopped('others-not-ready', worker);
      if (this.#isStopping) return this.#stopped('stopping', worker);
      await worker.part.stop(this.#config.controller.restartSeconds);
      if (this.#isStopping) return this.#stopped('stopping', worker);
      await worker.part.start().catch(() => undefined);
      if (!(await this.#untilReady([worker]))) return this.#stopped('not-ready-again', worker);
    }
    tell({ event: 'restart-done' });
    return true;
  }

  #stopped(code: string, { part }: Worker): boolean {
    this.#options.tell({ event: 'restart-stopped', code, message: `at ${part.name}; those after it run on` });
    return false;
  }

  /** The new configuration, but for what is the parent's and the agent's own: that takes a whole restart. */
  #kept(next: Config): Config {
    const { controller, sip, control, http, journal, lists, media } = this.#options.config;
    const { name, workers, ledger } = controller;
    return {
      ...next,
      controller: { ...next.controller, name, workers, ledger },
      sip,
      control: { ...next.control, socket: control.socket },
      http,
      journal: { ...next.journal, directory: journal.directory },
      lists: { ...next.lists, orders: lists.orders, snapshot: lists.snapshot },
      media,
    };
  }

  stop(drainSeconds = this.#config.controller.drainSeconds): Promise<void> {
    this.#isStopping = true;
    // Said again it is for those who are in no hurry.
    if (this.#stopping !== null)
      for (const { part } of this.#workers) part.send({ do: 'stop', seconds: drainSeconds });
    this.#stopping ??= this.#stopAll(drainSeconds);
    return this.#stopping;
  }

  async #stopAll(drainSeconds: number): Promise<void> {
    // The calls first: their ends go through the agent.
    await Promise.all(this.#workers.map(({ part }) => part.stop(drainSeconds)));
    await this.#restarting;
    await this.#agent?.stop(0);
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/**
 * Starts the agent and the workers of the configuration, each in a process of its own, and keeps them running. Rejects
 * where one of them does not come up at all, with everything ended again.
 */
export const startWorkers = async (options: WorkersOptions): Promise<Workers> => {
  const parent = new Parent(options);
  try {
    await parent.start();
  } catch (error) {
    await parent.stop(0);
    throw error;
  }
  return {
    sip: parent.sip,
    healthPort: parent.healthPort,
    pids: () => parent.pids(),
    restart: () => parent.restart(),
    stop: (drainSeconds) => parent.stop(drainSeconds),
  };
};
