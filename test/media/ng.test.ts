import dgram from 'node:dgram';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import { MediaError } from '../../src/call/ports.js';
import type { CallId } from '../../src/core/leg.js';
import {
  type Bencodable,
  type BencodeDict,
  BencodeError,
  decode,
  encode,
  MAX_DEPTH,
} from '../../src/media/bencode.js';
import { assertPrivate, assertRecorded, isPromptsRoot } from '../../src/media/closed-commands.js';
import {
  answerCommand,
  answerOfNobodyCommand,
  blockCommand,
  blockKeysCommand,
  blockPartyCommand,
  blockPartyKeysCommand,
  deleteCommand,
  hearTonesCommand,
  offerCommand,
  offerToNobodyCommand,
  pingCommand,
  playCommand,
  queryCommand,
  recordingAnswerCommand,
  statisticsCommand,
  stopPlayingCommand,
  stopRecordingCommand,
  subscribeAnswerCommand,
  subscribeCommand,
  unblockCallCommand,
  unblockCommand,
  unblockKeysCommand,
  unblockPartyCommand,
  unhearTonesCommand,
  unsubscribeCommand,
} from '../../src/media/commands.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { freeUdpPort } from '../../src/stack/free-ports.js';
import { startRtpengine } from '../../src/stack/rtpengine.js';
import { newCallId } from './decisions.js';
import { openLossyProxy } from './lossy-proxy.js';
import { until } from './rtp-phone.js';

const value: fc.Arbitrary<Bencodable> = fc.letrec<{ any: Bencodable }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.maxSafeInteger(),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'binary', maxLength: 8 }), tie('any'), { maxKeys: 4 }),
  ),
})).any;

const plain = (bencoded: Bencodable): unknown => JSON.parse(JSON.stringify(bencoded));

t.test('bencode: what is encoded is decoded to the same', async (t) => {
  fc.assert(
    fc.property(value, (given) => {
      t.strictSame(plain(decode(encode(given))), plain(given));
    }),
    { numRuns: 300 },
  );
});

t.test('bencode: hostile bytes give a BencodeError and nothing else', async (t) => {
  const harmless = (bytes: Buffer): boolean => {
    try {
      decode(bytes);
      return true;
    } catch (error) {
      return error instanceof BencodeError;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => harmless(Buffer.from(bytes))));
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (given, at, byte) => {
      const bytes = Buffer.from(encode(given));
      bytes[at % bytes.length] = byte;
      return harmless(bytes);
    }),
  );
  fc.assert(
    fc.property(value, fc.nat(), (given, at) => {
      const bytes = encode(given);
      const cut = bytes.subarray(0, at % bytes.length);
      t.throws(() => decode(cut), BencodeError);
    }),
  );
  const malformed = [
    '',
    'i5',
    'ie',
    'i05e',
    'i-0e',
    'i5ex',
    '5:abc',
    '05:abcde',
    'd1:ai1e1:ai2ee',
    'di1e1:ae',
  ];
  for (const text of [...malformed, '99999999999999999:a', 'i9007199254740993e', 'e', '-1:a']) {
    t.throws(() => decode(Buffer.from(text)), BencodeError, text);
  }
  const nested = (depth: number): Buffer => Buffer.from('l'.repeat(depth) + 'e'.repeat(depth));
  t.doesNotThrow(() => decode(nested(MAX_DEPTH)));
  t.throws(() => decode(nested(MAX_DEPTH + 2)), BencodeError);
  t.throws(() => decode(Buffer.from(`l${'0:'.repeat(20_000)}e`)), BencodeError);
  const proto = decode(Buffer.from('d9:__proto__d5:admini1eee'));
  t.equal(({} as { admin?: unknown }).admin, undefined);
  t.strictSame(Object.keys(proto as object), ['__proto__']);
});

const nowhere = 'v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 9 RTP/AVP 0\r\n';

t.test('a private node is sent nothing off the closed list', async (t) => {
  const id = newCallId();
  const mine = [
    pingCommand,
    statisticsCommand,
    offerCommand(id, 'caller', false, 'v=0', '127.0.0.1', 'rtp'),
    offerCommand(id, 'called', true, 'v=0', '::1', 'rtp'),
    answerCommand(id, 'called', 'v=0', '127.0.0.1', 'rtp'),
    blockCommand(id),
    unblockCommand(id),
    blockKeysCommand(id),
    unblockKeysCommand(id),
    queryCommand(id),
    deleteCommand(id, 'caller'),
    deleteCommand(id, null),
    playCommand(id, 'caller', '/prompts/en/greeting.wav', 1),
    playCommand(id, 'called', '/prompts/names/callers/A.b..c-1.wav', 20),
    stopPlayingCommand(id, 'caller'),
    offerToNobodyCommand(id, 'caller', 'v=0', '127.0.0.1'),
    answerOfNobodyCommand(id, 'called', nowhere, '127.0.0.1', 'rtp'),
    blockPartyCommand(id, 'caller'),
    blockPartyKeysCommand(id, 'called'),
    unblockPartyCommand(id, 'caller'),
    hearTonesCommand(id),
    unhearTonesCommand(id),
    unblockCallCommand(id),
  ];
  for (const message of mine) {
    t.doesNotThrow(() => assertPrivate(message, '/prompts'), JSON.stringify(message));
    t.doesNotThrow(() => assertRecorded(message, '/prompts'), JSON.stringify(message));
  }
  const recording = recordingAnswerCommand(id, 'called', 'v=0', '127.0.0.1', 'rtp');
  t.doesNotThrow(() => assertRecorded(recording));
  const offer = offerCommand(id, 'caller', false, 'v=0', '127.0.0.1', 'rtp');
  const foreign = [
    recording,
    { ...offer, 'record-call': 'yes' },
    { ...offer, 'record-call': 'no' },
    { ...offer, flags: ['strict-source', 'trust-address', 'port-latching', 'record-call-on'] },
    { ...offer, flags: ['asymmetric'] },
    { ...offer, 'from-tag': 'stranger' },
    { ...offer, metadata: 'x' },
    { ...offer, constructor: 'x' },
    { command: 'toString' },
    { command: ['offer'] },
    { ...deleteCommand(id, null), 'delete-delay': 30 },
    ...[
      'start recording',
      'stop recording',
      'start forwarding',
      'subscribe request',
      'subscribe answer',
      'publish',
      'play media',
      'stop media',
      'play DTMF',
      'unsubscribe',
      'silence media',
      'list',
    ].map((command) => ({ command, 'call-id': id })),
    ...recordedOnly(id),
  ];
  for (const message of foreign) t.throws(() => assertPrivate(message, '/prompts'), JSON.stringify(message));
  t.throws(
    () => assertRecorded({ ...offer, 'record-call': 'yes' }),
    'recording starts with the answer alone',
  );
  t.throws(() => assertRecorded({ ...recording, 'record-call': 'maybe' }));
  t.throws(() => assertRecorded({ command: 'start recording', 'call-id': id }));
});

t.test('nobody has no address, and listens to nothing', async (t) => {
  const id = newCallId();
  const answer = answerOfNobodyCommand(id, 'called', nowhere, '127.0.0.1', 'rtp');
  t.match(answer, { 'from-tag': 'called', 'to-tag': 'nobody' });
  const six = nowhere.replace('IP4 0.0.0.0', 'IP6 ::');
  const somewhere = [
    'v=0',
    nowhere.replace('0.0.0.0', '127.0.0.1'),
    nowhere.replace('0.0.0.0', '0.0.0.0.example'),
    six.replace('::', '::1'),
    `${nowhere}c=IN IP4 192.0.2.1\r\n`,
    nowhere.replace('IN IP4', 'IN  IP4'),
  ];
  const hears = hearTonesCommand(id);
  for (const assert of [assertPrivate, assertRecorded]) {
    t.doesNotThrow(() => assert({ ...answer, sdp: six }));
    for (const sdp of somewhere) t.throws(() => assert({ ...answer, sdp }), sdp);
    t.throws(() => assert({ ...answer, 'record-call': 'yes' }));
    t.throws(() => assert({ ...answer, 'from-tag': 'nobody' }));
    for (const mode of ['tone', 'off', 'random', 'DTMF', ''])
      t.throws(() => assert({ ...hears, 'DTMF-security': mode }), mode);
    // With these the node would not stop, or do something at a key of its own accord.
    t.throws(() => assert({ ...hears, flags: ['all', 'detect-DTMF'] }));
    t.throws(() => assert({ ...hears, trigger: '1' }));
    t.throws(() => assert({ ...hears, 'DTMF-security-trigger': '1' }));
    t.throws(() => assert(blockPartyCommand(id, 'nobody' as never)));
  }
});

const recordedOnly = (id: CallId) => [
  stopRecordingCommand(id),
  subscribeCommand(id, 'ear-1', '127.0.0.1'),
  subscribeAnswerCommand(id, 'ear-4', 'v=0'),
  unsubscribeCommand(id, 'ear-2'),
];

t.test('a node plays sounds of the prompts and nothing else, to one party', async (t) => {
  const id = newCallId();
  const play = playCommand(id, 'caller', '/prompts/en/greeting.wav', 1);
  for (const assert of [assertPrivate, assertRecorded]) {
    t.throws(() => assert(play), 'nothing where no prompts are configured');
    for (const file of [
      '/etc/passwd',
      '/prompts/../etc/x.wav',
      '/prompts/en/../../x.wav',
      '/prompts/en/..wav',
      '/prompts/.hidden/x.wav',
      '/prompts//x.wav',
      '/promptsx/x.wav',
      '/prompts/en/greeting.mp3',
      '/prompts/en/greeting.wav\n',
      '/prompts/a/b/c/d/e.wav',
      `/prompts/${'x'.repeat(200)}.wav`,
      'http://192.0.2.1/x.wav',
      '/prompts/http://192.0.2.1/x.wav',
      'greeting.wav',
      '',
    ]) {
      t.throws(() => assert({ ...play, file }, '/prompts'), file);
    }
    const { file: _file, ...noFile } = play;
    const { 'from-tag': _tag, ...toAll } = play;
    for (const more of [
      noFile,
      toAll,
      { ...play, 'from-tag': 'ear-1' },
      { ...play, blob: 'RIFF' },
      { ...play, 'db-id': 7 },
      { ...play, 'to-tag': 'called' },
      { ...play, flags: ['all'] },
      { ...play, 'repeat-times': 0 },
      { ...play, 'repeat-times': 1001 },
      { ...play, 'repeat-times': '5' },
      { ...stopPlayingCommand(id, 'caller'), flags: ['all'] },
    ]) {
      t.throws(() => assert(more, '/prompts'), JSON.stringify(more));
    }
  }
  t.ok(isPromptsRoot('/opt/sallyport/prompts'));
  for (const root of ['prompts', '/', '', '/a/../b', '/a/', '/a b', 'http://x/y', '/a:b']) {
    t.notOk(isPromptsRoot(root), root);
  }
});

t.test('a recorded node is sent nothing off its own list', async (t) => {
  const id = newCallId();
  for (const message of recordedOnly(id)) {
    t.doesNotThrow(() => assertRecorded(message), JSON.stringify(message));
    for (const key of Object.keys(message)) {
      const { [key as 'command']: _left, ...rest } = message;
      if (key === 'to-tag' || key === 'call-id' || key === 'command')
        t.throws(() => assertRecorded(rest as BencodeDict), `${message.command} without ${key}`);
    }
    t.throws(() => assertRecorded({ ...message, 'record-call': 'yes' }));
    t.throws(() => assertRecorded({ ...message, flags: ['all'] }));
    t.throws(() => assertRecorded({ ...message, 'from-tags': ['stranger'] }));
    t.throws(() => assertRecorded({ ...message, 'to-tag': 'caller' }));
    t.throws(() => assertRecorded({ ...message, 'to-tag': 'ear-5' }));
  }
  for (const command of ['start recording', 'start forwarding', 'publish', 'play DTMF', 'pause recording']) {
    t.throws(() => assertRecorded({ command, 'call-id': id }), command);
  }
});

const sdp = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 9000 RTP/AVP 0',
  '',
].join('\r\n');

/** What a test of any depth can be asked. */
interface Tearing {
  teardown(work: () => unknown): unknown;
}

t.test('against a real node', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-ng-'));
  // So that the server's own user gets there.
  await chmod(dir, 0o755);
  const node = await startRtpengine({ kind: 'private', dir, name: 'p1', portCount: 32 });
  const events: AppEvent[] = [];
  t.teardown(async () => {
    await node.stop();
    await rm(dir, { recursive: true, force: true });
  });
  const socketTo = (t: Tearing, port: number, deadlineMs = 5000): NgSocket => {
    const emit = (event: AppEvent): void => void events.push(event);
    // Slower than by default, so that a busy machine is not taken for a lossy one.
    const ng = new NgSocket({
      node: 'p1',
      host: '127.0.0.1',
      port,
      deadlineMs,
      retransmitMs: [400, 800],
      emit,
    });
    t.teardown(() => ng.close());
    return ng;
  };

  await t.test('a lost datagram is sent again, and the node does the command once', async (t) => {
    // Lost: the first offer, and the first reply to what was sent again.
    const proxy = await openLossyProxy(node.ng, (_direction, count) => count === 1);
    t.teardown(() => proxy.close());
    const ng = socketTo(t, proxy.port);
    const id = newCallId();
    const reply = await ng.ask(offerCommand(id, 'caller', false, sdp, '127.0.0.1', 'rtp'));
    t.equal(reply.result, 'ok');
    t.equal(proxy.seen.toNode.length, 3, 'three times sent');
    t.equal(new Set(proxy.seen.toNode).size, 1, 'with the same cookie and content');
    t.match(proxy.seen.toNode[0], /^[0-9a-f]{32}_/, 'a cookie of 128 random bits');
    t.equal(ng.counters.retransmitted, 2);
    const direct = socketTo(t, node.ng.port);
    const statistics = JSON.stringify(await direct.ask(statisticsCommand));
    t.match(statistics, /"sessionsown":1,/, 'one call came of it');
    await direct.ask(deleteCommand(id, null));
  });

  await t.test('a late reply is counted and hurts nobody', async (t) => {
    const ng = socketTo(t, node.ng.port, 600);
    await ng.ask(pingCommand);
    node.freeze();
    await t.rejects(ng.ask(pingCommand), { code: 'node-timeout' });
    node.thaw();
    await until('the late reply', () => ng.counters.stray > 0);
    t.equal((await ng.ask(pingCommand)).result, 'pong');
  });

  await t.test('many at once are told apart', async (t) => {
    const ng = socketTo(t, node.ng.port);
    const ids = Array.from({ length: 6 }, newCallId);
    const replies = await Promise.all(
      ids.map((id) => ng.ask(offerCommand(id, 'caller', false, sdp, '127.0.0.1', 'rtp'))),
    );
    const ports = replies.map((reply) => /m=audio (\d+)/.exec(String(reply.sdp))?.[1]);
    t.equal(new Set(ports).size, ids.length, 'each call has a port of its own');
    await Promise.all(ids.map((id) => ng.ask(deleteCommand(id, null))));
  });
  t.ok(
    events.some(
      (event) => event.event === 'ng-command' && event.command === 'offer' && event.outcome === 'ok',
    ),
  );
  t.ok(events.some((event) => event.event === 'ng-command' && event.outcome === 'node-timeout'));
});

t.test('nobody listens: refused at once, not after the deadline', async (t) => {
  const port = await freeUdpPort('127.0.0.1');
  const ng = new NgSocket({ node: 'x', host: '127.0.0.1', port, emit: () => undefined, deadlineMs: 20_000 });
  await t.rejects(ng.ask(pingCommand), { code: 'node-refused' });
  ng.close();
  await t.rejects(ng.ask(pingCommand), { message: /ng-closed/ });
});

t.test('a node that answers nonsense, and too many commands', async (t) => {
  const fake = dgram.createSocket('udp4');
  const answers: ((cookie: string) => string)[] = [];
  fake.on('message', (bytes, from) => {
    const cookie = bytes.toString('latin1').split(' ')[0] ?? '';
    const answer = answers.shift();
    if (answer !== undefined) fake.send(answer(cookie), from.port, from.address);
  });
  await new Promise<void>((resolve) => fake.bind(0, '127.0.0.1', resolve));
  t.teardown(() => fake.close());
  const { port } = fake.address();
  const ng = new NgSocket({
    node: 'x',
    host: '127.0.0.1',
    port,
    emit: () => undefined,
    deadlineMs: 400,
    retransmitMs: [50],
    maxInFlight: 2,
  });
  t.teardown(() => ng.close());
  answers.push((cookie) => `${cookie} d6:result2:okejunk`);
  await t.rejects(ng.ask(pingCommand), { message: /reply-malformed/ });
  answers.push((cookie) => `${cookie} l2:oke`);
  await t.rejects(ng.ask(pingCommand), { message: /reply-malformed/ });
  // A reply under another cookie is not taken; the one under ours, to the same datagram sent again, is.
  answers.push(
    () => 'ffffffffffffffffffffffffffffffff_0 d6:result4:fakee',
    (cookie) => `${cookie} d6:result4:ponge`,
  );
  t.equal((await ng.ask(pingCommand)).result, 'pong');
  t.equal(ng.counters.stray, 1);
  const waiting = [ng.ask(pingCommand), ng.ask(pingCommand)].map((asked) => asked.catch((error) => error));
  await t.rejects(ng.ask(pingCommand), { message: /ng-queue-full/ });
  for (const error of await Promise.all(waiting)) t.ok(error instanceof MediaError);
});
