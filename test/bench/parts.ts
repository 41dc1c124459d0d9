import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CallerId, CallId, FacilityId } from '../../src/core/leg.js';
import { parseListed } from '../../src/core/number.js';
import { openJournal } from '../../src/journal/log.js';
import { createRedisLists } from '../../src/lists/redis-lists.js';
import type { LocalSite } from '../../src/local.js';
import { systemClock } from '../../src/main.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import {
  answerCommand,
  blockCommand,
  deleteCommand,
  offerCommand,
  pingCommand,
  recordingAnswerCommand,
  unblockCommand,
} from '../../src/media/commands.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { listsOptionsOf } from '../../src/open-parts.js';
import { planOf } from '../../src/options.js';
import { removeFromSpool } from '../../src/recording/node-files.js';
import { fromRoot } from '../../src/root.js';
import { finishParts } from './finish.js';
import { pause } from './rounds.js';
import { quantile } from './rung.js';
import { vaultParts } from './vault.js';

/** One step alone: its round trip in µs, or how many of it a second. */
export interface PartFigure {
  readonly name: string;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  readonly perSecond: number | null;
}

const trips = async (
  name: string,
  times: number,
  one: (i: number) => Promise<unknown>,
): Promise<PartFigure> => {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const began = performance.now();
    await one(i);
    took.push((performance.now() - began) * 1000);
  }
  // The first tenth warms up.
  const sorted = took.slice(Math.floor(times / 10)).sort((a, b) => a - b);
  return { name, p50Us: quantile(sorted, 0.5), p99Us: quantile(sorted, 0.99), perSecond: null };
};

/** A row as large as a decision. */
const row = (i: number) => ({
  callId: `c${String(i).padStart(26, '0')}`,
  verdict: 'monitored',
  reasons: [{ code: 'monitored', detail: null }],
  lists: { privileged: 'absent', pending: 'absent', block: 'absent', allow: 'listed' },
  filler: 'x'.repeat(500),
});

const journalParts = async (): Promise<PartFigure[]> => {
  const dir = mkdtempSync(fromRoot('var', 'bench-journal-'));
  try {
    const journal = await openJournal({ dir: join(dir, 'journal'), nodeId: 'bench' });
    const alone = await trips('journal row, one at a time, durable', 300, (i) =>
      journal.append('bench', row(i)),
    );
    const rows = 10_000;
    const began = performance.now();
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < rows) await journal.append('bench', row(next++));
    };
    await Promise.all(Array.from({ length: 50 }, writer));
    const perSecond = rows / ((performance.now() - began) / 1000);
    await journal.close();
    return [alone, { name: 'journal rows, 50 writers', p50Us: null, p99Us: null, perSecond }];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

const listPart = async (site: LocalSite): Promise<PartFigure> => {
  const lists = await createRedisLists({
    ...listsOptionsOf(site.config, systemClock),
    snapshotPath: `${site.config.lists.snapshot}.bench`,
    emit: () => undefined,
  });
  try {
    const listed = parseListed('+12125550142', planOf(site.config, 'default'));
    if (listed.kind !== 'number') throw new Error('not a number');
    const question = {
      key: listed.key,
      caller: '100001' as CallerId,
      facility: Object.keys(site.config.facilities)[0] as FacilityId,
    };
    const first = await lists.lookUp(question);
    if (first.allow.state !== 'listed') throw new Error(`the number is ${first.allow.state}`);
    return await trips('list look-up', 2000, () => lists.lookUp(question));
  } finally {
    await lists.close();
  }
};

const sdp = (host: string, port: number): string =>
  `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`;

const times = 300;
const callPrefix = 'cbench' as CallId;

/** Nobody finishes what these calls record: it is removed, once the node is done with it, or it would count as left by the product. */
const clearSpool = async (spool: string): Promise<void> => {
  const names = (): readonly string[] => readdirSync(join(spool, 'metadata'));
  for (let i = 0; i < 100 && names().filter((name) => name.includes(callPrefix)).length < times; i++)
    await pause(100);
  await removeFromSpool(spool, callPrefix);
};

/** The commands of one call in their order, each timed on its own. */
const mediaParts = async (site: LocalSite, pool: 'private' | 'recorded'): Promise<PartFigure[]> => {
  const [node] = site[pool];
  if (node === undefined) throw new Error(`no ${pool} node`);
  const ng = new NgSocket({ node: 'bench', host: node.ng.host, port: node.ng.port, emit: () => undefined });
  const took = new Map<string, number[]>();
  const step = async (name: string, message: BencodeDict): Promise<void> => {
    const began = performance.now();
    const reply = await ng.ask(message);
    const us = (performance.now() - began) * 1000;
    if (reply.result !== 'ok' && reply.result !== 'pong')
      throw new Error(`${name}: ${String(reply['error-reason'])}`);
    took.set(name, [...(took.get(name) ?? []), us]);
  };
  const answer = pool === 'recorded' ? recordingAnswerCommand : answerCommand;
  try {
    for (let i = 0; i < times; i++) {
      const callId = `${callPrefix}${i}` as CallId;
      await step('ping', pingCommand);
      await step(
        'offer',
        offerCommand(callId, 'caller', false, sdp('127.0.1.1', 4000), node.mediaAddress, 'rtp'),
      );
      await step('block', blockCommand(callId));
      await step('answer', answer(callId, 'called', sdp('127.0.2.1', 4002), node.mediaAddress, 'rtp'));
      await step('unblock', unblockCommand(callId));
      await step('delete', deleteCommand(callId, 'caller'));
    }
    if (node.spool !== undefined) await clearSpool(node.spool);
  } finally {
    ng.close();
  }
  return [...took].map(([name, all]) => {
    const sorted = all.slice(times / 10).sort((a, b) => a - b);
    return {
      name: `media ${name}, ${pool} node`,
      p50Us: quantile(sorted, 0.5),
      p99Us: quantile(sorted, 0.99),
      perSecond: null,
    };
  });
};

/** The steps of a call alone, one after another, on the stack that has just been measured. */
export const measureParts = async (site: LocalSite): Promise<PartFigure[]> => [
  ...(await journalParts()),
  await listPart(site),
  ...(await mediaParts(site, 'private')),
  ...(await mediaParts(site, 'recorded')),
  ...(await vaultParts()),
  ...(await finishParts()),
];
