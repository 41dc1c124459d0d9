import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import SrfClass from 'drachtio-srf';
import t, { type Test } from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { header, RawUdp, request, response, sdp, tagOf, until } from './support.js';

/**
 * What an application may rely on, whichever agent it talks to. The same flows run against the embedded agent and,
 * where the environment names one, against a drachtio-server: DRACHTIO_HOST, and DRACHTIO_PORT (9022), DRACHTIO_SECRET
 * (cymru) where they differ. It must listen for SIP over UDP on an address this machine reaches, and serve no other
 * application; run it with `--disable-nat-detection`.
 */
interface Message extends EventEmitter {
  readonly method: string;
  readonly status: number;
  readonly body: string;
  get(name: string): string;
  cancel(options?: object): void;
}
interface Reply {
  send(status: number, options?: object): void;
}
interface Dialog extends EventEmitter {
  readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
  readonly remote: { readonly sdp: string };
  destroy(): Promise<Message>;
  request(options: object): Promise<Message>;
}
interface Srf extends EventEmitter {
  connect(options: object): void;
  use(method: string, handler: (request: Message, reply: Reply) => unknown): void;
  request(uri: string, options: object): Promise<Message>;
  createUAS(request: Message, reply: Reply, options: object): Promise<Dialog>;
  createUAC(uri: string, options: object, progress?: object): Promise<Dialog>;
}

interface Place {
  readonly srf: Srf;
  readonly peer: RawUdp;
  readonly sip: { readonly host: string; readonly port: number };
}

type Open = (test: Test) => Promise<Place>;

/** An application on an agent, told where the agent listens by the agent itself, and a peer of nothing but a socket. */
async function joined(test: Test, at: { host: string; port: number; secret: string }): Promise<Place> {
  const srf = new SrfClass() as unknown as Srf;
  srf.on('error', () => undefined);
  const peer = await RawUdp.open();
  const listens = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nobody serves at ${at.host}:${at.port}`)), 10_000);
    srf.once('connect', (error: Error | null, hostPorts: string) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(hostPorts);
    });
    srf.connect({ ...at, reconnect: { retryMaxDelay: 200 } });
  });
  test.teardown(() => {
    const { client } = (
      srf as unknown as { _app: { client: { wp: { closing: boolean }; mapServer: Map<Socket, unknown> } } }
    )._app;
    client.wp.closing = true;
    for (const socket of client.mapServer.keys()) socket.destroy();
    peer.close();
  });
  const [, host = '', port = ''] = /udp\/\[?([^\],]+?)\]?:(\d+)/.exec(listens) ?? [];
  return { srf, peer, sip: { host, port: Number(port) } };
}

const embedded: Open = async (test) => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  test.teardown(() => agent.stop());
  return joined(test, { host: '127.0.0.1', port: agent.appPort, secret: 'sesame' });
};

const { DRACHTIO_HOST: host, DRACHTIO_PORT: port = '9022', DRACHTIO_SECRET: secret = 'cymru' } = process.env;
const served: Open = (test) => joined(test, { host: host ?? '', port: Number(port), secret });

const flows: Readonly<Record<string, (test: Test, place: Place) => Promise<void>>> = {
  'a request is answered by the application': async (t, { srf, peer, sip }) => {
    srf.use('options', (_request, reply) => reply.send(200, { headers: { 'X-Own': 'yes' } }));
    peer.send(request({ method: 'OPTIONS', port: peer.port }), sip.port);
    const { text } = await peer.next('SIP/2.0 200');
    t.equal(header(text, 'X-Own'), 'yes');
    t.not(tagOf(header(text, 'To')), '');
  },
  'a method nobody serves is refused by the agent': async (t, { peer, sip }) => {
    peer.send(request({ method: 'MESSAGE', port: peer.port, contact: false }), sip.port);
    t.match((await peer.next('SIP/2.0')).text, /^SIP\/2\.0 503/);
  },
  'a call that comes in: 100, 200 until the ACK, BYE of theirs': async (t, { srf, peer, sip }) => {
    let made: ((dialog: Dialog) => void) | undefined;
    const dialog = new Promise<Dialog>((resolve) => {
      made = resolve;
    });
    srf.use('invite', async (incoming, reply) => {
      made?.(await srf.createUAS(incoming, reply, { localSdp: sdp() }));
    });
    const invite = request({ port: peer.port, body: sdp(), lines: ['Content-Type: application/sdp'] });
    peer.send(invite, sip.port);
    await peer.next('SIP/2.0 100');
    const ok = (await peer.next('SIP/2.0 200')).text;
    t.equal(header((await peer.next('SIP/2.0 200')).text, 'To'), header(ok, 'To'), 'it comes again');
    const inside = (method: string, seq: number): string =>
      request({
        method,
        port: peer.port,
        uri: /<([^>]+)>/.exec(header(ok, 'Contact'))?.[1] ?? '',
        callId: header(ok, 'Call-ID'),
        fromTag: tagOf(header(ok, 'From')),
        to: header(ok, 'To'),
        seq,
      });
    peer.send(inside('ACK', 1), sip.port);
    const up = await dialog;
    let gone = false;
    up.on('destroy', () => {
      gone = true;
    });
    peer.send(inside('BYE', 2), sip.port);
    await peer.inbox.next((one) => one.text.startsWith('SIP/2.0 200') && one.text.includes('2 BYE'), '200');
    await until('the application knows', () => gone);
  },
  'a call that comes in and is cancelled: 200 to the CANCEL, 487 to the INVITE': async (
    t,
    { srf, peer, sip },
  ) => {
    let cancelled = false;
    srf.use('invite', (incoming, reply) => {
      incoming.on('cancel', () => {
        cancelled = true;
      });
      reply.send(180);
    });
    const invite = request({ port: peer.port, body: sdp(), lines: ['Content-Type: application/sdp'] });
    peer.send(invite, sip.port);
    await peer.next('SIP/2.0 180');
    const cancel = invite
      .slice(0, invite.indexOf('\r\n\r\n') + 4)
      .replace(/^INVITE/, 'CANCEL')
      .replace('1 INVITE', '1 CANCEL')
      .replace(/Content-Type:[^\r]*\r\n/, '')
      .replace(/Content-Length: \d+/, 'Content-Length: 0');
    peer.send(cancel, sip.port);
    await peer.inbox.next((one) => one.text.startsWith('SIP/2.0 200') && one.text.includes('CANCEL'), '200');
    t.match((await peer.next('SIP/2.0 487')).text, /CSeq: 1 INVITE/i);
    await until('the application knows', () => cancelled);
  },
  'a call that goes out: ringing, answer, ACK, a request within, BYE of ours': async (
    t,
    { srf, peer, sip },
  ) => {
    const heard: number[] = [];
    const made = srf.createUAC(
      `sip:bob@127.0.0.1:${peer.port}`,
      { localSdp: sdp() },
      { cbProvisional: (one: Message) => heard.push(one.status) },
    );
    const asked = await peer.next('INVITE');
    const lines = [`Contact: <sip:bob@127.0.0.1:${peer.port}>`];
    peer.send(response(asked.text, 180, { lines }), sip.port);
    await until('it rings', () => heard.includes(180));
    peer.send(
      response(asked.text, 200, { lines: [...lines, 'Content-Type: application/sdp'], body: sdp(7) }),
      sip.port,
    );
    const dialog = await made;
    t.match(dialog.remote.sdp, /o=- 1 7/);
    const ack = (await peer.next('ACK')).text;
    t.equal(header(ack, 'CSeq'), '1 ACK');
    const info = dialog.request({ method: 'INFO' });
    const inside = await peer.next('INFO');
    t.equal(header(inside.text, 'CSeq'), '2 INFO');
    peer.send(response(inside.text, 200), sip.port);
    t.equal((await info).status, 200);
    const bye = dialog.destroy();
    peer.send(response((await peer.next('BYE')).text, 200), sip.port);
    await bye;
  },
  'a call that goes out and is refused: the application hears it, the agent acknowledges': async (
    t,
    { srf, peer, sip },
  ) => {
    const made = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: sdp() });
    const refused = made.then(
      () => 200,
      (error: { readonly status: number }) => error.status,
    );
    const asked = await peer.next('INVITE');
    peer.send(response(asked.text, 486), sip.port);
    t.equal(await refused, 486);
    const ack = (await peer.next('ACK')).text;
    t.equal(header(ack, 'Via').split(';branch=')[1], header(asked.text, 'Via').split(';branch=')[1]);
  },
  'a request of the application and its answer': async (t, { srf, peer, sip }) => {
    const sent = await srf.request(`sip:bob@127.0.0.1:${peer.port}`, { method: 'OPTIONS' });
    const answered = new Promise<Message>((resolve) => sent.once('response', resolve));
    peer.send(response((await peer.next('OPTIONS')).text, 200, { lines: ['X-Theirs: yes'] }), sip.port);
    t.equal((await answered).get('X-Theirs'), 'yes');
  },
};

for (const [what, flow] of Object.entries(flows)) {
  t.test(`embedded agent: ${what}`, async (t) => flow(t, await embedded(t)));
  const options = host === undefined ? { skip: 'no DRACHTIO_HOST names a drachtio-server' } : {};
  t.test(`drachtio-server: ${what}`, options, async (t) => flow(t, await served(t)));
}
