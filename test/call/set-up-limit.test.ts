import fc from 'fast-check';
import t from 'tap';
import { SetUpLimit } from '../../src/call/set-up-limit.js';

/** For properties: what does not hold is shrunk, which a failed check of the test's own would not be. */
const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

const bounds = { least: 4, first: 32, most: 500 };

/**
 * A machine in virtual time: it works on one call after another, `workMs` each, and each call waits `idleMs` for disk
 * and network besides. That is what a set-up is: a little of our own time, and waits that overlap.
 */
class Machine {
  readonly limit: SetUpLimit;
  readonly admitted = new Map<string, number>();
  readonly refused = new Map<string, number>();
  readonly tookMs: number[] = [];
  mostAtOnce = 0;
  now = 0;
  #freeAt = 0;
  #ids = 0;
  readonly #done: { at: number; id: string; trunk: string; began: number }[] = [];
  readonly #workMs: number;
  readonly #idleMs: number;

  constructor(workMs: number, idleMs: number) {
    this.#workMs = workMs;
    this.#idleMs = idleMs;
    this.limit = new SetUpLimit(bounds, 0);
  }

  call(trunk: string, at: number): void {
    this.passTo(at);
    if (!this.limit.admits(trunk, at)) {
      this.refused.set(trunk, (this.refused.get(trunk) ?? 0) + 1);
      return;
    }
    this.admitted.set(trunk, (this.admitted.get(trunk) ?? 0) + 1);
    const id = `c${++this.#ids}`;
    this.limit.at(id, trunk, 'deciding', at);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.limit.underWay);
    this.#freeAt = Math.max(this.#freeAt, at) + this.#workMs;
    this.#done.push({ at: this.#freeAt + this.#idleMs, id, trunk, began: at });
  }

  passTo(at: number): void {
    for (let next = this.#done[0]; next !== undefined && next.at <= at; next = this.#done[0]) {
      this.#done.shift();
      this.limit.at(next.id, next.trunk, null, next.at);
      this.tookMs.push(next.at - next.began);
    }
    this.now = at;
  }

  /** Calls at random, so many a second on average (a Poisson process). */
  load(perSecond: number, seconds: number, random: () => number, trunk = 'a'): void {
    const end = this.now + seconds * 1000;
    for (let at = this.now; ; ) {
      at -= (Math.log(1 - random()) * 1000) / perSecond;
      if (at >= end) break;
      this.call(trunk, at);
    }
    this.passTo(end);
  }

  sum(of: Map<string, number>): number {
    return [...of.values()].reduce((sum, one) => sum + one, 0);
  }

  forget(): void {
    this.admitted.clear();
    this.refused.clear();
    this.tookMs.length = 0;
  }
}

const randomFrom = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

const machines = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
  /** 100 to 1,000 calls a second. */
  workMs: fc.double({ min: 1, max: 10, noNaN: true }),
  idleMs: fc.double({ min: 0, max: 15, noNaN: true }),
});

t.test('below capacity nobody is turned away, however long it lasts', async () => {
  fc.assert(
    fc.property(
      machines,
      fc.double({ min: 0.05, max: 0.7, noNaN: true }),
      ({ seed, workMs, idleMs }, share) => {
        const machine = new Machine(workMs, idleMs);
        machine.load((1000 / workMs) * share, 60, randomFrom(seed));
        must(machine.sum(machine.refused) === 0, `${share} of ${1000 / workMs}/s`);
      },
    ),
    { numRuns: 60 },
  );
});

t.test('at twice and ten times the capacity most of it is served, and quickly', async () => {
  fc.assert(
    fc.property(machines, fc.constantFrom(2, 10), ({ seed, workMs, idleMs }, times) => {
      const machine = new Machine(workMs, idleMs);
      const capacity = 1000 / workMs;
      machine.load(capacity * times, 3, randomFrom(seed));
      machine.forget();
      machine.load(capacity * times, 20, randomFrom(seed + 1));
      const goodput = machine.sum(machine.admitted) / (20 * capacity);
      must(goodput > 0.9, `goodput ${goodput} at ${capacity}/s, ${idleMs} ms idle`);
      const sorted = machine.tookMs.sort((a, b) => a - b);
      const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
      // Three times the quickest, or 25 ms, and what the limit swings about it.
      must(
        p99 <= 2.5 * Math.max(25, 3 * (workMs + idleMs)),
        `p99 ${p99} ms of ${workMs} ms work and ${idleMs} ms idle`,
      );
      must(machine.mostAtOnce <= 2 * bounds.most, 'at most twice the limit');
    }),
    { numRuns: 40 },
  );
});

t.test('after an overload it takes what it took before, within two seconds', async () => {
  fc.assert(
    fc.property(machines, ({ seed, workMs, idleMs }) => {
      const machine = new Machine(workMs, idleMs);
      const capacity = 1000 / workMs;
      machine.load(capacity * 10, 10, randomFrom(seed));
      machine.load(capacity * 0.5, 2, randomFrom(seed + 1));
      machine.forget();
      machine.load(capacity * 0.5, 20, randomFrom(seed + 2));
      must(machine.sum(machine.refused) === 0, `${machine.sum(machine.refused)} turned away`);
    }),
    { numRuns: 40 },
  );
});

t.test('what stands still elsewhere is no overload: nobody is turned away for it', async (t) => {
  const refusedWhile = (pardoned: boolean): number => {
    const limit = new SetUpLimit(bounds, 0);
    const ends: { readonly at: number; readonly id: string }[] = [];
    let refused = 0;
    // A hundred calls a second, each of them a quarter of a second in vain.
    for (let at = 0; at < 10_000; at += 10) {
      while ((ends[0]?.at ?? Number.POSITIVE_INFINITY) <= at) {
        const { id = '', at: ended = 0 } = ends.shift() ?? {};
        if (pardoned) limit.pardon(id);
        limit.at(id, 'a', null, ended);
      }
      // What came before was quick.
      const took = at < 1000 ? 2 : 250;
      if (limit.admits('a', at)) {
        limit.at(`c${at}`, 'a', 'deciding', at);
        ends.push({ at: at + took, id: `c${at}` });
        ends.sort((one, other) => one.at - other.at);
      } else refused += 1;
    }
    return refused;
  };
  t.equal(refusedWhile(true), 0);
  t.ok(refusedWhile(false) > 100, 'where it is our own work that takes so long, most are');
  const limit = new SetUpLimit(bounds, 0);
  limit.pardon('unknown');
  t.equal(limit.underWay, 0, 'who is not there needs no pardon');
});

t.test('a disk that is away for a moment turns nobody away, at 75 calls a second', async (t) => {
  for (const stallMs of [100, 200, 300]) {
    const limit = new SetUpLimit(bounds, 0);
    const waiting: string[] = [];
    let refused = 0;
    for (let at = 0; at < 20_000; at++) {
      const stalled = at % 4000 >= 4000 - stallMs;
      // One after another, eight milliseconds each.
      if (!stalled && at % 8 === 0 && waiting.length > 0) limit.at(waiting.shift() ?? '', 'a', null, at);
      if (at % 13 !== 0) continue;
      if (!limit.admits('a', at)) refused += 1;
      else {
        limit.at(`c${at}`, 'a', 'deciding', at);
        waiting.push(`c${at}`);
      }
    }
    t.equal(refused, 0, `${stallMs} ms in every four seconds`);
  }
});

t.test('three slow intervals with quiet ones between them are not three in a row', async (t) => {
  const after = (everyMs: number, leaveMs: number): number => {
    const limit = new SetUpLimit(bounds, 0);
    limit.at('first', 'a', 'deciding', 1);
    limit.at('first', 'a', null, 2);
    for (let burst = 1; burst <= 3; burst++) {
      for (let i = 0; i < 20; i++) limit.at(`${burst} ${i}`, 'a', 'deciding', burst * everyMs + 1);
      for (let i = 0; i < 20; i++) limit.at(`${burst} ${i}`, 'a', null, burst * everyMs + leaveMs);
    }
    limit.admits('a', 3 * everyMs + 101);
    return limit.limit;
  };
  t.equal(after(1000, 90), bounds.first, 'a burst a second');
  t.ok(after(100, 90) < bounds.first, 'one in each interval is too much');
  t.ok(after(100, 5) > bounds.first, 'unless they are quick');
});

t.test('a trunk that floods does not starve another', async () => {
  fc.assert(
    fc.property(machines, ({ seed, workMs, idleMs }) => {
      const machine = new Machine(workMs, idleMs);
      const capacity = 1000 / workMs;
      const random = randomFrom(seed);
      // The quiet one wants a tenth of what there is, the loud one ten times of it.
      for (let at = 0; at < 10_000; ) {
        at -= (Math.log(1 - random()) * 1000) / (capacity * 10.1);
        machine.call(random() < 0.1 / 10.1 ? 'quiet' : 'loud', at);
      }
      const admitted = machine.admitted.get('quiet') ?? 0;
      const refused = machine.refused.get('quiet') ?? 0;
      // Nine in ten calls of the loud one are turned away; that of a quiet one only where it comes in a bunch itself.
      must(refused <= 0.2 * (admitted + refused), `${refused} of ${admitted + refused} of the quiet one`);
      must((machine.admitted.get('loud') ?? 0) > 0.6 * 10 * capacity, 'the loud one has the rest');
    }),
    { numRuns: 40 },
  );
});

t.test('whatever happens in whatever order: bounded, never shut for good', async (t) => {
  const events = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('call' as const), trunk: fc.constantFrom('a', 'b', 'c') }),
      fc.record({
        kind: fc.constant('move' as const),
        call: fc.nat(50),
        work: fc.constantFrom('deciding' as const, 'joining' as const, null),
      }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.double({ min: 0, max: 5000, noNaN: true }) }),
    ),
    { maxLength: 400 },
  );
  fc.assert(
    fc.property(events, (history) => {
      const limit = new SetUpLimit(bounds, 0);
      const calls: { readonly id: string; readonly trunk: string; work: string | null }[] = [];
      let now = 0;
      for (const event of history) {
        if (event.kind === 'wait') now += event.ms;
        else if (event.kind === 'call') {
          if (!limit.admits(event.trunk, now)) continue;
          const call = { id: `c${calls.length}`, trunk: event.trunk, work: 'deciding' };
          calls.push(call);
          limit.at(call.id, call.trunk, 'deciding', now);
        } else {
          const call = calls[event.call];
          if (call === undefined) continue;
          call.work = event.work;
          limit.at(call.id, call.trunk, event.work, now);
        }
        const working = calls.filter(({ work }) => work !== null).length;
        if (limit.underWay !== working) return false;
        if (limit.limit < bounds.least || limit.limit > bounds.most) return false;
      }
      for (const { id, trunk } of calls) limit.at(id, trunk, null, now);
      return limit.underWay === 0 && limit.admits('a', now);
    }),
    { numRuns: 300 },
  );
  t.throws(() => new SetUpLimit({ least: 0, first: 1, most: 2 }, 0), { message: 'limit-bounds' });
});

t.test('a call slow for a reason of its own closes the door for nobody', async (t) => {
  const limit = new SetUpLimit(bounds, 0);
  for (let i = 0; i < 100; i++) {
    limit.at(`c${i}`, 'a', 'deciding', i * 1000);
    limit.at(`c${i}`, 'a', null, i * 1000 + (i % 2 === 0 ? 3 : 900));
  }
  t.ok(limit.limit >= bounds.first);
});
