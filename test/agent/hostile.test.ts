/**
 * Floods and hostile input, with somebody who only wants to phone: during each of them every OPTIONS of a trunk is
 * answered and every call of it goes through, and afterwards nothing is left of the flood.
 */
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, type ShedCount, startAgent } from '../../src/agent/agent.js';
import { fromRoot } from '../../src/root.js';
import { mutate, randomFrom } from './mutation.js';
import {
  type Frame,
  header,
  Inbox,
  RawApp,
  RawTcp,
  type Received,
  request,
  sdp,
  startsWith,
  token,
  until,
} from './support.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The live heap, once what is about to die has died. */
const heap = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
};

/** A peer at an address of its own: who it is follows from it. */
class Peer {
  readonly inbox = new Inbox<Received>();
  readonly #socket = createSocket('udp4');
  /** What came is counted by its first line, and kept only where somebody waits for it. */
  readonly seen = new Map<string, number>();
  keep = true;
  port = 0;
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  static async open(test: Test, address: string): Promise<Peer> {
    const peer = new Peer(address);
    peer.#socket.on('message', (data, from) => {
      const text = data.toString('latin1');
      const status = text.slice(0, 11);
      peer.seen.set(status, (peer.seen.get(status) ?? 0) + 1);
      if (peer.keep) peer.inbox.push({ text, address: from.address, port: from.port });
    });
    await new Promise<void>((resolve) => peer.#socket.bind(0, address, resolve));
    peer.port = peer.#socket.address().port;
    test.teardown(() => peer.#socket.close());
    return peer;
  }

  send(data: string, port: number): void {
    this.#socket.send(Buffer.from(data, 'latin1'), port, '127.0.0.1');
  }

  request(options: Partial<Parameters<typeof request>[0]> = {}): string {
    return request({ port: this.port, ...options }).replaceAll(
      `127.0.0.1:${this.port}`,
      `${this.address}:${this.port}`,
    );
  }

  next(callId: string, ...starts: string[]): Promise<Received> {
    const fits = startsWith(...starts);
    return this.inbox.next(
      (m) => fits(m) && header(m.text, 'Call-ID') === callId,
      starts.join(' or '),
      10_000,
    );
  }
}

const trunk = (name: string, address: string, more: object = {}) => ({
  name,
  addresses: [address],
  transports: ['udp', 'tcp'] as const,
  proves: false,
  calls: true,
  ...more,
});

interface House {
  readonly agent: Agent;
  readonly port: number;
  readonly tcp: number;
  readonly app: RawApp;
  readonly shed: ShedCount[];
  /** INVITEs the application was handed. */
  handed: number;
  /** What it answers to an INVITE of that Call-ID; undefined for not at all. */
  answer: (invite: Frame) => number | undefined;
}

/** An agent, and an application that answers each request as it comes and keeps nothing. */
async function house(test: Test, options: Partial<AgentOptions> = {}): Promise<House> {
  const shed: ShedCount[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    timers: { t1: 20, t2: 80, t4: 100 },
    ...options,
    ...(options.door === undefined
      ? {}
      : {
          door: {
            loopDelay: () => 0,
            ...options.door,
            onShed: (counts: readonly ShedCount[]) => shed.push(...counts),
          },
        }),
  });
  const app = await RawApp.open(
    agent.appPort,
    'sesame',
    'invite',
    'options',
    'register',
    'message',
    'info',
    'bye',
  );
  const it: House = {
    agent,
    port: agent.sip[0]?.port ?? 0,
    tcp: agent.sip[1]?.port ?? 0,
    app,
    shed,
    handed: 0,
    answer: () => 200,
  };
  const keep = app.inbox.push.bind(app.inbox);
  app.inbox.push = (frame) => {
    if (frame.tokens[1] !== 'sip') return;
    const [method = ''] = frame.sip.split(' ', 1);
    const txnId = frame.tokens[8] ?? '';
    if (method === 'ACK' || method === 'CANCEL' || method.startsWith('SIP/')) return;
    if (method === 'INVITE') it.handed++;
    const status = method === 'INVITE' ? it.answer(frame) : 200;
    if (status === undefined) return;
    const congested = status === 503 ? ['Reason: Q.850;cause=42'] : [];
    app.sip(
      txnId,
      '',
      `SIP/2.0 ${status} Reason`,
      congested,
      status === 200 && method === 'INVITE' ? sdp() : '',
    );
  };
  void keep;
  test.teardown(async () => {
    app.socket.destroy();
    await agent.stop();
  });
  return it;
}

let probes = 0;

/**
 * A call that is answered and hung up, and every tenth time an OPTIONS before it: a trunk may send a hundred of those a
 * second. Rejects where any of it is not answered.
 */
async function liveness(it: House, peer: Peer): Promise<void> {
  if (probes++ % 10 === 0) {
    const options = peer.request({ method: 'OPTIONS', contact: false });
    peer.send(options, it.port);
    await peer.next(header(options, 'Call-ID'), 'SIP/2.0 200');
  }
  const call = await callUp(it, peer);
  await hangUp(it, peer, call);
  peer.inbox.items.length = 0;
}

interface Call {
  readonly callId: string;
  readonly invite: string;
  readonly answer: string;
}

async function callUp(it: House, peer: Peer): Promise<Call> {
  const invite = peer.request({ body: sdp(), lines: ['Content-Type: application/sdp'] });
  const callId = header(invite, 'Call-ID');
  peer.send(invite, it.port);
  const { text: answer } = await peer.next(callId, 'SIP/2.0 2', 'SIP/2.0 4', 'SIP/2.0 5');
  if (!answer.startsWith('SIP/2.0 200')) throw new Error(`the call got ${answer.slice(0, 40)}`);
  const call = { callId, invite, answer };
  peer.send(within(peer, call, 'ACK', 1), it.port);
  return call;
}

const within = (peer: Peer, { callId, invite, answer }: Call, method: string, seq: number): string =>
  peer.request({
    method,
    callId,
    seq,
    to: header(answer, 'To'),
    fromTag: /;tag=(\S+)/.exec(header(invite, 'From'))?.[1] ?? '',
  });

async function hangUp(it: House, peer: Peer, call: Call): Promise<void> {
  peer.inbox.items.length = 0;
  peer.send(within(peer, call, 'BYE', 2), it.port);
  await peer.next(call.callId, 'SIP/2.0 200');
}

const forgotten = async (it: House): Promise<void> => {
  await until(
    'all is forgotten',
    () => {
      const { serverTransactions, pendingRequests, dialogs, timers } = it.agent.stats();
      return serverTransactions === 0 && pendingRequests === 0 && dialogs === 0 && timers <= 2;
    },
    20_000,
  );
};

/** Within a tenth of what it was, and half a megabyte for what the runtime itself keeps. */
const isBack = (before: number, after: number): boolean => after < before * 1.1 + 512 * 1024;
const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

t.test('100,000 mutated messages: no probe is missed, nothing is left', async (t) => {
  const seed = Number(process.env.AGENT_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.comment(`AGENT_SEED=${seed}`);
  const random = randomFrom(seed);
  // Without a door everything is read in full.
  const it = await house(t);
  const honest = await Peer.open(t, '127.0.0.2');
  const hostile = await Peer.open(t, '127.0.0.3');
  hostile.keep = false;
  const folder = fromRoot('test', 'agent', 'rfc4475');
  const sources = [
    ...readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`).toString('latin1')),
    ...['INVITE', 'OPTIONS', 'BYE', 'CANCEL', 'ACK', 'REGISTER', 'INFO', 'PRACK', 'UPDATE'].map((method) =>
      hostile.request({ method, body: method === 'INVITE' ? sdp() : '' }),
    ),
  ];
  it.answer = (invite) => (invite.sip.includes('127.0.0.2') ? 200 : 486);
  const batch = async (messages: number): Promise<void> => {
    for (let i = 0; i < messages; i++) {
      const source = sources[Math.floor(random() * sources.length)] ?? '';
      const fresh = source
        .replace(/branch=[^;,\r\n]*/, `branch=z9hG4bK${token()}`)
        .replace(/^(Call-ID|i) *:.*$/im, `Call-ID: ${token()}`);
      hostile.send(mutate(fresh, random), it.port);
    }
    await liveness(it, honest);
  };
  let before = 0;
  for (let round = 0; round < 1000; round++) {
    await batch(100);
    if (round === 200) {
      await forgotten(it);
      before = await heap();
    }
  }
  await forgotten(it);
  const after = await heap();
  t.ok(isBack(before, after), `${mb(before)} MB before, ${mb(after)} MB after`);
  t.equal(it.agent.stats().appConnections, 1, 'the application is still there');
  const { refused, dropped } = it.agent.stats();
  t.ok(refused.malformed > 1000 && dropped.malformed > 100, 'they were hostile');
});

t.test('streams: one byte at a time, heads without end, lengths that lie, and slow ones', async (t) => {
  const limits = { tcpMessageMs: 300, connectionsPerSource: 40, messageBytes: 16 * 1024 };
  const it = await house(t, {
    limits,
    door: { sources: [trunk('honest', '127.0.0.2'), trunk('streams', '127.0.0.1')] },
  });
  const honest = await Peer.open(t, '127.0.0.2');
  const before = await heap();
  const tcp = (options: Partial<Parameters<typeof request>[0]> = {}) =>
    request({ transport: 'TCP', port: 5060, ...options });

  await t.test('one byte at a time is a call like any other', async (t) => {
    const peer = await RawTcp.open(it.tcp);
    const invite = tcp({ body: sdp(), lines: ['Content-Type: application/sdp'] });
    for (const byte of Buffer.from(invite, 'latin1')) {
      await new Promise<void>((resolve) => peer.socket.write(Buffer.of(byte), () => resolve()));
    }
    const answer = await peer.next('SIP/2.0 200');
    const follow = (method: string, seq: number): string =>
      tcp({
        method,
        seq,
        callId: header(invite, 'Call-ID'),
        to: header(answer, 'To'),
        fromTag: /;tag=(\S+)/.exec(header(invite, 'From'))?.[1] ?? '',
      });
    peer.socket.write(follow('ACK', 1) + follow('BYE', 2));
    const over = await peer.inbox.next((text) => /^CSeq: 2 BYE/m.test(text), 'answer to the BYE');
    t.match(over, /^SIP\/2.0 200/);
    peer.socket.destroy();
    await liveness(it, honest);
  });

  const never: Readonly<Record<string, (i: number) => string>> = {
    'a header line without end': (i) =>
      i === 0 ? `${tcp().split('\r\n\r\n', 1)[0]}\r\nX-Long: ` : 'x'.repeat(4096),
    'header lines without end': (i) =>
      i === 0 ? tcp().split('\r\n\r\n', 1)[0] + '\r\n' : 'X-More: y\r\n'.repeat(300),
    'line ends without end': () => '\r\n'.repeat(5000),
    'a first line without end': () => 'INVITE'.repeat(700),
  };
  for (const [what, piece] of Object.entries(never)) {
    await t.test(`${what}: the connection is closed, or costs nothing`, async (t) => {
      const peer = await RawTcp.open(it.tcp);
      for (let i = 0; i < 60 && !peer.closed; i++) {
        await new Promise<void>((resolve) => peer.socket.write(piece(i), () => resolve()));
        if (i % 20 === 0) await liveness(it, honest);
      }
      if (!what.startsWith('line ends')) await until('closed', () => peer.closed);
      peer.socket.destroy();
      await until('gone', () => it.agent.stats().tcpConnections === 0);
      t.equal(it.agent.stats().pendingRequests, 0);
    });
  }

  await t.test('lengths that lie', async (t) => {
    for (const length of [
      '-1',
      '99999999999',
      '5\r\nContent-Length: 7',
      'five',
      '0x10',
      '17000',
      '1e3',
      '4294967297',
    ]) {
      const peer = await RawTcp.open(it.tcp);
      const text = tcp().replace(/Content-Length: 0/, `Content-Length: ${length}`);
      peer.socket.write(text);
      peer.socket.write(tcp({ method: 'OPTIONS', contact: false }));
      await until(`closed after ${length}`, () => peer.closed);
      t.notOk(
        peer.inbox.items.some((answer) => answer.startsWith('SIP/2.0 2')),
        'nothing behind it is taken for a message',
      );
      await liveness(it, honest);
    }
    const peer = await RawTcp.open(it.tcp);
    // Shorter than the body: what is over is the beginning of the next message, and not one.
    peer.socket.write(tcp({ body: sdp() }).replace(/Content-Length: \d+/, 'Content-Length: 3'));
    await until('closed', () => peer.closed);
    await liveness(it, honest);
  });

  await t.test('slow ones are bounded, and closed', async (t) => {
    const peers: RawTcp[] = [];
    for (let i = 0; i < 100; i++) peers.push(await RawTcp.open(it.tcp));
    for (const peer of peers) peer.socket.write('INVITE sip:x SIP/2.0\r\n');
    await until('over the bound: closed', () => peers.filter(({ closed }) => closed).length >= 60);
    t.ok(it.agent.stats().tcpConnections <= 40);
    const dribble = setInterval(() => {
      for (const peer of peers) if (!peer.closed) peer.socket.write('X');
    }, 20);
    t.teardown(() => clearInterval(dribble));
    await liveness(it, honest);
    await until('slow: closed', () => it.agent.stats().tcpConnections === 0);
    t.equal(it.agent.stats().dropped['tcp-slow'] >= 40, true);
    await liveness(it, honest);
  });
  await forgotten(it);
  t.ok(isBack(before, await heap()));
});

t.test('10,000 half-open INVITEs', async (t) => {
  const it = await house(t, { timers: { t1: 150, t2: 2000, t4: 100 } });
  const honest = await Peer.open(t, '127.0.0.2');
  const hostile = await Peer.open(t, '127.0.0.3');
  hostile.keep = false;
  await liveness(it, honest);
  await forgotten(it);
  const before = await heap();
  it.answer = (invite) => (invite.sip.includes('127.0.0.2') ? 200 : 486);
  let most = 0;
  for (let i = 0; i < 10_000; i++) {
    hostile.send(hostile.request(), it.port);
    if (i % 250 === 249) await liveness(it, honest);
    most = Math.max(most, it.agent.stats().serverTransactions);
  }
  t.ok(most > 3000, `${most} waited for their ACK at once`);
  await forgotten(it);
  const after = await heap();
  t.ok(isBack(before, after), `${mb(before)} MB before, ${mb(after)} MB after`);
});

t.test('a flood from nowhere fills nothing and stops nobody', async (t) => {
  const it = await house(t, { door: { sources: [trunk('honest', '127.0.0.2')] } });
  const honest = await Peer.open(t, '127.0.0.2');
  const stranger = await Peer.open(t, '127.0.0.9');
  stranger.keep = false;
  await liveness(it, honest);
  const call = await callUp(it, honest);
  const calls = it.handed;
  const before = await heap();
  const began = performance.now();
  const methods = ['INVITE', 'INVITE', 'OPTIONS', 'REGISTER', 'MESSAGE'];
  let most = 0;
  for (let i = 0; i < 20_000; i++) {
    stranger.send(stranger.request({ method: methods[i % methods.length] ?? '' }), it.port);
    if (i % 200 === 199) await liveness(it, honest);
    most = Math.max(most, it.agent.stats().serverTransactions);
  }
  const seconds = (performance.now() - began) / 1000;
  const own = 100;
  // Ten a second reach the application, and twenty at once: so its rows show that somebody is there.
  t.ok(it.handed - calls - own <= 20 + 10 * seconds + 1, `${it.handed - calls - own} in ${seconds} s`);
  t.ok(most < 1000, `${most} transactions at most`);
  t.ok((stranger.seen.get('SIP/2.0 403') ?? 0) > 15_000, 'the others are told 403');
  await hangUp(it, honest, call);
  await forgotten(it);
  it.agent.stats();
  const after = await heap();
  t.ok(isBack(before, after), `${mb(before)} MB before, ${mb(after)} MB after`);
  await until('the flood is told of', () => it.shed.some(({ why }) => why === 'unknown-source'));
  t.ok(it.shed.every(({ source, why }) => source === null && why === 'unknown-source'));
});

t.test('a trunk over its rate', async (t) => {
  const rate = { perSecond: 20, burst: 30 };
  const it = await house(t, {
    door: { sources: [trunk('honest', '127.0.0.2'), trunk('loud', '127.0.0.3', { rate })] },
  });
  const honest = await Peer.open(t, '127.0.0.2');
  const loud = await Peer.open(t, '127.0.0.3');
  const call = await callUp(it, loud);
  const began = performance.now();
  const refused: string[] = [];
  const total = 600;
  for (let wave = 0; wave < total / 50; wave++) {
    const invites = Array.from({ length: 50 }, () => loud.request());
    for (const invite of invites) loud.send(invite, it.port);
    for (const invite of invites) {
      const { text } = await loud.next(header(invite, 'Call-ID'), 'SIP/2.0 2', 'SIP/2.0 5');
      if (text.startsWith('SIP/2.0 503')) refused.push(text);
    }
    loud.inbox.items.length = 0;
    await liveness(it, honest);
  }
  const taken = total - refused.length;
  const allowed = 30 + (20 * (performance.now() - began)) / 1000;
  t.ok(taken <= allowed + 1 && taken >= 29, `${taken} taken, ${allowed} allowed`);
  const after = new Set(refused.map((text) => Number(header(text, 'Retry-After'))));
  t.ok(
    [...after].every((seconds) => seconds >= 5 && seconds <= 15) && after.size > 3,
    'spread over some seconds',
  );
  t.equal(
    new Set(refused.map((text) => header(text, 'To'))).size,
    refused.length,
    'each with a tag of its own',
  );

  const last = refused.at(-1) ?? '';
  const ack = last
    .replace(/^SIP[^\r]*/, 'ACK sip:100@127.0.0.1 SIP/2.0')
    .replace(/CSeq: 1 INVITE/, 'CSeq: 1 ACK')
    .replace(/Retry-After[^\r]*\r\n/, '');
  loud.send(ack, it.port);
  await until('its ACK is absorbed', () => it.agent.stats().dropped['shed-ack'] === 1);

  // The same INVITE again crosses the refusal: let in, it would ring somebody for nobody.
  let invite = '';
  let first = '';
  while (!first.startsWith('SIP/2.0 503')) {
    invite = loud.request();
    loud.send(invite, it.port);
    ({ text: first } = await loud.next(header(invite, 'Call-ID'), 'SIP/2.0 2', 'SIP/2.0 503'));
  }
  loud.send(invite, it.port);
  const { text: second } = await loud.next(header(invite, 'Call-ID'), 'SIP/2.0 503');
  t.equal(header(second, 'To'), header(first, 'To'), 'with the same tag');

  await t.test('what belongs to a call is not counted', async (t) => {
    const again = within(loud, call, 'INVITE', 2);
    loud.send(again, it.port);
    await loud.next(call.callId, 'SIP/2.0 200');
    loud.send(within(loud, call, 'ACK', 2), it.port);
    loud.inbox.items.length = 0;
    loud.send(within(loud, call, 'BYE', 3), it.port);
    t.match((await loud.next(call.callId, 'SIP/2.0 200')).text, /CSeq: 3 BYE/);
    loud.send(loud.request({ method: 'OPTIONS', contact: false }), it.port);
    await loud.inbox.next((m) => m.text.startsWith('SIP/2.0 200') && /CSeq: 1 OPTIONS/.test(m.text));
  });
  await until('the trunk is told of', () =>
    it.shed.some(({ source, why }) => source === 'loud' && why === 'rate'),
  );
});

t.test('an application that is too busy is handed what it takes, and fairly', async (t) => {
  const it = await house(t, {
    door: { sources: [trunk('quiet', '127.0.0.2'), trunk('loud', '127.0.0.3')] },
  });
  const quiet = await Peer.open(t, '127.0.0.2');
  const loud = await Peer.open(t, '127.0.0.3');
  loud.keep = false;
  // It takes a hundred a second.
  let tokens = 10;
  let at = performance.now();
  it.answer = () => {
    const now = performance.now();
    tokens = Math.min(10, tokens + (now - at) / 10);
    at = now;
    if (tokens < 1) return 503;
    tokens -= 1;
    return 486;
  };
  const end = performance.now() + 4000;
  let sent = 0;
  let asked = 0;
  let taken = 0;
  for (let nextQuiet = 0; performance.now() < end; ) {
    for (let i = 0; i < 10; i++, sent++) loud.send(loud.request(), it.port);
    if (performance.now() >= nextQuiet) {
      nextQuiet = performance.now() + 100;
      const invite = quiet.request();
      quiet.send(invite, it.port);
      const { text } = await quiet.next(header(invite, 'Call-ID'), 'SIP/2.0 4', 'SIP/2.0 5');
      asked++;
      if (text.startsWith('SIP/2.0 486')) taken++;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { refused, callRate } = it.agent.stats();
  t.not(callRate, null, 'calls are bounded');
  t.ok(refused.shed > sent / 4, `${refused.shed} of ${sent} were turned away at the door`);
  t.ok(it.handed < sent / 2 + asked, `${it.handed} were handed on`);
  t.comment(`${taken} of ${asked} of the quiet trunk; loud ${JSON.stringify([...loud.seen])}`);
  const ofLoud = (it.handed - asked) / sent;
  t.ok(taken / asked > 1.5 * ofLoud, `the quiet trunk is served, ${ofLoud} of the loud one is let in`);

  it.answer = () => 486;
  await until(
    'the bound is gone when there is nothing to bound',
    () => {
      quiet.send(quiet.request(), it.port);
      quiet.inbox.items.length = 0;
      return it.agent.stats().callRate === null;
    },
    20_000,
  );
});

t.test('an application that says nothing at all gets no more calls until it does', async (t) => {
  const it = await house(t, { door: { sources: [trunk('honest', '127.0.0.2')] } });
  const honest = await Peer.open(t, '127.0.0.2');
  it.answer = () => undefined;
  await until(
    'turned away',
    () => {
      honest.send(honest.request(), it.port);
      return (honest.seen.get('SIP/2.0 503') ?? 0) > 0;
    },
    20_000,
  );
  t.ok(it.handed >= 8, `${it.handed} were handed on before`);
  await it.app.send('ping');
  it.answer = () => 486;
  await until(
    'let in again',
    () => {
      honest.send(honest.request(), it.port);
      return (honest.seen.get('SIP/2.0 486') ?? 0) > 0;
    },
    20_000,
  );
  await until('the silence is told of', () => it.shed.some(({ why }) => why === 'silent'));
});
