import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { PrivateAnchor } from '../../src/call/ports.js';
import type { CallId } from '../../src/core/leg.js';
import { type Expected, judge, type NodeLook } from '../../src/media/attestation.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { createMedia, type MediaNodeOptions, type MediaPools } from '../../src/media/media.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { defaultTiming } from '../../src/media/node-options.js';
import { PrivateNode } from '../../src/media/private-node.js';
import { type RtpengineOptions, type RunningRtpengine, startRtpengine } from '../../src/stack/rtpengine.js';
import { monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { type FakeNode, openFakeNode } from './fake-node.js';
import { AT_ONCE, readOut } from './read-out.js';
import { RtpPhone, until } from './rtp-phone.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-nodes-'));
// So that the server's own user gets there.
await chmod(dir, 0o755);
const running = new Set<RunningRtpengine>();
const phones: RtpPhone[] = [];

const start = async (
  options: Pick<RtpengineOptions, 'kind' | 'name'> & Partial<RtpengineOptions>,
): Promise<RunningRtpengine> => {
  const node = await startRtpengine({ dir, portCount: 32, ...options });
  running.add(node);
  return node;
};

const phone = async (hz: number): Promise<RtpPhone> => {
  const made = await new RtpPhone({ hz }).open();
  phones.push(made);
  return made;
};

t.teardown(async () => {
  for (const each of phones) each.close();
  await Promise.all([...running].map((node) => node.stop()));
  await rm(dir, { recursive: true, force: true });
});

const named = (node: RunningRtpengine, more: Partial<MediaNodeOptions> = {}): MediaNodeOptions => ({
  name: node.name.split(' ')[1] ?? '',
  pool: node.kind,
  ng: node.ng,
  cli: node.cli,
  pid: node.pid,
  mediaAddress: node.mediaAddress,
  ...(node.spool === undefined ? {} : { spool: node.spool }),
  ...more,
});

const quick = { commandMs: 1500, pingMs: 150, pingDeadlineMs: 500, lossThreshold: 2, attestMs: 150 };

interface Pools {
  readonly media: MediaPools;
  readonly events: AppEvent[];
  alarms(): string[];
}

const poolsOf = async (
  t: Tearing,
  nodes: readonly MediaNodeOptions[],
  timing: Partial<typeof quick> = {},
): Promise<Pools> => {
  const events: AppEvent[] = [];
  const media = createMedia({
    nodes,
    emit: (event) => events.push(event),
    peerNetworks: ['127.0.0.0/8'],
    timing: { ...quick, ...timing },
  });
  t.teardown(() => media.close());
  await media.start();
  const alarms = (): string[] =>
    events.flatMap((event) => (event.event === 'alarm' ? `${event.alarm} ${event.detail}` : []));
  return { media, events, alarms };
};

/** What a test of any depth can be asked. */
interface Tearing {
  teardown(work: () => unknown): unknown;
}

const up = async (
  media: MediaPools,
  caller: RtpPhone,
  called: RtpPhone,
): Promise<{ id: CallId; call: PrivateAnchor; answer: string; lost: string[] }> => {
  const id = newCallId();
  const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
  const lost: string[] = [];
  call.onLost((why) => lost.push(why));
  const answer = await call.answer(privateDecision(id), called.sdp({ formats: '0 101' }));
  await call.open();
  return { id, call, answer, lost };
};

/** Regular files a process holds open: for a private node, there is none. */
const filesHeld = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return statSync(`/proc/${pid}/fd/${fd}`).isFile() ? target : [];
    } catch {
      return [];
    }
  });

const spoolFiles = (spool: string | undefined): string[] =>
  spool === undefined
    ? []
    : readdirSync(spool, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name);

/** A foreign NG client, as any process on the host could be one. */
const foreign = (node: RunningRtpengine): NgSocket =>
  new NgSocket({ node: 'x', ...node.ng, emit: () => undefined });

const sessionsOn = async (node: RunningRtpengine): Promise<number> => {
  const ng = foreign(node);
  const reply = JSON.stringify(await ng.ask({ command: 'statistics' }));
  ng.close();
  return Number(/"sessionsown":(\d+)/.exec(reply)?.[1]);
};

t.test('a private call: shut until opened, no stranger in it, and nothing on any disk', async (t) => {
  const [node, recorded] = [
    await start({ kind: 'private', name: 'p1' }),
    await start({ kind: 'recorded', name: 'r1' }),
  ];
  const { media } = await poolsOf(t, [named(node), named(recorded)]);
  t.strictSame(media.status().ready, { private: true, recorded: true });
  const [caller, called, stranger] = [await phone(440), await phone(1000), await phone(2000)];
  const id = newCallId();
  const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
  const answer = await call.answer(privateDecision(id), called.sdp({ formats: '0 101' }));
  for (const text of [call.offerForCalled, answer]) {
    t.strictSame(
      [...text.matchAll(/IN IP4 (\S+)/g)].map(([, address]) => address),
      ['127.0.0.1', '127.0.0.1'],
    );
    t.notMatch(text, /o=phone|a call/);
  }
  caller.talkTo(answer);
  called.talkTo(call.offerForCalled);
  await until('packets at the node', async () => ((await call.packets()) ?? 0) > 30);
  t.equal(caller.received + called.received, 0, 'nothing passes before it is opened');

  await call.open();
  await until('both hear each other', () => caller.hears(1000) && called.hears(440));
  for (const target of [answer, call.offerForCalled]) {
    stranger.talkTo(target);
    for (let i = 0; i < 50; i++) {
      stranger.sendOne();
      if (i % AT_ONCE === AT_ONCE - 1) await readOut(Number(/^m=audio (\d+)/m.exec(target)?.[1]));
    }
  }
  caller.forget();
  called.forget();
  await until('a second of sound', () => caller.heard.length > 8000 && called.heard.length > 8000);
  t.notOk(caller.hears(2000) || called.hears(2000), 'a stranger injects nothing');
  t.equal(stranger.received, 0, 'and hears nothing');
  t.ok(caller.hears(1000) && called.hears(440));
  stranger.stop();

  t.strictSame(filesHeld(node.pid), [], 'the node holds no file open');
  const totals = await call.release();
  t.ok(totals !== null && totals.packets.caller > 50 && totals.packets.called > 50);
  t.equal(await call.release(), totals, 'releasing twice is releasing once');
  caller.stop();
  called.stop();
  t.equal(await sessionsOn(node), 0);
  t.strictSame(spoolFiles(recorded.spool), []);
  await t.rejects(call.open(), { message: /released/ });
});

t.test('whoever asks a private node to record or fork: no file, and the call ends', async (t) => {
  const node = await start({ kind: 'private', name: 'p2' });
  const { media, alarms } = await poolsOf(t, [named(node)], { attestMs: 100 });
  const [caller, called] = [await phone(440), await phone(1000)];
  const raw = foreign(node);
  t.teardown(() => raw.close());
  const attempts = (id: CallId): BencodeDict[] => [
    { command: 'start recording', 'call-id': id },
    { command: 'start forwarding', 'call-id': id },
    { command: 'subscribe request', 'call-id': id, 'from-tags': ['caller', 'called'], flags: ['all'] },
  ];
  for (const [which, attempt] of attempts(newCallId()).entries()) {
    const { id, call, answer, lost } = await up(media, caller, called);
    caller.talkTo(answer);
    called.talkTo(call.offerForCalled);
    await until('sound', () => called.hears(440));
    const reply = await raw.ask(attempts(id)[which] ?? attempt);
    t.equal(reply.result, 'ok', `the node says ok to ${attempt.command}`);
    await until('the foreign command is noticed', () => lost.length > 0);
    t.strictSame(lost, ['attestation-foreign-command']);
    t.strictSame(filesHeld(node.pid), []);
    await call.release();
    caller.stop();
    called.stop();
    t.equal(await sessionsOn(node), 0, 'and no subscriber keeps the call alive');
    await until('attested again', () => media.status().ready.private);
  }
  t.ok(alarms().includes('attestation-failed p2: foreign-command'));

  const id = newCallId();
  const offer = { command: 'offer', 'call-id': id, 'from-tag': 'x', sdp: caller.sdp(), 'record-call': 'yes' };
  t.notOk('recordings' in (await raw.ask(offer)), 'record-call is not heeded');
  await raw.ask({ command: 'delete', 'call-id': id, 'delete-delay': 0 });
  t.strictSame(filesHeld(node.pid), []);
});

t.test('a foreign listener is found before the call is opened', async (t) => {
  const node = await start({ kind: 'private', name: 'p3' });
  const { media } = await poolsOf(t, [named(node)], { attestMs: 60_000 });
  const [caller, called] = [await phone(440), await phone(1000)];
  const id = newCallId();
  const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
  await call.answer(privateDecision(id), called.sdp({ formats: '0 101' }));
  const raw = foreign(node);
  await raw.ask({ command: 'subscribe request', 'call-id': id, 'from-tags': ['caller'] });
  await t.rejects(call.open(), { code: 'unexpected-recording' });
  await call.release();
  t.equal(await sessionsOn(node), 0);
  raw.close();
});

t.test('a node that is not what its pool requires is not used', async (t) => {
  const node = await start({ kind: 'recorded', name: 'wolf' });
  const honest = await start({ kind: 'private', name: 'p4' });
  const { spool: _spool, ...sheep } = named(node, { pool: 'private' });
  const cases: readonly (readonly [string, MediaNodeOptions, string])[] = [
    ['a private node with a recording folder', sheep, 'records-although-private'],
    ['the same, seen by its process alone', without(sheep, 'cli'), 'process-recording-option'],
    [
      'a private node about which nothing can be seen',
      without(without(named(honest), 'cli'), 'pid'),
      'nothing-to-see',
    ],
    ['the process of another node', { ...named(honest), pid: process.pid }, 'process-of-another-node'],
    ['a process that is gone', { ...named(honest), pid: 2 ** 22 - 7 }, 'process-gone'],
    ['the command line of another node', { ...named(honest), cli: node.cli }, 'cli-of-another-node'],
    ['a recorded node with another spool', named(node, { spool: dir }), 'recording-dir-is-another'],
    ['a recorded node whose spool is gone', named(node, { spool: join(dir, 'none') }), 'spool-missing'],
  ];
  for (const [name, options, failure] of cases) {
    const { media, alarms } = await poolsOf(t, [options]);
    t.ok(media.attestations()[0]?.failures.includes(failure as never), `${name}: ${failure}`);
    t.equal(alarms().length, 1, 'one alarm');
    const id = newCallId();
    const anchored: Promise<unknown> =
      options.pool === 'private'
        ? media.anchorPrivate(id, privateDecision(id), (await phone(440)).sdp())
        : media.anchorRecorded(id, monitoredDecision(id), (await phone(440)).sdp());
    await t.rejects(anchored, { code: 'no-node' });
    media.close();
  }
  t.equal(await sessionsOn(node), 0, 'nothing was offered to it');
  const partly = await poolsOf(t, [without(named(honest), 'pid')]);
  t.strictSame(partly.media.attestations()[0]?.notSeen, ['process'], 'what was not seen is said');
  t.ok(partly.media.status().ready.private);
});

const without = (options: MediaNodeOptions, key: 'cli' | 'pid'): MediaNodeOptions => {
  const { [key]: _left, ...rest } = options;
  return rest;
};

t.test('nodes that fail: calls there are told, new calls stay in their pool', async (t) => {
  const [first, second] = [
    await start({ kind: 'private', name: 'a' }),
    await start({ kind: 'private', name: 'b' }),
  ];
  const recorded = await start({ kind: 'recorded', name: 'r' });
  const nodes = [named(first), named(second), named(recorded)];
  const { media, events } = await poolsOf(t, nodes);
  const [caller, called] = [await phone(440), await phone(1000)];
  const one = await up(media, caller, called);
  const two = await up(media, caller, called);
  t.not(one.call.node, two.call.node, 'the less loaded node is taken');

  const frozen = one.call.node === 'a' ? first : second;
  const other = frozen === first ? second : first;
  frozen.freeze();
  // Loaded more, so that the frozen one is tried first.
  const three = await up(media, caller, called);
  t.equal(three.call.node, named(other).name, 'the next node of the same pool');
  await until('the frozen node is found', () => one.lost.length > 0);
  t.strictSame(one.lost, ['node-no-answer']);
  t.strictSame(two.lost, []);
  await one.call.release();
  frozen.thaw();
  await until('what it was offered meanwhile is deleted', async () => (await sessionsOn(frozen)) === 0);
  await until('it is used again', () => media.status().nodes.every((node) => node.up && node.attested));

  await other.kill();
  await until('the killed node is found', () => two.lost.length > 0);
  t.match(two.lost[0], /^(node-refused|node-restarted|attestation-process-gone)$/);
  await two.call.release();
  await three.call.release();
  const late: string[] = [];
  two.call.onLost((why) => late.push(why));
  await until('who asks later is told too', () => late.length === 1);
  await frozen.kill();
  const id = newCallId();
  await t.rejects(media.anchorPrivate(id, privateDecision(id), caller.sdp()), {
    code: /^(no-node|node-refused)$/,
  });
  await until('the pool is empty', () => !media.status().ready.private);
  t.ok(media.status().ready.recorded, 'while the other pool has a node');
  t.equal(await sessionsOn(recorded), 0, 'which was not asked');
  t.ok(events.some((event) => event.event === 'node-state' && event.state === 'down'));
});

t.test('a full node, and a full pool', async (t) => {
  const nodes = [
    named(await start({ kind: 'private', name: 'c', maxSessions: 1 })),
    named(await start({ kind: 'private', name: 'd', maxSessions: 1 })),
  ];
  const { media } = await poolsOf(t, nodes);
  const caller = await phone(440);
  const anchor = (id: CallId): Promise<PrivateAnchor> =>
    media.anchorPrivate(id, privateDecision(id), caller.sdp());
  const calls = [await anchor(newCallId()), await anchor(newCallId())];
  t.strictSame(calls.map((call) => call.node).sort(), ['c', 'd']);
  await t.rejects(anchor(newCallId()), { code: 'node-refused', detail: 'node-full' } as never);
  for (const call of calls) await call.release();
  await (await anchor(newCallId())).release();
});

t.test('a restarted node: its calls are lost, and it is looked at anew', async (t) => {
  const node = await start({ kind: 'private', name: 'e' });
  const { media, events } = await poolsOf(t, [without(named(node), 'pid')]);
  const [caller, called] = [await phone(440), await phone(1000)];
  const { call, lost } = await up(media, caller, called);
  await node.kill();
  await until('it is gone', () => lost.length > 0);
  await start({ kind: 'private', name: 'e', ngPort: node.ng.port, cliPort: node.cli.port });
  await until('it is back and attested', () => media.status().ready.private);
  t.equal(await call.release(), null);
  await (await up(media, caller, called)).call.release();
  t.equal(events.filter((event) => event.event === 'node-state').length, 3);
});

t.test('re-offers: from both sides, refused, and at the same time', async (t) => {
  const node = await start({ kind: 'private', name: 'f' });
  const { media } = await poolsOf(t, [named(node)]);
  const [caller, called] = [await phone(440), await phone(1000)];
  const { call, answer } = await up(media, caller, called);
  caller.talkTo(answer);
  called.talkTo(call.offerForCalled);
  const both = async (what: string): Promise<void> => {
    caller.forget();
    called.forget();
    await until(what, () => caller.hears(1000) && called.hears(440));
  };
  await both('connected');
  const elsewhere = await phone(600);
  await call.reoffer('caller', elsewhere.sdp());
  await call.restore();
  await both('after a move the other side refused');
  const held = await call.reoffer('called', called.sdp({ formats: '0 101', direction: 'sendonly' }));
  t.match(held, /a=sendonly/);
  t.match(await call.reanswer('caller', caller.sdp({ direction: 'recvonly' })), /a=recvonly/);
  await call.reoffer('called', called.sdp({ formats: '0 101' }));
  await call.reanswer('caller', caller.sdp({ formats: '0 101' }));
  await both('after hold and resume by the called party');

  const old = await call.reoffer('caller', caller.sdp({ connection: '0.0.0.0' }));
  t.notMatch(old, /0\.0\.0\.0/, 'an old-style hold names the node too');
  await t.rejects(call.reoffer('called', called.sdp({ formats: '0 101' })), { message: /offer-pending/ });
  await call.restore();
  await both('after a hold the other side refused');
  await call.reoffer('caller', elsewhere.sdp());
  await call.restore();
  await both('after a move refused once more');
  await call.restore();

  await call.reoffer('caller', caller.sdp());
  await t.rejects(call.reanswer('called', called.sdp({ formats: '0 9' })), { code: 'answer-unusable' });
  await both('after an answer that could not be used');
  await t.rejects(call.reoffer('caller', caller.sdp({ more: 'm=video 5000 RTP/AVP 31' })), {
    message: /stream-not-allowed/,
  });
  await t.rejects(call.reanswer('called', called.sdp({ formats: '0 101' })), { code: 'answer-unusable' });
  await both('after an offer that could not be used');
  await call.release();
});

t.test('a node that was not seen for a moment is looked at again soon, not at the next turn', async (t) => {
  const fake = await openFakeNode();
  t.teardown(() => fake.close());
  let asked = 0;
  fake.answer = (message, reply) => {
    if (message.command !== 'statistics') return reply;
    asked += 1;
    return asked === 1 ? { result: 'error', 'error-reason': 'not now' } : reply;
  };
  const node = {
    name: 'fake',
    pool: 'private',
    ng: fake.ng,
    cli: fake.cli,
    mediaAddress: '127.0.0.1',
  } as const;
  const { media } = await poolsOf(t, [node], { attestMs: 3_600_000 });
  t.notOk(media.status().ready.private, 'what was not seen is not used');
  await until('seen again', () => media.status().ready.private);
  t.equal(asked, 2);
});

t.test('a node that cannot do what it is asked: the next one of the pool can', async (t) => {
  const fakes = [await openFakeNode(), await openFakeNode()];
  t.teardown(() => Promise.all(fakes.map((fake) => fake.close())));
  const nodes = fakes.map(({ ng, cli }, i) => ({ name: `n${i}`, ng, cli, mediaAddress: '127.0.0.1' }));
  const { media } = await poolsOf(
    t,
    nodes.map((node) => ({ ...node, pool: 'private' as const })),
  );
  for (const fake of fakes)
    fake.answer = (message, reply) =>
      message.command === 'offer' ? { result: 'error', 'error-reason': 'of its own' } : reply;
  const caller = await phone(440);
  const id = newCallId();
  const [bad, good] = fakes;
  await t.rejects(media.anchorPrivate(id, privateDecision(id), caller.sdp()), {
    code: 'node-error',
    detail: 'command-failed',
  });
  t.ok(
    fakes.every(({ commands }) => commands.includes('offer')),
    'all were asked',
  );
  if (good === undefined) throw new Error('two nodes');
  good.answer = (_message, reply) => reply;
  for (let i = 0; i < 4; i++) {
    const other = newCallId();
    const call = await media.anchorPrivate(other, privateDecision(other), caller.sdp());
    t.equal(call.node, 'n1');
    await call.release();
  }
  t.ok(bad?.commands.includes('delete'), 'and nothing is left on the one that failed');
});

t.test('a node that says what it must not', async (t) => {
  const open = async (answer: FakeNode['answer']) => {
    const fake = await openFakeNode();
    t.teardown(() => fake.close());
    const pools = await poolsOf(t, [
      { name: 'fake', pool: 'private', ng: fake.ng, cli: fake.cli, mediaAddress: '127.0.0.1' },
    ]);
    t.ok(pools.media.status().ready.private, 'attested before');
    fake.answer = answer;
    return { fake, ...pools };
  };
  const caller = await phone(440);
  const id = newCallId();
  const recording = await open((message, reply) =>
    message.command === 'answer' ? { ...reply, recordings: ['/spool/pcaps/x.pcap'] } : reply,
  );
  const call = await recording.media.anchorPrivate(id, privateDecision(id), caller.sdp());
  const lost: string[] = [];
  call.onLost((why) => lost.push(why));
  await t.rejects(call.answer(privateDecision(id), caller.sdp({ formats: '0' })), {
    code: 'unexpected-recording',
  });
  t.strictSame(lost, ['unexpected-recording']);
  t.ok(recording.fake.commands.includes('delete'), 'the call is torn down');
  t.ok(recording.alarms().includes('attestation-failed fake: unexpected-recording'));
  await until('it is looked at', () => recording.media.attestations()[0]?.verdict === 'failed');
  t.notOk(recording.media.status().ready.private, 'and never used again');

  const elsewhere = await open((message, reply) =>
    message.command === 'offer'
      ? { ...reply, sdp: String(reply.sdp).replaceAll('127.0.0.1', '203.0.113.1') }
      : reply,
  );
  const anchored = elsewhere.media.anchorPrivate(id, privateDecision(id), caller.sdp());
  await t.rejects(anchored, { code: 'foreign-address' });

  const unknown = await open((message, reply) =>
    message.command === 'query' ? { result: 'error', 'error-reason': 'Unknown call-id' } : reply,
  );
  const forgotten = await unknown.media.anchorPrivate(id, privateDecision(id), caller.sdp());
  forgotten.onLost((why) => lost.push(why));
  t.equal(await forgotten.packets(), null);
  t.equal(lost.at(-1), 'call-unknown-to-node');

  const blind = await open((_message, reply) => reply);
  const ended = await blind.media.anchorPrivate(id, privateDecision(id), caller.sdp());
  ended.onLost((why) => lost.push(why));
  blind.fake.params = {};
  await until('it is not used meanwhile', () => !blind.media.status().ready.private);
  await until(
    'a node that shows nothing any more loses its calls',
    () => lost.at(-1) === 'attestation-unseen',
  );
});

t.test(
  'deletions: of what hangs on a call too, again where unanswered, and after everything else',
  async (t) => {
    const fake = await openFakeNode();
    t.teardown(() => fake.close());
    const node = {
      name: 'fake',
      pool: 'private',
      ng: fake.ng,
      cli: fake.cli,
      mediaAddress: '127.0.0.1',
    } as const;
    const { media } = await poolsOf(t, [node]);
    const caller = await phone(440);
    const id = newCallId();
    const anchor = async (): Promise<PrivateAnchor> => {
      const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
      await call.answer(privateDecision(id), caller.sdp({ formats: '0' }));
      fake.commands.length = 0;
      return call;
    };
    const sent = (): string[] =>
      fake.commands.filter((command) => command !== 'ping' && command !== 'statistics');

    const listened = await anchor();
    fake.answer = (message, reply) =>
      message.command === 'delete' && 'from-tag' in message
        ? { ...reply, tags: { caller: {}, x: {} } }
        : reply;
    await listened.release();
    t.strictSame(sent(), ['delete', 'delete'], 'the second by call-id alone');

    const unheard = await anchor();
    fake.answer = (message, reply) => (message.command === 'delete' ? null : reply);
    t.equal(await unheard.release(), null);
    await t.rejects(anchor(), { detail: 'call-leftover' } as never, 'its id is not taken for another call');
    fake.answer = (_message, reply) => reply;
    await until('it is deleted once more', () => fake.commands.includes('delete'));
    await until('and its id may be used again', async () => {
      const again = await media.anchorPrivate(id, privateDecision(id), caller.sdp()).catch(() => null);
      await again?.release();
      return again !== null;
    });

    const counted = await anchor();
    const party = (ssrc: number, packets: number) => ({
      medias: [
        {
          streams: [
            { SSRC: ssrc, stats: { packets } },
            { SSRC: 9, stats: { packets: 99 } },
          ],
        },
      ],
    });
    fake.answer = (message, reply) =>
      message.command === 'delete'
        ? {
            result: 'ok',
            tags: { caller: party(7, 40), called: party(8, 50) },
            SSRC: { 7: { 'cumulative loss': 3 }, 8: {} },
          }
        : reply;
    t.strictSame(await counted.release(), {
      packets: { caller: 40, called: 50 },
      lost: { caller: 3, called: 0 },
    });
    fake.answer = (_message, reply) => reply;

    const busy = await anchor();
    const works: Promise<unknown>[] = [
      busy.reoffer('caller', caller.sdp()),
      busy.restore(),
      busy.reoffer('caller', caller.sdp()),
    ];
    const settled = Promise.allSettled(works);
    await Promise.resolve();
    await busy.release();
    await settled;
    t.equal(sent().at(-1), 'delete', 'nothing follows that would make the call anew');
    await t.rejects(works[2] ?? Promise.resolve(), { message: /released/ });
  },
);

t.test('one look, judged', async (t) => {
  const params = new Map([
    ['recording-dir', '(null)'],
    ['listen-ng', '127.0.0.1:2223'],
    ['redis-db', '-1'],
    ['redis-write-db', '-1'],
  ]);
  const process = { pid: 7, startTime: 1, args: ['rtpengine'], maxFileBytes: { soft: '0', hard: '0' } };
  const good: NodeLook = {
    params,
    process,
    holdsNgPort: true,
  };
  const none = { seen: 0, isNew: false };
  const look = (change: Partial<NodeLook>, foreign: Expected['foreign'] = none): string => {
    const expected = { pool: 'private', ngPort: 2223, spool: null, foreign } as const;
    const { verdict, failures } = judge({ ...good, ...change }, expected, false);
    return [verdict, ...failures].join(' ');
  };
  const limited = (soft: string, hard: string): Partial<NodeLook> => ({
    process: { ...process, maxFileBytes: { soft, hard } },
  });
  t.equal(look({}), 'attested');
  t.equal(look(limited('0', 'unlimited')), 'failed process-may-write-files');
  t.equal(look(limited('4096', '4096')), 'failed process-may-write-files');
  t.equal(look({ process: { ...process, maxFileBytes: null } }), 'unseen');
  t.equal(look({ process: 'unreadable' }), 'unseen');
  t.equal(look({ process: 'gone' }), 'failed process-gone');
  t.equal(look({ process: undefined }), 'attested');
  t.equal(look({ params: undefined }), 'attested', 'the limit alone proves it too');
  t.equal(look({ params: null }), 'unseen');
  t.equal(look({ params: new Map([...params, ['recording-dir', '']]) }), 'failed records-although-private');
  t.equal(look({ params: new Map([...params].slice(1)) }), 'unseen');
  t.equal(look({ params: new Map([...params, ['redis-db', '0']]) }), 'failed redis-configured');
  t.equal(look({ params: undefined, process: undefined }), 'failed nothing-to-see');
  t.equal(look({}, null), 'unseen');
  t.equal(look({}, { seen: 3, isNew: false }), 'attested', 'what was told before is not told again');
  t.equal(look({}, { seen: 3, isNew: true }), 'failed foreign-command');
  t.equal(look({ holdsNgPort: false }), 'failed process-of-another-node');
});

t.test('configurations that could send a private call to a recorder are refused', async (t) => {
  const node = {
    name: 'n',
    pool: 'private',
    ng: { host: '127.0.0.1', port: 1 },
    mediaAddress: '127.0.0.1',
  } as const;
  const emit = (): void => undefined;
  const make =
    (...nodes: MediaNodeOptions[]) =>
    () =>
      createMedia({ nodes, emit });
  t.throws(make({ ...node, spool: '/tmp' }), RangeError);
  t.throws(make({ ...node, pool: 'recorded' }), RangeError);
  t.throws(make(node, { ...node, name: 'm', pool: 'recorded', spool: '/tmp' }), RangeError);
  t.throws(make(node, { ...node, ng: { host: '127.0.0.1', port: 2 } }), RangeError);
  const clock = { wall: () => 0 as never, mono: () => 0 };
  const made = new PrivateNode(node, {
    emit,
    clock,
    timing: defaultTiming,
    onAttestation: emit,
    onReaped: emit,
  });
  const methods = Object.getOwnPropertyNames(PrivateNode.prototype);
  t.strictSame(methods.sort(), ['attestationLost', 'command', 'constructor']);
  const inner = made as unknown as { command(message: BencodeDict): Promise<unknown> };
  await t.rejects(inner.command({ command: 'start recording', 'call-id': 'x' }), {
    message: /no such command/,
  });
  made.close();
});

t.end();
