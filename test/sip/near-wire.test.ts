import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Agent, startAgent } from '../../src/agent/agent.js';
import { Drachtio } from '../../src/sip/drachtio.js';
import type { IncomingInvite } from '../../src/sip/sip-dialog.js';
import { header, RawUdp, request, response, sdp, until } from '../agent/support.js';

/** The library and the agent in one process, without a socket between them. */
interface Near {
  readonly agent: Agent;
  readonly drachtio: Drachtio;
  readonly states: string[];
  readonly invites: IncomingInvite[];
  readonly phone: RawUdp;
  readonly port: number;
}

const open = async (t: Test, secret = 'sesame'): Promise<Near> => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    limits: { appFrameBytes: 20_000 },
  });
  const states: string[] = [];
  const invites: IncomingInvite[] = [];
  const drachtio = new Drachtio({
    host: '127.0.0.1',
    // Nobody listens there: what comes through comes without a socket.
    port: 1,
    secret,
    attach: (app) => agent.attach(app),
    onInvite: (invite) => void invites.push(invite),
    health: () => ({ status: 200, phrase: 'OK' }),
    onState: (state, why) => void states.push(`${state} ${why}`),
  });
  const phone = await RawUdp.open();
  t.teardown(async () => {
    drachtio.close();
    phone.close();
    await agent.stop().catch(() => undefined);
  });
  return { agent, drachtio, states, invites, phone, port: agent.sip[0]?.port ?? 0 };
};

t.test('what is not ASCII comes through both ways, byte by byte', async (t) => {
  const { agent, drachtio, invites, phone, port } = await open(t);
  await drachtio.connect(5000);
  t.equal(agent.stats().appConnections, 1);
  const utf8 = Buffer.from('Séñora 日本', 'utf8').toString('latin1');
  const invite = request({
    port: phone.port,
    body: sdp(),
    lines: ['Content-Type: application/sdp', `Subject: ${utf8}`],
  });
  phone.send(invite, port);
  await until('the INVITE is here', () => invites.length === 1);
  t.equal(invites[0]?.header('Subject'), 'Séñora 日本');
  invites[0]?.respond(486, 'Occupée', { Warning: '399 nous "été"' });
  const refused = await phone.inbox.next((m) => m.text.startsWith('SIP/2.0 486'), 'the refusal');
  t.equal(header(refused.text, 'Warning'), Buffer.from('399 nous "été"', 'utf8').toString('latin1'));
  t.match(refused.text.split('\r\n')[0], Buffer.from('Occupée', 'utf8').toString('latin1'));
});

t.test('a message over the bound ends the connection, and the next one is made', async (t) => {
  const { drachtio, states, invites, phone, port, agent } = await open(t);
  await drachtio.connect(5000);
  const ping = async (): Promise<number> =>
    drachtio.ping('sip:x@127.0.0.1', `sip:127.0.0.1:${phone.port}`, 200);
  void ping();
  await phone.inbox.next((m) => m.text.startsWith('OPTIONS '), 'our OPTIONS');
  phone.send(request({ port: phone.port, body: sdp(), lines: ['Content-Type: application/sdp'] }), port);
  await until('the INVITE is here', () => invites.length === 1);
  invites[0]?.respond(486, 'Busy Here', { Warning: 'x'.repeat(30_000) });
  await until('it is down', () => states.some((state) => state.startsWith('down')));
  await until('and up again', () => drachtio.up);
  t.equal(agent.stats().appConnections, 1, 'nothing of the old one is left');
  phone.send(request({ port: phone.port, body: sdp(), lines: ['Content-Type: application/sdp'] }), port);
  await until('calls come again', () => invites.length === 2);
  invites[1]?.respond(486, 'Busy Here', {});
});

t.test('another secret opens nothing', async (t) => {
  const { drachtio, states, agent } = await open(t, 'guess');
  await t.rejects(drachtio.connect(300));
  t.ok(states.every((state) => !state.startsWith('up')));
  t.equal(drachtio.up, false);
  void agent;
});

t.test('an agent that stopped takes nobody, and is asked again', async (t) => {
  const { drachtio, states, agent } = await open(t);
  await drachtio.connect(5000);
  await agent.stop();
  await until('it is down', () => states.some((state) => state.startsWith('down')));
  t.equal(agent.attach({ frame: () => undefined, gone: () => undefined }), null);
  t.equal(drachtio.up, false);
});

t.test('a connection that is given up is followed by another', async (t) => {
  const { drachtio, states, agent } = await open(t);
  await drachtio.connect(5000);
  const alive = drachtio.signOfLife();
  await until('a sign of life', alive);
  drachtio.reconnect('test');
  t.equal(drachtio.up, false);
  await until('up again', () => drachtio.up);
  t.match(states, ['up connected', 'down test', 'up connected']);
  await until('one connection', () => agent.stats().appConnections === 1);
});

/** Something came to this UDP port of 127.0.0.1 and was not read yet, by the kernel's own account. */
const waitsUnread = (port: number): boolean => {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const line = readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .find((one) => one.includes(` ${local} `));
  return !/:0{8}$/.test(line?.trim().split(/\s+/)[4] ?? '');
};

t.test('who calls has noted an INVITE before anybody has it', async (t) => {
  const { drachtio, phone, port } = await open(t);
  await drachtio.connect(5000);
  t.notOk(waitsUnread(phone.port));
  for (let call = 0; call < 5; call++) {
    let noted: { readonly there: boolean } | null = null;
    const { outcome } = drachtio.invite(
      'sip:x@127.0.0.1',
      { proxy: `sip:127.0.0.1:${phone.port}`, sdp: sdp(), headers: {} },
      () => undefined,
      {
        sent: () => {
          noted ??= { there: waitsUnread(phone.port) || phone.inbox.items.length > 0 };
        },
      },
    );
    const refused = t.rejects(outcome);
    const { text } = await phone.inbox.next((m) => m.text.startsWith('INVITE '), 'our INVITE');
    t.same(noted, { there: false });
    phone.send(response(text, 486), port);
    await phone.inbox.next((m) => m.text.startsWith('ACK '), 'our ACK');
    await refused;
  }
});
