import fc from 'fast-check';
import t from 'tap';
import type { CallEvent, CallState } from '../../src/core/call.js';
import type { CallRules, Manner } from '../../src/core/call-state.js';
import type { Decision } from '../../src/core/decision.js';
import {
  attorney,
  claim,
  decisions,
  hotline,
  leaving,
  monitored,
  news,
  pressed,
  relay,
  routes,
  type Setting,
  strays,
  World,
} from './call-world.js';

/**
 * Model-based properties of the pure call: the commands answer its effects well or badly in any order, bring news from
 * outside at any moment, press keys, let timers go off late, and acknowledge what nobody waits for. The world holds
 * every single step to the invariants (call-world.ts).
 */
type Model = { readonly world: World };
type Command = fc.Command<Model, World>;

class Answer implements Command {
  readonly which: number;
  readonly how: number;
  constructor(which: number, how: number) {
    this.which = which;
    this.how = how;
  }
  check(model: Readonly<Model>): boolean {
    return model.world.due.length > 0;
  }
  run(_model: Model, world: World): void {
    world.answer(this.which, this.how);
  }
  toString = (): string => `answer(${this.which}, ${this.how})`;
}

class Feed implements Command {
  readonly event: CallEvent;
  constructor(event: CallEvent) {
    this.event = event;
  }
  check(): boolean {
    return true;
  }
  run(_model: Model, world: World): void {
    world.feed(this.event);
  }
  toString = (): string => JSON.stringify(this.event);
}

const of = <T>(n: number, some: readonly T[]): readonly T[] =>
  Array.from({ length: n }, (_, i) => some[i % some.length] as T);
const byType = [...new Set(news.map(({ type }) => type))].map((type) =>
  news.filter((event) => event.type === type).map((event) => new Feed(event)),
);
/** Effects under way are answered well more often than not, or hardly a call would get far. */
const anyCommand: readonly Command[] = [
  ...of(
    1500,
    [0, 0, 0, 1].map((which) => new Answer(which, 0)),
  ),
  ...of(
    180,
    [0, 1, 2].flatMap((which) => [1, 2, 3].map((how) => new Answer(which, how))),
  ),
  ...byType.flatMap((events) => of(75, events)),
  ...of(
    300,
    pressed.map((event) => new Feed(event)),
  ),
  ...of(
    420,
    strays.map((event) => new Feed(event)),
  ),
];

const manners: readonly Manner[] = [
  { held: 'elsewhere' },
  ...[true, false].flatMap((pin) =>
    [true, false].map((offersPrivate) => ({ held: 'here', pin, offersPrivate }) as const),
  ),
];
const rules: fc.Arbitrary<CallRules> = fc.record({
  acceptance: fc.record({
    monitored: fc.constantFrom('key', 'notice'),
    private: fc.constantFrom('key', 'notice'),
    machine: fc.constantFrom('key', 'notice', 'none'),
  }),
  onBecomingPrivate: fc.constantFrom('move', 'end'),
  onForward: fc.constantFrom('flag', 'end'),
  onThreeWay: fc.constantFrom('note', 'warn', 'end'),
  threeWayScore: fc.constant(70),
});
/** What the lists say in turn: half of the calls go the whole way, or make a claim and take it back. */
const lists: fc.Arbitrary<readonly Decision[]> = fc.oneof(
  fc.constantFrom<readonly Decision[]>([monitored], [attorney], [hotline], [relay]),
  fc.constantFrom<readonly Decision[]>(
    [monitored, claim, monitored],
    [monitored, monitored, claim, monitored],
  ),
  fc.array(fc.constantFrom(...decisions), { minLength: 1, maxLength: 4 }),
);
const setting: fc.Arbitrary<Setting> = fc.record({
  manner: fc.constantFrom(...manners, ...manners.slice(1)),
  rules,
  identified: fc.constantFrom(true, true, true, false),
  lists,
});

const phases = [
  'new',
  'looking-up',
  'receiving',
  'identifying',
  'choosing',
  'journalling',
  'offering',
  'withdrawing',
  'readying',
  'anchoring',
  'greeting',
  'dialling',
  'cancelling',
  'answering',
  'asking',
  'arming',
  'telling',
  'connecting',
  'opening',
  'connected',
  'unrecording',
  'journalling-move',
  'moving',
  'parting',
  'ending',
  'ended',
] as const satisfies readonly CallState['phase'][];

const met = new Map<string, number>();
const ended = new Map<string, number>();
let histories = 0;
let steps = 0;

t.test('I1-I8 hold in every history', async () => {
  fc.assert(
    fc.property(
      setting,
      fc.nat({ max: 32 }),
      fc.constantFrom(...routes, 'becomes-private' as const, 'claims' as const),
      fc.commands([fc.constantFrom(...anyCommand)], { maxCommands: 20, size: 'max' }),
      fc.nat({ max: 7 }),
      (setting, ahead, route, commands, finish) => {
        const world = new World(setting);
        if (ahead > 0) world.feed({ type: 'arrived' });
        world.advance(ahead, route);
        fc.modelRun(() => ({ model: { world }, real: world }), commands);
        // To its end: the shell answers all it owes, well or badly; a call that is up then ends from outside.
        const how = (n: number): number => (finish >> (n % 3)) & 1;
        if (!world.playOn(how)) {
          if (world.due.length > 0) throw new Error('a dialogue without an end');
          world.feed(finish === 0 ? { type: 'shutdown' } : { type: 'time-limit-reached' });
          if (!leaving.has(world.state.phase)) world.feed({ type: 'shutdown' });
          if (!world.playOn(how)) throw new Error(`stuck in ${JSON.stringify(world.state)}`);
        }
        histories += 1;
        steps += world.met.length;
        for (const one of world.met) met.set(one, (met.get(one) ?? 0) + 1);
        const { code } = (world.state as Extract<CallState, { phase: 'ended' }>).ending;
        ended.set(code, (ended.get(code) ?? 0) + 1);
      },
    ),
    { numRuns: 120_000 },
  );
});

t.test('and the histories met every phase, event and ending', async (t) => {
  t.ok(histories >= 120_000, `${histories} histories of ${Math.round(steps / histories)} events`);
  const seen = (phase: string): number =>
    [...met].reduce((sum, [one, n]) => (one.startsWith(`${phase} `) ? sum + n : sum), 0);
  for (const phase of phases) t.ok(seen(phase) > 500, `${seen(phase)} events met a call in ${phase}`);
  const pairs = phases.length * new Set([...met.keys()].map((one) => one.split(' ')[1])).size;
  t.ok(met.size > 0.95 * pairs, `${met.size} of ${pairs} pairs of phase and event`);
  t.ok(ended.size > 35, `${ended.size} endings`);
});
