import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import type { JsonObject } from '../../src/call/ports.js';
import type { TrunkId } from '../../src/core/leg.js';
import { Drachtio } from '../../src/sip/drachtio.js';
import type { IncomingInvite } from '../../src/sip/sip-dialog.js';
import { header, RawUdp, request, response, sdp, tagOf, token, until } from '../agent/support.js';
import { openHouse } from './house.js';

/** Messages that cross: what was really said to whom, and what is known of it should we be killed between the two. */

/** A relay between the library and the agent that can hold back what the agent says. */
class Held {
  /** What the library said without a socket, as text. */
  sent = '';
  readonly #to: number;
  readonly #server = createServer((near) => this.#relay(near));
  #far: Socket | undefined;

  private constructor(to: number) {
    this.#to = to;
  }

  static async open(to: number): Promise<Held> {
    const held = new Held(to);
    await new Promise<void>((resolve) => held.#server.listen(0, '127.0.0.1', resolve));
    return held;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  #relay(near: Socket): void {
    const far = connect(this.#to, '127.0.0.1');
    this.#far = far;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => undefined);
      socket.on('close', () => other.destroy());
    }
    near.on('data', (chunk: Buffer) => far.write(chunk));
    far.on('data', (chunk: Buffer) => near.write(chunk));
  }

  attach(app: Parameters<Agent['attach']>[0], agent: Agent): ReturnType<Agent['attach']> {
    const link = agent.attach(app);
    return (
      link && {
        send: (payload) => {
          this.sent += payload;
          link.send(payload);
        },
        close: () => link.close(),
      }
    );
  }

  hold(): void {
    this.#far?.pause();
  }

  release(): void {
    this.#far?.resume();
  }

  close(): Promise<void> {
    this.#far?.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

interface Bench {
  readonly agent: Agent;
  readonly held: Held;
  readonly drachtio: Drachtio;
  readonly phone: RawUdp;
  readonly port: number;
  /** An INVITE of the phone's, as it came to us. */
  call(): Promise<Call>;
}

interface Call {
  readonly invite: IncomingInvite;
  /** Cancels it, and waits until the agent has answered both. */
  cancel(): Promise<void>;
}

/** `near`: without a socket between the two, so that what the library says is seen in the moment it says it. */
const bench = async (t: Test, options: Partial<AgentOptions> = {}, near = false): Promise<Bench> => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    ...options,
  });
  const held = await Held.open(agent.appPort);
  const invites: IncomingInvite[] = [];
  const drachtio = new Drachtio({
    host: '127.0.0.1',
    port: held.port,
    secret: 'sesame',
    ...(near ? { attach: (app) => held.attach(app, agent) } : {}),
    onInvite: (invite) => void invites.push(invite),
    health: () => ({ status: 200, phrase: 'OK' }),
    onState: () => undefined,
  });
  const phone = await RawUdp.open();
  t.teardown(async () => {
    drachtio.close();
    await held.close();
    phone.close();
    await agent.stop().catch(() => undefined);
  });
  await drachtio.connect(5000);
  const port = agent.sip[0]?.port ?? 0;
  const call = async (): Promise<Call> => {
    const same = {
      port: phone.port,
      branch: `z9hG4bK${token('x')}`,
      callId: token('c'),
      fromTag: token('f'),
    };
    const count = invites.length;
    phone.send(request({ ...same, body: sdp(), lines: ['Content-Type: application/sdp'] }), port);
    await until('the INVITE is here', () => invites.length > count);
    const invite = invites[count] as IncomingInvite;
    return {
      invite,
      cancel: async () => {
        phone.send(request({ ...same, method: 'CANCEL', contact: false }), port);
        await phone.inbox.next((m) => m.text.startsWith('SIP/2.0 487'), 'the 487');
      },
    };
  };
  return { agent, held, drachtio, phone, port, call };
};

t.test('what a caller was told is what the agent says that it was', async (t) => {
  const b = await bench(t);

  const refused = await b.call();
  t.equal(await refused.invite.told(), null, 'nothing yet');
  t.equal(refused.invite.respond(503, 'Service Unavailable', {}), true);
  t.equal(refused.invite.respond(486, 'Busy Here', {}), false, 'once');
  t.equal(await refused.invite.told(), 503);

  const crossed = await b.call();
  b.held.hold();
  await crossed.cancel();
  t.equal(crossed.invite.respond(503, 'Service Unavailable', {}), true, 'we have not heard of it yet');
  const told = crossed.invite.told();
  b.held.release();
  t.equal(await told, 487, 'and it got what the agent had said before');

  const cancelled = await b.call();
  const heard = new Promise<void>((resolve) => cancelled.invite.onCancel(resolve));
  await cancelled.cancel();
  await heard;
  t.equal(await cancelled.invite.told(), 487);

  const answered = await b.call();
  await answered.invite.accept(sdp(), {});
  t.equal(await answered.invite.told(), 200);

  const late = await b.call();
  b.held.hold();
  await late.cancel();
  const accepting = late.invite.accept(sdp(), {});
  b.held.release();
  await t.rejects(accepting, { code: 'cancelled' });
  t.equal(await late.invite.told(), 487, 'a 200 that came too late');
});

t.test('an INVITE the agent ended by itself was not cancelled', async (t) => {
  const b = await bench(t, { limits: { inviteLifetimeMs: 300 } });
  const { invite } = await b.call();
  await new Promise<void>((resolve) => invite.onCancel(resolve));
  t.equal(await invite.told(), 408);
  await b.phone.inbox.next((m) => m.text.startsWith('SIP/2.0 408'), 'which is what the phone got');
});

t.test('with the agent gone nobody knows', async (t) => {
  const b = await bench(t, {}, true);
  const { invite } = await b.call();
  await b.agent.stop();
  await until('it is down', () => !b.drachtio.up);
  invite.respond(503, 'Service Unavailable', {});
  t.equal(await invite.told(), null);
});

t.test('who answers is known before it has its ACK', async (t) => {
  const b = await bench(t, {}, true);
  const uri = `sip:+12125550142@127.0.0.1:${b.phone.port}`;
  const kept: JsonObject[] = [];
  const outgoing = b.drachtio.invite(
    uri,
    { proxy: uri, sdp: sdp(), headers: { From: '<sip:us@localhost>' } },
    () => undefined,
    {
      answered: (trace) => {
        // Killed in this moment, we leave a phone that repeats its 200 until it is acknowledged.
        t.notMatch(b.held.sent, /\r\nACK /, 'no ACK yet');
        kept.push(trace);
      },
    },
  );
  const { text: invite } = await b.phone.next('INVITE');
  const lines = [
    `Contact: "a, b" <sip:them@127.0.0.1:${b.phone.port};moved=yes>;x=1`,
    'Record-Route: <sip:near.example;lr>, <sip:far.example;lr>',
  ];
  b.phone.send(response(invite, 180, { tag: 'theirs' }), b.port);
  t.same(kept, [], 'nobody has answered yet');
  b.phone.send(response(invite, 200, { tag: 'theirs', lines, body: sdp() }), b.port);
  const { dialog } = await outgoing.outcome;
  t.match(b.held.sent, /\r\nACK /);
  t.same(kept, [dialog.trace], 'what is kept of it is what is kept of the dialog it becomes');
  t.match(kept[0], {
    id: `${header(invite, 'Call-ID')};from-tag=${tagOf(header(invite, 'From'))}`,
    remote: `${header(invite, 'To')};tag=theirs`,
    target: `sip:them@127.0.0.1:${b.phone.port};moved=yes`,
    route: '<sip:far.example;lr>, <sip:near.example;lr>',
  });
});

t.test('an INVITE that went out again is kept as it went out in the end', async (t) => {
  const phone = await RawUdp.open();
  t.teardown(() => phone.close());
  const at = { transport: undefined, host: '127.0.0.1', port: phone.port };
  const b = await bench(t, { credentials: [{ ...at, realm: 'west', username: 'u', password: 'p' }] });
  const uri = `sip:+12125550142@127.0.0.1:${phone.port}`;
  const kept: JsonObject[] = [];
  const outgoing = b.drachtio.invite(
    uri,
    { proxy: uri, sdp: sdp(), headers: { From: '<sip:us@localhost>' } },
    () => undefined,
    { sent: (trace) => kept.push(trace) },
  );
  const one = (await phone.next('INVITE')).text;
  const lines = ['WWW-Authenticate: Digest realm="west", nonce="n", algorithm=MD5, qop="auth"'];
  phone.send(response(one, 401, { tag: 'x', lines }), b.port);
  await phone.next('ACK');
  const two = (await phone.next('INVITE')).text;
  await until('it is kept', () => kept.length > 0);
  t.match(kept, [{ via: header(one, 'Via'), seq: 1, proxy: uri }], 'not yet known to be another one');
  const received = header(two, 'Via').replace(';rport', `;received=127.0.0.1;rport=${b.port}`);
  phone.send(response(two, 180, { tag: 'theirs' }).replace(header(two, 'Via'), received), b.port);
  phone.send(response(two, 183, { tag: 'theirs' }), b.port);
  await until('it is kept anew', () => kept.length > 1);
  t.match(kept[1], {
    callId: header(one, 'Call-ID'),
    local: header(one, 'From'),
    via: header(two, 'Via'),
    seq: 2,
    proxy: `sip:127.0.0.1:${phone.port};transport=udp`,
  });
  phone.send(response(two, 486, { tag: 'theirs' }), b.port);
  await t.rejects(outgoing.outcome);
  t.equal(kept.length, 2, 'once');
});

for (const late of ['answers', 'refuses'] as const) {
  t.test(`a carrier that was given up ${late} late: the call is known by the other one alone`, async (t) => {
    const silent = await RawUdp.open();
    t.teardown(() => silent.close());
    const house = await openHouse(t, {
      facility: { carriers: ['west', 'east'] as TrunkId[] },
      west: { address: '127.0.0.1', port: silent.port, firstResponseMs: 300 },
    });
    const { leg } = await house.received();
    const notes: string[] = [];
    const to = (of: JsonObject | null): string =>
      of === null ? 'nobody' : JSON.stringify(of).includes(`:${silent.port}`) ? 'west' : 'east';
    const dialling = house.dial(leg.leg, {
      sent: (of) => notes.push(`sent ${to(of)}`),
      answered: (_of, trunk) => notes.push(`answered ${trunk}`),
    });
    const { text, port } = await silent.next('INVITE');
    t.equal((await dialling.outcome).state, 'answered');
    const known = ['sent west', 'sent east', 'answered east'];
    t.same(notes, known);
    const lines = [`Contact: <sip:w@127.0.0.1:${silent.port}>`, 'Content-Type: application/sdp'];
    const answer =
      late === 'answers'
        ? response(text, 200, { tag: 'w', lines, body: sdp() })
        : response(text, 486, { tag: 'w' });
    silent.send(answer, port);
    // Hung up or acknowledged: it has been dealt with wholly then.
    const end = await silent.next(late === 'answers' ? 'BYE' : 'ACK');
    if (late === 'answers') silent.send(response(end.text, 200), end.port);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    t.same(notes, known);
  });
}
