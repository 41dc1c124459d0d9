import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { CallId } from '../../src/core/leg.js';
import { createMedia } from '../../src/media/media.js';
import { Notices } from '../../src/media/notices.js';
import { defaultSilence, Silence } from '../../src/media/silence.js';
import { SilenceWatch, type WatchedCall } from '../../src/media/silence-watch.js';
import { holdPortRange } from '../../src/stack/free-ports.js';
import { startRtpengine } from '../../src/stack/rtpengine.js';
import { newCallId, privateDecision } from './decisions.js';
import { RtpPhone, until } from './rtp-phone.js';

/** A node is not given up here for being late on a busy machine: that would be another end of its calls. */
const patient = { commandMs: 2000, pingMs: 200, pingDeadlineMs: 5000 };

t.test('who has been silent, by the packets a node has counted', async (t) => {
  const silence = new Silence({ bothMs: 100, oneMs: 300, pollMs: 10 });
  silence.begin(0);
  t.equal(silence.note({ caller: 5, called: 5 }, 10), null);
  t.equal(silence.note({ caller: 6, called: 5 }, 100), null);
  t.equal(silence.note({ caller: 7, called: 5 }, 200), null);
  t.equal(silence.note({ caller: 8, called: 5 }, 309), null);
  t.equal(silence.note({ caller: 9, called: 5 }, 310), 'called');
  t.equal(silence.note({ caller: 9, called: 6 }, 320), null, 'heard again');
  t.equal(silence.note({ caller: 9, called: 6 }, 419), null);
  t.equal(silence.note({ caller: 9, called: 6 }, 420), 'both');
  silence.begin(420);
  t.equal(silence.note({ caller: 9, called: 6 }, 519), null, 'what was before a hold counts for nothing');
  t.equal(silence.note({ caller: 0, called: 0 }, 520), null, 'another node counts from the beginning');
  const never = new Silence({ bothMs: 0, oneMs: 0, pollMs: 10 });
  never.begin(0);
  t.equal(never.note({ caller: 1, called: 1 }, 1), null);
  t.equal(never.note({ caller: 1, called: 1 }, 1e9), null, '0 is never');
  t.equal(never.isDue(1e9), false, 'and then nobody is asked');
  const due = new Silence(defaultSilence);
  due.begin(0);
  t.equal(due.isDue(defaultSilence.bothMs / 4 - 1), false, 'no oftener than the limit needs');
  t.equal(due.isDue(defaultSilence.bothMs / 4), true);
});

t.test('one list a round, and no more questions than are needed', async (t) => {
  const asked: string[] = [];
  const missing: string[] = [];
  const calls = new Map<CallId, WatchedCall>();
  const ids = Array.from({ length: 300 }, newCallId);
  const [gone = newCallId(), held = newCallId()] = ids;
  for (const id of ids)
    calls.set(id, {
      isToBeHeard: id !== held,
      isDue: () => true,
      heard: () => undefined,
      missing: () => missing.push(id),
    });
  let lists = 0;
  let named: ReadonlySet<string> | null = new Set(ids.filter((id) => id !== gone && id !== held));
  const watch = new SilenceWatch(
    {
      up: true,
      calls,
      now: () => 0,
      list: async () => {
        lists++;
        return named;
      },
      hear: async (id) => {
        asked.push(id);
        return null;
      },
      look: async () => undefined,
    },
    defaultSilence,
  );
  await Promise.all([watch.look(), watch.look()]);
  t.equal(lists, 2, 'one, and one more because somebody was missing');
  t.strictSame(missing, [gone], 'who is held is not looked for');
  t.equal(asked.length, 200, 'a round has a bound');
  named = null;
  missing.length = 0;
  await watch.look();
  t.strictSame(missing, [], 'a list that is not to be had says nothing of anybody');
});

t.test('a node finds a call that has died, or has given it up itself', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-silence-'));
  await chmod(dir, 0o755);
  const node = await startRtpengine({ kind: 'private', dir, name: 'p', portCount: 64, timeout: 6 });
  t.teardown(async () => {
    await node.stop();
    await rm(dir, { recursive: true, force: true });
  });
  const open = async (bothMs: number, oneMs: number) => {
    const media = createMedia({
      nodes: [
        { name: 'p', pool: 'private', ng: node.ng, cli: node.cli, pid: node.pid, mediaAddress: '127.0.0.1' },
      ],
      emit: () => undefined,
      peerNetworks: ['127.0.0.0/8'],
      timing: { ...patient, attestMs: 300, silence: { bothMs, oneMs, pollMs: 100 } },
    });
    t.teardown(() => media.close());
    await media.start();
    return media;
  };
  const up = async (media: Awaited<ReturnType<typeof open>>) => {
    const phones = [await new RtpPhone({ hz: 440 }).open(), await new RtpPhone({ hz: 1000 }).open()] as const;
    for (const phone of phones) t.teardown(() => phone.close());
    const [caller, called] = phones;
    const id = newCallId();
    const decision = privateDecision(id);
    const call = await media.anchorPrivate(id, decision, caller.sdp());
    const silent: string[] = [];
    const lost: string[] = [];
    call.onSilent?.((why) => silent.push(why));
    call.onLost((why) => lost.push(why));
    const answer = await call.answer(decision, called.sdp({ formats: '0 101' }));
    await call.open();
    caller.talkTo(answer);
    called.talkTo(call.offerForCalled);
    await until('sound both ways', () => caller.hears(1000) && called.hears(440));
    return { id, call, caller, called, silent, lost };
  };
  // Far apart: on a busy machine a look comes late, and takes a last packet of the one for half a second more of it.
  const short = await open(1000, 2500);
  const long = await open(600_000, 600_000);
  const [one, given] = [await up(short), await up(long)];
  one.called.stop();
  await until('one party is silent', () => one.silent.length > 0);
  t.strictSame(one.silent, ['silent-called']);
  given.caller.stop();
  given.called.stop();
  await until('the node gave the call up', () => given.silent.length > 0, 30_000);
  t.strictSame(
    [given.silent, given.lost],
    [['node-timed-out'], []],
    'the node lives: its call is not lost with it',
  );
  await given.call.release();
  // Who goes on sending to a port is counted at it for whichever call has it next.
  one.caller.stop();
  await one.call.release();

  const both = await up(short);
  const held = await up(short);
  const { caller, called, call } = held;
  const forCalled = await call.reoffer('caller', caller.sdp({ direction: 'sendonly' }));
  t.match(forCalled, /a=sendonly/);
  await call.reanswer('called', called.sdp({ formats: '0 101', direction: 'recvonly' }));
  caller.stop();
  // Its called party goes on sending, as some do on hold: the node's own limit is shorter than that of a held call.
  both.caller.stop();
  both.called.stop();
  await until('both are silent', () => both.silent.length > 0);
  t.strictSame(both.silent, ['silent-both']);
  const after = await up(short);
  after.caller.stop();
  await until('and another one after it', () => after.silent.length > 0);
  t.strictSame(after.silent, ['silent-caller']);
  t.strictSame([held.silent, held.lost], [[], []], 'a call on hold may be silent for as long as it likes');
  await call.reoffer('caller', caller.sdp());
  await call.reanswer('called', called.sdp({ formats: '0 101' }));
  await until('resumed, and silent', () => held.silent.length + held.lost.length > 0);
  t.strictSame([held.silent, held.lost], [['silent-caller'], []], 'from then on it may not');
});

t.test('a node says itself that it gave a call up, and nobody else is believed', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-notices-'));
  await chmod(dir, 0o755);
  const held = await holdPortRange('127.0.0.1', 16);
  const notices = { host: '127.0.0.1', port: held.min + 1 };
  const node = await startRtpengine({ kind: 'private', dir, name: 'n', portCount: 64, timeout: 2, notices });
  const media = createMedia({
    nodes: [
      { name: 'n', pool: 'private', ng: node.ng, cli: node.cli, pid: node.pid, mediaAddress: '127.0.0.1' },
    ],
    emit: () => undefined,
    peerNetworks: ['127.0.0.0/8'],
    // Asked so seldom that only the node itself can tell in time.
    timing: { ...patient, silence: { bothMs: 600_000, oneMs: 600_000, pollMs: 600_000 } },
    notices,
  });
  t.teardown(async () => {
    media.close();
    await node.stop();
    await held.release();
    await rm(dir, { recursive: true, force: true });
  });
  await media.start();
  t.strictSame(media.notices(), notices);
  const phones = [await new RtpPhone({ hz: 440 }).open(), await new RtpPhone({ hz: 1000 }).open()] as const;
  for (const phone of phones) t.teardown(() => phone.close());
  const [caller, called] = phones;
  const id = newCallId();
  const decision = privateDecision(id);
  const call = await media.anchorPrivate(id, decision, caller.sdp());
  const silent: string[] = [];
  call.onSilent?.((why) => silent.push(why));
  call.onLost((why) => silent.push(`lost: ${why}`));
  const answer = await call.answer(decision, called.sdp({ formats: '0 101' }));
  await call.open();
  caller.talkTo(answer);
  called.talkTo(call.offerForCalled);
  await until('sound both ways', () => caller.hears(1000) && called.hears(440));

  const url = `http://${notices.host}:${notices.port}/`;
  const teardown = (of: string): string =>
    `<methodCall><methodName>teardown</methodName><params><param><value><string>${of}</string></value></param></params></methodCall>`;
  const posted = async (body: string): Promise<number> => (await fetch(url, { method: 'POST', body })).status;
  t.equal(await posted(teardown(id)), 200);
  t.equal(await posted(teardown(newCallId())), 200, 'a call nobody knows');
  t.equal(await posted(teardown('../x')), 400);
  t.equal(await posted(teardown(id).replace('teardown', 'reboot')), 400);
  t.equal(await posted(''), 400);
  t.equal((await fetch(url)).status, 405);
  await t.rejects(
    posted('x'.repeat(100_000)).then((status) =>
      status === 413 ? Promise.reject(new Error('413')) : status,
    ),
    'a flood is cut off',
  );
  await until('still both ways', () => caller.hears(1000) && called.hears(440));
  t.strictSame(silent, [], 'what anybody could send ends no call');

  caller.stop();
  called.stop();
  await until('the node said so', () => silent.length > 0, 30_000);
  t.strictSame(silent, ['node-timed-out']);
  await call.release();

  for (const host of ['0.0.0.0', '::', 'here'])
    t.throws(() => new Notices({ host, port: 0 }, [], () => undefined), RangeError, host);
  const elsewhere = new Notices({ host: '127.0.0.1', port: 0 }, ['127.0.0.66'], () => t.fail('not believed'));
  await elsewhere.open();
  t.teardown(() => elsewhere.close());
  const other = `http://127.0.0.1:${elsewhere.address?.port}/`;
  t.equal((await fetch(other, { method: 'POST', body: teardown(id) })).status, 403);
});
