import { createSocket, type Socket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import SrfClass from 'drachtio-srf';
import t, { type Test } from 'tap';
import { type Agent, type AgentEvent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { fromRoot } from '../../src/root.js';
import { mutate, randomFrom } from './mutation.js';
import { header, Inbox, RawApp, RawTcp, RawUdp, request, response, sdp, token, until } from './support.js';

const folder = fromRoot('test', 'agent', 'rfc4475');
const names = readdirSync(folder).filter((name) => name.endsWith('.dat'));
const message = (name: string): Buffer => readFileSync(`${folder}/${name}`);

type Answer = number | 'drop';

/**
 * What each message of RFC 4475 gets from the agent with an application behind it that answers INVITE with 486 and
 * OPTIONS, REGISTER and MESSAGE with 200. Section of the RFC, answer, and why where it is not plain.
 */
const expected: Readonly<Record<string, readonly [section: string, answer: Answer, why?: string]>> = {
  wsinv: ['3.1.1.1', 481, 'valid, read in full; its To has a tag, and there is no such dialog'],
  intmeth: ['3.1.1.2', 400, 'valid, but has an escaped NUL, which the agent does not let through'],
  esc01: ['3.1.1.3', 486],
  escnull: ['3.1.1.4', 200],
  esc02: ['3.1.1.5', 501, 'RE%47IST%45R is a method of its own'],
  lwsdisp: ['3.1.1.6', 200],
  longreq: ['3.1.1.7', 486],
  dblreq: ['3.1.1.8', 200, 'only the first of the two requests'],
  semiuri: ['3.1.1.9', 200],
  transports: ['3.1.1.10', 200],
  mpart01: ['3.1.1.11', 200],
  unreason: ['3.1.1.12', 'drop', 'a response to nothing'],
  noreason: ['3.1.1.13', 'drop', 'a response to nothing'],
  badinv01: ['3.1.2.1', 400],
  clerr: ['3.1.2.2', 400],
  ncl: ['3.1.2.3', 400],
  scalar02: ['3.1.2.4', 400],
  scalarlg: ['3.1.2.5', 'drop'],
  quotbal: ['3.1.2.6', 400],
  ltgtruri: ['3.1.2.7', 400],
  lwsruri: ['3.1.2.8', 400],
  lwsstart: ['3.1.2.9', 400],
  trws: ['3.1.2.10', 400],
  escruri: ['3.1.2.11', 400],
  baddate: ['3.1.2.12', 486, 'the agent does not read Date'],
  regbadct: ['3.1.2.13', 400],
  badaspec: ['3.1.2.14', 400],
  baddn: ['3.1.2.15', 400],
  badvers: ['3.1.2.16', 505],
  mismatch01: ['3.1.2.17', 400],
  mismatch02: ['3.1.2.18', 400, 'the RFC allows 501 as well'],
  bigcode: ['3.1.2.19', 'drop'],
  badbranch: ['3.2.1', 200, 'matched as RFC 2543 did'],
  insuf: ['3.3.1', 'drop', 'without From, To and Call-ID there is no answer to build'],
  unkscm: ['3.3.2', 416],
  novelsc: ['3.3.3', 416],
  unksm2: ['3.3.4', 200, 'To, From and Contact may have any scheme in a REGISTER'],
  bext01: ['3.3.5', 420],
  invut: ['3.3.6', 486, "bodies are the application's"],
  regaut01: ['3.3.7', 200, "credentials are the application's"],
  multi01: ['3.3.8', 400],
  mcl01: ['3.3.9', 400],
  bcast: ['3.3.10', 'drop', 'not our Via'],
  zeromf: ['3.3.11', 483],
  cparam01: ['3.3.12', 200],
  cparam02: ['3.3.13', 200],
  regescrt: ['3.3.14', 200],
  sdp01: ['3.3.15', 486],
  inv2543: ['3.4.1', 400, 'no Contact, so nowhere to send the requests of the dialog'],
  test: ['none', 'drop', 'no SIP version and no Via: not of the RFC'],
};

interface Live {
  readonly agent: Agent;
  readonly port: number;
  readonly tcp: number;
  readonly events: AgentEvent[];
  readonly handed: string[];
  readonly unreadable: string[];
  /** An OPTIONS that must be answered by the application; resolves with the milliseconds it took. */
  probe(): Promise<number>;
}

interface SrfRequest {
  readonly msg: { readonly raw: string };
  has(name: string): boolean;
  getParsedHeader(name: string): unknown;
}

interface SrfLike {
  connect(options: object): void;
  disconnect(): void;
  use(method: string, handler: (req: SrfRequest, res: { send(status: number): void }) => void): void;
  on(event: string, done: (error: unknown) => void): void;
}

async function live(test: Test, options: Partial<AgentOptions>, invite: number | 'silent'): Promise<Live> {
  const events: AgentEvent[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    log: (event) => events.push(event),
    ...options,
  });
  const srf = new SrfClass() as unknown as SrfLike;
  const handed: string[] = [];
  /** What the application's library makes of a message: the headers it reads by itself must be readable, and quickly. */
  const unreadable: string[] = [];
  const take = (req: SrfRequest): void => {
    handed.push(req.msg.raw);
    const start = process.cpuUsage();
    for (const name of ['from', 'to', 'cseq', 'contact', 'refer-to', 'p-asserted-identity']) {
      if (!req.has(name)) continue;
      try {
        req.getParsedHeader(name);
      } catch {
        unreadable.push(`${name} of ${JSON.stringify(req.msg.raw)}`);
      }
    }
    // Of the processor, and not of the clock: the machine has other things to do.
    if (process.cpuUsage(start).user > 250_000) unreadable.push(`slow ${JSON.stringify(req.msg.raw)}`);
  };
  for (const method of ['options', 'register', 'message', 'info', 'subscribe', 'notify', 'refer']) {
    srf.use(method, (req, res) => {
      take(req);
      res.send(200);
    });
  }
  srf.use('invite', (req, res) => {
    take(req);
    if (invite !== 'silent') res.send(invite);
  });
  srf.connect({ host: '127.0.0.1', port: agent.appPort, secret: 'sesame' });
  await new Promise((resolve) => srf.on('connect', resolve));
  const prober = await RawUdp.open();
  const port = agent.sip[0]?.port ?? 0;
  test.teardown(async () => {
    srf.disconnect();
    prober.close();
    await agent.stop();
  });
  const probe = async (): Promise<number> => {
    const text = request({ method: 'OPTIONS', port: prober.port, contact: false });
    const start = performance.now();
    prober.send(text, port);
    const { text: answer } = await prober.inbox.next(
      (m) => header(m.text, 'Call-ID') === header(text, 'Call-ID'),
      'probe',
    );
    if (!answer.startsWith('SIP/2.0 200')) throw new Error(`probe answered ${answer.slice(0, 30)}`);
    return performance.now() - start;
  };
  // The routes are there when the first probe is answered.
  await until('routed', () => agent.stats().appConnections === 1);
  for (;;) {
    const ready = await probe().then(
      () => true,
      () => false,
    );
    if (ready) break;
  }
  return { agent, port, tcp: agent.sip[1]?.port ?? 0, events, handed, unreadable, probe };
}

/**
 * The messages are sent byte for byte, so the answers go to the port of their Via at the address they came from. A
 * loopback address of its own has those ports free.
 */
async function viaPorts(
  test: Test,
): Promise<{ send(data: Buffer, port: number): void; inbox: Inbox<string> }> {
  const address = `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}.9`;
  const inbox = new Inbox<string>();
  const sockets: Socket[] = [];
  for (const port of [5060, 5050, 5070]) {
    const socket = createSocket('udp4');
    socket.on('message', (data) => inbox.push(data.toString('latin1')));
    await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(port, address, resolve));
    sockets.push(socket);
  }
  test.teardown(() => {
    for (const socket of sockets) socket.close();
  });
  return { inbox, send: (data, port) => sockets[0]?.send(data, port, '127.0.0.1') };
}

t.test('RFC 4475: every message gets its answer, and the agent lives', async (t) => {
  t.strictSame(
    Object.keys(expected).sort(),
    names.map((name) => name.slice(0, -4)).sort(),
    'the table is complete',
  );
  const it = await live(t, {}, 486);
  const peer = await viaPorts(t);
  for (const [name, [section, answer, why = '']] of Object.entries(expected)) {
    const dropped = (): number => Object.values(it.agent.stats().dropped).reduce((sum, n) => sum + n, 0);
    const before = dropped();
    peer.send(message(`${name}.dat`), it.port);
    const what = `${section} ${name}: ${answer} ${why}`;
    if (answer === 'drop') {
      await it.probe();
      t.equal(peer.inbox.items.length, 0, what);
      t.equal(dropped(), before + 1, `${name} is counted`);
    } else {
      const final = await peer.inbox.next((m) => !m.startsWith('SIP/2.0 100'), what);
      t.equal(Number(final.slice(8, 11)), answer, what);
      t.notMatch(final, /\0/, 'no NUL goes out');
      if (/^CSeq: \d+ INVITE/im.test(final) && final.startsWith('SIP/2.0 486')) {
        const ack = final
          .replace(/^SIP.*/, 'ACK sip:x SIP/2.0')
          .replace(/CSeq: (\d+) INVITE/i, 'CSeq: $1 ACK');
        peer.send(Buffer.from(ack, 'latin1'), it.port);
      }
    }
    t.ok((await it.probe()) < 1000, 'alive');
    peer.inbox.items.length = 0;
  }
  t.equal(it.events.filter((e) => e.kind === 'internal-error').length, 0);

  // What reaches the application is what its library can read.
  const handed = (callId: string): string => it.handed.find((raw) => raw.includes(callId)) ?? '';
  const long = handed('longreq');
  t.match(long, /\r\nFrom: sip:amazinglylongcallername/i, 'compact names are spelt out');
  t.match(long, /\r\nVia: /i);
  t.notMatch(handed('dblreq'), /joe/, 'the second request is cut off');
  t.match(
    handed('esc01'),
    /\r\nContact: <sip:cal%6Cer@host5\.example\.net;%6C%72;n%61me=v%61lue%25%34%31>\r\n/,
    'unfolded',
  );
  t.equal(handed('intmeth'), '');
});

t.test('RFC 4475 over TCP in small pieces: the agent lives', async (t) => {
  const it = await live(t, { limits: { tcpMessageMs: 200 } }, 486);
  for (const name of names) {
    const peer = await RawTcp.open(it.tcp);
    const data = message(name);
    for (let at = 0; at < data.length; at += 7) peer.socket.write(data.subarray(at, at + 7));
    await it.probe();
    peer.socket.destroy();
  }
  await until('connections gone', () => it.agent.stats().tcpConnections === 0);
  t.equal(it.events.filter((e) => e.kind === 'internal-error').length, 0);
});

t.test('mutated messages: every probe is answered, nothing grows', async (t) => {
  const seed = Number(process.env.AGENT_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.comment(`AGENT_SEED=${seed}`);
  const random = randomFrom(seed);
  const limits = { transactions: 500, transactionsReserved: 50, dialogs: 100, tcpConnections: 50 };
  const it = await live(t, { limits, timers: { t1: 10, t2: 40, t4: 50 } }, 486);
  const peer = await RawUdp.open();
  t.teardown(() => peer.close());
  const sources = [
    ...names.map((name) => message(name).toString('latin1')),
    ...['INVITE', 'OPTIONS', 'BYE', 'CANCEL', 'ACK', 'REGISTER', 'INFO'].map((method) =>
      request({ method, port: peer.port }),
    ),
  ];
  let worst = 0;
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 40; i++) {
      const source = sources[Math.floor(random() * sources.length)] ?? '';
      const fresh = source
        .replace(/branch=[^;,\r\n]*/, `branch=z9hG4bK${token()}`)
        .replace(/^(Call-ID|i) *:.*$/im, `Call-ID: ${token()}`);
      peer.send(mutate(fresh, random), it.port);
    }
    if (round % 10 === 0) {
      const stream = await RawTcp.open(it.tcp);
      for (let i = 0; i < 20; i++)
        stream.socket.write(Buffer.from(mutate(sources[i % sources.length] ?? '', random), 'latin1'));
      stream.socket.end();
    }
    worst = Math.max(worst, await it.probe());
    const { serverTransactions, dialogs } = it.agent.stats();
    if (serverTransactions > 550 || dialogs > 100) t.fail('over a bound');
  }
  t.comment(`worst probe ${worst.toFixed(1)} ms`);
  t.equal(it.events.filter((e) => e.kind === 'internal-error').length, 0, 'no internal error');
  t.strictSame(it.unreadable.slice(0, 3), [], 'the library can read what it gets');
  t.ok(it.handed.length > 100, `${it.handed.length} of them reached the application`);
  t.equal(it.agent.stats().appConnections, 1, 'the application is still there');
  await until('transactions end', () => it.agent.stats().serverTransactions === 0, 10_000);
  t.match(it.agent.stats(), { pendingRequests: 0, clientTransactions: 0 });
});

t.test('mutated responses: each INVITE ends, the agent lives', async (t) => {
  const seed = Number(process.env.AGENT_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.comment(`AGENT_SEED=${seed}`);
  const random = randomFrom(seed);
  const it = await live(t, { timers: { t1: 10, t2: 40, t4: 50 } }, 486);
  const app = await RawApp.open(it.agent.appPort, 'sesame');
  const peer = await RawUdp.open();
  t.teardown(() => {
    app.socket.destroy();
    peer.close();
  });
  const contact = [
    `Contact: <sip:far@127.0.0.1:${peer.port}>`,
    `Record-Route: <sip:127.0.0.1:${peer.port};lr>`,
  ];
  for (let round = 0; round < 12; round++) {
    const wave: string[] = [];
    for (let i = 0; i < 20; i++) {
      const id = app.sip(
        '',
        '',
        `INVITE sip:x@127.0.0.1:${peer.port} SIP/2.0`,
        ['from: <sip:a@localhost>'],
        sdp(),
      );
      wave.push((await app.answer(id)).tokens[10] ?? '');
    }
    for (let i = 0; i < wave.length; i++) {
      const { text: invite } = await peer.next('INVITE');
      for (const status of [180, 183, 200, 404]) {
        const good = response(invite, status, { lines: contact, body: status === 404 ? '' : sdp() });
        peer.send(mutate(good, random), it.port);
      }
      // In the end every one is refused for good, if none of the mutated answers was one.
      peer.send(response(invite, 500), it.port);
    }
    for (const txnId of wave) {
      const final = await app.inbox.next(
        (f) => f.tokens[8] === txnId && !f.sip.startsWith('SIP/2.0 1'),
        'final response',
      );
      if (final.sip.startsWith('SIP/2.0 2')) app.sip('', final.tokens[9] ?? '', 'BYE sip:x SIP/2.0', []);
    }
    await it.probe();
    peer.inbox.items.length = 0;
    app.inbox.items.length = 0;
  }
  t.equal(it.events.filter((e) => e.kind === 'internal-error').length, 0, 'no internal error');
  await until('all ends', () => it.agent.stats().clientTransactions === 0, 10_000);
  t.equal(it.agent.stats().dialogs, 0);
});

t.test('a flood of half-open transactions stays under the bounds and is answered 503', async (t) => {
  const limits = { transactions: 200, transactionsReserved: 20, dialogs: 50 };
  const it = await live(t, { limits }, 'silent');
  const peer = await RawUdp.open();
  t.teardown(() => peer.close());
  let sent = 0;
  let most = 0;
  while (it.agent.stats().refused.overload < 1000) {
    for (let i = 0; i < 50; i++, sent++) peer.send(request({ port: peer.port }), it.port);
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, it.agent.stats().serverTransactions);
  }
  t.equal(most, 200, `${sent} INVITEs`);
  t.equal(it.agent.stats().pendingRequests <= 200, true);
  t.equal(
    (await peer.inbox.next((m) => m.text.startsWith('SIP/2.0 503'))).text.includes('Retry-After'),
    true,
  );
  t.ok(it.events.some((e) => e.kind === 'overload' && e.what === 'transactions' && e.over));
});
