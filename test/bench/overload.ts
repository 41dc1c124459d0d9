/**
 * `npm run bench -- --overload`: the same controller at its clean rate, at twice and at ten times of it, with calls that
 * are up meanwhile. Once with a media node that only answers, for what is ours alone, and once with rtpengine.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import type { AgentStats } from '../../src/agent/agent.js';
import { QuickRefusals, quickHead } from '../../src/agent/quick-refusal.js';
import { sentKey } from '../../src/agent/server-transaction.js';
import type { Config } from '../../src/config/schema.js';
import { fromRoot } from '../../src/root.js';
import { Part } from './ask.js';
import { withLightNode } from './light-media.js';
import type { OverloadOrder, OverloadResult } from './overload-phones.js';
import { cpuUs } from './processes.js';
import { quantile } from './rung.js';
import { type Address, configFor, lists, type SubjectReport, startSite } from './stack.js';

type Media = 'light' | 'rtpengine';

interface Row {
  readonly media: Media;
  readonly round: number;
  readonly times: number;
  readonly cpuUs: number;
  readonly result: OverloadResult;
  readonly loopMs: number;
  readonly left: number;
  readonly mishaps: Readonly<Record<string, number>>;
}

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ladder = [20, 40, 60, 90, 120, 160, 200, 250, 300, 400, 500, 600, 800];
const times = [1, 2, 10];
const plan = { rounds: 3, seconds: 4, holdMs: 1000, standing: 20 };

const ms = (us: number): string => (us / 1000).toFixed(us < 10_000 ? 1 : 0);

/** One controller with everything it needs. */
class Bench {
  readonly media: Media;
  readonly #phones: Part;
  readonly #controller: Part;
  readonly #target: Address;
  readonly #stops: (() => unknown)[];

  private constructor(
    media: Media,
    phones: Part,
    controller: Part,
    target: Address,
    stops: (() => unknown)[],
  ) {
    this.media = media;
    this.#phones = phones;
    this.#controller = controller;
    this.#target = target;
    this.#stops = stops;
  }

  static async start(media: Media, profileDir: string | null): Promise<Bench> {
    const stops: (() => unknown)[] = [];
    const part = (name: string, program: string, execArgv: readonly string[] = []): Part => {
      const made = new Part(name, program, execArgv);
      stops.push(() => made.stop());
      return made;
    };
    try {
      mkdirSync(fromRoot('var'), { recursive: true });
      const dir = mkdtempSync(fromRoot('var', 'bench-overload-'));
      stops.push(() => rmSync(dir, { recursive: true, force: true }));
      const phones = part('phones', 'overload-phones');
      const at = await phones.ask<{ caller: Address; called: Address }>('open');
      const site = await startSite(connecting(configFor(at.caller, at.called)), dir);
      stops.push(() => site.stop());
      await site.publish(lists(site.config));
      await site.beat();
      const config =
        media === 'light'
          ? withLightNode(site.config, await part('media', 'overload-media').ask('open'))
          : site.config;
      const profile = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
      const controller = part('controller', 'controller', [
        '--enable-source-maps',
        '--expose-gc',
        ...profile,
      ]);
      const target = await controller.ask<Address>('start', config);
      return new Bench(media, phones, controller, target, stops);
    } catch (error) {
      for (const one of stops.reverse()) await one();
      throw error;
    }
  }

  async load(perSecond: number, seconds: number, round: number, factor: number): Promise<Row> {
    await this.#controller.ask('reset');
    const before = cpuUs(this.#controller.pid);
    const order: OverloadOrder = {
      perSecond,
      seconds,
      holdMs: plan.holdMs,
      target: this.#target,
      privateEvery: this.media === 'light' ? 1 : 10,
      standing: plan.standing,
    };
    const result = await this.#phones.ask<OverloadResult>('run', order, 120_000);
    let report = await this.#controller.ask<SubjectReport & { agent: AgentStats | null }>('report');
    for (let waited = 0; report.calls > 0 && waited < 15_000; waited += 50) {
      await pause(50);
      report = await this.#controller.ask('report');
    }
    return {
      media: this.media,
      round,
      times: factor,
      cpuUs: (cpuUs(this.#controller.pid) - before) / result.calls,
      result,
      loopMs: report.loop.p99,
      left: report.calls,
      mishaps: report.mishaps ?? {},
    };
  }

  async stop(): Promise<void> {
    for (const one of this.#stops.reverse()) await one();
  }
}

/** A 200 that means that both are connected: with a conversation of ours it would come before anybody is dialled. */
const connecting = (config: Config): Config => ({
  ...config,
  trunks: {
    ...config.trunks,
    facilities: config.trunks.facilities.map((trunk) => ({
      ...trunk,
      conversation: 'elsewhere' as const,
      caller: { from: 'from-user' as const },
    })),
  },
});

const isClean = ({ result }: Row): boolean =>
  result.refused === 0 &&
  result.retransmissions === 0 &&
  result.byesLost === 0 &&
  Object.keys(result.others).length === 0 &&
  quantile(result.answerUs, 0.99) < 100_000;

const tell = (row: Row, rate: number): void => {
  const { result: r } = row;
  const bad = Object.entries(row.mishaps).map(([why, count]) => `${count} × ${why}`);
  say(
    `${row.media} ${row.times}× ${rate}/s: ${r.answered} of ${r.calls} answered (${(r.answered / r.seconds).toFixed(0)}/s), ${r.refused} × 503, ` +
      `others ${JSON.stringify(r.others)}; answer p50 ${ms(quantile(r.answerUs, 0.5))} p99 ${ms(quantile(r.answerUs, 0.99))} ms; ` +
      `503 p50 ${ms(quantile(r.refusalUs, 0.5))} p99 ${ms(quantile(r.refusalUs, 0.99))} ms; probes ${r.probes} lost ${r.probesLost} worst ${ms(r.probeUs.at(-1) ?? 0)} ms; ` +
      `BYE ${r.byes} lost ${r.byesLost}; re-INVITE ${r.reinvites} lost ${r.reinvitesLost}; again ${r.retransmissions}; CPU ${row.cpuUs.toFixed(0)} µs an INVITE; loop p99 ${row.loopMs.toFixed(0)} ms; left ${row.left}; behind ${r.behindMs.toFixed(0)} ms` +
      (bad.length === 0 ? '' : `\n       ${bad.join('; ')}`),
  );
};

/** The highest rate of the ladder that is clean, each rung tried twice; the ladder ends with the first that is not. */
const cleanRate = async (bench: Bench): Promise<number> => {
  let clean = ladder[0] ?? 60;
  for (const rate of ladder) {
    let row = await bench.load(rate, plan.seconds, 0, 0);
    tell(row, rate);
    if (!isClean(row)) row = await bench.load(rate, plan.seconds, 0, 0);
    if (!isClean(row)) break;
    clean = rate;
  }
  return clean;
};

/** Two builds are compared at the same rates, whatever each could do, and warmed up alike. */
const warmUpTo = async (bench: Bench, rate: number): Promise<number> => {
  for (const share of [0.375, 0.75, 1, 1]) {
    const rung = Math.round(rate * share);
    tell(await bench.load(rung, plan.seconds, 0, 0), rung);
  }
  return rate;
};

const spread = (values: readonly number[], text: (value: number) => string): string => {
  // A round without any has none.
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return `${text(sorted[sorted.length >> 1] ?? Number.NaN)} (${text(sorted[0] ?? Number.NaN)}–${text(sorted.at(-1) ?? Number.NaN)})`;
};

const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;

const table = (rows: readonly Row[], rates: ReadonlyMap<Media, number>): string => {
  const lines = [
    '| media | load | INVITEs/s | goodput, of the clean rate | INVITE to 200 p50 ms | p99 ms | 503 p50 ms | 503 p99 ms | no answer or another | probes lost | worst probe ms | BYE lost | re-INVITE lost | CPU µs an INVITE |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const [media, rate] of rates) {
    for (const factor of times) {
      const some = rows.filter((row) => row.media === media && row.times === factor);
      const each = (of: (row: Row) => number, text: (value: number) => string): string =>
        spread(some.map(of), text);
      const sum = (of: (r: OverloadResult) => number): number =>
        some.reduce((all, { result }) => all + of(result), 0);
      const others = sum((r) => Object.values(r.others).reduce((all, one) => all + one, 0));
      lines.push(
        `| ${media} | ${factor}× | ${rate * factor} | ${each(({ result: r }) => r.answered / r.seconds / rate, percent)} | ` +
          `${each(({ result: r }) => quantile(r.answerUs, 0.5), ms)} | ${each(({ result: r }) => quantile(r.answerUs, 0.99), ms)} | ` +
          (sum((r) => r.refused) === 0
            ? '– | – | '
            : `${each(({ result: r }) => quantile(r.refusalUs, 0.5), ms)} | ${each(({ result: r }) => quantile(r.refusalUs, 0.99), ms)} | `) +
          `${others} of ${sum((r) => r.calls)} | ${sum((r) => r.probesLost)} of ${sum((r) => r.probes)} | ${each(({ result: r }) => r.probeUs.at(-1) ?? 0, ms)} | ` +
          `${sum((r) => r.byesLost)} of ${sum((r) => r.byes)} | ${sum((r) => r.reinvitesLost)} of ${sum((r) => r.reinvites)} | ${each(
            ({ cpuUs }) => cpuUs,
            (v) => v.toFixed(0),
          )} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
};

export interface OverloadOptions {
  readonly json: string | null;
  readonly profileDir: string | null;
  /** One kind of media alone; null for both. */
  readonly media: string | null;
  /** Calls a second taken for the clean rate; null to look for it. */
  readonly rate: number | null;
}

/** CPU µs of turning one INVITE away, without the socket's. */
const shedCost = (): number => {
  const sdp =
    'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
  const texts = Array.from(
    { length: 1000 },
    (_, i) =>
      `INVITE sip:+12125550142@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKq${i};rport\r\nMax-Forwards: 70\r\n` +
      `From: <sip:100001@192.0.2.1>;tag=f${i}\r\nTo: <sip:+12125550142@192.0.2.2>\r\nCall-ID: q${i}@192.0.2.1\r\nCSeq: 1 INVITE\r\n` +
      `Contact: <sip:100001@192.0.2.1:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: timer\r\n` +
      `User-Agent: phones\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`,
  );
  const quick = new QuickRefusals();
  let bytes = 0;
  const pass = (): void => {
    for (const text of texts) {
      const head = quickHead(text);
      if (head === undefined) throw new Error('this is an ordinary INVITE');
      const key = quick.keyOf(sentKey(head.via, 'INVITE'));
      bytes += quick.response(head, key, 503, 'Retry-After: 5\r\n', '192.0.2.1', 5060).length;
    }
  };
  for (let i = 0; i < 20; i++) pass();
  const before = process.cpuUsage();
  for (let i = 0; i < 50; i++) pass();
  const { user, system } = process.cpuUsage(before);
  return bytes > 0 ? (user + system) / 50 / texts.length : Number.NaN;
};

/** Measures and prints a table in Markdown. */
export const measureOverload = async (options: OverloadOptions): Promise<void> => {
  const { json, profileDir, media } = options;
  const rows: Row[] = [];
  const rates = new Map<Media, number>();
  say(`${availableParallelism()} cores, load average ${loadavg()[0]?.toFixed(2)} before; compare ratios`);
  for (const kind of ['light', 'rtpengine'] as const) {
    if (media !== null && media !== kind) continue;
    const bench = await Bench.start(kind, profileDir === null ? null : join(profileDir, kind));
    try {
      await bench.load(50, 3, 0, 0);
      const rate = await (options.rate === null ? cleanRate(bench) : warmUpTo(bench, options.rate));
      rates.set(kind, rate);
      say(`${kind}: ${options.rate === null ? 'clean up to' : 'taken for clean:'} ${rate}/s`);
      for (let round = 1; round <= plan.rounds; round++) {
        for (const factor of times) {
          const row = await bench.load(rate * factor, plan.seconds, round, factor);
          rows.push(row);
          tell(row, rate * factor);
          await pause(1000);
        }
      }
    } finally {
      await bench.stop();
    }
  }
  process.stdout.write(table(rows, rates));
  process.stdout.write(
    `One INVITE turned away, without its two datagrams: ${shedCost().toFixed(1)} µs of CPU.\n`,
  );
  if (json !== null) writeFileSync(json, `${JSON.stringify(rows, null, 1)}\n`);
};
