import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { type CallEvent, type CallState, type Effect, step } from '../../src/core/call.js';
import type { CallRules } from '../../src/core/call-state.js';
import type { Decision } from '../../src/core/decision.js';
import { fromRoot } from '../../src/root.js';
import {
  attorney,
  claim,
  hotline,
  monitored,
  news,
  outcomes,
  pressed,
  type Route,
  refusals,
  type Setting,
  strays,
  World,
} from './call-world.js';

// Every arrow of the call: along a few calls, what each event does in each state. The invariants (call.test.ts) say what
// may never be and conversation.test.ts what should be; this sees that nothing changes unseen. In full it is a megabyte,
// so cases/arrows.txt keeps a digest of each state's arrows. With SALLYPORT_WRITE_ARROWS=FILE the table is written anew,
// and all of it into FILE: made before a change and after it, the difference of the two is what is to be reviewed.

const digests = fromRoot('test', 'core', 'cases', 'arrows.txt');

const mild: CallRules = {
  acceptance: { monitored: 'key', private: 'key', machine: 'notice' },
  onBecomingPrivate: 'move',
  onForward: 'flag',
  onThreeWay: 'warn',
  threeWayScore: 70,
};
const strict: CallRules = { ...mild, onBecomingPrivate: 'end', onForward: 'end', onThreeWay: 'end' };
const asks = { held: 'here', pin: true, offersPrivate: true } as const;
const plain = { held: 'elsewhere' } as const;
const given = { identified: false, rules: mild, lists: [monitored] };
/** Nobody is asked who they are where the conversation is held elsewhere, and nobody is monitored whom nobody knows. */
const known = { ...given, manner: plain, identified: true };
const calls: readonly (readonly [string, Setting, Route])[] = [
  ['held here, monitored', { ...given, manner: asks }, 'ordinary'],
  ['held here, monitored, strict', { ...given, manner: asks, rules: strict, identified: true }, 'ordinary'],
  ['held here, claimed', { ...given, manner: asks, lists: [monitored, claim, monitored] }, 'claims'],
  ['held here, private', { ...given, manner: asks, lists: [attorney] }, 'claims'],
  ['held here, hotline', { ...given, manner: asks, lists: [hotline] }, 'ordinary'],
  ['held here, becomes private', { ...given, manner: asks }, 'becomes-private'],
  ['held here, rings out', { ...given, manner: asks }, 'rings-out'],
  ['held elsewhere, nobody knows the caller', { ...given, manner: plain }, 'ordinary'],
  ['held elsewhere, monitored', known, 'ordinary'],
  ['held elsewhere, private', { ...known, lists: [attorney] }, 'ordinary'],
  ['held elsewhere, becomes private', known, 'becomes-private'],
  ['held elsewhere, rings out', known, 'rings-out'],
  ...refusals.map(
    (refused) =>
      [`held here, ${nameOf(refused)}`, { ...given, manner: asks, lists: [refused] }, 'ordinary'] as const,
  ),
];

function nameOf(decision: Decision): string {
  return decision.verdict === 'private'
    ? `private:${decision.class}`
    : `${decision.verdict}:${decision.reasons[0].code}`;
}
const isDecision = (value: unknown): value is Decision =>
  typeof value === 'object' && value !== null && 'verdict' in value && 'reasons' in value;
const told = (value: unknown): string =>
  JSON.stringify(value, (_key, each) => (isDecision(each) ? nameOf(each) : each)).replaceAll('"', '');
const named = ({ type, ...rest }: CallEvent | Effect): string =>
  Object.keys(rest).length === 0 ? type : `${type}${told(rest)}`;

const fields = (state: CallState): string[] =>
  Object.entries(state).map(([key, value]) => `${key}=${told(value)}`);
const leaves = ({ phase }: CallState): boolean => phase === 'ending' || phase === 'ended';

/** What tells states of one call apart. What came before the end matters no more to it than as which phase was left. */
const short = (state: CallState): string => {
  const same = leaves(state) ? /^(decision|ending)=/ : /^(manner|rules)=/;
  return fields(state)
    .filter((each) => !same.test(each))
    .join(' ');
};

/** What an event did: the next phase, what else changed in the state, and the effects; null where it was a stray. */
const arrow = (state: CallState, event: CallEvent): string | null => {
  const { next, effects, stray } = step(state, event);
  if (stray) return null;
  const before = fields(state);
  const changed = fields(next).filter((each) => !before.includes(each));
  return [...changed, '->', ...effects.map(named)].join(' ');
};

const heard: readonly CallEvent[] = [
  ...news.filter((event) =>
    event.type === 'other-party-decided'
      ? ['redirect', 'forwarded'].includes(event.how) && event.decision?.verdict !== 'refused'
      : event.type !== 'decided-again' || event.decision.verdict !== 'refused',
  ),
  ...refusals.slice(0, 9).map((decision) => ({ type: 'decided-again', decision }) as const),
  { type: 'other-party-decided', how: 'forwarded', decision: refusals[7] ?? claim },
  ...pressed,
  ...strays,
];

type Row = { readonly state: string; readonly arrows: readonly string[] };

const endings: readonly CallEvent[] = [
  { type: 'caller-gone', how: 'caller-hung-up' },
  { type: 'node-lost', detail: 'x' },
  { type: 'shutdown' },
];

const walked = (setting: Setting, route: Route, steps: number): World => {
  const world = new World(setting);
  if (steps > 0) world.feed({ type: 'arrived' });
  world.advance(steps - 1, route);
  return world;
};

/** The calls' worlds in each of their states, and in each on the way from there to the end. */
function* worlds(): Generator<readonly [string, World]> {
  for (const [name, setting, route] of calls) {
    let last = '';
    for (let steps = 0; steps <= 34; steps++) {
      const world = walked(setting, route, steps);
      yield [name, world];
      const here = `${told(world.state)} ${told(world.due)}`;
      if (here === last || world.state.phase === 'ended') break;
      last = here;
      // The ways to the end are the same where nothing was ever to be connected.
      if (world.state.phase === 'new' || setting.lists[0]?.verdict === 'refused') continue;
      for (const ending of endings) {
        // Answered well and answered badly.
        for (const how of [0, 1]) {
          const leaving = walked(setting, route, steps);
          leaving.feed(ending);
          for (let n = 0; n < 12 && leaving.due.length > 0; n++) {
            yield [`${name}, ended by ${ending.type}`, leaving];
            leaving.answer(n, how);
          }
        }
      }
    }
  }
}

function* table(): Generator<Row> {
  const seen = new Set<string>();
  for (const [where, { state, due, decided }] of worlds()) {
    const text = short(state);
    const key = leaves(state) ? text : `${where} ${text}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const answers = due.flatMap((effect) => outcomes(effect, decided));
    const does = new Map<string, Set<string>>();
    for (const event of [...answers, ...heard]) {
      const done = arrow(state, event);
      if (done !== null) does.set(done, (does.get(done) ?? new Set()).add(named(event)));
    }
    const arrows = [...does].map(([done, events]) => `${[...events].join(' | ')}\n    ${done}`);
    yield { state: `${where}: ${text}`, arrows };
  }
}

const digestOf = ({ state, arrows }: Row): string => {
  const digest = createHash('sha256')
    .update([state, ...arrows].join('\n'))
    .digest('hex');
  return `${state.split(' received=')[0]} ${arrows.length} ${digest.slice(0, 16)}`;
};

t.test('what each event does in each state is what it was', async (t) => {
  const whole = process.env.SALLYPORT_WRITE_ARROWS;
  if (whole !== undefined) {
    const found = [...table()];
    writeFileSync(digests, `${found.map(digestOf).join('\n')}\n`);
    writeFileSync(
      whole,
      found.map(({ state, arrows }) => [`== ${state}`, ...arrows, ''].join('\n')).join('\n'),
    );
  }
  const wanted = readFileSync(digests, 'utf8').trimEnd().split('\n');
  let states = 0;
  for (const row of table()) {
    if (digestOf(row) !== wanted[states]) {
      t.equal([row.state, ...row.arrows].join('\n'), wanted[states], 'the first state that is another');
      return;
    }
    states++;
  }
  t.ok(states > 450, `${states} states`);
  t.equal(states, wanted.length);
});
