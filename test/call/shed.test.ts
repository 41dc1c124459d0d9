import t from 'tap';
import { isoTime } from '../../src/call/cdr.js';
import type { AppEvent } from '../../src/call/events.js';
import type { JsonObject } from '../../src/call/ports.js';
import { SetUps, setUpBounds } from '../../src/call/set-ups.js';
import { type Shed, ShedRows } from '../../src/call/shed-rows.js';
import type { CallState } from '../../src/core/call-state.js';
import type { WallMs } from '../../src/core/leg.js';
import { inWorld } from './fakes.js';
import { VirtualTime } from './virtual-time.js';

const shed = (more: Partial<Shed> = {}): Shed => ({
  trunk: 'north',
  ending: 'shed',
  detail: 'load',
  count: 1,
  ...more,
});

const recording = () => {
  const time = new VirtualTime();
  const rows: JsonObject[] = [];
  const events: AppEvent[] = [];
  const works = { value: true };
  const one = new ShedRows(
    {
      append: async (kind, body) => {
        if (!works.value) throw Object.assign(new Error('full'), { code: 'disk-full' });
        rows.push({ kind, ...body });
        return { seq: rows.length, hash: '' };
      },
    },
    { wall: () => time.now as WallMs, mono: () => time.now },
    (event) => events.push(event),
  );
  return { time, rows, events, works, one };
};

t.test('a flood is a row a second, whatever it holds', async (t) => {
  const { time, rows, events, one } = recording();
  time.install();
  t.teardown(() => time.uninstall());
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 5000; i++)
      one.add(shed(i % 5 === 0 ? { trunk: null, ending: 'trunk-unknown', detail: null } : {}));
    await time.advance(1000);
  }
  t.same(
    rows,
    [0, 1000, 2000].map((since) => ({
      kind: 'shed',
      since: isoTime(since),
      calls: [
        { trunk: null, ending: 'trunk-unknown', detail: null, count: 1000 },
        { trunk: 'north', ending: 'shed', detail: 'load', count: 4000 },
      ],
      more: 0,
    })),
  );
  t.equal(events.length, 6, 'and so many lines in the log');
  for (let i = 0; i < 200; i++) one.add(shed({ trunk: `t${i}`, count: 2 }));
  await one.flush();
  const { calls } = rows.at(-1) ?? {};
  t.equal(Array.isArray(calls) && calls.length, 64);
  t.equal(rows.at(-1)?.more, 2 * (200 - 64), 'what is beyond the bound is counted together');
  t.equal(time.pending, 0);
});

t.test('what the journal does not take is counted in the next row', async (t) => {
  const { rows, events, works, one } = recording();
  works.value = false;
  one.add(shed({ count: 7 }));
  await one.flush();
  t.match(events.at(-1), { event: 'fault', where: 'shed-row', code: 'disk-full' });
  works.value = true;
  one.add(shed({ count: 2 }));
  await one.flush();
  t.match(rows, [{ calls: [{ count: 2 }], more: 7 }]);
});

t.test('the controller: beyond the bound, refused before anything is read, and counted', async (t) => {
  await inWorld({ controller: { maxSetUps: 2 } }, async (world) => {
    const { controller } = world;
    world.script = { 'look-up': { ends: 'hangs' } };
    t.equal(controller.crowded('north'), null);
    world.take();
    world.take();
    t.same(controller.setUps, { underWay: 2, limit: 2 });
    const ending = controller.crowded('north');
    t.same(ending, { code: 'shed', detail: 'set-ups' });
    t.equal(controller.refusal(), null, 'nothing else is in the way, and OPTIONS is answered');
    if (ending !== null) controller.reject({ trunk: 'north', source: '127.0.0.9', ending });
    t.equal(world.cdrs().length, 0, 'no CDR of its own');
    world.script = {};
    await world.time.advance(1000);
    t.match(
      world.events.filter(({ event }) => event === 'shed'),
      [{ trunk: 'north', ending: 'shed', detail: 'set-ups', count: 1 }],
    );
    controller.agentLost();
    await world.time.runOut();
    t.equal(controller.setUps.underWay, 0, 'calls that end count no more');
  });
});

t.test('only work of ours counts: nobody keeps others out by being slow', async (t) => {
  const slow: readonly CallState['phase'][] = [
    'dialling',
    'connecting',
    'greeting',
    'asking',
    'identifying',
    'connected',
  ];
  const setUps = new SetUps(setUpBounds(2), () => 0);
  for (const [i, phase] of slow.entries()) {
    setUps.moved(`c${i}`, 'north', 'looking-up');
    t.equal(setUps.view.underWay, 1);
    setUps.moved(`c${i}`, 'north', phase);
    t.equal(setUps.view.underWay, 0, phase);
  }
  setUps.moved('c0', 'north', 'arming');
  setUps.moved('c1', 'north', 'answering');
  t.same(setUps.refusal('north'), { code: 'shed', detail: 'set-ups' });
});
