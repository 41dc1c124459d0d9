import t from 'tap';
import { withDeadline } from '../../src/call/deadline.js';
import { brokenDown } from '../../src/call/effects.js';
import { boundsOver, type CallBounds, defaultBounds } from '../../src/call/parts.js';
import { MediaError, RecordingError } from '../../src/call/ports.js';
import { type CallEvent, type CallState, type Effect, newCall, step } from '../../src/core/call.js';
import type { Decision } from '../../src/core/decision.js';
import type { CallerId } from '../../src/core/leg.js';
import {
  absent,
  aMonitored,
  answers,
  aPrivate,
  aRefused,
  key,
  limits,
  listed,
  policy,
  privilegedEntry,
} from '../core/samples.js';
import { CodedError } from './coded-error.js';
import { type Behaviour, type FakeCall, goodDial, inWorld, type Operation, type World } from './fakes.js';
import { checkInvariants } from './invariants.js';

// Seconds of computing; a machine that does other things besides takes longer.
t.setTimeout(180_000);

const attorney = answers({ privileged: listed(privilegedEntry()) });
const hotline = answers({ privileged: listed(privilegedEntry({ class: 'hotline' })) });
const notAllowed = answers({ allow: absent });

type Kind = 'monitored' | 'private' | 'refused';
const answersFor = { monitored: answers(), private: attorney, refused: notAllowed } as const;

const setUp: Record<'monitored' | 'private', readonly string[]> = {
  monitored: [
    ...[
      'look-up',
      'look-up ok',
      'enter',
      'enter ok',
      'surroundings',
      'append decision',
      'append decision ok',
    ],
    ...['ready', 'ready ok', 'anchor recorded', 'anchor recorded ok', 'on-lost', 'dial', 'rang', 'ring'],
    ...[
      'dial answered',
      'arm',
      'arm ok',
      'append armed',
      'append armed ok',
      'connect',
      'connect ok',
      'join',
      'open',
      'open ok',
      'counted',
      'surroundings',
      'watch',
      'observe',
    ],
  ],
  private: [
    ...[
      'look-up',
      'look-up ok',
      'enter',
      'enter ok',
      'surroundings',
      'append decision',
      'append decision ok',
    ],
    ...['anchor private', 'anchor private ok', 'on-lost', 'dial', 'rang', 'ring'],
    ...[
      'dial answered',
      'answer',
      'answer ok',
      'connect',
      'connect ok',
      'join',
      'open',
      'open ok',
      'counted',
      'surroundings',
    ],
  ],
};
const tearDown = { monitored: 'finish', private: 'verify-absence' } as const;

/** Brings a call up and gives it back. */
const connected = async (world: World, kind: 'monitored' | 'private' = 'monitored'): Promise<FakeCall> => {
  world.answers = () => answersFor[kind];
  const call = world.take();
  await world.time.settle();
  const phase = world.controller.calls().find((one) => one.callId === call.caller.leg.callId)?.phase;
  if (phase !== 'connected') throw new Error(`phase ${phase}: ${world.whats().join(', ')}`);
  return call;
};

for (const kind of ['monitored', 'private'] as const) {
  t.test(`a ${kind} call takes exactly its steps, and is closed in order`, async (t) => {
    await inWorld({}, async (world) => {
      const call = await connected(world, kind);
      t.same(world.whats(), setUp[kind]);
      t.equal(call.caller.answer, 'answer-for-caller');
      call.caller.leave('caller-hung-up');
      await world.time.settle();
      t.same(world.whats().slice(setUp[kind].length), [
        ...['caller gone', 'hang-up called', 'release', 'hang-up called ok', 'release ok'],
        ...[tearDown[kind], `${tearDown[kind]} ok`, 'append cdr', 'append cdr ok'],
        ...['leave', 'leave ok'],
      ]);
      checkInvariants(world);
      t.same(world.alarms(), []);
      t.equal(world.time.pending, 0, 'no timer outlives the call');
    });
  });
}

t.test('a refused call is looked up, journalled, refused and written, and nothing else', async (t) => {
  await inWorld({}, async (world) => {
    world.answers = () => notAllowed;
    const call = world.take();
    await world.time.settle();
    t.same(world.whats(), [
      ...[
        'look-up',
        'look-up ok',
        'enter',
        'enter ok',
        'surroundings',
        'append decision',
        'append decision ok',
      ],
      ...['refuse', 'refuse ok', 'append cdr', 'append cdr ok', 'leave', 'leave ok'],
    ]);
    t.same(call.caller.endings, [{ code: 'not-allowed', detail: 'not-allowed' }]);
    t.match(world.cdrs()[0], {
      verdict: 'refused',
      ending: 'not-allowed',
      disposition: 'refused',
      fault: 'policy',
      status: 403,
      cause: 21,
      reasons: [{ code: 'not-allowed', detail: null }],
      connectedMs: 0,
      node: null,
      armed: null,
      spool: null,
      attempts: [],
    });
    checkInvariants(world);
  });
});

t.test('an emergency number is refused, alarmed and journalled without asking the lists', async (t) => {
  await inWorld({}, async (world) => {
    world.take({ dialled: { kind: 'emergency', code: '911' } });
    await world.time.settle();
    t.notOk(world.whats().includes('look-up'));
    t.same(world.alarms(), ['emergency-dialled']);
    t.match(world.rows[0], { kind: 'decision', body: { verdict: 'refused', row: 2 } });
    t.match(world.cdrs()[0], { ending: 'emergency-number', dialled: { kind: 'emergency', code: '911' } });
  });
});

t.test('the CDR of a monitored call splits its time, and counts no tear-down as talk', async (t) => {
  await inWorld({}, async (world) => {
    world.script = {
      'look-up': { ends: 'well', ms: 1 },
      'append decision': { ends: 'well', ms: 2 },
      ready: { ends: 'well', ms: 4 },
      'anchor recorded': { ends: 'well', ms: 8 },
      arm: { ends: 'well', ms: 64 },
      connect: { ends: 'well', ms: 128 },
      open: { ends: 'well', ms: 256 },
      release: { ends: 'well', ms: 500 },
      finish: { ends: 'well', ms: 9000 },
    };
    world.dial = () => ({ ...goodDial, rings: 16, ms: 1000 });
    const call = world.take();
    await world.time.advance(1463);
    t.equal(world.controller.calls()[0]?.phase, 'connected');
    await world.time.advance(60_000);
    call.called?.leave();
    await world.time.runOut();
    const [cdr] = world.cdrs();
    t.same(cdr?.delay, {
      lookUp: 1,
      journal: 2,
      ready: 4,
      anchor: 8,
      ring: 16,
      answer: 1000,
      arm: 64,
      connect: 128,
      open: 256,
    });
    t.match(cdr, {
      callId: call.caller.leg.callId,
      trunk: 'north',
      facility: 'north',
      caller: 'caller-0',
      dialled: { kind: 'number', number: '+12125550123', type: 'ordinary' },
      verdict: 'monitored',
      reasons: [{ code: 'allowed-by-caller-list', detail: null }],
      epoch: { id: 7, digest: 'd'.repeat(64) },
      policy: 'test',
      ending: 'called-hung-up',
      detail: null,
      status: 200,
      disposition: 'completed',
      fault: 'none',
      cause: 16,
      connectedMs: 60_000,
      durationMs: 61_463,
      node: 'recorded-1',
      carrier: 'carrier-a',
      attempts: [{ trunk: 'carrier-a', status: 200, ms: 1015 }],
      media: { packets: { caller: 10, called: 20 }, lost: { caller: 1, called: 2 } },
      armed: { inode: 5 },
      spool: { state: 'recording-finished', file: 'a.wav', seconds: 3 },
    });
    t.match(
      world.events.find((event) => event.event === 'call-ended'),
      { connectedMs: 60_000 },
    );
    t.match(world.rows[0], {
      kind: 'decision',
      body: {
        row: 10,
        verdict: 'monitored',
        decidedAt: /^\d{4}-\d\d-\d\dT.*Z$/,
        claimsPrivate: false,
        lists: { allow: { state: 'listed', entries: [{ id: 'a1', scope: 'caller' }] } },
      },
    });
    checkInvariants(world);
  });
});

t.test('the CDR of a private call names its class and holds the proof of absence', async (t) => {
  await inWorld({}, async (world) => {
    const call = await connected(world, 'private');
    await world.time.advance(5000);
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.match(world.cdrs()[0], {
      verdict: 'private',
      class: 'attorney',
      caller: 'caller-0',
      reasons: [{ code: 'privileged-listed', detail: 'attorney' }],
      connectedMs: 5000,
      node: 'private-1',
      armed: null,
      spool: { state: 'nothing-found', looked: 1 },
    });
  });
});

t.test('calls to hotlines leave no identity of the caller, however they end', async (t) => {
  const dialledHotline = { kind: 'hotline', code: '*77', key: key() } as const;
  const scenarios: readonly (readonly [string, (world: World) => FakeCall])[] = [
    [
      'connected, listed as a number',
      (world) => {
        world.answers = () => hotline;
        return world.take(who);
      },
    ],
    [
      'refused in lockdown',
      (world) => {
        world.answers = () => hotline;
        world.around = { ...world.around, lockdown: 'on' };
        return world.take(who);
      },
    ],
    [
      'lists unknown',
      (world) => {
        world.script = { 'look-up': { ends: 'fails' } };
        return world.take({ ...who, dialled: dialledHotline });
      },
    ],
    [
      'cancelled before the decision',
      (world) => {
        world.answers = () => hotline;
        world.on('look-up', () =>
          queueMicrotask(() => [...world.calls.values()][0]?.caller.leave('caller-cancelled')),
        );
        return world.take({ ...who, dialled: dialledHotline });
      },
    ],
    [
      'a listed number, cancelled before anyone knew it is a hotline',
      (world) => {
        world.answers = () => hotline;
        world.on('look-up', () =>
          queueMicrotask(() => [...world.calls.values()][0]?.caller.leave('caller-cancelled')),
        );
        return world.take(who);
      },
    ],
    [
      'a fault before the decision',
      (world) => {
        world.script = { surroundings: { ends: 'throws' } };
        return world.take(who);
      },
    ],
  ];
  const origin = { trunk: 'north', facility: 'north', unit: 'unit-seven', phone: 'phone-nine' } as never;
  const who = { caller: 'somebody' as CallerId, origin };
  for (const [name, begin] of scenarios) {
    await inWorld({ policy: { hotlineInLockdown: 'refused' } }, async (world) => {
      const call = begin(world);
      await world.time.settle();
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.equal(world.cdrs().length, 1, name);
      for (const row of world.rows) {
        const text = JSON.stringify(row);
        const names = /somebody|unit-seven|phone-nine/.test(text);
        const number = text.includes('+12125550123') || text.includes('*77');
        t.notOk(names && number, `${name}: a ${row.kind} row that joins caller and hotline`, { text });
      }
    });
  }
});

// ---- every effect failing

interface FailureCase {
  readonly operation: Operation;
  readonly kind: Kind;
  readonly behaviour: Behaviour;
  readonly ending: string;
  readonly detail: string | null;
  readonly alarms?: readonly string[];
}

const failing = (
  kind: Kind,
  operation: Operation,
  ending: string,
  details: { fails?: string | null; throws?: string | null; hangs?: string | null },
  alarms: readonly string[] = [],
): FailureCase[] => [
  ...(details.fails === undefined
    ? []
    : [{ operation, kind, behaviour: { ends: 'fails' } as const, ending, detail: details.fails, alarms }]),
  ...(details.throws === undefined
    ? []
    : [{ operation, kind, behaviour: { ends: 'throws' } as const, ending, detail: details.throws, alarms }]),
  ...(details.hangs === undefined
    ? []
    : [{ operation, kind, behaviour: { ends: 'hangs' } as const, ending, detail: details.hangs, alarms }]),
];

const all = { fails: 'failed', throws: 'thrown', hangs: 'deadline' };
const failures: readonly FailureCase[] = [
  ...failing('monitored', 'look-up', 'lists-unavailable', {
    fails: 'lists-unknown',
    throws: 'lists-unknown',
    hangs: 'lists-unknown',
  }),
  ...failing('private', 'look-up', 'lists-unavailable', {
    fails: 'lists-unknown',
    throws: 'lists-unknown',
    hangs: 'lists-unknown',
  }),
  ...failing('monitored', 'surroundings', 'internal-error', { throws: 'thrown' }),
  ...failing('monitored', 'append decision', 'journal-unavailable', all, ['journal-unhealthy']),
  ...failing('private', 'append decision', 'journal-unavailable', all, ['journal-unhealthy']),
  ...failing('refused', 'append decision', 'journal-unavailable', all, ['journal-unhealthy']),
  ...failing('monitored', 'ready', 'recording-unproved', all),
  ...failing('monitored', 'anchor recorded', 'media-unavailable', all),
  ...failing('private', 'anchor private', 'media-unavailable', all),
  ...failing('monitored', 'on-lost', 'media-unavailable', { throws: 'thrown' }),
  ...failing('monitored', 'dial', 'internal-error', { throws: 'thrown' }),
  ...failing('monitored', 'ring', 'internal-error', { throws: 'thrown' }),
  ...failing('monitored', 'arm', 'recording-unproved', all, ['recording-unproved']),
  ...failing('private', 'answer', 'media-unavailable', all),
  ...failing('monitored', 'connect', 'internal-error', all),
  ...failing('private', 'connect', 'internal-error', all),
  ...failing('monitored', 'join', 'node-lost', { throws: 'thrown' }),
  ...failing('monitored', 'open', 'node-lost', all),
  ...failing('private', 'open', 'node-lost', all),
  ...failing('monitored', 'watch', 'internal-error', { throws: 'thrown' }),
  {
    operation: 'anchor recorded',
    kind: 'monitored',
    behaviour: { ends: 'fails', error: new MediaError('offer-unusable', 'no-audio') },
    ending: 'offer-unusable',
    detail: 'no-audio',
  },
  {
    operation: 'anchor private',
    kind: 'private',
    behaviour: { ends: 'fails', error: new MediaError('no-node', 'private') },
    ending: 'media-unavailable',
    detail: 'no-node',
  },
  {
    operation: 'answer',
    kind: 'private',
    behaviour: { ends: 'fails', error: new MediaError('unexpected-recording', 'x') },
    ending: 'media-unavailable',
    detail: 'unexpected-recording',
  },
  {
    operation: 'arm',
    kind: 'monitored',
    behaviour: { ends: 'fails', error: new MediaError('answer-unusable', 'no-audio') },
    ending: 'called-media-unusable',
    detail: 'no-audio',
  },
  {
    operation: 'arm',
    kind: 'monitored',
    behaviour: { ends: 'fails', error: new RecordingError('file-not-open', 'x') },
    ending: 'recording-unproved',
    detail: 'file-not-open',
    alarms: ['recording-unproved'],
  },
];

for (const one of failures) {
  const error = one.behaviour.ends === 'fails' && one.behaviour.error !== undefined;
  const how = error ? `fails with ${one.detail}` : one.behaviour.ends;
  t.test(`${one.kind}: ${one.operation} ${how}: ${one.ending}`, async (t) => {
    await inWorld({}, async (world) => {
      world.answers = () => answersFor[one.kind];
      world.script = { [one.operation]: one.behaviour };
      world.take();
      await world.time.runOut();
      t.match(world.cdrs()[0], { ending: one.ending, detail: one.detail });
      t.same(world.alarms(), one.alarms ?? []);
      checkInvariants(world);
    });
  });
}

t.test('closing that fails, throws or hangs does not keep a call from its end', async (t) => {
  const closings = ['refuse', 'hang-up caller', 'hang-up called', 'release', 'cancel'] as const;
  for (const operation of [...closings, 'finish', 'discard', 'verify-absence'] as const) {
    for (const ends of ['fails', 'throws', 'hangs'] as const) {
      for (const kind of ['monitored', 'private'] as const) {
        for (const phase of ['connected', 'dialling'] as const) {
          await inWorld({}, async (world) => {
            world.answers = () => answersFor[kind];
            world.script = { [operation]: { ends } };
            if (phase === 'dialling') world.dial = () => ({ ...goodDial, ms: 5000 });
            world.take();
            await world.time.settle();
            world.controller.agentLost();
            await world.time.runOut();
            t.equal(world.cdrs()[0]?.ending, 'agent-lost', `${kind} ${phase} ${operation} ${ends}`);
            checkInvariants(world);
          });
        }
      }
    }
  }
});

t.test(
  'an inspection that hangs is an unknown spool, and alarms where there must be a recording',
  async (t) => {
    for (const [kind, alarms] of [
      ['monitored', ['recording-missing']],
      ['private', ['absence-unverified']],
    ] as const) {
      await inWorld({}, async (world) => {
        const call = await connected(world, kind);
        world.script = { [tearDown[kind]]: { ends: 'hangs' } };
        call.caller.leave('caller-hung-up');
        await world.time.runOut();
        t.same(world.cdrs()[0]?.spool, { state: 'unknown', code: 'deadline' });
        t.same(world.alarms(), alarms);
      });
    }
  },
);

// ---- answers after the deadline

const late = (bound: keyof CallBounds): Behaviour => ({ ends: 'well', ms: defaultBounds[bound] + 100 });

t.test('what comes after its deadline is closed, not forgotten', async (t) => {
  for (const [operation, kind, bound] of [
    ['anchor recorded', 'monitored', 'anchorMs'],
    ['anchor private', 'private', 'anchorMs'],
    ['arm', 'monitored', 'armMs'],
    ['answer', 'private', 'armMs'],
    ['connect', 'monitored', 'connectMs'],
    ['open', 'private', 'connectMs'],
    ['append decision', 'monitored', 'journalMs'],
  ] as const) {
    await inWorld({}, async (world) => {
      world.answers = () => answersFor[kind];
      world.script = { [operation]: late(bound) };
      world.take();
      await world.time.runOut();
      t.ok(world.whats().includes(`${operation} ok`), `${operation} did come`);
      checkInvariants(world);
      if (operation === 'connect') t.ok(world.whats().includes('hang-up caller'), 'a late dialog is hung up');
      if (operation.startsWith('anchor'))
        t.ok(world.whats().includes('release'), 'a late anchor is released');
    });
  }
});

t.test('counts that cannot be asked in time keep an ordinary call out, and no private one', async (t) => {
  for (const kind of ['monitored', 'private'] as const)
    for (const enter of [late('lookUpMs'), { ends: 'fails' }] as const)
      await inWorld({}, async (world) => {
        world.answers = () => answersFor[kind];
        world.script = { enter };
        const call = world.take();
        await world.time.advance(defaultBounds.lookUpMs + 1000);
        const up = world.whats().includes('connect ok');
        t.equal(up, kind === 'private', `${kind}, ${enter.ends}`);
        call.caller.leave('caller-hung-up');
        await world.time.runOut();
        t.equal(world.cdrs().length, 1);
        if (enter.ends === 'well')
          t.ok(world.whats().includes('leave ok'), 'a place that comes late is given back');
        checkInvariants(world);
      });
});

t.test('the bounds stay above those of adapters that are given more time', async (t) => {
  const bounds = { ...defaultBounds, ...boundsOver({ listsMs: 1000, journalMs: 10_000, proveMs: 4000 }) };
  t.ok(bounds.lookUpMs > 2 * 1000, 'the lists, and the counts after them');
  t.ok(bounds.againMs > 1000);
  t.ok(bounds.journalMs > 10_000);
  t.ok(bounds.readyMs > 4000);
  t.ok(bounds.armMs > 4000 + 2 * 1000, 'two media commands and the proof');
  const usual = boundsOver({ listsMs: 50, journalMs: 1000, proveMs: 1000 });
  t.same({ ...defaultBounds, ...usual }, defaultBounds, 'and nothing changes where they are given less');
});

t.test('a release of a late anchor that throws harms nobody', async (t) => {
  await inWorld({}, async (world) => {
    world.script = { 'anchor recorded': late('anchorMs'), release: { ends: 'throws' } };
    world.take();
    await world.time.runOut();
    t.ok(world.whats().includes('release'));
    checkInvariants(world);
  });
});

t.test('a violation found after the deadline still alarms', async (t) => {
  await inWorld({}, async (world) => {
    const call = await connected(world, 'private');
    world.script = { 'verify-absence': late('inspectMs') };
    world.finding = () => ({ state: 'violation', evidence: { files: 1 } });
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.same(world.alarms(), ['absence-unverified', 'private-file-found']);
    checkInvariants(world);
  });
});

t.test('a CDR that turns durable after its deadline is not written twice', async (t) => {
  for (const ms of [3100, 3600, 20_000]) {
    await inWorld({}, async (world) => {
      const call = await connected(world);
      world.script = { 'append cdr': { ends: 'well', ms } };
      call.caller.leave('caller-hung-up');
      await world.time.advance(3001);
      t.match(world.controller.refusal(), { code: 'journal-unavailable' });
      await world.time.runOut();
      t.equal(world.cdrs().length, 1, `${ms} ms`);
      t.equal(world.controller.refusal(), null);
      checkInvariants(world);
    });
  }
});

t.test('dialling that never settles is given up, and a dialog that comes later is hung up', async (t) => {
  for (const afterCancel of ['hangs', 'answered'] as const) {
    await inWorld({}, async (world) => {
      world.dial = () => ({ ...goodDial, ends: 'hangs', afterCancel, cancelMs: 300_000 });
      const call = world.take();
      await world.time.runOut();
      t.match(world.cdrs()[0], { ending: 'called-no-answer', connectedMs: 0 });
      t.equal(call.called !== null, afterCancel === 'answered');
      checkInvariants(world);
    });
  }
});

t.test('a dialer that rejects or throws fails the call', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'rejects' });
    world.take();
    await world.time.runOut();
    t.match(world.cdrs()[0], {
      ending: 'internal-error',
      detail: 'broken-dialer',
      attempts: [{ status: 486 }],
    });
    checkInvariants(world);
  });
});

t.test('a failed dialling ends as the carrier said', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'failed', ms: 700 });
    const call = world.take();
    await world.time.runOut();
    t.match(world.cdrs()[0], {
      ending: 'called-busy',
      detail: 'sip-486',
      disposition: 'busy',
      carrier: null,
      attempts: [{ trunk: 'carrier-a', status: 486 }],
    });
    t.same(call.caller.endings, [{ code: 'called-busy', detail: 'sip-486' }]);
    t.ok(world.whats().includes('discard'), 'a monitored call that was never up is discarded');
    checkInvariants(world);
  });
});

t.test('the CDR says what the caller was told, whatever we had meant to tell', async (t) => {
  const failure = { 'anchor recorded': { ends: 'fails', error: new MediaError('no-node', 'none') } } as const;
  const told: readonly [string, World['tells'], number | null][] = [
    ['nothing crossed it', (status) => Promise.resolve(status), 503],
    ['a CANCEL overtook our refusal: the agent had said 487', () => Promise.resolve(487), 487],
    ['nobody knows', () => Promise.resolve(null), null],
    ['nor where the agent does not say', () => new Promise(() => undefined), null],
    ['nor where it cannot be asked', () => Promise.reject(new CodedError('broken')), null],
  ];
  for (const [what, tells, status] of told) {
    await inWorld({}, async (world) => {
      world.script = failure;
      world.tells = tells;
      world.take();
      await world.time.runOut();
      t.match(world.cdrs(), [{ ending: 'media-unavailable', disposition: 'refused', status }], what);
      checkInvariants(world);
    });
  }
});

// ---- leaving at every moment

type Leave = (world: World, call: FakeCall) => void;
const leaves: Readonly<Record<string, Leave>> = {
  'the caller cancels': (_world, call) => call.caller.leave('caller-cancelled'),
  'the caller hangs up': (_world, call) => call.caller.leave('caller-hung-up'),
  'the caller sends no ACK': (_world, call) => call.caller.leave('ack-missing'),
  'the called party hangs up': (_world, call) => call.called?.leave(),
  'both hang up at once': (_world, call) => {
    call.called?.leave();
    call.caller.leave('caller-hung-up');
  },
  'the node is lost': (_world, call) => call.loseNode('restarted'),
  'the recording is lost': (_world, call) => call.loseRecording('not-growing'),
  'the agent is lost': (world) => world.controller.agentLost(),
};

for (const [name, leave] of Object.entries(leaves)) {
  t.test(`${name} at every moment of a call`, async (t) => {
    let runs = 0;
    for (const kind of ['monitored', 'private', 'refused'] as const) {
      for (const when of ['within the operation', 'a microtask later', 'once all is quiet']) {
        for (let position = 0; position < 50; position += 1) {
          await inWorld({}, async (world) => {
            world.answers = () => answersFor[kind];
            // Every operation takes a while, so that each moment between asking and answer is met.
            world.behave = () => ({ ends: 'well', ms: 10 });
            world.dial = () => ({ ...goodDial, rings: 5, ms: 20, cancelMs: 7 });
            const first = { call: null as FakeCall | null };
            world.on(position, () => {
              const run = (): void => {
                const call = first.call ?? [...world.calls.values()][0];
                if (call !== undefined) leave(world, call);
              };
              if (when === 'within the operation') run();
              else if (when === 'a microtask later') queueMicrotask(run);
              else setTimeout(run, 1);
            });
            first.call = world.take();
            await world.time.runOut();
            checkInvariants(world);
            runs += 1;
          });
        }
      }
    }
    t.equal(runs, 450);
  });
}

t.test('a called party that hung up before anyone listened ends the call', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, goneAtOnce: true });
    world.take();
    await world.time.advance(100);
    t.match(world.cdrs()[0], { ending: 'called-hung-up-early', connectedMs: 0 });
    t.notOk(world.whats().includes('open'), 'nobody is joined to a dead dialog');
    checkInvariants(world);
  });
});

t.test('endings name who left', async (t) => {
  for (const [leave, ending, disposition] of [
    ['the caller hangs up', 'caller-hung-up', 'completed'],
    ['the caller cancels', 'caller-hung-up', 'completed'],
    ['the caller sends no ACK', 'ack-missing', 'failed'],
    ['the called party hangs up', 'called-hung-up', 'completed'],
    ['both hang up at once', 'called-hung-up', 'completed'],
    ['the node is lost', 'node-lost', 'failed'],
    ['the recording is lost', 'recording-lost', 'failed'],
    ['the agent is lost', 'agent-lost', 'failed'],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await connected(world);
      leaves[leave]?.(world, call);
      await world.time.runOut();
      t.match(world.cdrs()[0], { ending, disposition }, leave);
      t.ok(world.whats().includes('finish'));
      t.same(world.alarms(), leave === 'the recording is lost' ? ['recording-lost'] : []);
      checkInvariants(world);
    });
  }
});

t.test('a 200 that crosses the CANCEL is hung up', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'hangs', afterCancel: 'answered', cancelMs: 30 });
    const call = world.take();
    await world.time.advance(1000);
    call.caller.leave('caller-cancelled');
    await world.time.runOut();
    t.match(world.cdrs()[0], { ending: 'caller-cancelled', carrier: 'carrier-a' });
    t.ok(world.whats().includes('hang-up called'));
    t.notOk(world.whats().includes('arm'));
    checkInvariants(world);
  });
});

// ---- the spool

t.test('the spool is asked the right question, and a violation alarms', async (t) => {
  for (const [kind, up, operation] of [
    ['monitored', true, 'finish'],
    ['monitored', false, 'discard'],
    ['private', true, 'verify-absence'],
    ['private', false, 'verify-absence'],
  ] as const) {
    await inWorld({}, async (world) => {
      world.answers = () => answersFor[kind];
      world.finding = () => ({ state: 'violation', evidence: { files: 1 } });
      if (!up) world.script = { connect: { ends: 'fails' } };
      const call = world.take();
      await world.time.settle();
      call.caller.leave('caller-hung-up');
      await world.time.runOut();
      const looks = world.whats().filter((what) => ['finish', 'discard', 'verify-absence'].includes(what));
      t.same(looks, [operation], `${kind} ${up ? 'up' : 'not up'}`);
      t.same(world.alarms(), ['private-file-found']);
      t.same(world.cdrs()[0]?.spool, { state: 'violation', files: 1 });
      checkInvariants(world);
    });
  }
});

t.test('media that may have flowed keeps its recording, also where opening was not answered', async (t) => {
  for (const behaviour of [{ ends: 'hangs' }, late('connectMs'), { ends: 'fails' }] as const) {
    await inWorld({}, async (world) => {
      world.script = { open: behaviour };
      world.take();
      await world.time.runOut();
      t.ok(world.whats().includes('finish'), behaviour.ends);
      checkInvariants(world);
    });
  }
});

t.test('a recording that is missing after a call was up alarms', async (t) => {
  await inWorld({}, async (world) => {
    const call = await connected(world);
    world.finding = () => ({ state: 'recording-missing', code: 'no-file', evidence: {} });
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.same(world.alarms(), ['recording-missing']);
    t.match(world.cdrs()[0], { spool: { state: 'recording-missing', code: 'no-file' } });
  });
});

t.test('a spool that cannot take a recording refuses before anyone is dialled', async (t) => {
  await inWorld({}, async (world) => {
    world.readiness = { ready: false, code: 'spool-full' };
    world.take();
    await world.time.runOut();
    t.match(world.cdrs()[0], { ending: 'recording-unproved', detail: 'spool-full', node: null });
    t.same(world.alarms(), ['spool-unusable']);
    t.notOk(world.whats().includes('anchor recorded'));
    checkInvariants(world);
  });
});

// ---- limits

t.test('limits of ringing and of talking end a call', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'hangs' });
    world.take();
    await world.time.advance(59_999);
    t.equal(world.controller.size, 1);
    await world.time.runOut();
    t.match(world.cdrs()[0], { ending: 'called-no-answer', disposition: 'no-answer', durationMs: 60_000 });
    checkInvariants(world);
  });
  for (const [kind, limit] of [
    ['monitored', 900_000],
    ['private', 3_600_000],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await connected(world, kind);
      await world.time.advance(limit - 1);
      t.equal(world.controller.size, 1);
      await world.time.runOut();
      t.match(world.cdrs()[0], { ending: 'time-limit', connectedMs: limit });
      t.match(call.caller.endings, [{ code: 'time-limit' }]);
      checkInvariants(world);
    });
  }
});

t.test('a caller is in as many calls as allowed, and privileged calls are not counted against', async (t) => {
  await inWorld(
    { policy: { limits: { monitored: limits(2), private: limits(2), alone: limits() } } },
    async (world) => {
      const caller = 'one' as CallerId;
      const calls = [world.take({ caller }), world.take({ caller })];
      await world.time.settle();
      t.same(
        world.controller.calls().map((call) => call.phase),
        ['connected', 'connected'],
      );
      const third = world.take({ caller });
      const other = world.take({ caller: 'two' as CallerId });
      await world.time.settle();
      t.match(third.caller.endings, [{ code: 'too-many-calls' }]);
      t.equal(other.caller.endings.length, 0);
      world.answers = () => attorney;
      const lawyer = world.take({ caller });
      await world.time.settle();
      t.equal(lawyer.caller.endings.length, 0, 'a privileged call has no such limit');
      lawyer.caller.leave('caller-hung-up');
      calls[0]?.caller.leave('caller-hung-up');
      await world.time.settle();
      world.answers = () => answers();
      const fourth = world.take({ caller });
      await world.time.settle();
      t.equal(fourth.caller.endings.length, 0, 'a call that ended counts no more');
      const fifth = world.take({ caller });
      await world.time.settle();
      t.match(fifth.caller.endings, [{ code: 'too-many-calls' }], 'those still up count on');
      world.controller.agentLost();
      await world.time.runOut();
      checkInvariants(world);
    },
  );
});

t.test('no more calls than the bound, and none while draining', async (t) => {
  await inWorld({ controller: { maxCalls: 2 } }, async (world) => {
    t.equal(world.controller.refusal(), null);
    const call = await connected(world);
    world.take();
    t.same(world.controller.refusal(), { code: 'overloaded', detail: 'calls' });
    await world.time.settle();
    call.caller.leave('caller-hung-up');
    await world.time.settle();
    t.equal(world.controller.refusal(), null);
    const stopping = world.controller.stop(0);
    t.same(world.controller.refusal(), { code: 'shutdown', detail: 'draining' });
    await world.time.runOut();
    await stopping;
    checkInvariants(world);
  });
});

// ---- stopping

t.test('a drain lets calls finish, and ends those that do not', async (t) => {
  await inWorld({}, async (world) => {
    const [quick, slow] = [await connected(world), await connected(world)];
    let stopped = false;
    const stop = world.controller.stop(30_000).then(() => {
      stopped = true;
    });
    await world.time.advance(10_000);
    quick.caller.leave('caller-hung-up');
    await world.time.advance(19_999);
    t.equal(slow.caller.endings.length, 0);
    await world.time.advance(1);
    await stop;
    t.ok(stopped);
    t.same(
      world.cdrs().map((cdr) => cdr.ending),
      ['caller-hung-up', 'shutdown'],
    );
    t.match(slow.caller.endings, [{ code: 'shutdown' }]);
    checkInvariants(world);
    t.equal(world.time.pending, 0);
  });
  await inWorld({}, async (world) => {
    const call = await connected(world);
    const stop = world.controller.stop(30_000);
    await world.time.advance(5000);
    call.caller.leave('caller-hung-up');
    await world.time.settle();
    await stop;
    t.equal(world.time.now, 5000, 'no longer than the last call');
    t.equal(world.time.pending, 0);
  });
});

t.test('a second stop shortens the drain of the first, and both say how it ended', async (t) => {
  for (const [second, ends] of [
    [0, 5000],
    [2000, 7000],
    [60_000, 30_000],
  ] as const) {
    await inWorld({}, async (world) => {
      const call = await connected(world);
      const first = world.controller.stop(30_000);
      t.ok(world.controller.draining);
      await world.time.advance(5000);
      const again = world.controller.stop(second);
      await world.time.settle();
      if (second > 0) t.same(call.caller.endings, [], 'calls that are up go on');
      await world.time.advance(ends - 5000);
      t.match(call.caller.endings, [{ code: 'shutdown' }], `asked for ${second} ms`);
      t.same(await Promise.all([first, again]), [0, 0]);
      t.equal(world.cdrs().length, 1);
      await world.time.runOut();
    });
  }
});

t.test('a stop with a journal that hangs comes to an end, and says that CDRs are lost', async (t) => {
  for (const behaviour of [{ ends: 'hangs' }, { ends: 'fails' }, { ends: 'throws' }] as const) {
    await inWorld({}, async (world) => {
      await connected(world);
      world.script = { 'append cdr': behaviour };
      let stopped = false;
      const stop = world.controller.stop(0).then(() => {
        stopped = true;
      });
      await world.time.runOut();
      t.ok(stopped, behaviour.ends);
      await stop;
      t.match(
        world.events.filter((event) => event.event === 'fault'),
        [{ where: 'cdr-backlog', code: 'lost-at-stop' }],
      );
    });
  }
});

t.test('a stop says where calls did not end in time', async (t) => {
  await inWorld({}, async (world) => {
    world.dial = () => ({ ...goodDial, ends: 'hangs', afterCancel: 'hangs' });
    world.take();
    await world.time.settle();
    const stop = world.controller.stop(0, 1000);
    await world.time.advance(1000);
    t.equal(await stop, 1, 'so many did not end');
    t.match(
      world.events.filter((event) => event.event === 'fault'),
      [{ where: 'controller-stop', code: 'calls-left' }],
    );
    await world.time.runOut();
    checkInvariants(world);
  });
});

// ---- the journal refuses CDRs

t.test(
  'CDRs the journal refuses are kept, no call is taken meanwhile, and all are written once',
  async (t) => {
    await inWorld({}, async (world) => {
      const calls = [await connected(world), await connected(world), await connected(world)];
      world.script = { 'append cdr': { ends: 'fails', ms: 700 } };
      for (const call of calls) call.caller.leave('caller-hung-up');
      await world.time.advance(800);
      t.same(world.controller.refusal(), { code: 'journal-unavailable', detail: 'cdr-backlog' });
      t.equal(world.controller.size, 0, 'the calls themselves are over');
      await world.time.advance(10_000);
      t.equal(world.cdrs().length, 0);
      // Slower than the interval between retries: one writer at a time, or rows are written twice and others lost.
      world.script = { 'append cdr': { ends: 'well', ms: 900 } };
      await world.time.runOut();
      t.equal(world.controller.refusal(), null);
      t.same(
        world.cdrs().map((cdr) => cdr.callId),
        calls.map((call) => call.caller.leg.callId),
      );
      checkInvariants(world);
    });
  },
);

t.test('a CDR kept while another is being retried is neither lost nor doubled', async (t) => {
  await inWorld({}, async (world) => {
    const calls = [await connected(world), await connected(world), await connected(world)];
    world.script = { 'append cdr': { ends: 'fails' } };
    calls[0]?.caller.leave('caller-hung-up');
    await world.time.advance(100);
    world.script = { 'append cdr': { ends: 'well', ms: 2500 } };
    await world.time.advance(600);
    const behave = world.behave;
    world.behave = (operation, call) =>
      operation === 'append cdr' && call !== calls[0]?.caller.leg.callId
        ? { ends: 'fails' }
        : behave(operation, call);
    calls[1]?.caller.leave('caller-hung-up');
    calls[2]?.caller.leave('caller-hung-up');
    await world.time.advance(1500);
    world.behave = behave;
    await world.time.runOut();
    checkInvariants(world);
    t.equal(world.cdrs().length, 3);
  });
});

t.test('past the bound of kept CDRs every call ends', async (t) => {
  await inWorld({ controller: { maxUnwrittenCdrs: 1 } }, async (world) => {
    const calls = [await connected(world), await connected(world), await connected(world)];
    world.script = { 'append cdr': { ends: 'fails' } };
    calls[0]?.caller.leave('caller-hung-up');
    await world.time.advance(100);
    t.equal(world.controller.size, 2, 'up to the bound calls go on');
    calls[1]?.caller.leave('caller-hung-up');
    await world.time.advance(100);
    t.equal(world.controller.size, 0);
    t.match(calls[2]?.caller.endings, [{ code: 'shutdown' }]);
    t.ok(world.alarms().includes('journal-unhealthy'));
    world.script = {};
    await world.time.runOut();
    checkInvariants(world);
  });
});

t.test('a CDR the journal can never take is reduced, so that it blocks no other', async (t) => {
  await inWorld({}, async (world) => {
    const call = await connected(world);
    world.finding = () => ({
      state: 'recording-finished',
      recording: { file: 'a.wav', manifest: 'm', evidence: { seconds: Number.NaN } },
    });
    call.caller.leave('caller-hung-up');
    await world.time.runOut();
    t.match(world.cdrs()[0], { ending: 'caller-hung-up', verdict: 'monitored', reduced: 'row-invalid' });
    t.equal(world.controller.refusal(), null);
    checkInvariants(world);
  });
});

t.test(
  'a CDR the journal does not even take reduced is given up with a fault, and blocks no other',
  async (t) => {
    await inWorld({}, async (world) => {
      const [first, second] = [await connected(world), await connected(world)];
      const error = new CodedError('row-too-large');
      world.behave = (operation, call) =>
        operation === 'append cdr' && call === first.caller.leg.callId
          ? { ends: 'fails', error }
          : { ends: 'well' };
      first.caller.leave('caller-hung-up');
      await world.time.settle();
      second.caller.leave('caller-hung-up');
      await world.time.runOut();
      t.same(
        world.cdrs().map((cdr) => cdr.callId),
        [second.caller.leg.callId],
      );
      t.match(
        world.events.filter((event) => event.event === 'fault'),
        [{ where: 'cdr-backlog', code: 'row-too-large' }],
      );
      t.equal(world.controller.refusal(), null);
    });
  },
);

t.test('an effect that breaks down unanswered still lets the call come to its CDR', async (t) => {
  // The net below carryOut: the pure step is fed what the shell feeds when an effect rejects against all rules.
  const outcome = (effect: Effect, decision: Decision): readonly CallEvent[] => {
    const good: Partial<Record<Effect['type'], CallEvent>> = {
      'look-up-and-decide': { type: 'decided', decision },
      'journal-decision': { type: 'decision-journalled' },
      'ready-recorder': { type: 'recorder-ready' },
      anchor: { type: 'anchored' },
      dial: { type: 'answered' },
      arm: { type: 'armed' },
      'answer-media': { type: 'media-answered' },
      'connect-caller': { type: 'caller-connected' },
      'open-media': { type: 'media-opened' },
      watch: { type: 'time-limit-reached' },
      'refuse-caller': { type: 'caller-closed' },
      'hang-up-caller': { type: 'caller-closed' },
      'hang-up-called': { type: 'called-closed' },
      'release-media': { type: 'media-released' },
      'inspect-spool': { type: 'spool-inspected' },
      'write-cdr': { type: 'cdr-written' },
    };
    const event = good[effect.type];
    return event === undefined ? [] : [event];
  };
  for (const decision of [aMonitored(), aPrivate(), aRefused()]) {
    for (let broken = -1; broken < 16; broken += 1) {
      let state: CallState = newCall({
        manner: { held: 'elsewhere' },
        rules: policy(),
        language: 'en',
        identified: true,
      });
      const due: Effect[] = [];
      const done: string[] = [];
      const feed = (event: CallEvent): void => {
        const result = step(state, event);
        state = result.next;
        due.push(...result.effects);
      };
      feed({ type: 'arrived' });
      for (let effect = due.shift(); effect !== undefined; effect = due.shift()) {
        const events = done.length === broken ? brokenDown(effect, 'x') : outcome(effect, decision);
        done.push(effect.type);
        for (const event of events) feed(event);
      }
      const name = `${decision.verdict}: ${done[broken] ?? 'none'}`;
      t.equal((state as CallState).phase, 'ended', `${name} of ${done.join(', ')}`);
      t.equal(done.filter((one) => one === 'write-cdr').length, 1, name);
    }
  }
});

t.test('what comes late and cannot be closed ends nothing else', async (t) => {
  await inWorld({}, async (world) => {
    let closed = 0;
    const slow = new Promise<number>((resolve) => setTimeout(() => resolve(5), 20));
    const work = withDeadline('x', 10, slow, (value) => {
      closed = value;
      throw new Error('cannot be closed');
    });
    const rejected = t.rejects(work, { code: 'deadline' });
    await world.time.advance(30);
    await rejected;
    t.equal(closed, 5);
    const failing = withDeadline('x', 10, Promise.reject(new CodedError('own')));
    await t.rejects(failing, { code: 'own' });
    t.equal(await withDeadline('x', 10, Promise.resolve(7)), 7);
    t.equal(world.time.pending, 0, 'no timer is left');
  });
});

t.test('a clock that gives no time ends in a refusal with a CDR', async (t) => {
  await inWorld({}, async (world) => {
    world.wall = () => Number.NaN;
    const call = world.take({ receivedAt: Number.NaN as never });
    await world.time.runOut();
    t.match(world.cdrs()[0], { ending: 'lists-unavailable', arrivedAt: null });
    t.match(world.rows[0]?.body, { lists: { privileged: { state: 'unknown', why: 'clock' } } });
    t.match(call.caller.endings, [{ code: 'lists-unavailable' }]);
    checkInvariants(world);
  });
});

// ---- attempts that never were calls

t.test('rejections are written up to the rate, and the others counted', async (t) => {
  await inWorld({}, async (world) => {
    await world.time.advance(10_000);
    const reject = () =>
      world.controller.reject({
        trunk: null,
        source: '127.0.0.9',
        ending: { code: 'trunk-unknown', detail: 'x' },
      });
    for (let i = 0; i < 10; i += 1) reject();
    await world.time.settle();
    t.equal(world.cdrs().length, 3);
    t.match(world.cdrs()[0], {
      callId: null,
      trunk: null,
      source: '127.0.0.9',
      verdict: 'undecided',
      ending: 'trunk-unknown',
      detail: 'x',
      disposition: 'refused',
      status: 403,
      uncounted: 0,
    });
    await world.time.advance(1000);
    reject();
    reject();
    await world.time.settle();
    t.same(
      world.cdrs().map((cdr) => cdr.uncounted),
      [0, 0, 0, 7, 0],
    );
    t.equal(world.events.filter((event) => event.event === 'call-rejected').length, 12);
  });
});

t.test('an attempt at an emergency number that never became a call alarms, also past the rate', async (t) => {
  await inWorld({ controller: { maxRejectionsPerSecond: 1 } }, async (world) => {
    const ending = { code: 'emergency-number', detail: 'from-user' } as const;
    for (const _ of [1, 2]) world.controller.reject({ trunk: 'north', source: '127.0.0.9', ending });
    await world.time.settle();
    t.match(
      world.events.filter((event) => event.event === 'alarm'),
      [1, 2].map(() => ({ alarm: 'emergency-dialled', callId: null, detail: 'north' })),
    );
    t.match(world.cdrs(), [{ ending: 'emergency-number', detail: 'from-user' }]);
  });
});

t.test('rejections the journal refused are counted in the next that it takes', async (t) => {
  for (const behaviour of [{ ends: 'fails' }, { ends: 'throws' }] as const) {
    await inWorld({}, async (world) => {
      const reject = () =>
        world.controller.reject({ trunk: 'north', source: '127.0.0.9', ending: { code: 'offer-missing' } });
      world.script = { 'append cdr': behaviour };
      for (let i = 0; i < 5; i += 1) reject();
      await world.time.advance(1000);
      world.script = {};
      reject();
      await world.time.settle();
      t.same(
        world.cdrs().map((cdr) => cdr.uncounted),
        [5],
      );
      t.equal(world.controller.refusal(), null, 'and block no call');
    });
  }
});
