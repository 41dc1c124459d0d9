import t, { type Test } from 'tap';
import type { CallId } from '../../src/core/leg.js';
import { parseListed } from '../../src/core/number.js';
import { openOrders } from '../../src/lists/orders.js';
import { systemClock } from '../../src/main.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { type ListWords, openSite, type Row, type Site } from '../site/site.js';
import { checkAllClean } from './matrix/clean.js';
import { calledAfterHz, callerAfterHz, checkSealed, Tracer } from './matrix/moved.js';
import {
  calledHz,
  callerHz,
  follow,
  heard,
  hearEachOther,
  orderLockdown,
  Stage,
  unlimited,
} from './matrix/stage.js';
import { tableOf } from './matrix/table.js';

t.setTimeout(240_000);

/** How soon a change of the lists or the orders must have reached a call in progress (issue: 1 s; 5 s without pub/sub). */
const soonMs = 1000;
const soonWithoutHintsMs = 5000;
/** How soon a lockdown must have ended the calls it ends. */
const lockdownMs = 2000;

interface Talking {
  readonly name: string;
  readonly number: string;
  readonly call: OutgoingCall;
  readonly other: IncomingCall;
  readonly callId: string;
}

const numberOf = (index: number): string => `+1212559${1000 + index}`;

/** Brings calls up, all at once, each with both parties hearing each other. */
const bringUp = async (
  stage: Stage,
  names: Readonly<Record<string, string>>,
  tracer: Tracer,
  talksTo: Readonly<Record<string, string>> = {},
): Promise<ReadonlyMap<string, Talking>> => {
  const talks = await Promise.all(
    Object.entries(names).map(async ([name, number]): Promise<Talking> => {
      const { call, callId } = await stage.place(number, `chg${number.slice(-4)}`);
      await call.answered();
      const other = await stage.incoming(talksTo[name] ?? number);
      tracer.trace(callId, call, other);
      await stage.up(callId);
      await hearEachOther(call, other);
      return { name, number, call, other, callId };
    }),
  );
  return new Map(talks.map((talk) => [talk.name, talk]));
};

const cdrOf = async (stage: Stage, { callId }: { readonly callId: string }): Promise<Row['body']> => {
  await stage.over(callId);
  return stage.site.cdr(callId);
};

const rowsAgain = async (site: Site, callId: string): Promise<readonly Row[]> =>
  (await site.rows({ callId, kinds: ['decision'] })).filter(({ body }) => body.again === true);

/** Moved to the private pool: recording stopped first, both told the private node alone, and both heard again. */
const checkMoved = async (
  t: Test,
  { stage, tracer }: { readonly stage: Stage; readonly tracer: Tracer },
  talk: Talking,
) => {
  const { name, call, other, callId } = talk;
  const { site } = stage;
  await site.until(
    `${name} has moved`,
    () => tracer.hasMoved(callId),
    () => tracer.phases(callId).join(' '),
  );
  await hearEachOther(call, other, 300, [calledAfterHz, callerAfterHz]);
  const node = site.local.private[0]?.mediaAddress;
  for (const party of [call, other]) {
    t.same(party.media.received.at(-1)?.addresses, [node], `${name}: told the private node’s address alone`);
  }
  await call.hangUp();
  const cdr = await cdrOf(stage, talk);
  t.match(
    { verdict: cdr.verdict, ending: cdr.ending, node: cdr.node, spool: cdr.spool?.state },
    { verdict: 'private', ending: 'caller-hung-up', node: 'private-1', spool: 'nothing-found' },
    `${name}: private in the CDR`,
  );
  t.same(
    tracer.phases(callId).slice(-6),
    ['unrecording', 'journalling-move', 'moving', 'connected', 'ending', 'ended'],
    `${name}: the recording stops before the row, the row is there before the media moves`,
  );
  const { atStop, since } = tracer.sizes(callId);
  t.ok(atStop !== null && atStop > 0, `${name}: there was a recording`);
  t.ok(since <= (atStop ?? 0), `${name}: the pcap does not grow any more`, { atStop, since });
  checkSealed(t, site, cdr, name);
  t.match((await rowsAgain(site, callId)).at(-1)?.body, { verdict: 'private' }, `${name}: a row of its own`);
  return cdr;
};

/** It could not move: it ended, with both legs, and what was recorded is sealed. */
const checkEndedSealed = async (t: Test, stage: Stage, talk: Talking) => {
  const { name, call, other } = talk;
  await Promise.all([call.ended(), other.ended()]);
  const cdr = await cdrOf(stage, talk);
  t.equal(cdr.verdict, 'private', `${name}: private in the CDR`);
  t.equal(
    heard(other, callerAfterHz) || heard(call, calledAfterHz),
    false,
    `${name}: nobody was heard after`,
  );
  checkSealed(t, stage.site, cdr, name);
  return cdr;
};

const checkRecorded = async (t: Test, stage: Stage, talk: Talking) => {
  const { name, call, other } = talk;
  await hearEachOther(call, other, 200);
  await call.hangUp();
  const cdr = await cdrOf(stage, talk);
  t.match(
    { verdict: cdr.verdict, spool: cdr.spool?.state, sealed: cdr.sealed ?? null },
    { verdict: 'monitored', spool: 'recording-finished', sealed: null },
    `${name}: recorded to its end`,
  );
  return cdr;
};

const line = (what: string, cdr: Row['body'], seen: string): readonly string[] => [
  what,
  cdr.verdict,
  cdr.ending,
  String(cdr.node),
  cdr.sealed?.state ?? cdr.spool?.state ?? '-',
  seen,
];
const titles = ['call', 'verdict', 'ending', 'node', 'disk', 'what each party heard'];

t.test('lists that change under calls in progress', async (t) => {
  const names = Object.fromEntries(
    [
      'becomes privileged',
      'held when it becomes privileged',
      'called party refuses the move',
      'caller refuses the move',
      'called party ignores the move',
      'caller ignores the move',
      'glare with the called party',
      'glare with the caller',
      'called party hangs up in the move',
      'caller hangs up in the move',
      'becomes blocked',
      'becomes pending',
      'private, privileged no more',
      'private, blocked',
      'nothing changes',
      'leaves the allow list',
      'redirected, target becomes privileged',
      'forwarded, target becomes privileged',
    ].map((name, index) => [name, numberOf(index)]),
  );
  const number = (name: string): string => {
    const found = names[name];
    if (found === undefined) throw new Error(`no call ${name}`);
    return found;
  };
  const target = { redirected: numberOf(100), forwarded: numberOf(101) };
  const ringing = numberOf(102);
  const everybody = [...Object.values(names), ...Object.values(target), ringing];
  const wasPrivate = [number('private, privileged no more'), number('private, blocked')];
  const before: ListWords = {
    allow: { '*': everybody.filter((one) => !wasPrivate.includes(one)) },
    privileged: Object.fromEntries(wasPrivate.map((one) => [one, 'attorney' as const])),
  };
  const stays = ['nothing changes', 'becomes blocked', 'becomes pending', 'leaves the allow list'].map(
    number,
  );
  const after: ListWords = {
    allow: {
      '*': everybody.filter((one) => one !== number('leaves the allow list')),
    },
    privileged: Object.fromEntries(
      everybody
        .filter((one) => !stays.includes(one) && !wasPrivate.includes(one))
        .filter((one) => one !== number('redirected, target becomes privileged'))
        .filter((one) => one !== number('forwarded, target becomes privileged'))
        .map((one) => [one, 'attorney' as const]),
    ),
    block: { [number('becomes blocked')]: 'facility', [number('private, blocked')]: 'facility' },
    pending: [number('becomes pending')],
  };
  const site = await openSite(t, { t1Ms: 100, keepAudioMs: 30_000, config: unlimited, lists: before });
  const stage = new Stage(site);
  const tracer = new Tracer(site);
  const moves = new Map<string, () => void>();
  const stop = follow(site, (event) => {
    tracer.observe(event);
    if (event.event === 'call-phase' && event.phase === 'moving') moves.get(event.callId)?.();
  });
  t.teardown(stop);
  stage.on(number('redirected, target becomes privileged'), {
    do: 'redirect',
    contact: `<sip:${target.redirected}@carrier.invalid>`,
    ring: false,
  });
  stage.on(number('forwarded, target becomes privileged'), {
    do: 'answer',
    afterMs: 40,
    ring: {
      status: 181,
      headers: { 'History-Info': `<sip:${target.forwarded}@carrier.invalid>;index=1.1` },
    },
  });
  stage.on(ringing, { do: 'ring' });
  const talks = await bringUp(stage, names, tracer, {
    'redirected, target becomes privileged': target.redirected,
  });
  const talk = (name: string): Talking => {
    const found = talks.get(name);
    if (found === undefined) throw new Error(`no call ${name}`);
    return found;
  };
  const rung = await stage.place(ringing, 'chgring');
  await rung.call.progressed({ status: 180 });
  talk('called party refuses the move').other.replyTo('re-INVITE', { status: 488 });
  talk('caller refuses the move').call.replyTo('re-INVITE', { status: 603 });
  talk('called party ignores the move').other.replyTo('re-INVITE', 'silent');
  talk('caller ignores the move').call.replyTo('re-INVITE', 'silent');
  t.equal((await talk('held when it becomes privileged').call.hold()).status, 200);
  const glares: Promise<{ readonly status: number }>[] = [];
  for (const [name, party] of [
    ['glare with the called party', 'other'],
    ['glare with the caller', 'call'],
  ] as const) {
    const { callId, [party]: end } = talk(name);
    moves.set(callId, () => glares.push(end.reinvite({ deadlineMs: 30_000 })));
  }
  const leavers = ['called party hangs up in the move', 'caller hangs up in the move'] as const;
  moves.set(
    talk(leavers[0]).callId,
    () =>
      void talk(leavers[0])
        .other.hangUp()
        .catch(() => undefined),
  );
  moves.set(
    talk(leavers[1]).callId,
    () =>
      void talk(leavers[1])
        .call.hangUp()
        .catch(() => undefined),
  );

  // Two approve it: it removes privileged entries.
  await site.publish(after, { approvedBy: ['one', 'two'] });
  const published = performance.now();
  const first = talk('becomes privileged');
  await site.event(
    'call-decided',
    (event) => event.callId === first.callId && event.verdict === 'private',
    soonMs,
  );
  t.comment(`the change was decided on within ${Math.round(performance.now() - published)} ms`);

  const table: (readonly string[])[] = [titles];
  const moved = 'each other, silence, each other again';
  await t.test('now privileged: moved, sealed, heard again', async (t) => {
    const held = talk('held when it becomes privileged');
    const resumed = async () => {
      await site.until('it has moved', () => tracer.hasMoved(held.callId));
      t.equal((await held.call.resume()).status, 200, 'a held call is resumed after the move');
    };
    await Promise.all([
      resumed(),
      ...[
        'becomes privileged',
        'held when it becomes privileged',
        'glare with the called party',
        'glare with the caller',
        'redirected, target becomes privileged',
        'forwarded, target becomes privileged',
      ].map(async (name) => {
        table.push(line(name, await checkMoved(t, { stage, tracer }, talk(name)), moved));
      }),
    ]);
    for (const { status } of await Promise.all(glares))
      t.equal(status, 491, 'who offers in the move has to wait');
    t.equal(glares.length, 2);
  });

  await t.test('a move that does not succeed ends the call, and seals it', async (t) => {
    await Promise.all(
      [
        'called party refuses the move',
        'caller refuses the move',
        'called party ignores the move',
        'caller ignores the move',
        ...leavers,
      ].map(async (name) => {
        const cdr = await checkEndedSealed(t, stage, talk(name));
        table.push(line(name, cdr, 'each other, then silence to the end'));
      }),
    );
  });

  await t.test('now blocked or under review: ended', async (t) => {
    for (const [name, ending] of [
      ['becomes blocked', 'blocked'],
      ['becomes pending', 'review-pending'],
      ['private, blocked', 'blocked'],
    ] as const) {
      const { call, other, callId } = talk(name);
      await Promise.all([call.ended(), other.ended()]);
      const cdr = await cdrOf(stage, { callId });
      const isPrivate = name.startsWith('private');
      t.match(cdr, { ending, verdict: isPrivate ? 'private' : 'monitored' }, name);
      t.equal(cdr.spool?.state, isPrivate ? 'nothing-found' : 'recording-finished', name);
      if (isPrivate) t.same(site.watch.named(callId), [], `${name}: no file`);
      t.match((await rowsAgain(site, callId)).at(-1)?.body, { verdict: 'refused' }, `${name}: its row`);
      table.push(line(name, cdr, 'each other, then the end'));
    }
  });

  await t.test('what is not for this call changes nothing', async (t) => {
    for (const name of ['nothing changes', 'leaves the allow list']) {
      table.push(line(name, await checkRecorded(t, stage, talk(name)), 'each other'));
    }
    const { call, other, callId } = talk('private, privileged no more');
    await hearEachOther(call, other, 200);
    await call.hangUp();
    const cdr = await cdrOf(stage, { callId });
    t.match(cdr, { verdict: 'private', ending: 'caller-hung-up', node: 'private-1', armed: null });
    t.same(site.watch.named(callId), [], 'private stays private: no file, at any moment');
    table.push(line('private, privileged no more', cdr, 'each other'));
  });

  await t.test('now privileged while it still rings: ended, and the next attempt is private', async (t) => {
    t.equal((await rung.call.failed()).status, 480);
    const cdr = await cdrOf(stage, rung);
    t.match(cdr, { ending: 'became-private', armed: null });
    t.same((await stage.incoming(ringing)).ending?.how, 'cancelled');
    table.push(line('rings when it becomes privileged', cdr, 'nothing'));
    stage.on(ringing, { do: 'answer', ring: false });
    const { call, callId } = await stage.place(ringing, 'chgring');
    await call.answered();
    await stage.up(callId);
    await call.hangUp();
    t.match(await cdrOf(stage, { callId }), { verdict: 'private', node: 'private-1' });
  });
  for (const text of tableOf(table)) t.comment(text);

  await t.test('orders of another controller reach it, with and without pub/sub', (t) =>
    ordersReach(t, stage, number('nothing changes'), number('leaves the allow list')),
  );
  await t.test('and nothing is left of any of it', (t) => checkAllClean(t, site));
});

/** Blocks numbers by way of another controller on the same Redis, whose file and name are its own. */
const ordersReach = async (t: Test, stage: Stage, hinted: string, unhinted: string): Promise<void> => {
  const { site } = stage;
  const { redis } = site.local;
  const orders = await openOrders({
    redis: { host: redis.host, port: redis.port },
    keyPrefix: site.config.lists.keyPrefix,
    path: `${site.dir}/orders-of-another`,
    node: 'another',
    clock: systemClock,
    emit: () => undefined,
  });
  t.teardown(() => orders.close());
  const plan = site.config.dialPlans.default as Parameters<typeof parseListed>[1];
  const cut = async (): Promise<void> => {
    const { Redis } = await import('ioredis');
    const client = new Redis({ host: redis.host, port: redis.port, protocol: 2 });
    try {
      // Nobody may listen any more, and who does is thrown out.
      await client.call('ACL', 'SETUSER', 'default', '-subscribe', '-psubscribe', '-ssubscribe');
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      t.equal(
        String(await client.call('CLIENT', 'LIST', 'TYPE', 'pubsub')),
        '',
        'nobody listens to hints any more',
      );
    } finally {
      client.disconnect();
    }
  };
  for (const [number, ms] of [
    [hinted, soonMs],
    [unhinted, soonWithoutHintsMs],
  ] as const) {
    // The list allows both in the first publication that counts: the last one may have taken one off.
    if (number === unhinted) {
      await site.publish({ allow: { '*': [hinted, unhinted] } }, { approvedBy: ['one', 'two'] });
      await site.event('lists-armed', ({ epoch }) => epoch === 3);
      await cut();
    }
    const { call, callId } = await stage.place(number, `ord${number.slice(-4)}`);
    await call.answered();
    await stage.up(callId);
    await hearEachOther(call, await stage.incoming(number), 200);
    const read = parseListed(number, plan);
    if (read.kind !== 'number') throw new Error('no number');
    const order = { kind: 'block', key: read.key, cause: 'security' } as const;
    await orders.give({ order, state: 'on', by: 'tester', why: 'a test', callId: null as CallId | null });
    const given = performance.now();
    await site.event('call-decided', (one) => one.callId === callId && one.reason === 'blocked', ms);
    t.pass(`it reaches the call within ${ms} ms`);
    t.comment(
      `${number === hinted ? 'with' : 'without'} pub/sub: ${Math.round(performance.now() - given)} ms`,
    );
    await call.ended();
    t.match(await cdrOf(stage, { callId }), { ending: 'blocked', verdict: 'monitored' });
  }
};

t.test('lockdown', async (t) => {
  const site = await openSite(t, {
    t1Ms: 100,
    config: unlimited,
    lists: { allow: { '*': [numberOf(200), numberOf(201)] }, privileged: { [numberOf(202)]: 'attorney' } },
  });
  const stage = new Stage(site);
  const tracer = new Tracer(site);
  await lockedDown(t, stage, tracer, { privateEnds: false });
  await t.test('and nothing is left of any of it', (t) => checkAllClean(t, site));
});

const lockedDown = async (
  t: Test,
  stage: Stage,
  tracer: Tracer,
  { privateEnds }: { readonly privateEnds: boolean },
): Promise<void> => {
  const { site } = stage;
  const talks = await bringUp(
    stage,
    { one: numberOf(200), two: numberOf(201), private: numberOf(202) },
    tracer,
  );
  const ending = [...talks.values()].filter(({ name }) => name !== 'private' || privateEnds);
  const given = performance.now();
  const within = { deadlineMs: lockdownMs };
  const ended = Promise.all(ending.flatMap(({ call, other }) => [call.ended(within), other.ended(within)]));
  await Promise.all([ended, orderLockdown(site, 'on')]);
  t.comment(`lockdown ended ${ending.length} calls within ${Math.round(performance.now() - given)} ms`);
  const table: (readonly string[])[] = [titles];
  for (const talk of talks.values()) {
    const goesOn = talk.name === 'private' && !privateEnds;
    if (goesOn) {
      await hearEachOther(talk.call, talk.other, 200);
      await talk.call.hangUp();
    }
    const cdr = await cdrOf(stage, talk);
    const isPrivate = talk.name === 'private';
    t.match(
      cdr,
      { verdict: isPrivate ? 'private' : 'monitored', ending: goesOn ? 'caller-hung-up' : 'lockdown' },
      talk.name,
    );
    if (isPrivate) t.same(site.watch.named(talk.callId), [], 'private: no file');
    else t.equal(cdr.spool?.state, 'recording-finished', `${talk.name}: its recording is kept`);
    table.push(line(talk.name, cdr, goesOn ? 'each other, to the end' : 'each other, then the end'));
  }
  for (const text of tableOf(table)) t.comment(text);
  const refused = await stage.place(numberOf(200), 'lockedout');
  t.notOk((await refused.call.failed()).status < 300, 'nobody calls out in a lockdown');
  t.match(await cdrOf(stage, refused), { ending: 'lockdown' });
  await orderLockdown(site, 'off');
  const again = await stage.place(numberOf(200), 'lockedout');
  await again.call.answered();
  await stage.up(again.callId);
  await again.call.hangUp();
  t.match(await cdrOf(stage, again), { verdict: 'monitored' }, 'and afterwards as before');
};

t.test('where the policy ends what others let go on', async (t) => {
  const becoming = numberOf(210);
  const lists: ListWords = {
    allow: { '*': [numberOf(200), numberOf(201), becoming] },
    privileged: { [numberOf(202)]: 'attorney' },
  };
  const site = await openSite(t, {
    t1Ms: 100,
    config: (config) => {
      const open = unlimited(config);
      return {
        ...open,
        policy: { ...open.policy, onBecomingPrivate: 'end', privilegedInLockdown: 'refused' },
      };
    },
    lists,
  });
  const stage = new Stage(site);
  const tracer = new Tracer(site);
  t.teardown(follow(site, (event) => tracer.observe(event)));
  await t.test('now privileged: the recording stops, and the call ends, sealed', async (t) => {
    const [talk] = (await bringUp(stage, { 'policy: end': becoming }, tracer)).values();
    if (talk === undefined) throw new Error('no call');
    await site.publish({ ...lists, privileged: { ...lists.privileged, [becoming]: 'attorney' } });
    const cdr = await checkEndedSealed(t, stage, talk);
    t.match(cdr, { ending: 'became-private', detail: 'policy' });
    t.notOk(tracer.phases(talk.callId).includes('moving'), 'it never moved');
    const { atStop, since } = tracer.sizes(talk.callId);
    t.ok(atStop !== null && atStop > 0 && since <= atStop, 'the pcap does not grow after the stop');
    t.comment(line('policy: end', cdr, 'each other, then silence to the end').join('  '));
  });
  await t.test('lockdown ends private calls too', (t) => lockedDown(t, stage, tracer, { privateEnds: true }));
  await t.test('and nothing is left of any of it', (t) => checkAllClean(t, site));
});

// Tones of the phones, named here so that a change of one is seen by the tests of the other.
t.same([callerHz, calledHz, callerAfterHz, calledAfterHz], [440, 1000, 2000, 1700]);
