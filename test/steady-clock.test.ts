import t from 'tap';
import type { WallMs } from '../src/core/leg.js';
import { steadyClock } from '../src/steady-clock.js';

t.test('a clock that was set is not believed for five minutes, a clock that drifts is', async (t) => {
  let wall = 1_790_000_000_000;
  let mono = 0;
  let jumps = 0;
  const steady = steadyClock({ wall: () => wall as WallMs, mono: () => mono }, () => jumps++);
  const pass = (ms: number, off = 0): boolean => {
    mono += ms;
    wall += ms + off;
    return steady();
  };
  t.ok(steady());
  for (let i = 0; i < 100; i++) t.ok(pass(60_000, 500), 'half a second a minute');
  t.ok(pass(1000, 60_000), 'just within the bound');
  t.equal(jumps, 0);

  for (const off of [60_001, -60_001, 3_600_000, -86_400_000]) {
    const before = jumps;
    t.notOk(pass(1000, off), `set by ${off} ms`);
    t.notOk(pass(299_000), 'not yet');
    t.ok(pass(2000), 'what it says now is taken');
    t.equal(jumps, before + 1, 'told once');
  }
  // A machine that slept: monotonic time stood still, and the wall went on.
  t.notOk(pass(0, 7_200_000));
  t.ok(pass(300_001));
  wall = Number.NaN;
  t.notOk(steady(), 'no clock at all');
});
