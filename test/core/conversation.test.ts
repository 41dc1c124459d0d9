import t from 'tap';
import { acceptance } from '../../src/core/accept.js';
import { type CallEvent, type CallState, type Effect, newCall, step } from '../../src/core/call.js';
import type { CallRules, Manner } from '../../src/core/call-state.js';
import type { Decision } from '../../src/core/decision.js';
import { type EndingCode, endingCodes } from '../../src/core/ending.js';
import { farewellMs, farewells, refusalPrompt } from '../../src/core/farewell.js';
import type { Key } from '../../src/core/key.js';
import { type PromptId, promptIds } from '../../src/core/prompt.js';
import { attorney, claim, hotline, monitored, outcomes, refusals, relay } from './call-world.js';
import { aRefused, policy } from './samples.js';

/** The calls people live through, effect by effect; the properties in call.test.ts cover everything in between. */

const here = (pin = false, offersPrivate = false): Manner => ({ held: 'here', pin, offersPrivate });
const elsewhere: Manner = { held: 'elsewhere' };

/** An effect in a word or two: what it does and what is said. */
const word = (effect: Effect): string => {
  const ids = (clips: readonly { kind: string }[] | undefined): string =>
    (clips ?? [])
      .map((clip) => ('id' in clip ? String(clip.id) : `<${'of' in clip ? String(clip.of) : '?'}>`))
      .join('+');
  switch (effect.type) {
    case 'say':
      return `say ${effect.to} ${effect.speech.language}: ${ids(effect.speech.clips)}`;
    case 'tell':
    case 'interlude':
    case 'say-farewell':
      return `${effect.type} ${ids(effect.caller?.clips)} | ${ids(effect.called?.clips)}`;
    case 'await-key':
      return `await-key ${effect.ms}`;
    case 'note-other-party':
      return `note ${effect.how} ${effect.outcome}`;
    case 'keep-answer':
      return `keep-answer ${effect.answer}`;
    default:
      return effect.type;
  }
};

class Play {
  state: CallState;
  readonly said: string[] = [];
  readonly due: Effect[] = [];
  readonly lists: Decision[];

  constructor(lists: readonly Decision[], manner: Manner, rules: Partial<CallRules> = {}, identified = true) {
    this.lists = [...lists];
    this.state = newCall({ manner, rules: policy(rules), language: 'en', identified });
    this.feed({ type: 'arrived' });
  }

  feed(...events: readonly CallEvent[]): this {
    for (const event of events) {
      const { next, effects } = step(this.state, event);
      this.state = next;
      for (const effect of effects) {
        this.said.push(word(effect));
        if (outcomes(effect, monitored).length > 0) this.due.push(effect);
      }
    }
    return this;
  }

  /** Answers well all that is under way until there is nothing left or the phase is reached; lets no timer go off. */
  until(phase: CallState['phase'] | 'waiting-for-a-key'): this {
    for (let n = 0; n < 100; n++) {
      if (this.state.phase === phase) return this;
      const at = this.due.findIndex(({ type }) => type !== 'await-key');
      const [effect] = at < 0 ? [] : this.due.splice(at, 1);
      if (effect === undefined) return this;
      const decided = effect.type === 'look-up-and-decide' ? this.lists.shift() : undefined;
      const [good] = outcomes(effect, decided ?? monitored);
      if (good !== undefined) this.feed(good);
    }
    return this;
  }

  /** The outcome of the effect under way that is of this type. */
  answer(type: Effect['type'], how: number): this {
    const at = this.due.findIndex((effect) => effect.type === type);
    const [effect] = at < 0 ? [] : this.due.splice(at, 1);
    const event = effect === undefined ? undefined : outcomes(effect, monitored)[how];
    if (event === undefined) throw new Error(`${type} is not under way`);
    return this.feed(event);
  }

  press(party: 'caller' | 'called', ...keys: readonly Key[]): this {
    for (const key of keys) this.until('waiting-for-a-key').feed({ type: 'key', party, key });
    return this;
  }

  /** What was done since the last time this was asked. */
  get since(): readonly string[] {
    return this.said.splice(0);
  }
}

const notice = (what: 'recorded' | 'private', name = '+<caller>'): string =>
  `greeting+from-facility+<facility>+from-caller${name}+notice-${what}`;
const closing = ['hang-up-caller', 'hang-up-called', 'release-media', 'inspect-spool', 'write-cdr'];

t.test('a call whose conversation is held elsewhere is plumbing alone', async (t) => {
  t.same(new Play([monitored], elsewhere).until('connected').since, [
    'look-up-and-decide',
    'journal-decision',
    'ready-recorder',
    'anchor',
    'dial',
    'arm',
    'connect-caller',
    'open-media',
    'watch',
  ]);
  t.same(new Play([attorney], elsewhere).until('connected').since, [
    'look-up-and-decide',
    'journal-decision',
    'anchor',
    'dial',
    'answer-media',
    'connect-caller',
    'open-media',
    'watch',
  ]);
  t.same(new Play([aRefused()], elsewhere).until('ended').since, [
    'look-up-and-decide',
    'journal-decision',
    'refuse-caller',
    'write-cdr',
  ]);
});

t.test(
  'a monitored call: the called party hears it, accepts it, and the caller hears the same',
  async (t) => {
    const play = new Play([monitored], here());
    t.same(play.until('waiting-for-a-key').since, [
      'look-up-and-decide',
      'journal-decision',
      'ready-recorder',
      'anchor',
      'greet-caller',
      'dial',
      'hold-caller',
      'answer-media',
      `say called en: ${notice('recorded')}`,
      'say called en: menu-recorded',
      'await-key 6000',
    ]);
    t.same(play.press('called', '1').until('connected').since, [
      'tell told-recorded | you-accepted',
      'arm',
      'open-media',
      'watch',
    ]);
    t.same(play.feed({ type: 'time-warning', left: 'minute' }).until('ended').since, [
      'interlude minute-left | minute-left',
    ]);
    t.same(play.feed({ type: 'time-limit-reached' }).until('ended').since, [
      'say-farewell over-time | over-time',
      ...closing,
    ]);
    t.match(play.state, { phase: 'ended', ending: { code: 'time-limit' } });
  },
);

t.test('private calls: attorney, hotline, relay', async (t) => {
  const begin = [
    'look-up-and-decide',
    'journal-decision',
    'anchor',
    'greet-caller',
    'dial',
    'hold-caller',
    'answer-media',
  ];
  const play = new Play([attorney], here()).press('called', '1').until('connected');
  t.same(play.since, [
    ...begin,
    `say called en: ${notice('private')}`,
    'say called en: menu-private',
    'await-key 6000',
    'tell told-private | you-accepted',
    'open-media',
    'watch',
  ]);
  const rules = { acceptance: { monitored: 'key', private: 'key', machine: 'notice' } } as const;
  t.same(
    new Play([hotline], here(true), rules, false).until('connected').since,
    [
      ...begin,
      `say called en: ${notice('private', '')}`,
      'tell told-private | you-accepted',
      'open-media',
      'watch',
    ],
    'a hotline is told no name, and nobody is asked for a PIN',
  );
  t.same(
    new Play([relay], here()).until('connected').since,
    [...begin, 'tell notice-private | ', 'open-media', 'watch'],
    'a machine that is told nothing: the caller does not hear that it was',
  );
});

t.test('who calls: a PIN, three times at the most', async (t) => {
  const play = new Play([monitored, monitored], here(true), {}, false).until('identifying');
  t.same(play.since, ['look-up-and-decide', 'receive-caller', 'ask-pin']);
  play.answer('ask-pin', 1).answer('ask-pin', 2);
  t.same(play.since, ['ask-pin', 'ask-pin']);
  t.match(play.state, { phase: 'identifying', attempt: 3 });
  const known = new Play([monitored, monitored], here(true), {}, false).until('asking');
  t.same(known.since.slice(0, 9), [
    'look-up-and-decide',
    'receive-caller',
    'ask-pin',
    'look-up-and-decide',
    'journal-decision',
    'ready-recorder',
    'anchor',
    'greet-caller',
    'dial',
  ]);
  t.match(known.state, { language: { caller: 'es', called: 'en' } });
  t.same(play.answer('ask-pin', 1).until('ended').since, [
    'say-farewell refused-identity | ',
    'hang-up-caller',
    'release-media',
    'inspect-spool',
    'write-cdr',
  ]);
  t.match(play.state, { ending: { code: 'pin-wrong' } });
  const silent = new Play([monitored], here(true), {}, false).until('identifying');
  silent.answer('ask-pin', 2).answer('ask-pin', 1).answer('ask-pin', 2).until('ended');
  t.match(silent.state, { ending: { code: 'pin-missing' } }, 'the last attempt tells');
  const unasked = new Play([monitored], here(true), {}, false).until('identifying');
  unasked.since;
  t.same(unasked.answer('ask-pin', 5).since, ['say-farewell refused-unavailable | ']);
  t.match(unasked.until('ended').state, { ending: { code: 'pin-unasked', detail: 'x' } });
  const nobody = new Play([monitored, monitored], here(true), {}, false).until('identifying');
  nobody.answer('ask-pin', 4).until('ended');
  t.match(nobody.state, { ending: { code: 'internal-error', detail: 'monitored-unidentified' } });
  t.notOk(silent.state.phase === 'ended' && 'detail' in silent.state.ending, 'what has no detail has none');
  t.notOk(nobody.said.includes('journal-decision'), 'nobody is monitored whom nobody knows');
});

t.test('a refusal is heard where there is something to hear, and then nothing was dialled', async (t) => {
  t.same(new Play([aRefused()], here()).until('ended').since, [
    'look-up-and-decide',
    'journal-decision',
    'receive-caller',
    'say-farewell refused-not-allowed | ',
    'hang-up-caller',
    'release-media',
    'inspect-spool',
    'write-cdr',
  ]);
});

t.test('a private call is offered and claimed', async (t) => {
  const play = new Play([monitored, claim, monitored], here(false, true)).until('waiting-for-a-key');
  t.same(play.since, ['look-up-and-decide', 'receive-caller', 'say caller en: kind-menu', 'await-key 5000']);
  t.same(play.press('caller', '2').until('waiting-for-a-key').since, [
    'claim-private',
    'look-up-and-decide',
    'journal-decision',
    'say caller en: claim-unlisted',
    'await-key 8000',
  ]);
  const { state } = play;
  t.same(play.press('caller', '5').until('asking').since.slice(0, 4), [
    'withdraw-claim',
    'look-up-and-decide',
    'journal-decision',
    'ready-recorder',
  ]);
  t.notOk(play.said.includes('keep-claim'));
  // Nothing pressed, or too early: it is said once more, and who has heard it all need not hear it out again.
  const turnOf = (at: CallState): number => (at.phase === 'offering' ? at.menu.turn : 0);
  const again = step(state, { type: 'key-timeout', turn: turnOf(state) });
  t.same(again.effects.map(word), ['say caller en: claim-unlisted']);
  const five = { type: 'key', party: 'caller', key: '5' } as const;
  t.same(step(again.next, five).effects.map(word), ['withdraw-claim']);
  const heardTwice = step(again.next, { type: 'said', turn: turnOf(again.next) }).next;
  const silence = { type: 'key-timeout', turn: turnOf(heardTwice) } as const;
  t.same(
    step(heardTwice, silence).effects.map(word),
    ['keep-claim', 'say-farewell claim-noted | '],
    'and not a third time',
  );
  for (const event of [
    { type: 'caller-gone', how: 'caller-hung-up' },
    { type: 'shutdown' },
    { type: 'node-lost', detail: 'x' },
  ] as const) {
    t.equal(step(state, event).effects[0]?.type, 'keep-claim', `${event.type}: the claim stands`);
  }
  t.ok(step(state, { type: 'key', party: 'caller', key: '1' }).stray, 'a wrong key says nothing');
  const journalling = new Play([monitored, claim], here(false, true))
    .press('caller', '2')
    .until('journalling');
  for (const event of [
    { type: 'caller-gone', how: 'caller-hung-up' },
    { type: 'journal-failed', detail: 'x' },
  ] as const) {
    t.equal(
      step(journalling.state, event).effects[0]?.type,
      'keep-claim',
      'also when its row is not durable yet',
    );
  }
  const deaf = new Play([claim], here()).until('receiving');
  t.same(
    deaf.answer('receive-caller', 1).until('ended').since.slice(-3),
    ['keep-claim', 'refuse-caller', 'write-cdr'],
    'also of who could not be told',
  );
  t.match(deaf.state, { ending: { code: 'review-pending', detail: 'private-claim-unlisted' } });
  const prefixed = new Play([claim], elsewhere).until('ended');
  t.same(prefixed.since, [
    'look-up-and-decide',
    'journal-decision',
    'keep-claim',
    'refuse-caller',
    'write-cdr',
  ]);
});

t.test('no timer and no end of speech moves a later dialogue', async (t) => {
  const play = new Play([monitored, claim], here(false, true)).until('choosing');
  const first = play.state;
  if (first.phase !== 'choosing') throw new Error('not choosing');
  play.press('caller', '2').until('offering');
  const { state } = play;
  if (state.phase !== 'offering') throw new Error('not offering');
  t.ok(state.menu.turn > first.menu.turn);
  for (let turn = 0; turn < state.menu.turn; turn++) {
    t.ok(step(state, { type: 'said', turn }).stray, `said ${turn}`);
    t.ok(step(state, { type: 'key-timeout', turn }).stray, `key-timeout ${turn}`);
    t.ok(step(state, { type: 'say-failed', turn, detail: 'x' }).stray, `say-failed ${turn}`);
  }
});

t.test('what the called party presses', async (t) => {
  const asked = (decision: Decision): Play => new Play([decision], here()).until('waiting-for-a-key');
  const ends: readonly [Decision, Key, EndingCode, readonly string[]][] = [
    [monitored, '2', 'called-declined', ['say-farewell called-declined | you-refused']],
    [attorney, '2', 'called-declined', ['say-farewell called-declined | you-refused']],
    [
      monitored,
      '3',
      'called-protected',
      ['keep-answer protected', 'say-farewell refused-review | you-protected'],
    ],
    [
      monitored,
      '7',
      'called-blocked-us',
      ['keep-answer blocked', 'say-farewell called-declined | you-blocked'],
    ],
    [
      attorney,
      '7',
      'called-blocked-us',
      ['keep-answer blocked', 'say-farewell called-declined | you-blocked'],
    ],
  ];
  for (const [decision, key, code, words] of ends) {
    const play = asked(decision);
    t.ok(play.since.length > 0);
    t.same(
      play.press('called', key).until('ended').since,
      [...words, ...closing],
      `${decision.verdict} ${key}`,
    );
    t.match(play.state, { ending: { code } });
  }
  const three = asked(attorney);
  t.ok(three.since.length > 0);
  t.same(three.press('called', '3').since, ['say called en: wrong-key+menu-private'], 'nothing to protect');
  const eight = asked(monitored);
  t.ok(eight.since.length > 0);
  t.same(eight.press('called', '8').until('waiting-for-a-key').since, [
    `say called es: ${notice('recorded')}`,
    'say called es: menu-recorded',
    'await-key 6000',
  ]);
  t.same(eight.press('called', '1').until('connected').since.slice(0, 2), [
    'tell told-recorded | you-accepted',
    'arm',
  ]);
  const early = new Play([monitored], here()).until('asking');
  t.ok(
    step(early.state, { type: 'key', party: 'called', key: '1' }).stray,
    'nobody accepts what was not heard',
  );
  t.ok(step(early.state, { type: 'key', party: 'caller', key: '1' }).stray, 'nor does the caller accept');
});

t.test('without a menu no key is heard but the one for the other language', async (t) => {
  const rules = { acceptance: { monitored: 'notice', private: 'notice', machine: 'notice' } } as const;
  const play = new Play([monitored], here(), rules).until('asking');
  for (const key of ['1', '2', '3', '7', '9', '4'] as const)
    t.ok(step(play.state, { type: 'key', party: 'called', key }).stray, key);
  t.notOk(step(play.state, { type: 'key', party: 'called', key: '8' }).stray);
  t.ok(play.since.length > 0);
  t.same(play.until('connected').since, ['tell told-recorded | you-accepted', 'arm', 'open-media', 'watch']);
});

t.test('every dialogue ends: the silent, the wrong, the undecided', async (t) => {
  /** Everything said is heard to its end, every timer goes off; `keys` are pressed in turn at every wait. */
  const endless = (keys: readonly Key[]): { readonly steps: number; readonly state: CallState } => {
    const play = new Play([monitored], here()).until('waiting-for-a-key');
    let steps = 0;
    for (; steps < 1000 && play.state.phase === 'asking'; steps++) {
      const key = keys[steps % Math.max(keys.length, 1)];
      const before: CallState = play.state;
      if (key !== undefined) play.feed({ type: 'key', party: 'called', key });
      if (play.state !== before) play.until('waiting-for-a-key');
      else play.answer('await-key', 0).until('waiting-for-a-key');
    }
    return { steps, state: play.state };
  };
  const bound = acceptance.rounds * (acceptance.switches + 1) + acceptance.switches;
  for (const keys of [[], ['4'], ['8'], ['8', '9'], ['9'], ['flash', '#', '8']] as const) {
    const { steps, state } = endless(keys);
    t.equal(state.phase, 'ended', `${keys.join(' ')}: after ${steps} waits`);
    t.match(state, { ending: { code: 'called-no-key' } });
    t.ok(steps <= bound, `${steps} of at most ${bound}`);
  }
  t.equal(endless([]).steps, acceptance.rounds);
  const flood = new Play([monitored], here()).until('waiting-for-a-key');
  for (let n = 0; n < 1000 && flood.state.phase === 'asking'; n++) {
    flood.feed({ type: 'key', party: 'called', key: (['8', '9', '5'] as const)[n % 3] ?? '8' });
    if (n % 50 === 0) flood.until('waiting-for-a-key');
  }
  t.match(flood.state, { phase: 'parting', ending: { code: 'called-no-key' } }, 'a flood of keys');
  t.ok(flood.said.length < 60, `${flood.said.length} effects`);
});

t.test('every ending that can be heard is heard', async (t) => {
  const up = (decision: Decision = monitored, rules: Partial<CallRules> = {}): Play =>
    new Play([decision], here(), rules).press('called', '1').until('connected');
  const words = (play: Play, ...events: readonly CallEvent[]): readonly string[] => {
    play.since;
    return play.feed(...events).since.filter((one) => /farewell|hang-up|cancel|refuse/.test(one));
  };
  const ringing = (): Play => new Play([monitored], here()).until('dialling');
  t.same(words(up(), { type: 'time-limit-reached' }), ['say-farewell over-time | over-time']);
  t.same(words(up(), { type: 'shutdown' }), ['say-farewell over-technical | over-technical']);
  t.same(words(up(), { type: 'recording-lost', detail: 'x' }), [
    'say-farewell over-technical | over-technical',
  ]);
  t.same(words(up(monitored, { onThreeWay: 'end' }), { type: 'three-way-suspected', score: 70 }), [
    'say-farewell over-three-way | over-three-way',
  ]);
  for (const silent of [
    { type: 'called-gone' },
    { type: 'ended-by-staff' },
    { type: 'node-lost', detail: 'x' },
    { type: 'agent-lost' },
    { type: 'fault', detail: 'x' },
  ] as const) {
    t.notMatch(words(up(), silent).join(), 'say-farewell', silent.type);
  }
  t.same(words(ringing(), { type: 'dial-failed', ending: { code: 'called-busy' } }), [
    'say-farewell called-busy | ',
  ]);
  t.same(words(ringing(), { type: 'ring-limit-reached' }), ['cancel-dial']);
  t.same(
    words(
      ringing(),
      { type: 'ring-limit-reached' },
      { type: 'dial-failed', ending: { code: 'carrier-failed' } },
    ),
    ['cancel-dial', 'say-farewell called-no-answer | '],
    'the caller hears that nobody answered, once it is sure that nobody did',
  );
  t.same(words(ringing(), { type: 'ring-limit-reached' }, { type: 'answered' }), [
    'cancel-dial',
    'hang-up-caller',
    'hang-up-called',
  ]);
  t.same(words(ringing(), { type: 'ring-limit-reached' }, { type: 'shutdown' }), [
    'cancel-dial',
    'hang-up-caller',
  ]);
  t.same(words(ringing(), { type: 'shutdown' }), ['hang-up-caller', 'cancel-dial'], 'a stop does not wait');
  const early = new Play([monitored], here()).until('asking');
  t.same(words(early, { type: 'called-gone' }), ['say-farewell called-declined | ']);
  const unarmed = new Play([monitored], here()).press('called', '1').until('arming');
  t.same(words(unarmed, { type: 'arm-failed', ending: { code: 'recording-unproved' } }), [
    'say-farewell over-technical | over-technical',
  ]);
  const unready = new Play([monitored, monitored], here(true), {}, false).until('readying');
  t.same(words(unready, { type: 'recorder-unready', detail: 'x' }), ['say-farewell refused-unavailable | ']);
  // Whatever was wrong with the node that was to take the call: who is in the lobby hears it there.
  for (const code of ['media-unavailable', 'offer-unusable', 'internal-error'] as const) {
    const lobby = new Play([monitored, monitored], here(true), {}, false).until('anchoring');
    t.same(words(lobby, { type: 'anchor-failed', ending: { code } }), [
      'say-farewell refused-unavailable | ',
    ]);
  }
  const unmoved = new Play([monitored, monitored], here(true), {}, false).until('greeting');
  t.same(words(unmoved, { type: 'caller-connect-failed', detail: 'x' }), [
    'say-farewell refused-unavailable | ',
  ]);
  const unanswered = new Play([monitored], here()).until('greeting');
  t.same(words(unanswered, { type: 'caller-connect-failed', detail: 'x' }), ['refuse-caller']);
  for (const code of ['media-unavailable', 'called-media-unusable'] as const) {
    const moving = up().feed({ type: 'decided-again', decision: attorney }).until('moving');
    t.same(words(moving, { type: 'media-move-failed', ending: { code } }), [
      'say-farewell over-technical | over-technical',
    ]);
  }
});

t.test('the table of last words', async (t) => {
  for (const code of endingCodes) {
    const { caller, called } = farewells[code];
    for (const id of [caller, called, refusalPrompt(code)])
      t.ok(id === null || promptIds.includes(id), `${code} ${id}`);
    t.ok(called === null || caller !== null, `${code}: nobody is told what the caller is not`);
    t.ok(farewellMs({ code }) > 0 && farewellMs({ code }) <= 20_000);
  }
  t.ok(farewellMs({ code: 'lockdown' }) < 2000, 'the kill switch ends a call within 2 s');
  const killed = { code: 'became-private', detail: 'privileged-lockdown' } as const;
  t.ok(farewellMs(killed) < 2000, 'also one that would have become private');
  const caller: Partial<Record<EndingCode, PromptId>> = {
    'not-now': 'refused-not-now',
    lockdown: 'refused-lockdown',
    blocked: 'refused-blocked',
    'emergency-number': 'refused-emergency',
    'caller-suspended': 'refused-suspended',
  };
  for (const [code, id] of Object.entries(caller)) t.equal(refusalPrompt(code as EndingCode), id, code);
});

t.test('becoming private: the recording stops before all else', async (t) => {
  const up = (rules: Partial<CallRules> = {}): Play => {
    const play = new Play([monitored], here(), rules).press('called', '1').until('connected');
    play.since;
    return play;
  };
  const again = { type: 'decided-again', decision: attorney } as const;
  t.same(up().feed(again).since, ['stop-recording']);
  t.same(up().feed(again).until('connected').since, [
    'stop-recording',
    'journal-decision',
    'move-media',
    'watch',
    'interlude now-private | now-private',
  ]);
  const moved = up().feed(again).until('connected');
  t.ok(step(moved.state, { type: 'recording-lost', detail: 'late' }).stray, 'it has no recording to lose');
  t.ok(step(moved.state, { type: 'three-way-suspected', score: 100 }).stray, 'and nobody listens');
  t.match(up({ onBecomingPrivate: 'end' }).feed(again).until('ended').state, {
    ending: { code: 'became-private', detail: 'policy' },
  });
  t.same(up({ onBecomingPrivate: 'end' }).feed(again).until('ended').since, [
    'stop-recording',
    'journal-decision',
    'say-farewell over-technical | over-technical',
    ...closing,
  ]);
  t.same(
    up().feed(again).answer('stop-recording', 1).since,
    ['stop-recording', 'hang-up-caller', 'hang-up-called', 'release-media'],
    'a recording that cannot be stopped loses its media at once, without a word',
  );
  t.same(
    up().feed(again, { type: 'caller-gone', how: 'caller-hung-up' }).since,
    ['stop-recording', 'hang-up-called'],
    'the node is let go once the recording has stopped',
  );
  for (const over of [{ type: 'interlude-over' }, { type: 'interlude-failed', detail: 'x' }] as const) {
    const said = up().feed({ type: 'time-warning', left: 'minute' }, again);
    said.since;
    t.match(said.feed(over).state, { phase: 'unrecording', interludes: 0 }, `${over.type} while it moves`);
    t.same(said.since, [], 'ends nothing');
    t.ok(step(said.state, over).stray, 'and is told once');
  }
  const overtaken = up().feed({ type: 'time-warning', left: 'minute' }, again);
  overtaken.answer('stop-recording', 0).answer('journal-decision', 0).answer('move-media', 0);
  t.match(overtaken.state, { phase: 'connected', interludes: 2 });
  overtaken.feed({ type: 'interlude-over' });
  t.ok(step(overtaken.state, { type: 'time-warning', left: 'minute' }).stray, 'one announcement at a time');
  const early = new Play([monitored], here()).until('asking').feed(again);
  t.match(early.state, { phase: 'parting', ending: { code: 'became-private' } }, 'before it is up, it ends');
  t.match(
    step(up().feed(again).state, { type: 'decided-again', decision: monitored }),
    { next: { phase: 'unrecording' }, effects: [] },
    'nothing turns back (I5)',
  );
});

t.test('a monitored call hears of a third party once', async (t) => {
  const play = new Play([monitored], here(), { onThreeWay: 'warn' }).press('called', '1').until('connected');
  play.since;
  const suspected = (score: number): CallEvent => ({ type: 'three-way-suspected', score });
  t.same(play.feed(suspected(69), suspected(Number.NaN)).since, []);
  t.same(play.feed(suspected(70)).since, ['interlude three-way-warning | three-way-warning']);
  t.same(play.feed({ type: 'interlude-over' }, suspected(90)).since, []);
  const noted = new Play([monitored], here(), { onThreeWay: 'note' }).press('called', '1').until('connected');
  noted.since;
  t.same(noted.feed(suspected(100)).since, []);
  t.equal(noted.state.phase, 'connected');
});

t.test('another party is a leg of its own, whatever we are doing', async (t) => {
  const other = (how: 'forwarded' | 'redirect' | 'refer' | 'connected-identity', decision: Decision | null) =>
    ({ type: 'other-party-decided', how, decision }) as const;
  const opening = new Play([monitored], here()).press('called', '1').until('opening');
  opening.since;
  t.same(opening.feed(other('connected-identity', attorney)).since, [
    'note connected-identity end',
    'hang-up-caller',
    'hang-up-called',
  ]);
  const ringing = (): Play => {
    const play = new Play([monitored], here()).until('dialling');
    play.since;
    return play;
  };
  t.same(ringing().feed(other('redirect', monitored)).since, ['note redirect same', 'follow-redirect']);
  for (const decision of [attorney, aRefused(), null])
    t.same(ringing().feed(other('redirect', decision)).since, ['note redirect end', 'refuse-redirect']);
  t.same(ringing().feed(other('forwarded', attorney)).since, ['note forwarded end', 'cancel-dial']);
  t.same(ringing().feed(other('forwarded', aRefused())).since, ['note forwarded flag']);
  t.same(ringing().feed(other('refer', attorney)).since, ['note refer flag'], 'a transfer is refused anyway');
  const strict = new Play([monitored], here(), { onForward: 'end' }).until('dialling');
  strict.since;
  t.same(strict.feed(other('forwarded', null)).since, ['note forwarded end', 'cancel-dial']);
  for (const late of [{ type: 'ring-limit-reached' }, { type: 'shutdown' }] as const) {
    const play = ringing().feed(late);
    play.since;
    t.same(
      play.feed(other('redirect', monitored)).since,
      ['note redirect end', 'refuse-redirect'],
      late.type,
    );
  }
});

t.test('a 200 that crosses our CANCEL is hung up, and the CDR waits for it', async (t) => {
  const play = new Play([monitored], elsewhere).until('dialling');
  play.since;
  t.same(play.feed({ type: 'caller-gone', how: 'caller-cancelled' }).since, ['cancel-dial', 'release-media']);
  t.same(play.feed({ type: 'media-released' }, { type: 'spool-inspected' }).since, ['inspect-spool']);
  t.same(play.feed({ type: 'answered' }).since, ['hang-up-called']);
  t.same(play.feed({ type: 'called-closed' }).since, ['write-cdr']);
});

t.test('a hotline asks nobody who they are, not even to refuse', async (t) => {
  const ofHotline = refusals.find(({ reasons }) => reasons[0].detail === 'hotline');
  if (ofHotline === undefined) throw new Error('no such refusal');
  const play = new Play([ofHotline], here(true), {}, false).until('ended');
  t.notOk(play.said.includes('ask-pin'));
  t.match(play.state, { ending: { code: 'lockdown' } });
});

t.test('what has no place changes nothing', async (t) => {
  const up = new Play([monitored], here()).press('called', '1').until('connected').state;
  const asking = new Play([monitored], here()).until('waiting-for-a-key').state;
  const choosing = new Play([monitored], here(false, true)).until('choosing').state;
  const plumbing = new Play([monitored], elsewhere).until('connected').state;
  const turn = asking.phase === 'asking' ? asking.asking.turn : 0;
  const table: readonly [string, CallState, CallEvent][] = [
    ['the timer of a ringing that is over', up, { type: 'ring-limit-reached' }],
    ['the same while the called party is asked', asking, { type: 'ring-limit-reached' }],
    ['a key of the called party in the caller’s menu', choosing, { type: 'key', party: 'called', key: '2' }],
    ['speech that fails when it was over', asking, { type: 'say-failed', turn, detail: 'x' }],
    ['a warning where nobody expects our voice', plumbing, { type: 'time-warning', left: 'minute' }],
    ['time before the call is up', asking, { type: 'time-limit-reached' }],
    ['the loss of a recording there is none of', asking, { type: 'recording-lost', detail: 'x' }],
  ];
  for (const [name, state, event] of table) t.ok(step(state, event).stray, name);
  const redirect = { type: 'other-party-decided', how: 'redirect', decision: monitored } as const;
  t.same(
    step(up, redirect).effects.map(word),
    ['note redirect end', 'refuse-redirect'],
    'nobody rings any more',
  );
  t.ok(step(step(up, { type: 'called-gone' }).next, redirect).stray, 'nor here');
});

t.test('who is asked, answered and told, and who is not', async (t) => {
  const unknown = new Play([attorney], here(), {}, false).until('asking');
  t.notOk(unknown.since.includes('ask-pin'), 'nobody is asked for a PIN where there are none');
  const listed = new Play([attorney], here(false, true)).until('asking');
  t.notMatch(listed.since.join(), 'kind-menu', 'a number that is listed is private without a question');
  const [unknownTrunk] = refusals;
  if (unknownTrunk === undefined) throw new Error('no refusals');
  t.same(
    new Play([unknownTrunk], here()).until('ended').since,
    ['look-up-and-decide', 'journal-decision', 'refuse-caller', 'write-cdr'],
    'nobody is answered to hear nothing',
  );
  const claiming = new Play([claim], here()).until('waiting-for-a-key');
  claiming.since;
  claiming.answer('await-key', 0).until('waiting-for-a-key');
  claiming.since;
  t.same(claiming.answer('await-key', 0).since, ['keep-claim', 'say-farewell claim-noted | ']);
  const unarmed = new Play([monitored], here()).press('called', '1').until('arming');
  unarmed.since;
  t.same(
    unarmed.feed({ type: 'arm-failed', ending: { code: 'media-unavailable' } }).since,
    ['hang-up-caller', 'hang-up-called', 'release-media'],
    'a node that is gone says nothing',
  );
  for (const [ending, words] of [
    [{ code: 'journal-unavailable' }, ['say-farewell over-technical | over-technical']],
    [{ code: 'internal-error', detail: 'node-error' }, ['hang-up-caller', 'hang-up-called', 'release-media']],
  ] as const) {
    const told = new Play([monitored], here()).press('called', '1').until('arming');
    told.since;
    t.same(told.feed({ type: 'arm-failed', ending }).since, words, ending.code);
  }
  const lobby = new Play([monitored, monitored], here(true), {}, false).until('anchoring');
  lobby.since;
  t.same(
    lobby.feed({ type: 'anchor-failed', ending: { code: 'node-lost' } }).since,
    ['hang-up-caller', 'release-media'],
    'a lobby is let go also where there is nothing to say',
  );
  for (const detail of ['node-refused', 'node-error']) {
    const there = new Play([monitored], here()).press('called', '1').until('arming');
    there.since;
    t.same(
      there.feed({ type: 'arm-failed', ending: { code: 'media-unavailable', detail } }).since,
      ['say-farewell over-technical | over-technical'],
      `one that says ${detail} is there to say it`,
    );
  }
  const ringing = new Play([monitored], here()).until('dialling');
  ringing.since;
  t.same(
    ringing.feed({ type: 'node-lost', detail: 'x' }).since,
    ['hang-up-caller', 'cancel-dial', 'release-media'],
    'nor is a carrier waited for, to say it',
  );
});
