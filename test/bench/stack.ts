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
import { findKamailio, startKamailio } from './kamailio.js';
import { callerIds, monitoredNumber, privilegedNumber } from './numbers.js';
import type { Step } from './steps.js';

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
  readonly steps?: readonly Step[];
  readonly agent: AgentStats | null;
}

/** One way for a call to go from the caller to the called party. */
export interface Subject {
  readonly name: 'direct' | 'plain' | 'kamailio' | 'before' | 'full';
  readonly title: string;
  readonly target: Address;
  /** The process between the phones; none when they call each other. */
  readonly part: Part | null;
  /** CPU is read of these, by the name it is told under. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
  readonly privateEvery: number;
}

/** The phones, and what they call through. */
export interface Field {
  readonly caller: Part;
  readonly called: Part;
  readonly subjects: readonly Subject[];
}

export interface Stack extends Field {
  readonly site: LocalSite;
  /** Why a subject that was asked for is not there. */
  readonly absent: readonly string[];
  /** Calls of the peer that its node has recorded so far; null where there is no peer. */
  peerRecordings(): number | null;
  /** Version of the peer, where there is one. */
  readonly peer: string | null;
  /** Sessions the media nodes still have; null where a node did not say. */
  sessions(): Promise<number | null>;
  /** Files left in the spool of the recorded node. */
  leftInSpool(): number;
  stop(): Promise<void>;
}

/** Port ranges to try, four ports a call: others on this machine may hold parts of the largest. */
const portCounts = [4096, 2048, 1024];
/** Callers with a list of their own. */
const callersListed = 1000;

/** The lists of a small state: a thousand callers with five numbers each, two hundred privileged numbers. */
export const lists = (config: Config) => {
  const national = (n: number): string => `+1646555${String(n % 10_000).padStart(4, '0')}`;
  const allow: Record<string, string[]> = { '*': [monitoredNumber] };
  for (const [i, id] of callerIds().slice(0, callersListed).entries())
    allow[id] = Array.from({ length: 5 }, (_, k) => national(i * 5 + k));
  const privileged: Record<string, 'attorney'> = { [privilegedNumber]: 'attorney' };
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
        // A PBX asks: with prompts and a key to wait for, a run would measure how long people listen.
        conversation: 'elsewhere' as const,
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

export const startSite = async (
  config: Config,
  dir: string,
  counts: readonly number[] = portCounts,
): Promise<LocalSite> => {
  for (const portCount of counts.slice(0, -1)) {
    const site = await startLocal({ config, dir, portCount }).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'no-free-ports') return null;
      throw error;
    });
    if (site !== null) return site;
  }
  return startLocal({ config, dir, portCount: counts.at(-1) ?? 1024 });
};

export interface StackOptions {
  readonly profileDir: string | null;
  /** Root of another build, whose controller is measured too; null for none. */
  readonly against: string | null;
  /** Whether Kamailio is measured too. */
  readonly peers: boolean;
  /** Flags of Node for this build's controller alone. */
  readonly nodeFlags: readonly string[];
  /** The subjects that are wanted; null for all. */
  readonly only: readonly string[] | null;
}

/** Starts the phones, the plain B2BUA, Redis, the media nodes, the controller, and what it is compared with. */
export const startStack = async (options: StackOptions): Promise<Stack> => {
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  const part = (name: string, program: string, execArgv: readonly string[] = [], root?: string): Part => {
    const made = new Part(name, program, execArgv, root);
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
    // Media nodes do not suffer a second master: each that commands some has a site of its own.
    const wants = (name: Subject['name']): boolean => options.only?.includes(name) ?? true;
    const openSite = async (name: string, counts = portCounts): Promise<LocalSite> => {
      const opened = await startSite(config, join(dir, name), counts);
      stops.push(async () => {
        await opened.stop();
        // A peer that records takes nothing out of its spool again, and that is in memory.
        for (const { spool } of opened.recorded)
          if (spool !== undefined) rmSync(spool, { recursive: true, force: true });
      });
      await opened.publish(lists(config));
      await opened.beat();
      return opened;
    };
    const site = await openSite('site', wants('full') ? portCounts : portCounts.slice(-1));
    // The collector is called by hand before memory is read, in both subjects alike.
    const node = ['--enable-source-maps', '--expose-gc'];
    const profile = options.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
    const phones = { caller: [caller.pid], called: [called.pid] };
    const pidsOn = (own: LocalSite) => ({
      redis: [own.redis.pid],
      rtpengine: [...own.recorded, ...own.private].map((one) => one.pid),
      ...phones,
    });
    const subjects: Subject[] = [
      {
        name: 'direct',
        title: 'phone to phone',
        target: calledAt,
        part: null,
        pids: phones,
        privateEvery: 0,
      },
    ];
    if (wants('plain')) {
      const plain = part('plain B2BUA', 'plain-b2bua', node);
      subjects.push({
        name: 'plain',
        title: 'plain B2BUA',
        target: await plain.ask<Address>('start', { called: calledAt, lists: null }),
        part: plain,
        pids: { process: [plain.pid], ...phones },
        privateEvery: 0,
      });
    }
    let peerSpool: string | null = null;
    const absent: string[] = [];
    const found = options.peers && wants('kamailio') ? findKamailio() : null;
    if (typeof found === 'string') absent.push(found);
    else if (found !== null) {
      const own = await openSite('kamailio');
      peerSpool = own.recorded[0]?.spool ?? null;
      const [recorded, privates] = [own.recorded[0], own.private[0]];
      if (recorded === undefined || privates === undefined) throw new Error('no media nodes for the peer');
      const peer = await startKamailio(found, {
        lists: own.redis,
        media: { recorded: recorded.ng, private: privates.ng },
        dir: join(dir, 'kamailio'),
        called: calledAt,
      });
      stops.push(() => peer.stop());
      subjects.push({
        name: 'kamailio',
        title: 'Kamailio',
        target: peer.at,
        part: null,
        pids: { process: peer.pids, ...pidsOn(own) },
        privateEvery: 10,
      });
    }
    if (options.against !== null && wants('before')) {
      const own = await openSite('before');
      const before = part('the other build', 'controller', node, options.against);
      subjects.push({
        name: 'before',
        title: 'the other build',
        target: await before.ask<Address>('start', own.config),
        part: before,
        pids: { process: [before.pid], ...pidsOn(own) },
        privateEvery: 10,
      });
    }
    if (wants('full')) {
      const full = part('controller', 'controller', [...node, ...options.nodeFlags, ...profile]);
      subjects.push({
        name: 'full',
        title: 'Sallyport',
        target: await full.ask<Address>('start', site.config),
        part: full,
        pids: { process: [full.pid], ...pidsOn(site) },
        privateEvery: 10,
      });
    }
    const nodes = [...site.recorded, ...site.private];
    return {
      caller,
      called,
      site,
      absent,
      peer: found === null || typeof found === 'string' ? null : found.version,
      subjects: subjects.filter(({ name }) => wants(name)),
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
      peerRecordings: () => (peerSpool === null ? null : readdirSync(join(peerSpool, 'pcaps')).length),
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
