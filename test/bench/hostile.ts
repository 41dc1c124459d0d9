/**
 * `npm run bench -- --hostile [ATTACK ...]`: one attack after another on a whole site, while a trunk asks every 100 ms
 * whether it is there and phones every second. What is asked: no probe missed, none slower than 50 ms, and memory back
 * within a tenth 120 s later.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import type { AgentStats } from '../../src/agent/agent.js';
import type { Part } from './ask.js';
import type { AttackOrder, AttackResult } from './hostile-attacks.js';
import type { ProbeResult } from './hostile-probe.js';
import { familiesOf, poison, poisons } from './hostile-redis.js';
import { type HostileSite, startHostileSite } from './hostile-site.js';
import type { NgCounts } from './ng-relay.js';
import { cpuUs, rssBytes } from './processes.js';
import { quantile } from './rung.js';

export interface HostileOptions {
  readonly out: string | null;
  readonly json: string | null;
  /** Seconds after an attack before memory is read again. */
  readonly settleSeconds: number;
  /** 1 for every attack in full. */
  readonly scale: number;
  /** Some of the attacks; none for all. */
  readonly only: readonly string[];
}

interface Memory {
  readonly heap: number;
  readonly rss: number;
}

interface Row {
  readonly attack: string;
  readonly result: AttackResult;
  readonly during: ProbeResult;
  readonly after: ProbeResult;
  readonly cpuUs: number;
  readonly mostTransactions: number;
  readonly before: Memory;
  readonly settled: Memory;
}

/** Attack → what it is. In this order. */
const titles: Readonly<Record<string, string>> = {
  nothing: 'nothing, for comparison',
  rfc4475: 'every message of RFC 4475, twenty times, UDP and TCP',
  mutations: 'mutations of real messages, half from a trunk, half from nobody, 2,000/s',
  bytes: 'TCP one byte a packet',
  heads: 'headers too large or without end',
  lengths: 'Content-Length that lies',
  loris: 'slow connections',
  'half-open': 'INVITEs of a trunk without ACK, 500/s',
  'flood-trunk': 'INVITE flood of a trunk, random Call-IDs, 2,000/s',
  'flood-stranger': 'INVITE flood of a stranger, random Call-IDs, 2,000/s',
  ng: 'NG replies and commands replayed, doubled, changed and out of order, 2,000/s',
  redis: 'values in Redis of another type, without sense, and huge',
};

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, one) => all + one, 0);
const why = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([what, times]) => `${times} × ${what}`)
    .join(', ');
const ms = (us: number): string => (Number.isFinite(us) ? (us / 1000).toFixed(1) : '–');
const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const thousands = (count: number): string => count.toLocaleString('en-US');
const grown = (before: number, after: number): string =>
  `${after >= before ? '+' : '−'}${Math.abs((after / before - 1) * 100).toFixed(0)} %`;

/** What lives after a collection, and what the process takes a moment later, when its pages were given back. */
const memoryOf = async (controller: Part): Promise<Memory> => {
  // What the benchmark itself keeps in there is no part of it.
  await controller.ask('reset');
  await controller.ask('memory');
  await pause(300);
  const { heapUsed, external } = await controller.ask<{ heapUsed: number; external: number }>('memory');
  await pause(700);
  return { heap: heapUsed + external, rss: rssBytes(controller.pid) };
};

/** Waits until all is well; gives how long that took, and what was not. */
const untilReady = async (
  controller: Part,
  withinMs: number,
): Promise<{ readonly ms: number; readonly missing: string }> => {
  const began = performance.now();
  const missing = new Set<string>();
  for (;;) {
    const unready = await controller.ask<readonly string[]>('unready');
    for (const name of unready) missing.add(name);
    const ms = performance.now() - began;
    if (unready.length === 0) return { ms, missing: [...missing].join(', ') };
    if (ms > withinMs) throw new Error(`the controller does not become ready again: ${unready.join(', ')}`);
    await pause(50);
  }
};

const replayNg = async ({ relay }: HostileSite, scale: number): Promise<AttackResult> => {
  const began = performance.now();
  const before = await relay.ask<NgCounts>('counts');
  await relay.ask('replay', { perSecond: 2000 });
  await pause(Math.max(3, 30 * scale) * 1000);
  await relay.ask('calm');
  const after = await relay.ask<NgCounts>('counts');
  return {
    sent: after.hostile - before.hostile,
    seconds: (performance.now() - began) / 1000,
    note: `${after.commands - before.commands} commands of the controller meanwhile, ${after.again - before.again} sent again`,
  };
};

const poisonRedis = async (on: HostileSite, scale: number): Promise<AttackResult> => {
  const { site, controller, honest } = on;
  let slowest = { us: 0, stage: '' };
  const began = performance.now();
  const { keyPrefix } = site.config.lists;
  const facility = Object.keys(site.config.facilities)[0] ?? '';
  let keys = 0;
  let worstMs = 0;
  await honest.ask('worst');
  const families = await familiesOf(site.redis, keyPrefix, facility);
  for (const family of families) {
    for (const how of poisons) {
      const mend = await poison(site.redis, family, how);
      keys += family.keys.length;
      // Longer than the lists go unverified.
      await pause(Math.max(1, 6 * scale) * 1000);
      await mend();
      const healed = await untilReady(controller, 30_000);
      worstMs = Math.max(worstMs, healed.ms);
      const us = await honest.ask<number>('worst');
      if (us > slowest.us) slowest = { us, stage: `${family.name} ${how}` };
      if (us >= 50_000) say(`${family.name} ${how}: a probe took ${ms(us)} ms`);
      if (healed.missing !== '')
        say(`${family.name} ${how}: ready again after ${Math.round(healed.ms)} ms (${healed.missing})`);
    }
  }
  return {
    sent: keys,
    seconds: (performance.now() - began) / 1000,
    note: `keys of ${families.length} families; ready again at most ${Math.round(worstMs)} ms after they were put back; slowest probe at ${slowest.stage}`,
  };
};

/** Looks at the agent every half second; gives the most transactions it had open at once. */
const watchTransactions = (controller: Part): (() => Promise<number>) => {
  let most = 0;
  const stopped = new AbortController();
  const watching = (async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const stats = await controller.ask<AgentStats | null>('stats');
      most = Math.max(most, stats?.serverTransactions ?? 0);
      await pause(500);
    }
  })();
  watching.catch(() => undefined);
  return async () => {
    stopped.abort();
    await watching;
    return most;
  };
};

const attackOnce = async (
  on: HostileSite,
  attacker: Part,
  attack: string,
  { settleSeconds, scale }: HostileOptions,
): Promise<Row> => {
  const { controller, honest, udp, tcp } = on;
  const before = await memoryOf(controller);
  await honest.ask('begin', udp);
  await pause(2000);
  await honest.ask('read');
  const cpuBefore = cpuUs(controller.pid);
  const transactions = watchTransactions(controller);
  const order: AttackOrder = { attack, udp, tcp, scale, seed: Math.floor(Math.random() * 2 ** 32) };
  const result =
    attack === 'ng'
      ? await replayNg(on, scale)
      : attack === 'redis'
        ? await poisonRedis(on, scale)
        : await attacker.ask<AttackResult>('run', order, 600_000);
  const spent = cpuUs(controller.pid) - cpuBefore;
  const during = await honest.ask<ProbeResult>('read');
  await pause(settleSeconds * 1000);
  const after = await honest.ask<ProbeResult>('read');
  const mostTransactions = await transactions();
  await honest.ask('end');
  const settled = await memoryOf(controller);
  return { attack, result, during, after, cpuUs: spent, mostTransactions, before, settled };
};

const worstOf = ({ during, after }: Row): number =>
  Math.max(during.probeUs.at(-1) ?? 0, after.probeUs.at(-1) ?? 0);
const lostOf = ({ during, after }: Row): number => sum(during.probesLost) + sum(after.probesLost);

const tell = (row: Row): void => {
  const { attack, result, during, after, before, settled } = row;
  say(
    `${attack}: ${result.sent} in ${result.seconds.toFixed(0)} s (${result.note}); probes ${during.probes}+${after.probes} lost ${lostOf(row)} (${why(during.probesLost)} ${why(after.probesLost)}) ` +
      `p50 ${ms(quantile(during.probeUs, 0.5))} p99 ${ms(quantile(during.probeUs, 0.99))} worst ${ms(during.probeUs.at(-1) ?? 0)}, afterwards ${ms(after.probeUs.at(-1) ?? 0)} ms; ` +
      `the prober itself late by ${Math.max(during.behindMs, after.behindMs).toFixed(0)} ms; calls ${during.calls}+${after.calls} lost ${why(during.callsLost)} / ${why(after.callsLost)}; ` +
      `CPU ${((row.cpuUs / 1e6 / result.seconds) * 100).toFixed(0)} %; heap ${mb(before.heap)} → ${mb(settled.heap)}, RSS ${mb(before.rss)} → ${mb(settled.rss)} MB`,
  );
};

const table = (rows: readonly Row[], settle: number): string => {
  const lines = [
    `| attack | sent | a second | probes lost | p50 ms | p99 ms | worst ms | worst afterwards ms | prober late by ms | calls lost | calls lost afterwards | CPU of a core | transactions at once | live heap MB, before and ${settle} s after | RSS MB | |`,
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const row of rows) {
    const { result, during, after, before, settled } = row;
    const lost = sum(during.callsLost);
    lines.push(
      `| ${titles[row.attack] ?? row.attack} | ${thousands(result.sent)} | ${thousands(Math.round(result.sent / result.seconds))} | ` +
        `${lostOf(row)} of ${thousands(during.probes + after.probes)} | ${ms(quantile(during.probeUs, 0.5))} | ${ms(quantile(during.probeUs, 0.99))} | ` +
        `${ms(during.probeUs.at(-1) ?? Number.NaN)} | ${ms(after.probeUs.at(-1) ?? Number.NaN)} | ${Math.max(during.behindMs, after.behindMs).toFixed(0)} | ` +
        `${lost} of ${during.calls}${lost === 0 ? '' : ` (${why(during.callsLost)})`} | ${sum(after.callsLost)} of ${after.calls} | ` +
        `${((row.cpuUs / 1e6 / result.seconds) * 100).toFixed(0)} % | ${thousands(row.mostTransactions)} | ` +
        `${mb(before.heap)} → ${mb(settled.heap)} (${grown(before.heap, settled.heap)}) | ${mb(before.rss)} → ${mb(settled.rss)} (${grown(before.rss, settled.rss)}) | ${result.note} |`,
    );
  }
  return `${lines.join('\n')}\n`;
};

const verdict = (met: boolean, seen: string): string => `${met ? 'met' : '**missed**'}: ${seen}`;

const overTenth = (rows: readonly Row[], of: (memory: Memory) => number): string[] =>
  rows
    .filter(({ before, settled }) => of(settled) > of(before) * 1.1)
    .map(
      ({ attack, before, settled }) =>
        `${attack} ${mb(of(before))} → ${mb(of(settled))} MB (${grown(of(before), of(settled))})`,
    );

const verdicts = (rows: readonly Row[], settle: number, unhandled: number): string => {
  const own = rows.filter(({ attack }) => attack !== 'nothing');
  const probes = own.reduce((all, { during, after }) => all + during.probes + after.probes, 0);
  const lost = own.reduce((all, row) => all + lostOf(row), 0);
  const slow = own.filter((row) => worstOf(row) >= 50_000).map((row) => `${row.attack} ${ms(worstOf(row))}`);
  const worst = Math.max(0, ...own.map(worstOf));
  const alone = rows.find(({ attack }) => attack === 'nothing');
  const compared = alone === undefined ? '' : `; without any attack ${ms(worstOf(alone))} ms`;
  const heap = overTenth(own, ({ heap }) => heap);
  const rss = overTenth(own, ({ rss }) => rss);
  const [first, last] = [rows[0], rows.at(-1)];
  const inAll =
    first === undefined || last === undefined
      ? ''
      : `; from the first to the last attack heap ${mb(first.before.heap)} → ${mb(last.settled.heap)} MB, RSS ${mb(first.before.rss)} → ${mb(last.settled.rss)} MB`;
  const callsAfter = own.reduce((all, { after }) => all + sum(after.callsLost), 0);
  return [
    '| asked | seen |',
    '| --- | --- |',
    `| no probe missed | ${verdict(lost === 0, `${lost} of ${thousands(probes)}`)} |`,
    `| worst probe under 50 ms | ${verdict(slow.length === 0, slow.length === 0 ? `${ms(worst)} ms` : `${slow.join(', ')} ms`)}${compared} |`,
    `| live heap within 10 % ${settle} s later | ${verdict(heap.length === 0, heap.length === 0 ? `after each of ${own.length} attacks` : heap.join(', '))}${inAll} |`,
    `| RSS within 10 % ${settle} s later | ${verdict(rss.length === 0, rss.length === 0 ? `after each of ${own.length} attacks` : rss.join(', '))} |`,
    `| calls work again | ${verdict(callsAfter === 0, `${callsAfter} of ${own.reduce((all, { after }) => all + after.calls, 0)} lost after the attacks`)} |`,
    `| no crash, no unhandled rejection | ${verdict(unhandled === 0, `${unhandled}`)} |`,
    '',
  ].join('\n');
};

/** Puts a text between the markers of its name in a page that has them; else it is the page. */
export const writeMeasured = (file: string, name: string, text: string): void => {
  const begin = `<!-- measured: ${name} -->`;
  const end = '<!-- end of measured -->';
  let page = '';
  try {
    page = readFileSync(file, 'utf8');
  } catch {
    // A new page.
  }
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) writeFileSync(file, text);
  else writeFileSync(file, `${page.slice(0, from + begin.length)}\n${text.trim()}\n${page.slice(to)}`);
};

/** The machine in a sentence. */
export const onMachine = (loadBefore: number): string =>
  `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.version}, everything on loopback. One-minute load ` +
  `average ${loadBefore.toFixed(1)} before and ${(loadavg()[0] ?? 0).toFixed(1)} at the end, which holds the benchmark's own.`;

/** All code is compiled and the heap has its size: a first flood would otherwise look as if it left something behind. */
const warmUp = async (on: HostileSite, attacker: Part, options: HostileOptions): Promise<void> => {
  const { controller, honest, udp, tcp } = on;
  await honest.ask('begin', udp);
  for (const attack of ['rfc4475', 'mutations', 'half-open', 'flood-trunk', 'flood-stranger']) {
    const order: AttackOrder = { attack, udp, tcp, seed: 1, scale: Math.min(0.1, options.scale) };
    await attacker.ask('run', order, 120_000);
  }
  // Longer than a transaction lives.
  await pause(Math.min(40, options.settleSeconds) * 1000);
  await honest.ask('end');
  await untilReady(controller, 30_000);
};

export const measureHostile = async (options: HostileOptions): Promise<void> => {
  const wanted = options.only.length === 0 ? Object.keys(titles) : options.only;
  for (const name of wanted)
    if (titles[name] === undefined)
      throw new RangeError(`no attack ${name}; there are ${Object.keys(titles).join(', ')}`);
  const load = loadavg()[0] ?? 0;
  say(`load average ${load.toFixed(2)}; ${wanted.length} attacks, ${options.settleSeconds} s after each`);
  const on = await startHostileSite('hostile-probe');
  const rows: Row[] = [];
  let unhandled = 0;
  let broken: string | null = null;
  const began = performance.now();
  try {
    const attacker = on.part('attacker', 'hostile-attacks');
    await warmUp(on, attacker, options);
    for (const attack of wanted) {
      say(`${attack}: ${titles[attack]}`);
      const row = await attackOnce(on, attacker, attack, options);
      rows.push(row);
      tell(row);
    }
    unhandled = await on.controller.ask<number>('unhandled');
  } catch (error) {
    // What was measured before is told all the same.
    broken = error instanceof Error ? error.message : String(error);
    process.exitCode = 1;
  } finally {
    await on.stop();
  }
  const text = [
    `\`npm run bench -- --hostile\`: ${Math.round((performance.now() - began) / 60_000)} minutes on ${onMachine(load)}`,
    ...(options.scale === 1 ? [] : [`\n**A trial: attacks at ${options.scale} of their size.**`]),
    ...(broken === null ? [] : [`\n**It ended early: ${broken}**`]),
    '',
    verdicts(rows, options.settleSeconds, unhandled),
    table(rows, options.settleSeconds),
  ].join('\n');
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(rows, null, 1)}\n`);
  if (options.out === null) process.stdout.write(text);
  else writeMeasured(options.out, 'hostile', text);
};
