import t from 'tap';
import { TwoWays } from '../../src/call/hear.js';
import { type JsonObject, MediaError } from '../../src/call/ports.js';
import { acceptance } from '../../src/core/accept.js';
import type { CallerId } from '../../src/core/leg.js';
import { absent, answers, dialledNumber, listed } from '../core/samples.js';
import { type FakeCall, goodDial, inWorld, type World } from './fakes.js';
import { checkInvariants } from './invariants.js';
import {
  accept,
  attorney,
  bringUp,
  hears,
  keyIn,
  phaseOf,
  phases,
  pin,
  privileged,
  reach,
  take,
} from './spoken-call.js';

// Seconds of computing; a machine that does other things besides takes longer.
t.setTimeout(180_000);

const cdrOf = (world: World): JsonObject => {
  const [cdr, ...more] = world.cdrs();
  if (cdr === undefined || more.length > 0) throw new Error(`${world.cdrs().length} CDRs`);
  return cdr;
};

const introduction = 'greeting from-facility north from-caller caller-0';
const heard = {
  monitored: {
    caller: ['please-hold', 'hold-tone', 'told-recorded'],
    called: [`${introduction} notice-recorded`, 'menu-recorded', 'you-accepted'],
  },
  private: {
    caller: ['please-hold', 'hold-tone', 'told-private'],
    called: [`${introduction} notice-private`, 'menu-private', 'you-accepted'],
  },
} as const;

/** What comes of the trace without the voices, and without the acknowledgements. */
const steps = (world: World): readonly string[] =>
  world.whats().filter((what) => !/ ok$|^say$|^hush$|^surroundings$|^leave$|^enter$|^on-lost$/.test(what));

const opening = ['look-up', 'append decision'];
const closing = ['hang-up called', 'release'];

t.test('a monitored call: in this order, and recorded from the acceptance to the end', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    t.same(world.told(call, 'caller'), heard.monitored.caller);
    t.same(world.told(call, 'called'), heard.monitored.called);
    t.same(
      [call.caller.keys, call.called?.keys, world.voices[0]?.keys],
      [null, null, null],
      'nobody listens',
    );
    await world.time.advance(5000);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.same(steps(world), [
      ...opening,
      ...['ready', 'anchor recorded', 'receive', 'connect', 'dial', 'rang', 'dial answered', 'answer'],
      ...['arm answered', 'append armed', 'join', 'open', 'counted', 'watch', 'observe'],
      ...['caller gone', ...closing, 'finish', 'append cdr'],
    ]);
    const at = (what: string): number => world.trace.find((entry) => entry.what === what)?.at ?? -1;
    const accepted = world.heard.find(({ what }) => what === 'menu-recorded')?.at ?? -1;
    t.ok(at('arm answered') >= accepted && accepted > 0, 'not before the called party accepted');
    t.match(cdrOf(world), {
      verdict: 'monitored',
      status: 200,
      connectedMs: 5000,
      spool: { state: 'recording-finished' },
      conversation: { held: 'here', prompts: 'v'.repeat(64), more: 0 },
    });
    t.same(
      (cdrOf(world).conversation as { course: JsonObject[] }).course.map(({ to, said, party, key }) =>
        to === undefined ? [party, key] : [to, said],
      ),
      [
        ['caller', ['en/please-hold.wav']],
        [
          'called',
          [
            ...['en/greeting.wav', 'en/from-facility.wav', 'name of facility', 'en/from-caller.wav'],
            ...['name of caller', 'en/notice-recorded.wav'],
          ],
        ],
        ['called', ['en/menu-recorded.wav']],
        ['called', '1'],
        ['caller', ['en/told-recorded.wav']],
        ['called', ['en/you-accepted.wav']],
      ],
    );
    t.equal(world.time.pending, 0, 'no timer outlives the call');
    t.same(world.alarms(), []);
    checkInvariants(world);
  });
});

t.test('the CDR splits the delays of a spoken call', async (t) => {
  await inWorld({}, async (world) => {
    world.script = {
      'look-up': { ends: 'well', ms: 1 },
      'append decision': { ends: 'well', ms: 2 },
      ready: { ends: 'well', ms: 4 },
      'anchor recorded': { ends: 'well', ms: 8 },
      connect: { ends: 'well', ms: 16 },
      answer: { ends: 'well', ms: 32 },
      'arm answered': { ends: 'well', ms: 64 },
      open: { ends: 'well', ms: 128 },
    };
    world.dial = () => ({ ...goodDial, rings: 100, ms: 3000 });
    const call = await bringUp(world);
    call.called?.leave();
    await world.time.runOut();
    t.same(cdrOf(world).delay, {
      receive: null,
      lookUp: 1,
      journal: 2,
      ready: 4,
      anchor: 8,
      greet: 16,
      ring: 100,
      answer: 3000,
      media: 32,
      asked: 5000,
      arm: 64,
      tell: 1000,
      open: 128,
    });
    checkInvariants(world);
  });
});

t.test('and those of a private call, held here and elsewhere', async (t) => {
  for (const held of ['here', 'elsewhere'] as const) {
    await inWorld({}, async (world) => {
      world.script = {
        'look-up': { ends: 'well', ms: 1 },
        'append decision': { ends: 'well', ms: 2 },
        'anchor private': { ends: 'well', ms: 8 },
        answer: { ends: 'well', ms: 32 },
        connect: { ends: 'well', ms: 16 },
        open: { ends: 'well', ms: 128 },
      };
      world.dial = () => ({ ...goodDial, rings: null, ms: 3000 });
      world.answers = () => attorney;
      const call = held === 'here' ? await bringUp(world, 'private') : world.take();
      await reach(world, call, 'connected');
      call.called?.leave();
      await world.time.runOut();
      const common = { lookUp: 1, journal: 2, ready: null, anchor: 8, ring: null, answer: 3000, open: 128 };
      const own =
        held === 'here'
          ? { receive: null, greet: 16, media: 32, asked: 5000, arm: null, tell: 1000 }
          : { arm: 32, connect: 16 };
      t.same(cdrOf(world).delay, { ...common, ...own });
      checkInvariants(world);
    });
  }
});

t.test('a caller that does not answer its re-INVITE out of the lobby is hung up', async (t) => {
  for (const operation of ['receive', 'reinvite caller', 'readdress caller'] as const) {
    await inWorld({}, async (world) => {
      const call = take(world, { pin: true });
      await hears(world, call, 'caller', 'pin-ask');
      world.script = { [operation]: { ends: 'hangs' } };
      keyIn(world, call, `${pin}#`);
      await world.time.runOut();
      t.match(cdrOf(world), { ending: 'internal-error', detail: 'deadline', status: 200 }, operation);
      t.equal(world.told(call, 'caller', 'said').at(-1), 'refused-unavailable', 'and hears it in the lobby');
      t.notOk(world.whats().includes('dial'));
      checkInvariants(world);
    });
  }
});

t.test('a call whose node fails ends with words wherever there is a voice left', async (t) => {
  const refuses = new MediaError('node-refused', 'x');
  const unusable = new MediaError('offer-unusable', 'x');
  for (const [operation, behaviour, ending, word] of [
    ['anchor recorded', { ends: 'fails', error: refuses }, 'media-unavailable', 'refused-unavailable'],
    ['anchor recorded', { ends: 'fails', error: unusable }, 'offer-unusable', 'refused-unavailable'],
    ['anchor recorded', { ends: 'throws' }, 'media-unavailable', 'refused-unavailable'],
    ['anchor recorded', { ends: 'hangs' }, 'media-unavailable', 'refused-unavailable'],
    ['answer', { ends: 'fails', error: refuses }, 'media-unavailable', 'over-technical'],
    ['arm answered', { ends: 'fails', error: refuses }, 'media-unavailable', 'over-technical'],
  ] as const) {
    await inWorld({}, async (world) => {
      const name = `${operation} ${behaviour.ends}`;
      const call = take(world, { pin: true });
      await hears(world, call, 'caller', 'pin-ask');
      world.script = { [operation]: behaviour };
      world.onHeard = ({ what }) => {
        if (what.includes('menu-recorded')) setTimeout(() => world.press(call, 'called', '1'), 100);
      };
      keyIn(world, call, `${pin}#`);
      await world.time.runOut();
      t.match(cdrOf(world), { ending, verdict: 'monitored', connectedMs: 0 }, name);
      t.equal(world.told(call, 'caller', 'said').at(-1), word, name);
      if (word === 'over-technical') t.equal(world.told(call, 'called', 'said').at(-1), word, name);
      checkInvariants(world);
    });
  }
});

t.test('a private call: on a node that cannot record, and told so', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world, 'private');
    t.same(world.told(call, 'caller'), heard.private.caller);
    t.same(world.told(call, 'called'), heard.private.called);
    call.called?.leave();
    await world.time.runOut();
    t.same(steps(world), [
      ...opening,
      ...['anchor private', 'receive', 'connect', 'dial', 'rang', 'dial answered', 'answer'],
      ...[
        'join',
        'open',
        'counted',
        'called gone',
        'hang-up caller',
        'release',
        'verify-absence',
        'append cdr',
      ],
    ]);
    t.match(cdrOf(world), { verdict: 'private', class: 'attorney', ending: 'called-hung-up', armed: null });
    checkInvariants(world);
  });
});

t.test('hotlines and relay services are connected without asking their machines', async (t) => {
  for (const kind of ['hotline', 'relay'] as const) {
    await inWorld({}, async (world) => {
      world.answers = () => privileged(kind);
      const call = take(world);
      await reach(world, call, 'connected');
      t.same(world.told(call, 'called'), [], 'a machine is told nothing');
      t.same(world.told(call, 'caller', 'said'), ['notice-private'], 'and the caller not that it was');
      await world.time.advance(3_700_000);
      t.equal(phaseOf(world, call), kind === 'relay' ? 'connected' : 'gone', 'relay calls last longer');
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      checkInvariants(world);
    });
  }
});

t.test('a call with text lasts as long as a relay call', async (t) => {
  await inWorld({}, async (world) => {
    world.around = { ...world.around, text: true };
    const call = await bringUp(world);
    await world.time.advance(901_000);
    t.equal(phaseOf(world, call), 'connected');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

// ---- who calls

const pinPhone = { pin: true };

t.test('a PIN is asked for in the lobby, before any decision', async (t) => {
  await inWorld({}, async (world) => {
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    t.same(steps(world), ['look-up', 'anchor lobby', 'receive', 'connect']);
    t.equal(world.rows.length, 0, 'what was decided for nobody is no decision');
    await world.time.advance(300);
    keyIn(world, call, `${pin}#`);
    await accept(world, call);
    await reach(world, call, 'connected');
    t.same(steps(world).slice(4), [
      ...['check pin', 'look-up', 'append decision', 'ready', 'anchor recorded', 'receive'],
      ...['reinvite caller', 'readdress caller', 'release lobby', 'dial', 'rang', 'dial answered', 'answer'],
      ...['arm answered', 'append armed', 'join', 'open', 'counted', 'watch', 'observe'],
    ]);
    t.equal(world.told(call, 'caller', 'hushed')[0], 'pin-ask', 'the first key hushes the prompt');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.match(cdrOf(world), { caller: 'caller-known', verdict: 'monitored' });
    t.match(world.rows[0]?.body, { caller: 'caller-known' });
    checkInvariants(world);
  });
});

t.test('the lobby of a private call becomes its node: no re-INVITE, nothing to give back', async (t) => {
  await inWorld({}, async (world) => {
    world.answers = () => attorney;
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    keyIn(world, call, `${pin}#`);
    await accept(world, call);
    await reach(world, call, 'connected');
    for (const what of ['reinvite caller', 'release lobby', 'anchor private'])
      t.notOk(world.whats().includes(what), what);
    t.ok(world.whats().includes('become private'));
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('keys as the node hears them, as INFO, or both at once are one and the same PIN', async (t) => {
  for (const [name, press] of [
    ['audio', (world: World, call: FakeCall) => keyIn(world, call, `${pin}#`)],
    ['INFO', (world: World, call: FakeCall) => keyIn(world, call, `${pin}#`, 'info')],
    [
      'both',
      (world: World, call: FakeCall) => {
        for (const key of `${pin}#`) {
          keyIn(world, call, key, 'info');
          keyIn(world, call, key);
        }
      },
    ],
    [
      'both, one after the other',
      (world: World, call: FakeCall) => {
        keyIn(world, call, pin, 'info');
        keyIn(world, call, `${pin}#`);
      },
    ],
    ['a correction', (world: World, call: FakeCall) => keyIn(world, call, `99*${pin}#`)],
    ['letters and flashes', (world: World, call: FakeCall) => keyIn(world, call, `A${pin}D#`)],
    ['no #', (world: World, call: FakeCall) => keyIn(world, call, pin)],
  ] as const) {
    await inWorld({}, async (world) => {
      const asked: string[] = [];
      const { pin: check } = world;
      world.pin = (digits) => {
        asked.push(digits);
        return check(digits);
      };
      const call = take(world, pinPhone);
      await hears(world, call, 'caller', 'pin-ask');
      press(world, call);
      await reach(world, call, 'asking');
      t.same(asked, [pin], name);
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      checkInvariants(world);
    });
  }
});

t.test('a digit keyed in twice is two, whichever way', async (t) => {
  for (const way of ['audio', 'info', 'both'] as const) {
    await inWorld({}, async (world) => {
      const asked: string[] = [];
      world.pin = (digits) => {
        asked.push(digits);
        return { state: 'locked' };
      };
      const call = take(world, pinPhone);
      await hears(world, call, 'caller', 'pin-ask');
      for (const key of '1122') {
        if (way !== 'info') keyIn(world, call, key);
        if (way !== 'audio') keyIn(world, call, key, 'info');
        await world.time.advance(300);
      }
      await world.time.advance(2000);
      // The same digit later is another press, also where it comes the other way.
      keyIn(world, call, '2', way === 'audio' ? 'info' : 'audio');
      keyIn(world, call, '#');
      await world.time.runOut();
      t.same(asked, ['11222'], way);
      t.match(cdrOf(world), { ending: 'pin-locked' });
      checkInvariants(world);
    });
  }
});

t.test('a press of one way is met by one of the other, of the same party, and soon', async (t) => {
  const ways = new TwoWays();
  t.notOk(ways.heardAlready('caller', '5', 'audio', 0));
  t.ok(ways.heardAlready('caller', '5', 'info', 400));
  t.notOk(ways.heardAlready('caller', '5', 'info', 500), 'what was met is met no more');
  t.notOk(ways.heardAlready('called', '5', 'audio', 600), 'another party’s is another press');
  t.notOk(ways.heardAlready('caller', '6', 'audio', 700), 'as is another key');
  t.ok(ways.heardAlready('caller', '6', 'info', 1700));
  t.notOk(ways.heardAlready('called', '5', 'info', 1701), 'and what comes too late');
});

t.test('nobody but the caller keys in a PIN or chooses a kind', async (t) => {
  await inWorld({}, async (world) => {
    const call = take(world, { pin: true, offersPrivate: true });
    await hears(world, call, 'caller', 'pin-ask');
    for (let i = 0; i < 4; i += 1) world.press(call, 'called', '0');
    keyIn(world, call, `${pin}#`);
    await hears(world, call, 'caller', 'kind-menu');
    world.press(call, 'called', '2');
    world.press(call, 'called', '1');
    await world.time.advance(100);
    t.equal(phaseOf(world, call), 'choosing');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.notOk(JSON.stringify(cdrOf(world)).includes('"party"'));
    checkInvariants(world);
  });
});

t.test('a flood of keys is counted in the CDR, not kept', async (t) => {
  await inWorld({}, async (world) => {
    const call = take(world);
    await hears(world, call, 'called', 'notice-recorded');
    for (let i = 0; i < 200; i += 1) world.press(call, 'called', '4');
    await accept(world, call);
    await reach(world, call, 'connected');
    for (let i = 0; i < 10; i += 1) {
      world.press(call, 'called', '4');
      world.press(call, 'caller', '4', 'info');
    }
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    const { course, more } = cdrOf(world).conversation as { course: JsonObject[]; more: number };
    t.equal(course.length, 64);
    t.equal(course.length + more, 2 + 200 + 1 + 1 + 2, 'and nobody looks at keys of a call that is up');
    checkInvariants(world);
  });
});

t.test('three PINs are tried, each asked for with the reason for it', async (t) => {
  for (const [keys, again, ending, last] of [
    ['123#', 'pin-wrong pin-ask', 'pin-wrong', 'refused-identity'],
    ['', 'pin-incomplete', 'pin-missing', 'refused-identity'],
    ['12*#', 'pin-incomplete', 'pin-missing', 'refused-identity'],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = take(world, pinPhone);
      for (const attempt of [1, 2, 3]) {
        await hears(
          world,
          call,
          'caller',
          attempt === 1 ? 'pin-ask' : (again.split(' ')[0] ?? ''),
          Math.max(1, attempt - 1),
        );
        keyIn(world, call, keys);
        await world.time.advance(1);
      }
      await world.time.runOut();
      t.same(world.told(call, 'caller'), ['pin-ask', again, again, last], keys);
      t.match(cdrOf(world), { ending, verdict: 'undecided', status: 200, connectedMs: 0 });
      t.notOk(world.whats().includes('append decision'));
      t.match(call.caller.endings, [{ code: ending }]);
      checkInvariants(world);
    });
  }
});

t.test('the time for the first key begins when the prompt is over, however long it is', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { say: { ends: 'well', ms: 3500 } };
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    await world.time.advance(4500 + 11_900);
    t.equal(phaseOf(world, call), 'identifying');
    t.same(world.told(call, 'caller'), ['pin-ask']);
    await world.time.advance(200);
    t.equal(world.told(call, 'caller').length, 2, 'and then it is asked for again');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('a flood of keys ends the entry at its bound, and hushes the prompt once', async (t) => {
  await inWorld({}, async (world) => {
    const asked: string[] = [];
    world.pin = (digits) => {
      asked.push(digits);
      return { state: 'wrong' };
    };
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    for (let i = 0; i < 100; i += 1) keyIn(world, call, '7');
    await world.time.settle();
    t.same(asked, ['7'.repeat(24)], 'and what comes while it is checked is nobody’s');
    t.equal(world.whats().filter((what) => what === 'hush').length, 1);
    await hears(world, call, 'caller', 'pin-wrong');
    // A star every second holds the line for no longer than an entry may take.
    const began = world.time.now;
    while (world.told(call, 'caller').length < 3 && world.time.now - began < 120_000) {
      keyIn(world, call, '*');
      await world.time.advance(1000);
    }
    t.ok(world.time.now - began <= 62_000, `${world.time.now - began} ms`);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.notOk(JSON.stringify(world.rows).includes('777'));
    checkInvariants(world);
  });
});

t.test('digits of a caller who has hung up are not checked: half a PIN is no wrong one', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { 'release lobby': { ends: 'hangs' } };
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    keyIn(world, call, '4711');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.notOk(world.whats().includes('check pin'));
    t.match(cdrOf(world), { ending: 'caller-cancelled', verdict: 'undecided' });
    checkInvariants(world);
  });
});

t.test(
  'who cannot be asked for: what is privileged is private, all else is refused with words',
  async (t) => {
    const ways = [
      ['locked', (world: World) => (world.pin = () => ({ state: 'locked' })), 'pin-locked', 'pin-locked'],
      [
        'unknown',
        (world: World) => (world.pin = () => ({ state: 'unknown', why: 'x' })),
        'caller-unidentified',
        'refused-identity',
      ],
      [
        'hangs',
        (world: World) => (world.script = { 'check pin': { ends: 'hangs' } }),
        'caller-unidentified',
        'refused-identity',
      ],
      [
        'fails',
        (world: World) => (world.script = { 'check pin': { ends: 'fails' } }),
        'caller-unidentified',
        'refused-identity',
      ],
      [
        'throws',
        (world: World) => (world.script = { 'check pin': { ends: 'throws' } }),
        'caller-unidentified',
        'refused-identity',
      ],
    ] as const;
    for (const [name, how, ending, word] of ways) {
      for (const kind of ['ordinary', 'privileged'] as const) {
        await inWorld({}, async (world) => {
          how(world);
          if (kind === 'privileged') world.answers = () => attorney;
          const call = take(world, pinPhone);
          await hears(world, call, 'caller', 'pin-ask');
          keyIn(world, call, `${pin}#`);
          if (kind === 'privileged' && name !== 'locked') {
            await accept(world, call);
            await reach(world, call, 'connected');
            call.caller.leave('caller-hung-up');
            await world.time.runOut();
            t.match(cdrOf(world), { verdict: 'private', caller: null }, name);
          } else {
            await world.time.runOut();
            t.match(cdrOf(world), { ending, caller: null }, `${name} ${kind}`);
            t.equal(world.told(call, 'caller', 'said').at(-1), word);
          }
          checkInvariants(world);
        });
      }
    }
  },
);

t.test('hotlines are asked for no PIN, and refusals that stand for everybody are not either', async (t) => {
  for (const [set, ending] of [
    [(world: World) => (world.answers = () => privileged('hotline')), null],
    [(world: World) => (world.script = { 'look-up': { ends: 'fails' } }), 'lists-unavailable'],
  ] as const) {
    await inWorld({}, async (world) => {
      set(world);
      const call = take(world, pinPhone);
      if (ending === null) await reach(world, call, 'connected');
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.notOk(world.told(call, 'caller').includes('pin-ask'));
      checkInvariants(world);
    });
  }
  await inWorld({}, async (world) => {
    const call = take(world, pinPhone, { dialled: { kind: 'emergency', code: '911' } });
    await world.time.runOut();
    t.same(world.told(call, 'caller', 'said'), ['refused-emergency']);
    t.same(world.alarms(), ['emergency-dialled']);
    checkInvariants(world);
  });
});

t.test('the language of the caller’s record is spoken from then on', async (t) => {
  await inWorld({}, async (world) => {
    world.pin = () => ({ state: 'known', caller: 'caller-known' as CallerId, language: 'es' });
    const call = take(world, pinPhone);
    await hears(world, call, 'caller', 'pin-ask');
    keyIn(world, call, `${pin}#`);
    await accept(world, call);
    await reach(world, call, 'connected');
    t.same(
      world.heard.map(({ to, language }) => `${to} ${language}`),
      ['caller en', 'caller es', 'called en', 'caller es', 'called en', 'caller es', 'called en'],
    );
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

// ---- what kind of call

const kindPhone = { offersPrivate: true };

t.test('who would be recorded is asked for the kind of call, and nobody else', async (t) => {
  for (const [key, menus] of [
    ['1', 1],
    ['', 2],
    ['4', 2],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = take(world, kindPhone);
      await hears(world, call, 'caller', 'kind-menu');
      keyIn(world, call, key);
      await accept(world, call);
      await reach(world, call, 'connected');
      t.equal(world.told(call, 'caller').filter((what) => what === 'kind-menu').length, menus, `key ${key}`);
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.match(cdrOf(world), { verdict: 'monitored' });
      checkInvariants(world);
    });
  }
  await inWorld({}, async (world) => {
    world.answers = () => attorney;
    const call = take(world, kindPhone);
    await accept(world, call);
    t.notOk(world.told(call, 'caller').includes('kind-menu'));
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

/** Brings a caller who claims a private call to a number nobody registered to where that is explained. */
const claimed = async (world: World): Promise<FakeCall> => {
  const call = take(world, kindPhone);
  await hears(world, call, 'caller', 'kind-menu');
  keyIn(world, call, '2');
  await hears(world, call, 'caller', 'claim-unlisted');
  return call;
};

t.test('a claim stands, is journalled and ordered, whatever the caller does but press 5', async (t) => {
  for (const [name, act, ending, noted] of [
    ['no key', () => undefined, 'review-pending', true],
    ['5 too early', (world: World, call: FakeCall) => keyIn(world, call, '5'), 'review-pending', true],
    ['another key', (world: World, call: FakeCall) => keyIn(world, call, '1'), 'review-pending', true],
    ['hang-up', (_: World, call: FakeCall) => call.caller.leave('caller-hung-up'), 'caller-cancelled', false],
    ['agent lost', (world: World) => world.controller.agentLost(), 'agent-lost', false],
    ['node lost', (_: World, call: FakeCall) => call.loseNode('x'), 'node-lost', false],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await claimed(world);
      act(world, call);
      await world.time.runOut();
      t.match(cdrOf(world), { ending, verdict: 'refused' }, name);
      t.match(
        world.rows.filter(({ kind }) => kind === 'claim'),
        [{ body: { outcome: 'stands' } }],
        name,
      );
      t.match(world.orders, [
        { order: { kind: 'pending', cause: 'caller-claim' }, state: 'on', by: 'caller' },
      ]);
      t.equal(world.told(call, 'caller', 'said').includes('claim-noted'), noted, name);
      t.notOk(world.whats().includes('dial'));
      checkInvariants(world);
    });
  }
});

t.test('one caller cannot hold up every number there is', async (t) => {
  await inWorld({ controller: { maxCalls: 20 } }, async (world) => {
    for (let i = 0; i < 7; i++) {
      world.take({
        caller: 'one' as CallerId,
        claimsPrivate: true,
        dialled: dialledNumber(`+1212555${String(1000 + i)}`),
      });
      await world.time.runOut();
    }
    t.equal(world.orders.length, 5, 'five numbers wait for review');
    t.same(
      world.rows.filter(({ kind }) => kind === 'claim').map(({ body }) => body.outcome),
      [...Array<string>(5).fill('stands'), 'over-bound', 'over-bound'],
    );
    t.same(world.alarms(), ['claims-too-many', 'claims-too-many']);
    t.ok(
      world.cdrs().every(({ ending }) => ending === 'review-pending'),
      'and each of the calls was refused',
    );
    t.notOk(world.whats().includes('dial'));
    checkInvariants(world);
  });
});

t.test('a claim withdrawn knowingly is a recorded call with its notice, and no order', async (t) => {
  await inWorld({}, async (world) => {
    const call = await claimed(world);
    await world.time.advance(1001);
    keyIn(world, call, '5');
    await accept(world, call);
    await reach(world, call, 'connected');
    t.ok(world.told(call, 'caller', 'said').includes('told-recorded'));
    t.match(
      world.rows.map(({ kind, body }) => [kind, body.verdict ?? body.outcome]),
      [['decision', 'refused'], ['claim', 'withdrawn'], ['decision', 'monitored'], ['armed']],
    );
    t.same(world.orders, []);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('who presses 5 too early hears it once more, and may press before its end', async (t) => {
  for (const [again, ends] of [
    [true, 'monitored'],
    [false, 'refused'],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await claimed(world);
      keyIn(world, call, '5');
      let times = 0;
      world.onHeard = ({ what }) => {
        if (what === 'claim-unlisted') times += 1;
        // While it is being said.
        if (what === 'claim-unlisted' && again) setTimeout(() => keyIn(world, call, '5'), 100);
        if (what.includes('menu-recorded')) setTimeout(() => world.press(call, 'called', '1'), 100);
      };
      await world.time.advance(20_000);
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.equal(times, 1, 'said once more, not twice');
      t.match(cdrOf(world), { verdict: ends });
      t.equal(world.told(call, 'caller', 'said').includes('claim-noted'), !again);
      checkInvariants(world);
    });
  }
});

t.test('a withdrawal that cannot be journalled is none', async (t) => {
  for (const ends of ['fails', 'throws', 'hangs'] as const) {
    await inWorld({}, async (world) => {
      const call = await claimed(world);
      await world.time.advance(1001);
      world.script = { 'append claim': { ends } };
      keyIn(world, call, '5');
      await world.time.advance(4000);
      world.script = {};
      await world.time.runOut();
      t.match(cdrOf(world), { ending: 'review-pending' }, ends);
      t.equal(world.orders.length, 1);
      checkInvariants(world);
    });
  }
});

t.test(
  'a number that is private by itself needs no claim; one that is claimed by prefix is explained',
  async (t) => {
    await inWorld({}, async (world) => {
      const call = take(world, {}, { claimsPrivate: true });
      await hears(world, call, 'caller', 'claim-unlisted');
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.match(cdrOf(world), { ending: 'caller-cancelled', reasons: [{ code: 'private-claim-unlisted' }] });
      t.equal(world.orders.length, 1);
      checkInvariants(world);
    });
  },
);

// ---- refused with words

t.test('each refusal has its words, in the lobby, and the CDR its code', async (t) => {
  for (const [set, ending, word] of [
    [
      (world: World) => (world.answers = () => answers({ allow: absent })),
      'not-allowed',
      'refused-not-allowed',
    ],
    [(world: World) => (world.around = { ...world.around, lockdown: 'on' }), 'lockdown', 'refused-lockdown'],
    [
      (world: World) => (world.around = { ...world.around, schedule: 'closed' }),
      'not-now',
      'refused-not-now',
    ],
    [
      (world: World) => (world.around = { ...world.around, suspended: true }),
      'caller-suspended',
      'refused-suspended',
    ],
    [
      (world: World) => (world.answers = () => answers({ pending: listed({ id: 'x' as never }) })),
      'review-pending',
      'refused-review',
    ],
  ] as const) {
    await inWorld({}, async (world) => {
      set(world);
      const call = take(world);
      await world.time.runOut();
      t.same(world.told(call, 'caller', 'said'), [word]);
      t.match(cdrOf(world), { ending, verdict: 'refused', status: 200, node: null });
      t.ok(world.whats().includes('release lobby'));
      checkInvariants(world);
    });
  }
});

t.test('who cannot be received is refused by the final response', async (t) => {
  for (const operation of ['anchor lobby', 'receive', 'on-lost', 'connect'] as const) {
    for (const ends of ['fails', 'throws', 'hangs'] as const) {
      await inWorld({}, async (world) => {
        world.answers = () => answers({ allow: absent });
        world.script = { [operation]: { ends } };
        const call = take(world);
        await world.time.runOut();
        if (operation === 'on-lost' && ends !== 'throws') return;
        t.match(cdrOf(world), { ending: 'not-allowed', status: 403 }, `${operation} ${ends}`);
        t.match(call.caller.endings, [{ code: 'not-allowed' }]);
        checkInvariants(world);
      });
    }
  }
});

t.test('what comes late to the reception is closed', async (t) => {
  for (const [operation, ms] of [
    ['anchor lobby', 4100],
    ['receive', 4100],
    ['connect', 5100],
  ] as const) {
    await inWorld({}, async (world) => {
      world.answers = () => answers({ allow: absent });
      world.script = { [operation]: { ends: 'well', ms } };
      take(world);
      await world.time.runOut();
      t.ok(world.whats().includes(`${operation} ok`), operation);
      t.ok(world.whats().includes('release lobby'));
      t.equal(world.whats().includes('hang-up caller'), operation === 'connect');
      checkInvariants(world);
    });
  }
});

// ---- the called party's answer

t.test('the called party answers with a key, and each key has its ending', async (t) => {
  for (const [key, ending, caller, called, order] of [
    ['2', 'called-declined', 'called-declined', 'you-refused', null],
    ['3', 'called-protected', 'refused-review', 'you-protected', 'pending'],
    ['7', 'called-blocked-us', 'called-declined', 'you-blocked', 'block'],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = take(world);
      await hears(world, call, 'called', 'menu-recorded');
      world.press(call, 'called', key);
      await world.time.runOut();
      t.match(cdrOf(world), { ending, connectedMs: 0, armed: null, spool: { state: 'nothing-found' } });
      t.equal(world.told(call, 'caller', 'said').at(-1), caller);
      t.equal(world.told(call, 'called', 'said').at(-1), called);
      t.same(
        world.orders.map((given) => given.order.kind),
        order === null ? [] : [order],
      );
      const rows = world.rows.filter(({ kind }) => kind === 'answer');
      t.equal(rows.length, order === null ? 0 : 1);
      t.ok(world.rows.at(-1)?.kind === 'cdr', 'the CDR is the last row');
      t.notOk(world.whats().includes('arm answered'), 'nothing was recorded');
      checkInvariants(world);
    });
  }
});

t.test('no key, wrong keys and a machine do not accept', async (t) => {
  for (const [name, press, menus] of [
    ['no key', '', acceptance.rounds],
    ['wrong keys', '4', 3],
    ['the accepting key of the party that was not asked', '', acceptance.rounds],
  ] as const) {
    await inWorld({}, async (world) => {
      world.onHeard = (heard, call) => {
        if (!heard.what.includes('menu-recorded')) return;
        if (press !== '') setTimeout(() => world.press(call, 'called', press), 100);
        if (name.startsWith('the accepting')) setTimeout(() => world.press(call, 'caller', '1'), 100);
      };
      const call = take(world);
      await world.time.runOut();
      t.match(cdrOf(world), { ending: 'called-no-key', connectedMs: 0 }, name);
      const asked = world.told(call, 'called').filter((what) => what.endsWith('menu-recorded'));
      t.equal(asked.length, menus, name);
      t.equal(world.told(call, 'called', 'said').at(-1), 'you-pressed-nothing');
      const pressedBy = JSON.stringify((cdrOf(world).conversation as JsonObject).course);
      t.notOk(pressedBy.includes('"party":"caller"'), 'a key nobody asked for is in no record');
      checkInvariants(world);
    });
  }
});

t.test('nobody accepts what they have not heard; the language changes and the menu repeats', async (t) => {
  await inWorld({}, async (world) => {
    const call = take(world);
    await hears(world, call, 'called', 'notice-recorded');
    world.press(call, 'called', '1');
    await world.time.advance(100);
    t.equal(phaseOf(world, call), 'asking');
    world.press(call, 'called', '8');
    await hears(world, call, 'called', 'notice-recorded', 2);
    t.equal(world.heard.at(-1)?.language, 'es');
    await hears(world, call, 'called', 'menu-recorded');
    world.press(call, 'called', '9', 'info');
    await hears(world, call, 'called', 'menu-recorded', 2);
    world.press(call, 'called', '1', 'info');
    await reach(world, call, 'connected');
    t.equal(world.heard.find(({ what }) => what === 'you-accepted')?.language, 'es');
    t.equal(world.heard.find(({ what }) => what === 'told-recorded')?.language, 'en');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('a notice is enough where the policy says so', async (t) => {
  const acceptance = { monitored: 'notice', private: 'notice', machine: 'none' } as const;
  await inWorld({ policy: { acceptance } }, async (world) => {
    const call = take(world);
    await reach(world, call, 'connected');
    t.same(world.told(call, 'called', 'said'), [heard.monitored.called[0], 'you-accepted']);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test(
  'an order that cannot be kept alarms, and holds the call’s end for no longer than its bound',
  async (t) => {
    for (const operation of ['give', 'append answer'] as const) {
      for (const ends of ['fails', 'throws', 'hangs'] as const) {
        await inWorld({}, async (world) => {
          world.script = { [operation]: { ends } };
          const call = take(world);
          await hears(world, call, 'called', 'menu-recorded');
          world.press(call, 'called', '7');
          await world.time.runOut();
          t.same(world.alarms(), ['order-unkept'], `${operation} ${ends}`);
          t.equal(world.orders.length, operation === 'give' ? 0 : 1, 'in force whatever the journal does');
          t.equal(world.whats().filter((what) => what === 'append answer').length, 1);
          t.match(cdrOf(world), { ending: 'called-blocked-us' });
          checkInvariants(world);
        });
      }
    }
  },
);

t.test('the CDR waits for what is to be kept', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { 'append answer': { ends: 'well', ms: 2500 }, 'hang-up caller': { ends: 'well' } };
    const call = take(world);
    await hears(world, call, 'called', 'menu-recorded');
    world.press(call, 'called', '3');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.same(
      world.rows.map(({ kind }) => kind),
      ['decision', 'answer', 'cdr'],
    );
    checkInvariants(world);
  });
});

t.test('where the node does not speak, nobody is connected untold', async (t) => {
  for (const [prompt, ending] of [
    ['notice-recorded', 'media-unavailable'],
    ['menu-recorded', 'media-unavailable'],
    ['told-recorded', 'media-unavailable'],
    ['you-accepted', 'media-unavailable'],
    ['kind-menu', 'media-unavailable'],
    ['claim-unlisted', 'review-pending'],
  ] as const) {
    for (const ends of ['fails', 'hangs', 'throws', 'hushed', 'silent'] as const) {
      await inWorld({}, async (world) => {
        const sayings = ['kind-menu', 'claim-unlisted'].includes(prompt) ? kindPhone : {};
        let next = '';
        world.onHeard = (heard, call) => {
          // Who hears nothing presses nothing.
          if (next !== '') return;
          if (heard.what.includes('menu-recorded')) setTimeout(() => world.press(call, 'called', '1'), 100);
          if (heard.what === 'kind-menu') setTimeout(() => world.press(call, 'caller', '2'), 100);
        };
        world.beforeSay = (what) => {
          next = what.split(' ').includes(prompt) ? ends : '';
        };
        world.missing = ends === 'silent' ? prompt : null;
        world.behave = (operation) => {
          if (operation !== 'say' || next === '') return { ends: 'well' };
          if (next === 'hushed') return { ends: 'well', hushed: true };
          return next === 'fails' || next === 'hangs' || next === 'throws'
            ? { ends: next }
            : { ends: 'well' };
        };
        const call = take(world, sayings);
        await world.time.runOut();
        t.match(cdrOf(world), { ending, connectedMs: 0 }, `${prompt} ${ends}`);
        t.notOk(phases(world, call).includes('connected'));
        checkInvariants(world);
      });
    }
  }
});

t.test(
  'a PIN that cannot be asked for: the call ends with words of its own, and nobody is dialled',
  async (t) => {
    for (const asked of [1, 2]) {
      for (const ends of ['fails', 'hangs', 'throws', 'hushed', 'silent'] as const) {
        await inWorld({}, async (world) => {
          const prompt = asked === 1 ? 'pin-ask' : 'pin-wrong';
          let hit = false;
          world.beforeSay = (what) => {
            hit = what.split(' ').includes(prompt);
          };
          world.missing = ends === 'silent' ? prompt : null;
          world.behave = (operation) => {
            if (operation !== 'say' || !hit || ends === 'silent') return { ends: 'well' };
            return ends === 'hushed' ? { ends: 'well', hushed: true } : { ends };
          };
          const call = take(world, pinPhone);
          if (asked === 2) {
            await hears(world, call, 'caller', 'pin-ask');
            keyIn(world, call, '4711000000#');
          }
          await world.time.runOut();
          const name = `${prompt} ${ends}`;
          t.match(
            cdrOf(world),
            {
              ending: 'pin-unasked',
              disposition: 'refused',
              fault: 'ours',
              verdict: 'undecided',
              detail: String,
            },
            name,
          );
          t.equal(world.told(call, 'caller', 'said').at(-1), 'refused-unavailable', name);
          t.notOk(world.whats().includes('dial'), name);
          t.notOk(world.whats().includes('append decision'), name);
          checkInvariants(world);
        });
      }
    }
  },
);

t.test('who keys in the PIN while the question goes wrong knows what is asked for', async (t) => {
  await inWorld({}, async (world) => {
    world.beforeSay = (what) => {
      world.script = what === 'pin-ask' ? { say: { ends: 'hangs' } } : {};
    };
    const call = take(world, pinPhone);
    await reach(world, call, 'identifying');
    await world.time.advance(1000);
    keyIn(world, call, pin.slice(0, 4));
    await world.time.advance(4500);
    keyIn(world, call, `${pin.slice(4)}#`);
    await accept(world, call);
    await reach(world, call, 'connected');
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.match(cdrOf(world), { verdict: 'monitored' });
    checkInvariants(world);
  });
});

t.test('nobody hears the hold tone or the last words: the call goes on', async (t) => {
  for (const prompt of ['please-hold', 'hold-tone', 'called-busy'] as const) {
    for (const ends of ['fails', 'hangs', 'throws'] as const) {
      await inWorld({}, async (world) => {
        if (prompt === 'called-busy') world.dial = () => ({ ...goodDial, ends: 'failed', ms: 2000 });
        world.onHeard = (heard, call) => {
          if (heard.what.includes('menu-recorded')) setTimeout(() => world.press(call, 'called', '1'), 100);
        };
        let hit = false;
        world.beforeSay = (what) => {
          hit = what.split(' ').includes(prompt);
        };
        world.behave = (operation) => (operation === 'say' && hit ? { ends } : { ends: 'well' });
        const call = take(world);
        if (prompt !== 'called-busy') await reach(world, call, 'connected');
        call.caller.leave('caller-hung-up');
        await world.time.runOut();
        checkInvariants(world);
        t.ok(world.cdrs().length === 1, `${prompt} ${ends}`);
      });
    }
  }
});

t.test('the hold tone takes nobody’s word: what is said as the wait begins is heard out', async (t) => {
  // The dialling fails at the very moment the first hold prompt ends, before and after the tone would begin.
  for (const ms of [999, 1000, 1001]) {
    for (const first of ['prompt', 'dial'] as const) {
      await inWorld({}, async (world) => {
        world.dial = () => ({ ...goodDial, ends: 'failed', ms: first === 'dial' ? ms - 1 : ms });
        const call = take(world);
        await world.time.runOut();
        t.equal(world.told(call, 'caller', 'said').at(-1), 'called-busy', `${first} ${ms}`);
        checkInvariants(world);
      });
    }
  }
});

// ---- leaving at every moment, and everything failing once

type Leave = (world: World, call: FakeCall) => void;
const leaves: Readonly<Record<string, Leave>> = {
  'the caller hangs up': (_world, call) => call.caller.leave('caller-hung-up'),
  'the caller cancels': (_world, call) => call.caller.leave('caller-cancelled'),
  'the called party hangs up': (_world, call) => call.called?.leave(),
  'the node is lost': (_world, call) => call.loseNode('restarted'),
  'the agent is lost': (world) => world.controller.agentLost(),
  'lockdown comes': (world) => {
    world.around = { ...world.around, lockdown: 'on' };
    world.controller.lookAgain();
  },
  'the number becomes privileged': (world) => {
    world.answers = () => attorney;
    world.controller.lookAgain();
  },
};

/** People who do what is asked of them, a little later. */
export const obliging = (world: World, kind: '1' | '2' | '3' = '1'): void => {
  world.onHeard = ({ what }, call) => {
    const press = (party: 'caller' | 'called', keys: string, ms: number): void =>
      void setTimeout(() => {
        for (const key of keys) world.press(call, party, key as never);
      }, ms);
    if (/pin-ask|pin-wrong/.test(what)) press('caller', `${pin}#`, 200);
    if (what === 'kind-menu') press('caller', kind, 200);
    if (what === 'claim-unlisted') press('caller', '5', 1500);
    if (/menu-(recorded|private)$/.test(what)) press('called', '1', 200);
  };
};

const scenarios: Readonly<Record<string, (world: World) => FakeCall>> = {
  monitored: (world) => take(world, { pin: true, offersPrivate: true }),
  claimed: (world) => {
    obliging(world, '2');
    return take(world, { offersPrivate: true });
  },
  private: (world) => {
    world.answers = () => attorney;
    return take(world, { pin: true });
  },
  refused: (world) => {
    world.around = { ...world.around, schedule: 'closed' };
    return take(world);
  },
};

for (const [name, leave] of Object.entries(leaves)) {
  t.test(`${name} at every moment of a spoken call`, async (t) => {
    for (const [scenario, begin] of Object.entries(scenarios)) {
      const met = new Set<string>();
      for (const wait of [0, 300]) {
        for (let position = 0; position < 150; position += 1) {
          let last = false;
          await inWorld({}, async (world) => {
            obliging(world);
            world.behave = () => ({ ends: 'well', ms: 10 });
            world.dial = () => ({ ...goodDial, rings: 5, ms: 400, cancelMs: 7 });
            let call: FakeCall | null = null;
            let done = false;
            world.on(position, () => {
              done = true;
              const run = (): void => {
                const one = call ?? [...world.calls.values()][0];
                if (one === undefined) return;
                met.add(world.phaseOf(one.caller.leg.callId));
                leave(world, one);
              };
              if (wait === 0) run();
              else setTimeout(run, wait);
            });
            call = begin(world);
            await world.time.advance(30_000);
            call.caller.leave('caller-hung-up');
            await world.time.runOut();
            checkInvariants(world);
            last = !done;
          });
          if (last) break;
        }
      }
      if (scenario === 'refused') continue;
      for (const phase of [
        'anchoring',
        'greeting',
        'dialling',
        'answering',
        'asking',
        'telling',
        'opening',
        'connected',
      ]) {
        // A lobby becomes the private call's node without a re-INVITE: no time passes there.
        if (scenario === 'private' && phase === 'greeting') continue;
        t.ok(met.has(phase), `${scenario}: ${phase}`);
      }
    }
  });
}

t.test('each operation failing once ends every spoken call in order', async (t) => {
  let runs = 0;
  for (const begin of Object.values(scenarios)) {
    const seen = new Set<string>();
    await inWorld({}, async (world) => {
      obliging(world);
      const call = begin(world);
      await world.time.advance(60_000);
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      for (const what of world.whats()) if (!/ (ok|answered|gone|failed)$/.test(what)) seen.add(what);
    });
    for (const operation of seen) {
      if (operation === 'append cdr') continue;
      for (const ends of ['fails', 'throws', 'hangs'] as const) {
        await inWorld({}, async (world) => {
          obliging(world);
          world.script = { [operation]: { ends } };
          const call = begin(world);
          await world.time.advance(60_000);
          call.caller.leave('caller-hung-up');
          await world.time.runOut();
          checkInvariants(world);
          runs += 1;
        });
      }
    }
  }
  t.ok(runs > 200, `${runs} runs`);
});

t.test('a place that comes after the call has ended is given back', async (t) => {
  for (const ms of [40, 600]) {
    await inWorld({}, async (world) => {
      world.script = { enter: { ends: 'well', ms } };
      const call = take(world);
      await world.time.advance(1);
      call.caller.leave('caller-cancelled');
      await world.time.runOut();
      t.ok(world.whats().includes('leave'), `${ms} ms`);
      checkInvariants(world);
    });
  }
});

t.test('a caller is not in its own way when it is looked up a second time', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { leave: { ends: 'well', ms: 50 } };
    const call = take(world, kindPhone);
    await hears(world, call, 'caller', 'kind-menu');
    keyIn(world, call, '1');
    await reach(world, call, 'asking');
    t.equal(world.counted().length, 2);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('a called party whose hang-up nobody would hear is no called party', async (t) => {
  await inWorld({}, async (world) => {
    world.calledBroken = true;
    take(world);
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'internal-error', detail: 'thrown', connectedMs: 0 });
    t.ok(world.whats().includes('hang-up called'));
    checkInvariants(world);
  });
});

t.test('where the conversation cannot be found out, the call is refused with a CDR', async (t) => {
  await inWorld({}, async (world) => {
    world.conversation = () => {
      throw new Error('x');
    };
    const call = world.take();
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'internal-error' });
    t.match(call.caller.endings, [{ code: 'internal-error' }]);
    checkInvariants(world);
  });
});
