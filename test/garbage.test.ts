/** What is held after a full collection, and the room that garbage may take beside it (src/garbage-room.ts). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { LiveHeap } from '../src/api/live-heap.js';
import { growingPercent } from '../src/garbage-room.js';
import { fromRoot } from '../src/root.js';
import { until } from './api/fake-control.js';

const MIB = 2 ** 20;

t.test('what is held is known after a full collection, and goes with what is let go', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const told: number[] = [];
  const held = new LiveHeap((bytes) => told.push(bytes));
  t.teardown(() => held.stop());
  t.equal(held.bytes, null, 'nothing is known before');
  const after = async (): Promise<number> => {
    const before = held.bytes;
    collect();
    await until('it is told', () => held.bytes !== null && held.bytes !== before);
    return held.bytes ?? 0;
  };
  const empty = await after();
  const hoard = Array.from({ length: 200_000 }, (_, i) => ({ i }));
  const full = await after();
  t.ok(full - empty > 4_000_000, `${full - empty} bytes more for ${hoard.length} objects`);
  t.ok((told.at(-1) ?? 0) - (told[0] ?? 0) > 4_000_000, 'who asked is told what is left in the heap');
  hoard.length = 0;
  t.ok(full - (await after()) > 4_000_000, 'and less without them');
});

t.test('garbage has a room, not a share of what is alive', async (t) => {
  for (const live of [64, 100, 128, 200]) {
    const room = (live * growingPercent(live * MIB)) / 100;
    t.ok(Math.abs(room - 128) <= live / 8, `${room} MiB beside ${live}`);
  }
  t.equal(growingPercent(8 * MIB), 300, 'little has no more than V8 itself would leave');
  t.equal(growingPercent(0), 300);
  t.equal(growingPercent(4096 * MIB), 50, 'much is not collected without end');
});

/** The most a heap came to that holds some 20 MiB, told this, while objects come that live long enough to grow old. */
const churned = async (toldBytes: number): Promise<number> => {
  const program = `
    import { GarbageRoom } from '${fromRoot('dist', 'src', 'garbage-room.js')}';
    import { setImmediate } from 'node:timers/promises';
    const live = Array.from({ length: 100_000 }, (_, i) => ({ i, s: String(i).repeat(20), a: [i, i, i] }));
    const ring = new Array(60_000);
    let most = 0;
    new GarbageRoom().collected(${toldBytes});
    for (let i = 0; i < 3_000_000; i++) {
      ring[i % ring.length] = { i, a: [i, i, i, i] };
      if (i % 20_000 > 0) continue;
      await setImmediate();
      if (i > 1_000_000) most = Math.max(most, process.memoryUsage().heapUsed);
    }
    console.log(most, live.length);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return Number.parseInt(stdout, 10);
};

t.test('V8 keeps to what it is told while it runs', async (t) => {
  const [little, much] = [await churned(8 * MIB), await churned(4096 * MIB)];
  t.ok(much < little * 0.75, `${Math.round(much / MIB)} MiB at 50 %, ${Math.round(little / MIB)} at 300`);
});
