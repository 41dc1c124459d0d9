import t from 'tap';
import { listenIn, type RingingPhone } from '../../src/call/listen-in.js';
import { maxListedOthers } from '../../src/call/other-party.js';
import type { JsonObject, OtherParty } from '../../src/call/ports.js';
import type { CallerId } from '../../src/core/leg.js';
import type { ListAnswers } from '../../src/core/lists.js';
import { absent, answers, dialledNumber, key, listed } from '../core/samples.js';
import { type FakeCall, goodDial, inWorld, type Operation, type World } from './fakes.js';
import { checkInvariants } from './invariants.js';
import { accept, attorney, bringUp, hears, phaseOf, privileged, reach, take } from './spoken-call.js';

// Seconds of computing; a machine that does other things besides takes longer.
t.setTimeout(180_000);

/** A call that is up, and what changes under it. */

const cdrOf = (world: World): JsonObject => world.cdrs()[0] ?? {};
const blocked = answers({ block: listed({ id: 'b' as never, cause: 'security', expires: null }) });
const pending = answers({ pending: listed({ id: 'p' as never }) });

const news = (world: World, change: ListAnswers): void => {
  world.answers = () => change;
  world.controller.lookAgain();
};
const lockdown = (world: World): void => {
  world.around = { ...world.around, lockdown: 'on' };
  world.controller.lookAgain();
};
const at = (world: World, what: string, from = 0): number =>
  world.trace.find((entry, index) => index >= from && entry.what === what)?.at ?? -1;
const end = async (world: World, call: FakeCall): Promise<void> => {
  call.caller.leave('caller-hung-up');
  await world.time.runOut();
  checkInvariants(world);
};

// ---- time

t.test(
  'both hear that a minute and ten seconds are left, not each other meanwhile, and that time is over',
  async (t) => {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      const before = world.trace.length;
      const said = world.heard.length;
      await world.time.runOut();
      const gate = world.trace
        .slice(before)
        .filter(({ what }) => ['shut', 'open', 'say'].includes(what))
        .map(({ what, at }) => `${what} ${Math.round(at / 1000)}`);
      const began = at(world, 'open') / 1000;
      t.same(gate, [
        ...[`shut ${began + 840}`, `say ${began + 840}`, `say ${began + 840}`, `open ${began + 841}`],
        ...[`shut ${began + 890}`, `say ${began + 890}`, `say ${began + 890}`, `open ${began + 891}`],
        ...[`shut ${began + 900}`, `say ${began + 900}`, `say ${began + 900}`],
      ]);
      t.same(
        world.heard.slice(said).map(({ to, what }) => `${to} ${what}`),
        ['minute-left', 'ten-seconds-left', 'over-time'].flatMap((what) => [
          `caller ${what}`,
          `called ${what}`,
        ]),
      );
      t.match(cdrOf(world), { ending: 'time-limit', connectedMs: 900_000 });
      t.match(call.caller.endings, [{ code: 'time-limit' }]);
      checkInvariants(world);
    });
  },
);

t.test('a call held elsewhere is told nothing, and is ended all the same', async (t) => {
  await inWorld({}, async (world) => {
    world.take();
    await world.time.runOut();
    t.same(world.heard, []);
    t.match(cdrOf(world), { ending: 'time-limit' });
    checkInvariants(world);
  });
});

t.test('a call shorter than its warning has none', async (t) => {
  await inWorld({ policy: { maxCallMs: 30_000 } }, async (world) => {
    const call = await bringUp(world);
    await world.time.runOut();
    t.notOk(world.told(call, 'caller').includes('minute-left'));
    t.ok(world.told(call, 'caller').includes('ten-seconds-left'));
    checkInvariants(world);
  });
});

t.test(
  'an announcement that cannot be made leaves the call, one that cannot be opened again ends it',
  async (t) => {
    for (const [operation, ends, ending] of [
      ['say', 'fails', 'time-limit'],
      ['say', 'hangs', 'time-limit'],
      ['say', 'throws', 'time-limit'],
      ['shut', 'fails', 'node-lost'],
      ['shut', 'throws', 'node-lost'],
      ['shut', 'hangs', 'node-lost'],
      ['open', 'fails', 'node-lost'],
      ['open', 'throws', 'node-lost'],
      ['open', 'hangs', 'node-lost'],
    ] as const) {
      await inWorld({}, async (world) => {
        await bringUp(world);
        world.script = { [operation]: { ends } };
        await world.time.runOut();
        t.match(cdrOf(world), { ending }, `${operation} ${ends}`);
        checkInvariants(world);
      });
    }
  },
);

t.test('an announcement that is still made when the call ends opens nothing', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    await world.time.advance(840_200);
    t.equal(world.heard.at(-1)?.what, 'minute-left');
    const opened = world.whats().filter((what) => what === 'open').length;
    lockdown(world);
    await world.time.runOut();
    t.equal(world.whats().filter((what) => what === 'open').length, opened);
    t.same(world.told(call, 'caller').slice(-2), ['minute-left', 'over-lockdown']);
    t.equal(world.heard.filter(({ what, how }) => what === 'minute-left' && how === 'hushed').length, 2);
    checkInvariants(world);
  });
});

// ---- lockdown and blocks

t.test('lockdown ends a monitored call that is up within 2 s, and both are told', async (t) => {
  for (const [name, make] of [
    ['as it is', () => undefined],
    ['lists lost', (world: World) => (world.script = { 'look-up': { ends: 'hangs' } })],
    [
      'lists lost and long words',
      (world: World) => (world.script = { 'look-up': { ends: 'hangs' }, say: { ends: 'well', ms: 5000 } }),
    ],
    ['lists unknown', (world: World) => (world.script = { 'look-up': { ends: 'fails' } })],
    ['a node that does not speak', (world: World) => (world.script = { say: { ends: 'hangs' } })],
    ['a node that does not shut', (world: World) => (world.script = { shut: { ends: 'hangs' } })],
    ['a journal that hangs', (world: World) => (world.script = { 'append decision': { ends: 'hangs' } })],
    ['long words', (world: World) => (world.script = { say: { ends: 'well', ms: 5000 } })],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      make(world);
      const from = world.trace.length;
      const began = world.time.now;
      lockdown(world);
      await world.time.advance(2000);
      for (const what of ['hang-up caller', 'hang-up called', 'release']) {
        const when = at(world, what, from);
        t.ok(when >= 0 && when - began < 2000, `${name}: ${what} after ${when - began} ms`);
      }
      await world.time.runOut();
      t.match(cdrOf(world), { ending: 'lockdown', detail: 'lockdown', verdict: 'monitored' });
      if (name === 'as it is') {
        t.equal(world.told(call, 'caller', 'said').at(-1), 'over-lockdown');
        t.equal(world.told(call, 'called', 'said').at(-1), 'over-lockdown');
        t.match(world.rows.at(-2), { kind: 'decision', body: { again: true, row: 6, verdict: 'refused' } });
      }
      checkInvariants(world);
    });
  }
});

t.test('lockdown ends a call within 2 s whatever its recorder and its node do', async (t) => {
  const policy = { privilegedInLockdown: 'refused' } as const;
  const hangs = { ends: 'hangs' } as const;
  const never = { stop: hangs, shut: hangs, say: hangs, release: hangs, 'look-up': hangs };
  const ways: readonly (readonly [string, World['script'], boolean])[] = [
    ['stops at once', {}, true],
    ['stops soon', { stop: { ends: 'well', ms: 100 } }, true],
    ['stops late', { stop: { ends: 'well', ms: 2500 } }, false],
    ['never answers', { stop: hangs }, false],
    ['fails', { stop: { ends: 'fails' } }, false],
    ['throws', { stop: { ends: 'throws' } }, false],
    ['stops, and the words are long', { say: { ends: 'well', ms: 5000 } }, true],
    ['does not answer, nor does anything else', never, false],
  ];
  for (const [name, script, told] of ways) {
    await inWorld({ policy }, async (world) => {
      const call = await bringUp(world);
      // Privileged by now, and its private calls are forbidden too: nothing more of it may be recorded.
      world.answers = () => attorney;
      world.script = script;
      const [from, began] = [world.trace.length, world.time.now];
      lockdown(world);
      await world.time.advance(2000);
      for (const what of ['hang-up caller', 'hang-up called']) {
        const when = at(world, what, from);
        t.ok(when >= 0 && when - began < 2000, `${name}: ${what} after ${when - began} ms`);
      }
      t.equal(world.told(call, 'called').includes('over-technical'), told, `${name}: words only once it has`);
      await world.time.runOut();
      t.equal(world.alarms().includes('recording-goes-on'), /never|fails|throws/.test(name), name);
      checkInvariants(world);
    });
  }
});

t.test('lockdown shortens a call that is on its way to its end', async (t) => {
  const within2s = async (world: World, name: string, ...whats: readonly string[]): Promise<void> => {
    const [from, began] = [world.trace.length, world.time.now];
    lockdown(world);
    await world.time.advance(2000);
    for (const what of whats) {
      const when = at(world, what, from);
      t.ok(when >= 0 && when - began < 2000, `${name}: ${what} after ${when - began} ms`);
    }
    await world.time.runOut();
    checkInvariants(world);
  };
  await inWorld({}, async (world) => {
    await bringUp(world);
    world.script = { say: { ends: 'hangs' } };
    news(world, blocked);
    await world.time.advance(1000);
    await within2s(world, 'the last words', 'hang-up caller', 'hang-up called');
    t.match(cdrOf(world), { ending: 'blocked' }, 'it had ended for this');
  });
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'hangs', afterCancel: 'hangs' });
    const call = take(world);
    await reach(world, call, 'dialling');
    await reach(world, call, 'cancelling');
    await within2s(world, 'a carrier that does not confirm the end', 'hang-up caller');
    t.match(cdrOf(world), { ending: 'called-no-answer' });
  });
  // A call that ends for somebody privileged, while its recording does not stop.
  await inWorld({ policy: { onForward: 'end' } }, async (world) => {
    const call = await bringUp(world);
    world.script = { stop: { ends: 'hangs' } };
    byTarget(world, answers());
    call.called?.other(party('connected-identity', 'attorney'));
    await world.time.advance(100);
    await within2s(world, 'a recording that is being stopped', 'hang-up caller', 'hang-up called');
  });
});

t.test('lockdown leaves private calls, unless the policy says otherwise', async (t) => {
  for (const [policy, ends] of [
    [{}, false],
    [{ privilegedInLockdown: 'refused' }, true],
  ] as const) {
    await inWorld({ policy }, async (world) => {
      const call = await bringUp(world, 'private');
      lockdown(world);
      await world.time.advance(3000);
      t.equal(phaseOf(world, call), ends ? 'gone' : 'connected');
      await end(world, call);
      t.equal(cdrOf(world).verdict, 'private');
    });
  }
  // A private call during whose set-up or life the lists are lost goes on too.
  await inWorld({}, async (world) => {
    const call = await bringUp(world, 'private');
    world.script = { 'look-up': { ends: 'fails' } };
    lockdown(world);
    await world.time.advance(3000);
    t.equal(phaseOf(world, call), 'connected');
    await end(world, call);
  });
});

t.test(
  'what forbids a number ends the call that is up, with words; what merely is no longer allowed does not',
  async (t) => {
    for (const [name, kind, change, ending, word] of [
      ['blocked', 'monitored', blocked, 'blocked', 'over-blocked'],
      ['blocked', 'private', blocked, 'blocked', 'over-blocked'],
      ['under review', 'monitored', pending, 'review-pending', 'refused-review'],
      ['under review', 'private', pending, null, null],
      ['no longer allowed', 'monitored', answers({ allow: absent }), null, null],
      ['no longer privileged', 'private', answers(), null, null],
      ['the same', 'monitored', answers(), null, null],
      ['lists lost', 'monitored', answers({ epoch: null }), null, null],
    ] as const) {
      await inWorld({}, async (world) => {
        const call = await bringUp(world, kind);
        const rows = world.rows.length;
        news(world, change);
        await world.time.advance(1000);
        if (ending === null) {
          t.equal(phaseOf(world, call), 'connected', `${kind} ${name}`);
          t.equal(world.rows.length, rows, 'what changes nothing has no row');
          await end(world, call);
          t.match(cdrOf(world), { verdict: kind });
          return;
        }
        await world.time.runOut();
        t.match(cdrOf(world), { ending, verdict: kind }, `${kind} ${name}`);
        t.equal(world.told(call, 'caller').at(-1), word);
        t.equal(call.called !== null && world.whats().includes('hang-up called'), true);
        t.match(world.rows[rows], { kind: 'decision', body: { again: true, verdict: 'refused' } });
        checkInvariants(world);
      });
    }
  },
);

t.test('a suspended caller’s call ends; orders nobody can read end nothing', async (t) => {
  for (const [around, lists, ends] of [
    [{ suspended: true }, 'well', true],
    [{ suspended: true }, 'fails', true],
    [{ suspended: true, lockdown: 'unknown' }, 'well', false],
    [{ suspended: true, lockdown: 'unknown' }, 'fails', false],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      world.script = { 'look-up': { ends: lists } };
      world.around = { ...world.around, ...around } as typeof world.around;
      world.controller.lookAgain();
      await world.time.advance(12_000);
      t.equal(phaseOf(world, call) === 'gone', ends, JSON.stringify([around, lists]));
      await end(world, call);
    });
  }
});

t.test(
  'lockdown while a call is set up ends it too, also where it comes while the lists are asked',
  async (t) => {
    for (const phase of [
      'looking-up',
      'journalling',
      'readying',
      'anchoring',
      'greeting',
      'dialling',
      'asking',
      'telling',
    ]) {
      await inWorld({}, async (world) => {
        world.behave = () => ({ ends: 'well', ms: 20 });
        world.dial = () => ({ ...goodDial, ms: 100 });
        const call = take(world);
        if (phase === 'telling') {
          await hears(world, call, 'called', 'menu-recorded');
          world.press(call, 'called', '1');
        }
        if (phase === 'looking-up') await world.time.advance(30);
        await reach(world, call, phase);
        if (phase === 'looking-up') {
          // The lists have answered and the surroundings are about to be read, or were: either way it must be seen.
          await world.time.advance(5);
        }
        lockdown(world);
        await world.time.runOut();
        t.match(cdrOf(world), { ending: 'lockdown', connectedMs: 0 }, phase);
        checkInvariants(world);
      });
    }
  },
);

t.test('a change that comes between the lists’ answer and the decision is not missed', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { enter: { ends: 'well', ms: 50 } };
    const call = take(world);
    await world.time.advance(20);
    t.equal(phaseOf(world, call), 'looking-up');
    t.ok(world.whats().includes('look-up ok'));
    news(world, attorney);
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'became-private', connectedMs: 0 });
    t.notOk(world.whats().includes('arm answered'));
    checkInvariants(world);
  });
});

t.test('looks are taken one at a time, and one more after the last change', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    const looks = (): number => world.whats().filter((what) => what === 'look-up').length;
    const before = looks();
    world.script = { 'look-up': { ends: 'well', ms: 30 } };
    for (let i = 0; i < 50; i += 1) world.controller.lookAgain();
    await world.time.advance(1000);
    t.equal(looks() - before, 2);
    world.controller.lookAgain();
    await world.time.advance(10);
    news(world, blocked);
    await world.time.advance(15_000);
    t.match(cdrOf(world), { ending: 'blocked' }, 'the change during a look is looked at');
    t.equal(call.caller.endings.length, 1);
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('words that were not begun before the hang-up are in no record', async (t) => {
  await inWorld({}, async (world) => {
    await bringUp(world);
    world.script = { shut: { ends: 'well', ms: 1600 }, 'hang-up caller': { ends: 'well', ms: 1000 } };
    lockdown(world);
    await world.time.runOut();
    t.notOk(JSON.stringify(cdrOf(world)).includes('over-lockdown'));
    checkInvariants(world);
  });
});

// ---- becoming private

const moveSteps = (world: World, from: number): readonly string[] =>
  world.trace
    .slice(from)
    .map(({ what }) => what)
    .filter((what) => !/ ok$|^look-up$|^surroundings$|^on-lost$|^counted$/.test(what));

t.test(
  'a call whose number becomes privileged stops recording first, moves, is sealed, is told, and goes on',
  async (t) => {
    for (const held of ['here', 'elsewhere'] as const) {
      await inWorld({}, async (world) => {
        const call = held === 'here' ? await bringUp(world) : world.take();
        if (held === 'elsewhere') await reach(world, call, 'connected');
        await world.time.advance(60_000);
        const from = world.trace.length;
        const said = world.heard.length;
        news(world, attorney);
        await world.time.advance(1500);
        t.equal(phaseOf(world, call), 'connected');
        t.same(moveSteps(world, from), [
          ...['stop', 'shut', 'append decision', 'pause', 'anchor private', 'answer'],
          ...['reinvite caller', 'reinvite called', 'readdress caller', 'readdress called', 'move', 'resume'],
          ...['release', 'seal'],
          ...(held === 'here' ? ['shut', 'say', 'say'] : []),
          'open',
        ]);
        t.same(
          world.heard.slice(said).map(({ to, what }) => `${to} ${what}`),
          held === 'here' ? ['caller now-private', 'called now-private'] : [],
        );
        t.match(world.rows.at(-1), { kind: 'decision', body: { again: true, verdict: 'private', row: 3 } });
        // The recording’s own loss, and its sounds, say nothing about a private call.
        call.loseRecording('not-growing');
        call.suspect(99);
        await world.time.advance(1_000_000);
        t.equal(phaseOf(world, call), 'connected', 'and has the time of a private call, from its beginning');
        await world.time.advance(3_600_000);
        const [cdr] = world.cdrs();
        t.match(cdr, {
          verdict: 'private',
          class: 'attorney',
          ending: 'time-limit',
          connectedMs: 3_600_000,
          node: 'private-1',
          armed: { inode: 5 },
          sealed: { state: 'recording-sealed', file: 'sealed/a.wav', seconds: 2 },
          spool: { state: 'nothing-found' },
        });
        const delay = (cdr?.delay ?? {}) as Record<string, number | null>;
        t.ok(
          (delay.journal ?? -1) >= 0 && (delay.journal ?? 0) < 10,
          'the row of the move is no part of the set-up',
        );
        t.equal(typeof delay.arm, 'number');
        t.equal(world.cdrs().length, 1);
        checkInvariants(world);
      });
    }
  },
);

t.test('a move that fails at any of its steps ends the call, and what was recorded is sealed', async (t) => {
  const steps: readonly [Operation, string][] = [
    ['stop', 'became-private'],
    ['shut', 'became-private'],
    ['append decision', 'journal-unavailable'],
    ['pause', 'media-unavailable'],
    ['anchor private', 'media-unavailable'],
    ['on-lost', 'media-unavailable'],
    ['answer', 'media-unavailable'],
    ['reinvite caller', 'media-unavailable'],
    ['reinvite called', 'media-unavailable'],
    ['readdress caller', 'media-unavailable'],
    ['readdress called', 'media-unavailable'],
    ['move', 'media-unavailable'],
    ['resume', 'media-unavailable'],
    ['open', 'node-lost'],
  ];
  for (const held of ['here', 'elsewhere'] as const) {
    for (const [operation, ending] of steps) {
      for (const ends of ['fails', 'throws', 'hangs'] as const) {
        if (['on-lost', 'move', 'resume'].includes(operation) && ends !== 'throws') continue;
        await inWorld({}, async (world) => {
          const call = held === 'here' ? await bringUp(world) : world.take();
          if (held === 'elsewhere') await reach(world, call, 'connected');
          await world.time.advance(5000);
          world.script = { [operation]: { ends } };
          const from = world.trace.length;
          news(world, attorney);
          await world.time.runOut();
          const name = `${held} ${operation} ${ends}`;
          t.match(cdrOf(world), { ending, verdict: 'private', sealed: { state: 'recording-sealed' } }, name);
          if (held === 'here' && ending === 'media-unavailable') {
            for (const party of ['caller', 'called'] as const) {
              t.equal(world.told(call, party, 'said').at(-1), 'over-technical', `${name}: ${party}`);
            }
          }
          t.ok(
            world.trace.slice(from).some(({ what }) => what === 'stop'),
            name,
          );
          if (operation === 'stop') {
            t.ok(world.alarms().includes('recording-goes-on'));
            t.notOk(
              world.heard.some(({ what }) => what.startsWith('over-')),
              'no last words into a recording',
            );
          }
          const again = world.rows.filter(({ kind, body }) => kind === 'decision' && body.again === true);
          if (operation !== 'append decision') t.equal(again.length, 1, `${name}: the decision has its row`);
          checkInvariants(world);
        });
      }
    }
  }
});

t.test('what comes late to a move is closed', async (t) => {
  for (const [operation, ms] of [
    ['anchor private', 4100],
    ['reinvite called', 15_100],
    ['stop', 5100],
  ] as const) {
    await inWorld({}, async (world) => {
      await bringUp(world);
      world.script = { [operation]: { ends: 'well', ms } };
      news(world, attorney);
      await world.time.runOut();
      t.ok(world.whats().includes(`${operation} ok`), operation);
      t.match(cdrOf(world), { verdict: 'private', sealed: { state: 'recording-sealed' } });
      checkInvariants(world);
    });
  }
});

t.test('sealing that fails alarms, and the call goes on', async (t) => {
  for (const [behaviour, finding, alarms, sealed] of [
    [{ ends: 'fails' }, null, ['absence-unverified'], { state: 'unknown', code: 'failed' }],
    [{ ends: 'throws' }, null, ['absence-unverified'], { state: 'unknown', code: 'thrown' }],
    [{ ends: 'hangs' }, null, ['absence-unverified'], { state: 'unknown', code: 'deadline' }],
    [{ ends: 'well' }, { state: 'nothing-found', evidence: {} }, [], { state: 'nothing-found' }],
    [
      { ends: 'well' },
      { state: 'recording-missing', code: 'no-file', evidence: {} },
      ['recording-missing'],
      { state: 'recording-missing', code: 'no-file' },
    ],
    [{ ends: 'well' }, { state: 'violation', evidence: {} }, ['private-file-found'], { state: 'violation' }],
    [
      { ends: 'well', ms: 16_000 },
      { state: 'violation', evidence: {} },
      ['absence-unverified', 'private-file-found'],
      { state: 'unknown' },
    ],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      world.script = { seal: behaviour };
      const { finding: found } = world;
      world.finding = (operation) => (operation === 'seal' && finding !== null ? finding : found(operation));
      news(world, attorney);
      await world.time.advance(20_000);
      t.equal(phaseOf(world, call), 'connected');
      await end(world, call);
      t.same(world.alarms(), alarms);
      t.match(cdrOf(world), { sealed, verdict: 'private' });
    });
  }
});

t.test('where the absence cannot be verified after a move, that is the alarm', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    news(world, attorney);
    await world.time.advance(3000);
    world.script = { 'verify-absence': { ends: 'fails' } };
    await end(world, call);
    t.same(world.alarms(), ['absence-unverified']);
    t.match(cdrOf(world), {
      spool: { state: 'unknown', code: 'failed' },
      sealed: { state: 'recording-sealed' },
    });
  });
});

t.test('the policy may end such a call instead', async (t) => {
  await inWorld({ policy: { onBecomingPrivate: 'end' } }, async (world) => {
    const call = await bringUp(world);
    const from = world.trace.length;
    news(world, attorney);
    await world.time.runOut();
    t.same(moveSteps(world, from), [
      ...[
        'stop',
        'shut',
        'append decision',
        'shut',
        'say',
        'say',
        'hang-up caller',
        'hang-up called',
        'release',
      ],
      ...['seal', 'verify-absence', 'append cdr', 'leave'],
    ]);
    t.match(cdrOf(world), { ending: 'became-private', detail: 'policy', verdict: 'private' });
    t.equal(world.told(call, 'called', 'said').at(-1), 'over-technical');
    checkInvariants(world);
  });
});

t.test('somebody leaving, a node lost or staff’s order at every moment of a move', async (t) => {
  const leaves: readonly ((world: World, call: FakeCall) => void)[] = [
    (_world, call) => call.caller.leave('caller-hung-up'),
    (_world, call) => call.called?.leave(),
    (_world, call) => call.loseNode('restarted'),
    (world) => world.controller.agentLost(),
    (world) => news(world, blocked),
  ];
  let runs = 0;
  for (const leave of leaves) {
    for (let position = 0; position < 60; position += 1) {
      let met = false;
      await inWorld({}, async (world) => {
        const call = await bringUp(world);
        await world.time.advance(1000);
        world.behave = () => ({ ends: 'well', ms: 10 });
        world.on(world.trace.length + position, () => {
          met = true;
          leave(world, call);
        });
        news(world, attorney);
        await world.time.advance(20_000);
        await end(world, call);
        t.match(cdrOf(world).verdict, position === 0 ? /monitored|private/ : /monitored|private/);
        runs += 1;
      });
      if (!met) break;
    }
  }
  t.ok(runs > 100, `${runs} runs`);
});

t.test(
  'a number that becomes privileged before the call is up ends it, and nothing of it stays',
  async (t) => {
    for (const phase of ['anchoring', 'dialling', 'asking', 'arming', 'telling', 'opening'] as const) {
      await inWorld({}, async (world) => {
        world.behave = (operation) => ({ ends: 'well', ms: operation === 'open' ? 90 : 20 });
        world.dial = () => ({ ...goodDial, ms: 100 });
        const call = take(world);
        if (['arming', 'telling', 'opening'].includes(phase)) await accept(world, call);
        await reach(world, call, phase);
        news(world, attorney);
        await world.time.runOut();
        t.match(cdrOf(world), { ending: 'became-private', connectedMs: 0 }, phase);
        const [last] = world.whats().filter((what) => ['seal', 'finish', 'discard'].includes(what));
        // What may have flowed is sealed; what never did is removed: nobody consented to a recording of it.
        t.equal(last, phase === 'opening' ? 'seal' : 'discard');
        t.notOk(world.whats().includes('finish'));
        checkInvariants(world);
      });
    }
  },
);

t.test('a number that becomes privileged during the last words: what was recorded is sealed', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    news(world, blocked);
    await reach(world, call, 'parting');
    news(world, attorney);
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'blocked', verdict: 'private', sealed: { state: 'recording-sealed' } });
    t.notOk(world.whats().includes('finish'));
    checkInvariants(world);
  });
});

t.test('an announcement of before the move says nothing about the call after it', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    await world.time.advance(840_100);
    t.equal(world.heard.at(-1)?.what, 'minute-left');
    // The old node's voice hangs, and the announcement gives up long after the call has moved.
    world.script = { say: { ends: 'hangs' } };
    news(world, attorney);
    await world.time.advance(500);
    world.script = {};
    await world.time.advance(60_000);
    t.equal(phaseOf(world, call), 'connected');
    await end(world, call);
  });
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    world.script = { shut: { ends: 'fails', ms: 900 } };
    await world.time.advance(840_100);
    world.script = {};
    news(world, attorney);
    await world.time.advance(5000);
    t.equal(
      phaseOf(world, call),
      'connected',
      'a shutting that failed on the old node is no loss of the new',
    );
    await end(world, call);
  });
});

// ---- other parties

const targets = {
  same: '+12125550111',
  attorney: '+12125550122',
  barred: '+12125550133',
  unlisted: '+12125550144',
  unknown: '+12125550155',
} as const;
const byTarget = (world: World, own: ListAnswers): void => {
  world.answers = (_caller, { key: { e164 } }) => {
    switch (e164 as string) {
      case targets.same:
        return own;
      case targets.attorney:
        return own === attorney ? answers() : attorney;
      case targets.barred:
        return blocked;
      case targets.unlisted:
        return answers({ allow: absent });
      case targets.unknown:
        return answers({ epoch: null });
      default:
        return own;
    }
  };
};
const party = (how: OtherParty['how'], target: keyof typeof targets | null): OtherParty => ({
  how,
  target: target === null ? null : dialledNumber(targets[target]),
});

t.test('a redirect is followed to a number of the same class, and to no other', async (t) => {
  for (const [target, followed] of [
    ['same', true],
    ['attorney', false],
    ['barred', false],
    ['unlisted', false],
    ['unknown', false],
    [null, false],
  ] as const) {
    for (const own of [answers(), attorney]) {
      await inWorld({}, async (world) => {
        byTarget(world, own);
        world.dial = () => ({ ...goodDial, redirects: [{ ...party('redirect', target), ms: 30 }] });
        const call = take(world);
        if (followed) {
          await accept(world, call);
          await reach(world, call, 'connected');
          await end(world, call);
        } else {
          await world.time.runOut();
          t.match(cdrOf(world), { ending: 'called-redirected' }, `${target}`);
          t.equal(world.told(call, 'caller', 'said').at(-1), 'called-failed');
          checkInvariants(world);
        }
        t.ok(world.whats().includes(followed ? 'redirect followed' : 'redirect refused'), `${target}`);
        const verdict = target === null || target === 'same' ? undefined : 'decision';
        const rows = world.rows.filter(({ body }) => body.other === 'redirect');
        t.equal(rows.length, target === null ? 0 : 1, `${target} ${verdict}`);
        t.match(cdrOf(world).otherParties, [{ how: 'redirect', outcome: followed ? 'same' : 'end' }]);
      });
    }
  }
});

t.test('a loop of redirects comes to an end, and each was judged', async (t) => {
  await inWorld({}, async (world) => {
    const redirects = Array.from({ length: 60 }, () => ({ ...party('redirect', 'same'), ms: 10 }));
    world.dial = () => ({ ...goodDial, redirects });
    take(world);
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'called-redirected' });
    const noted = cdrOf(world).otherParties as readonly JsonObject[];
    t.equal(noted.length, maxListedOthers);
    t.equal(noted.filter(({ outcome }) => outcome === 'same').length, maxListedOthers);
    checkInvariants(world);
  });
});

t.test('a redirect that comes when the call is given up is answered at once', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({
      ...goodDial,
      afterCancel: 'hangs',
      redirects: [{ ...party('redirect', 'same'), ms: 100 }],
    });
    const call = take(world);
    await reach(world, call, 'dialling');
    call.caller.leave('caller-hung-up');
    await world.time.advance(150);
    t.ok(world.whats().includes('redirect refused'));
    await world.time.advance(1000);
    t.equal(world.controller.size, 0, 'nobody waits for the bound of the cancel');
    await world.time.runOut();
    checkInvariants(world);
  });
  await inWorld({}, async (world) => {
    world.dial = () => ({
      ...goodDial,
      afterCancel: 'hangs',
      redirects: [{ ...party('redirect', 'same'), ms: 30 }],
    });
    const call = take(world);
    await reach(world, call, 'dialling');
    world.script = { 'look-up': { ends: 'well', ms: 200 } };
    await world.time.advance(50);
    call.caller.leave('caller-hung-up');
    await world.time.advance(1000);
    t.equal(world.controller.size, 0);
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('a redirect that another has overtaken is refused, and answers nothing for that', async (t) => {
  for (const [first, second, slow, what] of [
    ['same', 'attorney', 'attorney', ['redirect refused', 'redirect refused']],
    ['attorney', 'same', 'same', ['redirect refused', 'redirect followed']],
    ['attorney', 'same', 'attorney', ['redirect refused', 'redirect followed']],
  ] as const) {
    await inWorld({}, async (world) => {
      byTarget(world, answers());
      const redirects = [
        { ...party('redirect', first), ms: 20 },
        { ...party('redirect', second), ms: 30 },
      ];
      world.dial = () => ({ ...goodDial, redirects, impatient: true, ms: 500 });
      const call = take(world);
      await reach(world, call, 'dialling');
      const { answers: said } = world;
      let ms = 0;
      world.answers = (caller, question) => said(caller, question);
      world.behave = (operation) => (operation === 'look-up' ? { ends: 'well', ms } : { ends: 'well' });
      ms = slow === first ? 100 : 15;
      await world.time.advance(25);
      ms = slow === second ? 100 : 15;
      await world.time.advance(300);
      t.same(
        world.whats().filter((one) => one.startsWith('redirect ')),
        what,
        `${first}, ${second}, ${slow} slow`,
      );
      await end(world, call);
    });
  }
});

t.test('nobody is judged once the call is over', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    const { other } = call.caller;
    await end(world, call);
    const rows = world.rows.length;
    other(party('refer', 'barred'));
    await world.time.runOut();
    t.equal(world.rows.length, rows);
    t.equal(world.rows.at(-1)?.kind, 'cdr');
  });
});

t.test('a redirect that cannot be judged is not followed', async (t) => {
  for (const ends of ['fails', 'throws', 'hangs'] as const) {
    for (const operation of ['look-up', 'append decision', 'surroundings'] as const) {
      if (operation === 'surroundings' && ends !== 'throws') continue;
      await inWorld({}, async (world) => {
        world.dial = () => ({ ...goodDial, redirects: [{ ...party('redirect', 'same'), ms: 50 }] });
        const call = take(world);
        await reach(world, call, 'dialling');
        world.script = { [operation]: { ends } };
        await world.time.runOut();
        t.match(cdrOf(world), { ending: 'called-redirected' }, `${operation} ${ends}`);
        checkInvariants(world);
      });
    }
  }
});

t.test('who shows up in a call is judged as a leg of its own', async (t) => {
  const monitored = answers();
  for (const [own, target, onForward, outcome] of [
    [monitored, 'same', 'end', 'same'],
    [monitored, 'attorney', 'flag', 'end'],
    [monitored, 'barred', 'flag', 'end'],
    [monitored, 'unlisted', 'flag', 'flag'],
    [monitored, 'unlisted', 'end', 'end'],
    [monitored, 'unknown', 'flag', 'end'],
    [monitored, null, 'flag', 'flag'],
    [monitored, null, 'end', 'end'],
    [attorney, 'same', 'end', 'same'],
    [attorney, 'attorney', 'flag', 'end'],
    [attorney, 'barred', 'flag', 'end'],
    [attorney, 'unlisted', 'flag', 'flag'],
    [attorney, 'unknown', 'flag', 'flag'],
  ] as const) {
    for (const how of ['forwarded', 'connected-identity'] as const) {
      await inWorld({ policy: { onForward } }, async (world) => {
        const call = own === attorney ? await bringUp(world, 'private') : await bringUp(world);
        byTarget(world, own);
        call.called?.other(party(how, target));
        await world.time.advance(1);
        const name = `${own === attorney ? 'private' : 'monitored'} ${how} ${target} ${onForward}`;
        t.equal(phaseOf(world, call), outcome === 'end' ? 'parting' : 'connected', name);
        if (outcome === 'end') {
          await world.time.runOut();
          t.match(cdrOf(world), { ending: 'forwarded', detail: how }, name);
          t.equal(world.told(call, 'caller', 'said').at(-1), 'over-forwarded');
        }
        await end(world, call);
        t.match(cdrOf(world).otherParties, [{ how, outcome }], name);
        t.match(
          world.events.filter(({ event }) => event === 'other-party'),
          [{ how, outcome }],
        );
      });
    }
  }
});

t.test('a transfer is noted and never followed', async (t) => {
  for (const target of ['same', 'barred', null] as const) {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      byTarget(world, answers());
      call.caller.other(party('refer', target));
      await world.time.advance(1000);
      t.equal(phaseOf(world, call), 'connected');
      await end(world, call);
      t.match(cdrOf(world).otherParties, [{ how: 'refer', outcome: 'flag' }]);
    });
  }
});

t.test('who was named before the call was decided is judged then, whenever that is', async (t) => {
  for (const [target, ends] of [
    ['same', false],
    ['attorney', true],
  ] as const) {
    for (const phone of [{}, { offersPrivate: true }]) {
      await inWorld({}, async (world) => {
        byTarget(world, answers());
        world.script = { 'append decision': { ends: 'well', ms: 30 } };
        world.namedBefore = [party('diversion', target)];
        const call = take(world, phone);
        if ('offersPrivate' in phone) {
          await hears(world, call, 'caller', 'kind-menu');
          t.equal(world.rows.length, 0);
          world.press(call, 'caller', '1');
        }
        if (ends) {
          await world.time.runOut();
          t.match(cdrOf(world), { ending: 'forwarded', connectedMs: 0 });
          checkInvariants(world);
          return;
        }
        await accept(world, call);
        await reach(world, call, 'connected');
        await end(world, call);
        t.match(cdrOf(world).otherParties, [{ how: 'diversion', verdict: 'monitored', outcome: 'same' }]);
        t.ok(world.rows.findIndex(({ body }) => body.other !== undefined) > 0, 'after the call’s own row');
        const looks = world.trace.filter(({ what }) => what === 'look-up');
        const row = world.trace.find(({ what }) => what === 'append decision ok');
        t.ok((looks.at(-1)?.at ?? -1) >= (row?.at ?? 0), 'and not before that is durable');
      });
    }
  }
});

t.test(
  'another party named at any moment of the set-up or the life of a call is judged and has its outcome',
  async (t) => {
    for (const phase of [
      ...[
        'journalling',
        'readying',
        'anchoring',
        'greeting',
        'dialling',
        'answering',
        'asking',
        'arming',
        'telling',
      ],
      ...['opening', 'connected', 'unrecording', 'journalling-move', 'moving'],
    ]) {
      await inWorld({}, async (world) => {
        byTarget(world, answers());
        world.behave = () => ({ ends: 'well', ms: 20 });
        world.dial = () => ({ ...goodDial, ms: 200 });
        const call = take(world);
        if (['arming', 'telling', 'opening', 'connected'].includes(phase)) await accept(world, call);
        const move = ['unrecording', 'journalling-move', 'moving'].includes(phase);
        if (move) {
          await accept(world, call);
          await reach(world, call, 'connected');
          byTarget(world, attorney);
          world.controller.lookAgain();
        }
        await reach(world, call, phase);
        call.caller.other(party('history-info', 'barred'));
        await world.time.runOut();
        t.match(
          cdrOf(world),
          { ending: 'forwarded', otherParties: [{ verdict: 'refused', outcome: 'end' }] },
          phase,
        );
        checkInvariants(world);
      });
    }
  },
);

t.test('who is named before the called party answers is judged while it rings', async (t) => {
  for (const [target, ends] of [
    ['same', false],
    ['attorney', true],
  ] as const) {
    await inWorld({}, async (world) => {
      byTarget(world, answers());
      world.dial = () => ({ ...goodDial, ms: 500, others: [{ ...party('forwarded', target), ms: 100 }] });
      const call = take(world);
      await reach(world, call, 'dialling');
      await world.time.advance(200);
      t.equal(phaseOf(world, call) !== 'dialling', ends, target);
      await world.time.advance(60_000);
      await end(world, call);
      t.match(cdrOf(world).otherParties, [{ how: 'forwarded', outcome: ends ? 'end' : 'same' }]);
      t.equal(cdrOf(world).ending === 'forwarded', ends);
    });
  }
});

t.test('two who are judged at once keep their own outcomes', async (t) => {
  await inWorld({}, async (world) => {
    const call = await bringUp(world);
    byTarget(world, answers());
    let slow = true;
    world.behave = (operation) => {
      if (operation !== 'look-up') return { ends: 'well' };
      const ms = slow ? 200 : 10;
      return { ends: 'well', ms };
    };
    call.called?.other(party('forwarded', 'unlisted'));
    slow = false;
    call.called?.other(party('forwarded', 'same'));
    await world.time.advance(1000);
    await end(world, call);
    t.match(cdrOf(world).otherParties, [
      { verdict: 'refused', outcome: 'flag' },
      { verdict: 'monitored', outcome: 'same' },
    ]);
  });
});

t.test('more other parties than are judged count as nobody we can read', async (t) => {
  await inWorld({ policy: { onForward: 'end' } }, async (world) => {
    const call = await bringUp(world);
    byTarget(world, answers());
    for (let i = 0; i < maxListedOthers; i += 1) call.called?.other(party('forwarded', 'same'));
    await world.time.advance(100);
    t.equal(phaseOf(world, call), 'connected');
    call.called?.other(party('forwarded', 'same'));
    await world.time.runOut();
    t.match(cdrOf(world), { ending: 'forwarded' });
    t.equal((cdrOf(world).otherParties as readonly unknown[]).length, maxListedOthers);
    checkInvariants(world);
  });
});

// ---- a third party on the line

t.test('a third party that is suspected is noted, warned of once, or ends the call', async (t) => {
  for (const onThreeWay of ['note', 'warn', 'end'] as const) {
    await inWorld({ policy: { onThreeWay } }, async (world) => {
      const call = await bringUp(world);
      call.suspect(69);
      await world.time.advance(3000);
      t.equal(world.told(call, 'caller').at(-1), 'told-recorded', 'under the score');
      for (const score of [70, 80, 90]) {
        call.suspect(score);
        await world.time.advance(3000);
      }
      const words = world.told(call, 'called').slice(3);
      t.same(words, { note: [], warn: ['three-way-warning'], end: ['over-three-way'] }[onThreeWay]);
      await end(world, call);
      t.match(cdrOf(world), {
        ending: onThreeWay === 'end' ? 'three-way' : 'caller-hung-up',
        threeWay: { score: onThreeWay === 'end' ? 70 : 90, signs: [{ sign: 'hook-flash', atMs: 5 }] },
      });
      t.ok(world.events.some(({ event }) => event === 'three-way-suspected'));
    });
  }
});

t.test('a warning that came while something else was said is said at the next sign', async (t) => {
  await inWorld({ policy: { onThreeWay: 'warn' } }, async (world) => {
    const call = await bringUp(world);
    await world.time.advance(840_100);
    call.suspect(75);
    await world.time.advance(2000);
    t.equal(world.told(call, 'caller').at(-1), 'minute-left');
    call.suspect(76);
    await world.time.advance(2000);
    t.equal(world.told(call, 'caller').at(-1), 'three-way-warning');
    await end(world, call);
  });
});

t.test('nobody listens to a private call: there is nothing that could suspect', async (t) => {
  await inWorld({ policy: { onThreeWay: 'end' } }, async (world) => {
    const call = await bringUp(world, 'private');
    t.notOk(world.whats().includes('observe'));
    call.suspect(100);
    await world.time.advance(1000);
    t.equal(phaseOf(world, call), 'connected');
    await end(world, call);
    t.equal(cdrOf(world).threeWay, undefined);
  });
});

// ---- supervision

const phone = (world: World, call: FakeCall): RingingPhone => ({
  answer: () => Promise.resolve('sdp'),
  hangUp: () => {
    world.note('phone hung up', call.caller.leg.callId);
    return new Promise(() => undefined);
  },
  onGone: () => undefined,
});

t.test(
  'a supervisor hears a monitored call that is up, and is off the line before it is private',
  async (t) => {
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      const run = world.controller.find(call.caller.leg.callId);
      if (run === null) throw new Error('no call');
      t.same(await listenIn(run, () => phone(world, call)), { state: 'listening' });
      t.same(world.leftOpen().filter((what) => what.startsWith('ear')).length, 1);
      news(world, attorney);
      await world.time.advance(500);
      const whats = world.whats();
      t.ok(whats.indexOf('end ear') > 0 && whats.indexOf('end ear') < whats.indexOf('pause'));
      await world.time.advance(3000);
      t.equal(phaseOf(world, call), 'connected', 'a phone that does not answer its BYE keeps nobody waiting');
      t.same(await listenIn(run, () => phone(world, call)), { state: 'refused', code: 'call-private' });
      await end(world, call);
    });
    await inWorld({}, async (world) => {
      const call = await bringUp(world);
      const run = world.controller.find(call.caller.leg.callId);
      if (run === null) throw new Error('no call');
      await listenIn(run, () => phone(world, call));
      await end(world, call);
      t.ok(world.whats().includes('end ear'));
      t.equal(world.controller.find(call.caller.leg.callId), null);
    });
    await inWorld({}, async (world) => {
      const call = await bringUp(world, 'private');
      const run = world.controller.find(call.caller.leg.callId);
      if (run === null) throw new Error('no call');
      t.same(await listenIn(run, () => phone(world, call)), { state: 'refused', code: 'call-private' });
      await end(world, call);
    });
  },
);

t.test('an ear that comes while the call becomes private or ends is closed', async (t) => {
  for (const change of [
    (world: World) => news(world, attorney),
    (_world: World, call: FakeCall) => call.caller.leave('caller-hung-up'),
  ]) {
    for (const ms of [50, 5000]) {
      await inWorld({}, async (world) => {
        const call = await bringUp(world);
        const run = world.controller.find(call.caller.leg.callId);
        if (run === null) throw new Error('no call');
        world.script = { listen: { ends: 'well', ms } };
        let rung = false;
        const outcome = listenIn(run, () => {
          rung = true;
          return phone(world, call);
        });
        await world.time.advance(10);
        change(world, call);
        await world.time.advance(10_000);
        t.match(await outcome, { state: 'refused' });
        t.notOk(rung, 'nobody’s phone rings for it');
        await end(world, call);
      });
    }
  }
});

// ---- hotlines

t.test('no row of a call to a hotline says who calls, whatever happens in it', async (t) => {
  const origin = { trunk: 'north', facility: 'north', unit: 'unit-seven', phone: 'phone-nine' } as never;
  const who = { caller: 'somebody' as CallerId, origin };
  const identity = /somebody|unit-seven|phone-nine/;
  const hotline = privileged('hotline');
  const acts: Readonly<Record<string, (world: World, call: FakeCall) => void>> = {
    'hung up': () => undefined,
    blocked: (world) => news(world, blocked),
    lockdown: (world) => lockdown(world),
    forwarded: (_world, call) => call.called?.other(party('forwarded', 'same')),
    'forwarded to a privileged number': (_world, call) => call.called?.other(party('forwarded', 'attorney')),
    'named by the caller': (_world, call) => call.caller.other(party('diversion', 'barred')),
    'key 7': (world, call) => world.press(call, 'called', '7'),
    'key 3': (world, call) => world.press(call, 'called', '3'),
  };
  for (const machine of ['none', 'key'] as const) {
    for (const [name, act] of Object.entries(acts)) {
      const acceptance = { monitored: 'key', private: 'key', machine } as const;
      await inWorld({ policy: { acceptance, hotlineInLockdown: 'refused' } }, async (world) => {
        byTarget(world, hotline);
        world.namedBefore = [party('diversion', 'unlisted')];
        const call = take(world, { pin: true, offersPrivate: true }, who);
        await reach(world, call, machine === 'key' ? 'asking' : 'connected');
        if (machine === 'key') await hears(world, call, 'called', 'menu-private');
        act(world, call);
        await world.time.advance(2000);
        call.caller.leave('caller-hung-up');
        await world.time.runOut();
        checkInvariants(world);
        for (const row of world.rows)
          t.notMatch(JSON.stringify(row), identity, `${machine} ${name}: ${row.kind}`);
        for (const given of world.orders) t.notMatch(JSON.stringify(given), identity, name);
        for (const event of world.events) t.notMatch(JSON.stringify(event), identity, name);
        t.notOk(
          world.heard.some(({ what }) => identity.test(what)),
          'nor is it said',
        );
      });
    }
  }
  // A call that is no hotline's names no hotline it was forwarded to.
  await inWorld({}, async (world) => {
    byTarget(world, answers());
    const call = await bringUp(world);
    world.answers = () => hotline;
    call.called?.other({
      how: 'forwarded',
      target: { kind: 'hotline', code: '*77', key: key(targets.same) },
    });
    await world.time.runOut();
    for (const { body } of world.rows.filter((row) => row.body.other !== undefined)) {
      t.notMatch(JSON.stringify(body), /\*77|12125550111/);
    }
    t.match(cdrOf(world), { ending: 'forwarded' });
    checkInvariants(world);
  });
  // What counts calls learns neither caller nor phone.
  await inWorld({}, async (world) => {
    world.answers = () => hotline;
    const one = take(world, {}, who);
    await reach(world, one, 'connected');
    t.notMatch(JSON.stringify(world.counted()), identity);
    await end(world, one);
  });
});
