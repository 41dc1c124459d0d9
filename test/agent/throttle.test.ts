import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { checkRequest } from '../../src/agent/check.js';
import { defaultLimits } from '../../src/agent/limits.js';
import { parseMessage } from '../../src/agent/message.js';
import { quickHead } from '../../src/agent/quick-refusal.js';
import { Throttle } from '../../src/agent/throttle.js';
import { fromRoot } from '../../src/root.js';
import { mutate, randomFrom } from './mutation.js';
import { request, sdp } from './support.js';

/** For properties: what does not hold is shrunk, which a failed check of the test's own would not be. */
const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

/** An application that takes so many calls a second, in virtual time, and refuses the others at once. */
class World {
  readonly throttle = new Throttle(0, () => this.lateMs);
  lateMs = 0;
  now = 0;
  readonly offered = new Map<string, number>();
  readonly taken = new Map<string, number>();
  /** Turned away by the throttle. */
  readonly away = new Map<string, number>();
  refusedByApp = 0;
  #tokens: number;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#tokens = capacity / 4;
  }

  /** Calls of each source at random, so many a second on average, for so long. */
  run(rates: Readonly<Record<string, number>>, seconds: number, random: () => number): void {
    const all = Object.values(rates).reduce((sum, rate) => sum + rate, 0);
    const end = this.now + seconds * 1000;
    for (;;) {
      const gap = (-Math.log(1 - random()) * 1000) / all;
      this.now += gap;
      this.#tokens = Math.min(this.#capacity / 4, this.#tokens + (gap / 1000) * this.#capacity);
      if (this.now >= end) return;
      let at = random() * all;
      let name = '';
      for (const [one, rate] of Object.entries(rates)) {
        name = one;
        at -= rate;
        if (at < 0) break;
      }
      this.offered.set(name, (this.offered.get(name) ?? 0) + 1);
      if (!this.throttle.offer(name, this.now)) {
        this.away.set(name, (this.away.get(name) ?? 0) + 1);
        continue;
      }
      if (this.#tokens < 1) {
        this.refusedByApp++;
        this.throttle.refused(this.now);
        continue;
      }
      this.#tokens -= 1;
      this.taken.set(name, (this.taken.get(name) ?? 0) + 1);
    }
  }

  forget(): void {
    this.offered.clear();
    this.taken.clear();
    this.away.clear();
    this.refusedByApp = 0;
  }

  share(name: string): number {
    return (this.taken.get(name) ?? 0) / Math.max(1, this.offered.get(name) ?? 0);
  }
}

const worlds = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
  capacity: fc.double({ min: 100, max: 1000, noNaN: true }),
});

t.test('below what the application takes nothing is turned away', async () => {
  fc.assert(
    fc.property(worlds, ({ seed, capacity }) => {
      const world = new World(capacity);
      world.run({ a: capacity * 0.5, b: capacity * 0.2 }, 30, randomFrom(seed));
      must(world.share('a') === 1 && world.share('b') === 1, 'all are taken');
      must(world.throttle.rate === Number.POSITIVE_INFINITY, 'there is no bound');
    }),
    { numRuns: 30 },
  );
});

t.test('over it, the application is handed little more than it takes, and takes what it can', async () => {
  fc.assert(
    fc.property(worlds, fc.constantFrom(2, 10), ({ seed, capacity }, times) => {
      const world = new World(capacity);
      const random = randomFrom(seed);
      world.run({ a: capacity * times }, 2, random);
      world.forget();
      world.run({ a: capacity * times }, 10, random);
      const taken = (world.taken.get('a') ?? 0) / 10 / capacity;
      must(taken > 0.85, `${taken} of the capacity`);
      const wasted = world.refusedByApp / 10 / capacity;
      must(wasted < 0.15 + 20 / capacity, `${wasted} of the capacity in refusals of the application`);
    }),
    { numRuns: 20 },
  );
});

t.test('max-min fairness: who asks for little gets it, the others the same', async () => {
  fc.assert(
    fc.property(worlds, ({ seed, capacity }) => {
      const world = new World(capacity);
      const random = randomFrom(seed);
      const rates = { little: capacity * 0.1, much: capacity * 5, more: capacity * 10 };
      world.run(rates, 3, random);
      world.forget();
      world.run(rates, 10, random);
      const away = (world.away.get('little') ?? 0) / Math.max(1, world.offered.get('little') ?? 0);
      must(away < 0.1, `${away} of who asks for little are turned away`);
      const [much = 0, more = 0] = ['much', 'more'].map((name) => world.taken.get(name) ?? 0);
      must(Math.abs(much - more) < 0.3 * Math.max(much, more), `${much} and ${more} of the two others`);
    }),
    { numRuns: 20 },
  );
});

t.test('what was refused before a pause keeps nobody out after it', async (t) => {
  const throttle = new Throttle(0, () => 0);
  /** So many calls spread over an interval, of which the last ones are refused. */
  const interval = (from: number, calls: number, refused: number): void => {
    for (let i = 0; i < calls; i++) {
      const at = from + (i * 100) / calls;
      if (throttle.offer('a', at) && i >= calls - refused) throttle.refused(at);
    }
  };
  for (let at = 0; at < 1000; at += 100) interval(at, 50, 25);
  interval(1000, 20, 20);
  const before = throttle.rate;
  t.ok(before > 20 && before < 500, `${before} a second`);
  throttle.offer('a', 5000);
  t.ok(throttle.rate >= before, `${throttle.rate} a second after four seconds without a call`);
});

t.test('it is never shut, and opens when there is nothing to bound', async () => {
  fc.assert(
    fc.property(worlds, ({ seed, capacity }) => {
      const world = new World(0.001);
      const random = randomFrom(seed);
      world.run({ a: capacity }, 20, random);
      must(world.throttle.rate >= 5, `${world.throttle.rate} a second are tried`);
      const after = new World(capacity);
      after.run({ a: 10 * capacity }, 5, random);
      must(after.throttle.rate < 2 * capacity, 'there is a bound');
      after.run({ a: capacity * 0.4 }, 8, random);
      must(after.throttle.rate === Number.POSITIVE_INFINITY, 'it is gone');
    }),
    { numRuns: 20 },
  );
});

t.test('what is over within a moment was no overload: nothing is turned away for it', async (t) => {
  const throttle = new Throttle(0, () => 0);
  const turnedAway = (from: number, to: number, refuses: boolean): number => {
    let away = 0;
    for (let at = from; at < to; at += 12) {
      if (!throttle.offer('a', at)) away++;
      else if (refuses) throttle.refused(at);
    }
    return away;
  };
  t.equal(turnedAway(0, 2000, false), 0);
  // Refusals in a row, as after a disk that was away.
  t.equal(turnedAway(2000, 2168, true), 0);
  t.equal(turnedAway(2168, 6000, false), 0);
  t.equal(throttle.rate, Number.POSITIVE_INFINITY);
  turnedAway(6000, 6600, true);
  t.ok(throttle.rate < 50, 'it is where they go on');
});

t.test('a late loop is a brake for what can have made it late, and for nothing else', async (t) => {
  const slow = new World(10_000);
  slow.lateMs = 500;
  slow.run({ a: 10 }, 20, randomFrom(1));
  t.equal(slow.throttle.rate, Number.POSITIVE_INFINITY, 'ten a second make nobody late');
  const busy = new World(10_000);
  busy.lateMs = 500;
  busy.run({ a: 1000 }, 3, randomFrom(1));
  t.ok(busy.throttle.rate < 500);
  busy.lateMs = 0;
  busy.run({ a: 100 }, 10, randomFrom(1));
  t.equal(busy.throttle.rate, Number.POSITIVE_INFINITY);
});

t.test('what is read off the first lines is what the parser reads', async (t) => {
  const folder = fromRoot('test', 'agent', 'rfc4475');
  const sources = [
    ...readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`).toString('latin1')),
    ...['INVITE', 'OPTIONS', 'REGISTER', 'MESSAGE'].map((method) =>
      request({
        method,
        port: 5070,
        body: sdp(),
        lines: ['Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx', 'X: y'],
      }),
    ),
  ];
  const seed = Number(process.env.AGENT_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.comment(`AGENT_SEED=${seed}`);
  const random = randomFrom(seed);
  let compared = 0;
  for (let i = 0; i < 50_000; i++) {
    const source = sources[i % sources.length] ?? '';
    const text = i < sources.length ? source : mutate(source, random);
    const quick = quickHead(text);
    if (quick === undefined) continue;
    const said = [quick.from, quick.to, quick.callId, quick.cseq, ...quick.vias].join(' ');
    if (['\r', '\n', '\0'].some((one) => said.includes(one))) t.fail(JSON.stringify(text));
    const { message, fault } = parseMessage(text, defaultLimits, 'datagram');
    if (message === undefined || fault !== undefined || !checkRequest(message, defaultLimits).ok) continue;
    compared++;
    const full = [
      message.method,
      message.get('from'),
      message.get('to'),
      message.get('call-id'),
      message.get('cseq'),
    ];
    const read = [quick.method, quick.from, quick.to, quick.callId, quick.cseq];
    if (read.join('\n') !== full.join('\n')) t.same(read, full, text);
    const vias = message.all('via');
    if (quick.vias.join('\n') !== vias.join('\n')) t.same(quick.vias, vias, text);
  }
  t.ok(compared > 1000, `${compared} were compared`);
});
