import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentStats } from '../../src/agent/agent.js';
import { parseConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { type LocalSite, startLocal } from '../../src/local.js';
import { askCli } from '../../src/media/cli.js';
import { fromRoot } from '../../src/root.js';
import { listSet } from '../site/site.js';
import { Part } from './ask.js';
import type { LoopDelay } from './event-loop.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a subject's process says about itself. */
export interface SubjectReport {
  readonly calls: number;
  readonly mishaps?: Readonly<Record<string, number>>;
  readonly failed?: number;
  readonly loop: LoopDelay;
  readonly agent: AgentStats | null;
}

/** One way for a call to go from the caller to the called party. */
export interface Subject {
  readonly name: 'direct' | 'plain' | 'full';
  readonly title: string;
  readonly target: Address;
  /** The process between the phones; none when they call each other. */
  readonly part: Part | null;
  /** CPU is read of these, by the name it is told under. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
  readonly privateEvery: number;
}

export interface Stack {
  readonly caller: Part;
  readonly called: Part;
  readonly subjects: readonly Subject[];
  readonly site: LocalSite;
  /** Sessions the media nodes still have; null where a node did not say. */
  sessions(): Promise<number | null>;
  /** Files left in the spool of the recorded node. */
  leftInSpool(): number;
  stop(): Promise<void>;
}

/** Port ranges to try, four ports a call: others on this machine may hold parts of the largest. */
const portCounts = [4096, 2048, 1024];
const callersListed = 1000;

/** The lists of a small state: a thousand callers with five numbers each, two hundred privileged numbers. */
export const lists = (config: Config) => {
  const national = (n: number): string => `+1646555${String(n % 10_000).padStart(4, '0')}`;
  const allow: Record<string, string[]> = { '*': ['+12125550142'] };
  for (let i = 0; i < callersListed; i++)
    allow[String(100_000 + i)] = Array.from({ length: 5 }, (_, k) => national(i * 5 + k));
  const privileged: Record<string, 'attorney'> = { '+12125550111': 'attorney' };
  for (let i = 0; i < 200; i++) privileged[`+1718555${String(i).padStart(4, '0')}`] = 'attorney';
  return listSet({ allow, privileged }, config);
};

export const configFor = (caller: Address, called: Address): Config => {
  const file = fromRoot('config', 'sallyport.yaml');
  const example = parseConfig(readFileSync(file, 'utf8'), file);
  return {
    ...example,
    controller: { ...example.controller, maxCalls: 5000 },
    trunks: {
      facilities: example.trunks.facilities.map((trunk) => ({
        ...trunk,
        addresses: [caller.host],
        carriers: ['called'],
      })),
      carriers: [
        {
          name: 'called',
          address: called.host,
          port: called.port,
          transport: 'udp',
          keys: 'auto',
          keepaliveSeconds: 0,
          firstResponseSeconds: 15,
          copyHeaders: [],
        },
      ],
    },
  };
};

export const startSite = async (config: Config, dir: string): Promise<LocalSite> => {
  for (const portCount of portCounts.slice(0, -1)) {
    const site = await startLocal({ config, dir, portCount }).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'no-free-ports') return null;
      throw error;
    });
    if (site !== null) return site;
  }
  return startLocal({ config, dir, portCount: portCounts.at(-1) ?? 1024 });
};

/** Starts the phones, the plain B2BUA, Redis, the media nodes and the controller. */
export const startStack = async (options: { readonly profileDir: string | null }): Promise<Stack> => {
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  const part = (name: string, program: string, execArgv: readonly string[] = []): Part => {
    const made = new Part(name, program, execArgv);
    stops.push(() => made.stop());
    return made;
  };
  try {
    mkdirSync(fromRoot('var'), { recursive: true });
    const dir = mkdtempSync(fromRoot('var', 'bench-'));
    stops.push(() => rmSync(dir, { recursive: true, force: true }));
    const caller = part('caller', 'caller');
    const called = part('called', 'called');
    const callerAt = await caller.ask<Address>('open');
    const calledAt = await called.ask<Address>('open');
    const config = configFor(callerAt, calledAt);
    const site = await startSite(config, dir);
    stops.push(() => site.stop());
    await site.publish(lists(config));
    await site.beat();
    // The collector is called by hand before memory is read, in both subjects alike.
    const node = ['--enable-source-maps', '--expose-gc'];
    const plain = part('plain B2BUA', 'plain-b2bua', node);
    const plainAt = await plain.ask<Address>('start', calledAt);
    const profile = options.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
    const full = part('controller', 'controller', [...node, ...profile]);
    const fullAt = await full.ask<Address>('start', site.config);
    const phones = { caller: [caller.pid], called: [called.pid] };
    const nodes = [...site.recorded, ...site.private];
    return {
      caller,
      called,
      site,
      subjects: [
        {
          name: 'direct',
          title: 'phone to phone',
          target: calledAt,
          part: null,
          pids: phones,
          privateEvery: 0,
        },
        {
          name: 'plain',
          title: 'plain B2BUA',
          target: plainAt,
          part: plain,
          pids: { process: [plain.pid], ...phones },
          privateEvery: 0,
        },
        {
          name: 'full',
          title: 'Sallyport',
          target: fullAt,
          part: full,
          pids: {
            process: [full.pid],
            redis: [site.redis.pid],
            rtpengine: nodes.map((one) => one.pid),
            ...phones,
          },
          privateEvery: 10,
        },
      ],
      sessions: async () => {
        let sum = 0;
        for (const one of nodes) {
          const said = await askCli(one.cli, 'list numsessions');
          const own = /Current sessions own:\s*(\d+)/.exec(said ?? '')?.[1];
          if (own === undefined) return null;
          sum += Number(own);
        }
        return sum;
      },
      leftInSpool: () =>
        site.recorded.reduce(
          (sum, one) => (one.spool === undefined ? sum : sum + readdirSync(join(one.spool, 'pcaps')).length),
          0,
        ),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
