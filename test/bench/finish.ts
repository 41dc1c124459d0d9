/**
 * CPU time of the thread that finishes recordings, a recording: `node dist/test/bench/finish.js [recordings] [at a time]
 * [seconds] [names]`. What the kernel counts of the thread (proc(5)), so that what else the machine does changes little of it;
 * nothing else of a controller runs. To compare two builds, run one and the other in turn.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WallMs } from '../../src/core/leg.js';
import { FinishWorker } from '../../src/finish-worker.js';
import { fromRoot } from '../../src/root.js';
import { makeIdentity } from '../../src/vault/age-keys.js';
import { newCallId } from '../media/decisions.js';
import { leftByNode } from '../recording/left-by-node.js';
import { type PacketSpec, pcapOf } from '../recording/pcap-maker.js';
import type { PartFigure } from './parts.js';
import { threadCpuUs } from './processes.js';

export interface FinishShape {
  readonly recordings: number;
  /** How many are under way. */
  readonly atOnce: number;
  /** How long both parties of each speak. */
  readonly seconds: number;
  /** How many names the day's folder holds already: a busy site's has some 100,000 in the evening. */
  readonly names: number;
}

export interface FinishCost {
  readonly userUs: number;
  readonly systemUs: number;
}

const usual: FinishShape = { recordings: 300, atOnce: 4, seconds: 8, names: 0 };
const WARM_UP = 30;

const threads = (): Set<string> => new Set(readdirSync('/proc/self/task'));

/** Both parties speak G.711 all the time, as a node writes it. */
const spoken = (seconds: number): Buffer => {
  const packets: PacketSpec[] = [];
  for (let i = 0; i < seconds * 50; i++) {
    const each = { at: i * 20, sequence: i, timestamp: i * 160 };
    const payload = Buffer.from(Array.from({ length: 160 }, (_, at) => (i * 31 + at * 7) & 0xff));
    packets.push({ ...each, toPort: 30_000, payload });
    packets.push({ ...each, toPort: 30_002, payload, from: '192.0.2.2', fromPort: 6000, ssrc: 2 });
  }
  return pcapOf(packets);
};

const finishAll = async (worker: FinishWorker, spool: string, shape: FinishShape): Promise<void> => {
  const now = (): WallMs => Date.now() as WallMs;
  const pcap = spoken(shape.seconds);
  let left = shape.recordings;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const done = await worker.finish(leftByNode(spool, newCallId(), pcap, { receivedAt: now() }), {
        nodeDone: true,
        maxSeconds: 3600,
        now,
      });
      if (done.state !== 'finished' || done.recording.evidence.complete === false) {
        throw new Error(`not finished: ${JSON.stringify(done)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: shape.atOnce }, one));
};

/** A recording's CPU time in its thread, in µs. */
export const finishCost = async (shape: FinishShape): Promise<FinishCost> => {
  mkdirSync(fromRoot('var'), { recursive: true });
  const vault = mkdtempSync(fromRoot('var', 'bench-finish-'));
  const spool = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sallyport-bench-'));
  const before = threads();
  const { identity } = makeIdentity();
  const { identity: escrow } = makeIdentity();
  const worker = new FinishWorker({
    dir: vault,
    minFreeBytes: 1,
    facilities: [
      [
        'north',
        [
          { id: 'north-1', role: 'facility', recipient: identity.recipient.text },
          { id: 'escrow-1', role: 'escrow', recipient: escrow.recipient.text },
        ],
      ],
    ],
    sealed: [{ id: 'escrow-1', role: 'escrow', recipient: escrow.recipient.text }],
    canary: null,
  });
  try {
    for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(spool, folder));
    const day = join(vault, new Date().toISOString().slice(0, 10).replaceAll('-', '/'));
    mkdirSync(day, { recursive: true, mode: 0o700 });
    for (let i = 0; i < shape.names; i++) writeFileSync(join(day, `${newCallId()}.json`), '');
    await worker.ready();
    // The two it has begun; the one that looks for what is not there has nothing to do.
    const own = [...threads()].filter((thread) => !before.has(thread));
    await finishAll(worker, spool, { ...shape, recordings: WARM_UP });
    const sum = (): FinishCost =>
      own
        .map((thread) => threadCpuUs(readFileSync(`/proc/self/task/${thread}/stat`, 'latin1')))
        .reduce((all, one) => ({
          userUs: all.userUs + one.userUs,
          systemUs: all.systemUs + one.systemUs,
        }));
    const began = sum();
    await finishAll(worker, spool, shape);
    const ended = sum();
    return {
      userUs: (ended.userUs - began.userUs) / shape.recordings,
      systemUs: (ended.systemUs - began.systemUs) / shape.recordings,
    };
  } finally {
    worker.close();
    rmSync(vault, { recursive: true });
    rmSync(spool, { recursive: true });
  }
};

export const finishParts = async (): Promise<PartFigure[]> => {
  const { userUs, systemUs } = await finishCost(usual);
  const name = `CPU to finish a recording of ${usual.seconds} s`;
  return [{ name, p50Us: userUs + systemUs, p99Us: null, perSecond: null }];
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2).map(Number);
  const [recordings = usual.recordings, atOnce = usual.atOnce, seconds = usual.seconds, names = 0] = given;
  const { userUs, systemUs } = await finishCost({ recordings, atOnce, seconds, names });
  const ms = (us: number): string => (us / 1000).toFixed(2);
  process.stdout.write(
    `${ms(userUs + systemUs)} ms a recording: user ${ms(userUs)}, system ${ms(systemUs)}\n`,
  );
}
