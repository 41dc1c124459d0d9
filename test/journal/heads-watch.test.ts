import { mock } from 'node:test';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import { watchHeads } from '../../src/heads-watch.js';
import type { JournalEvent } from '../../src/journal/options.js';

const watched = (everySeconds: number) => {
  const told: AppEvent[] = [];
  const watch = watchHeads(everySeconds, (event) => told.push(event));
  const alarms = (): unknown[] =>
    told.flatMap((event) => (event.event === 'alarm' ? [[event.alarm, event.detail]] : []));
  const states = (): unknown[] =>
    told.flatMap((event) => (event.event === 'journal-heads' ? [[event.part, event.state]] : []));
  return { watch: (event: JournalEvent) => watch(event), told, alarms, states };
};

t.test('heads that stay unsigned or unshipped are alarms, and those that come late are not', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { watch, told, alarms, states } = watched(60);
  watch({ type: 'heads-unhealthy', reason: 'ENOSPC' });
  t.match(told[0], { event: 'fault', where: 'journal-heads', code: 'ENOSPC' });
  mock.timers.tick(119_000);
  t.same(alarms(), []);
  watch({ type: 'heads-recovered', reason: 'ENOSPC' });
  mock.timers.tick(600_000);
  t.same(alarms(), [], 'it was signed within three times its time');
  watch({ type: 'heads-unhealthy', reason: 'hangs' });
  watch({ type: 'ship-behind', reason: 'EIO' });
  mock.timers.tick(120_000);
  t.same(alarms(), [
    ['heads-unsigned', 'hangs'],
    ['heads-unshipped', 'EIO'],
  ]);
  watch({ type: 'ship-recovered', reason: 'EIO' });
  t.same(states(), [
    ['signing', 'unhealthy'],
    ['signing', 'healthy'],
    ['signing', 'unhealthy'],
    ['shipping', 'unhealthy'],
    ['shipping', 'healthy'],
  ]);
  watch({ type: 'ship-behind', reason: 'diverged' });
  t.same(alarms().at(-1), ['heads-unshipped', 'diverged'], 'no time makes that better');
  watch({ type: 'ship-recovered', reason: 'diverged' });
  watch({ type: 'ship-behind', reason: 'EIO' });
  watch({ type: 'closed', clean: true });
  mock.timers.tick(600_000);
  t.equal(alarms().length, 3, 'nothing is told of a journal that was closed');
});

t.end();
