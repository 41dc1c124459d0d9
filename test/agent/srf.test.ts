import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import SrfClass from 'drachtio-srf';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { header, Inbox, RawUdp, request, response, sdp, tagOf, until } from './support.js';

// What the tests use of drachtio-srf, which is unmodified; its own types do not tell the half of it.
interface Message extends EventEmitter {
  readonly method: string;
  readonly status: number;
  readonly body: string;
  readonly raw: string;
  readonly msg: { readonly raw: string };
  readonly stackTxnId: string;
  readonly receivedOn?: string;
  readonly source_address: string;
  readonly protocol: string;
  get(name: string): string;
  has(name: string): boolean;
  cancel(options?: object): void;
}
interface Reply {
  readonly finalResponseSent: boolean;
  send(status: number, options?: object, done?: (error: unknown, sent: unknown) => void): void;
}
type Sip = { callId: string; remoteTag: string; localTag: string };
interface Dialog extends EventEmitter {
  readonly id: string;
  readonly sip: Sip;
  readonly socket: Socket;
  readonly remote: { sdp: string; uri: string };
  readonly local: { sdp: string; uri: string };
  destroy(options?: object): Promise<Message>;
  modify(sdp: string): Promise<string>;
  request(options: object): Promise<Message>;
}
type Handler = (req: Message, res: Reply) => unknown;
interface Srf extends EventEmitter {
  connect(options: object): void;
  disconnect(): void;
  use(method: string, handler: Handler): void;
  request(uri: string, options: object): Promise<Message>;
  request(options: object): Promise<Message>;
  createUAS(req: Message, res: Reply, options: object): Promise<Dialog>;
  createUAC(uri: string, options: object, progress?: object): Promise<Dialog>;
  createB2BUA(
    req: Message,
    res: Reply,
    uri: string,
    options: object,
    progress?: object,
  ): Promise<{ uas: Dialog; uac: Dialog }>;
}

type Transport = 'udp' | 'tcp';

interface Node {
  readonly agent: Agent;
  readonly srf: Srf;
  /** What the application does with INVITEs now. */
  onInvite: Handler;
  uri(user: string, transport: Transport): string;
}

function connected(srf: Srf, port: number, secret = 'sesame'): Promise<string> {
  srf.connect({ host: '127.0.0.1', port, secret, reconnect: { retryMaxDelay: 200 } });
  srf.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    srf.once('connect', (error: Error | null, hostPort: string) =>
      error ? reject(error) : resolve(hostPort),
    );
  });
}

/** Ends an application for good, connected or not: the library would try to come back for ever. */
function leave(srf: Srf): void {
  const { client } = (
    srf as unknown as { _app: { client: { wp: { closing: boolean }; mapServer: Map<Socket, unknown> } } }
  )._app;
  client.wp.closing = true;
  for (const socket of client.mapServer.keys()) socket.end();
}

const newSrf = (): Srf => new SrfClass() as unknown as Srf;

async function node(test: Test, options: Partial<AgentOptions> = {}): Promise<Node> {
  const errors: unknown[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    log: (event) => event.kind === 'internal-error' && errors.push(event),
    ...options,
  });
  const srf = newSrf();
  const it: Node = {
    agent,
    srf,
    onInvite: (_req, res) => res.send(404),
    uri(user, transport) {
      const port = agent.sip.find((s) => s.transport === transport)?.port;
      return `sip:${user}@127.0.0.1:${port}${transport === 'tcp' ? ';transport=tcp' : ''}`;
    },
  };
  for (const method of ['options', 'message', 'bye', 'info']) srf.use(method, (_req, res) => res.send(200));
  srf.use('invite', (req, res) => it.onInvite(req, res));
  await connected(srf, agent.appPort);
  test.teardown(async () => {
    leave(srf);
    await agent.stop();
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
  });
  return it;
}

const once = (emitter: EventEmitter, event: string): Promise<unknown[]> =>
  new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)));

const answered = (sent: Message): Promise<Message> =>
  new Promise((resolve) => {
    sent.on('response', (res: Message) => res.status >= 200 && resolve(res));
  });

/** A call from one node to another; resolves when the ACK has arrived. */
async function call(from: Node, to: Node, transport: Transport): Promise<{ uac: Dialog; uas: Dialog }> {
  const callee = new Promise<Dialog>((resolve, reject) => {
    to.onInvite = (req, res) => {
      to.srf.createUAS(req, res, { localSdp: sdp() }).then((dialog) => {
        dialog.once('ack', () => resolve(dialog));
      }, reject);
    };
  });
  const uac = await from.srf.createUAC(to.uri('100', transport), { localSdp: sdp(), callingNumber: '555' });
  return { uac, uas: await callee };
}

const status = (error: unknown): number => (error as { status: number }).status;

for (const transport of ['udp', 'tcp'] as const) {
  t.test(
    `${transport}: a call, requests inside it both ways, changes both ways, either end hangs up`,
    async (t) => {
      const [a, b] = [await node(t), await node(t)];
      for (const ender of ['uac', 'uas'] as const) {
        const dialogs = await call(a, b, transport);
        const { uac, uas } = dialogs;
        t.equal(uac.id, uas.id);
        t.equal(uac.id, `${uac.sip.callId};from-tag=${uac.sip.localTag}`);
        t.equal(uac.sip.remoteTag, uas.sip.localTag);
        t.equal(uac.remote.sdp, sdp());
        for (const [from, to] of [
          [uac, uas],
          [uas, uac],
        ] as const) {
          for (const method of ['INFO', 'UPDATE', 'REFER', 'OPTIONS', 'MESSAGE', 'NOTIFY']) {
            const name = 'Zo\u00eb \u{1f512}';
            const body = `caf\u00e9 ${method} \u20ac`;
            to.once(method.toLowerCase(), (req: Message, res: Reply) => {
              t.equal(req.get('X-Name'), name, `${method} header`);
              t.equal(req.body, body, `${method} body`);
              res.send(202, { headers: { 'X-Back': name, 'Content-Type': 'text/plain' }, body });
            });
            const headers = {
              'X-Name': name,
              'Content-Type': 'text/plain',
              'Refer-To': '<sip:x@y>',
              Event: 'refer',
            };
            const res = await from.request({ method, headers, body });
            t.equal(res.status, 202);
            t.equal(res.get('X-Back'), name, `${method} header back`);
            t.equal(res.body, body, `${method} body back`);
          }
          // A change answered by the library, then one by the application.
          t.equal(await from.modify(sdp(2)), to.local.sdp);
          const acked = once(to, 'ack');
          to.once('modify', (req: Message, res: Reply) =>
            res.send(200, { body: req.body.replace(/4000/, '4002') }),
          );
          t.match(await from.modify(sdp(3)), 'm=audio 4002');
          await acked;
        }
        const other = ender === 'uac' ? uas : uac;
        const destroyed = once(other, 'destroy');
        await dialogs[ender].destroy({ headers: { Reason: 'Q.850;cause=16' } });
        const [bye] = (await destroyed) as [Message];
        t.equal(bye.get('reason'), 'Q.850;cause=16');
      }
      t.match([a.agent.stats().dialogs, b.agent.stats().dialogs], [0, 0]);

      // Both at once: each gets an answer to its BYE, or learns that the dialog is gone.
      const { uac, uas } = await call(a, b, transport);
      const ends = await Promise.allSettled([uac.destroy(), uas.destroy()]);
      for (const end of ends) {
        if (end.status === 'rejected') t.match(end.reason, { code: 'ENODIALOG' });
      }
      t.match([a.agent.stats().dialogs, b.agent.stats().dialogs], [0, 0]);
    },
  );

  t.test(
    `${transport}: back-to-back: ringing, answer, refusal, the caller leaves, hang up through`,
    async (t) => {
      const [phones, middle] = [await node(t), await node(t)];
      const pairs: { uas: Dialog; uac: Dialog }[] = [];
      const failures: unknown[] = [];
      middle.onInvite = (req, res) => {
        t.match(req.receivedOn, /^127\.0\.0\.1:[0-9]+$/);
        t.equal(req.protocol, transport);
        middle.srf
          .createB2BUA(req, res, phones.uri('200', transport), {
            localSdpB: req.body,
            proxyRequestHeaders: ['Subject'],
            proxyResponseHeaders: ['Subject'],
          })
          .then((pair) => {
            pairs.push(pair);
            pair.uas.on('destroy', () => void pair.uac.destroy().catch(() => undefined));
            pair.uac.on('destroy', () => void pair.uas.destroy().catch(() => undefined));
          })
          .catch((error: unknown) => failures.push(error));
      };
      const subject = 'Gr\u00fc\u00dfe \u{1f4de}';
      const callees: Dialog[] = [];
      phones.onInvite = (req, res) => {
        t.equal(req.get('Subject'), subject, 'a header with other characters passes both agents');
        t.equal(tagOf(req.get('From')).length, 16);
        res.send(180, { headers: { Subject: subject } });
        phones.srf
          .createUAS(req, res, { localSdp: sdp(7), headers: { Subject: subject } })
          .then((dialog) => callees.push(dialog), t.fail);
      };
      const provisional: number[] = [];
      const dial = (): Promise<Dialog> =>
        phones.srf.createUAC(
          middle.uri('100', transport),
          { localSdp: sdp(), headers: { Subject: subject }, callingNumber: '555' },
          { cbProvisional: (res: Message) => provisional.push(res.status) },
        );
      const caller = await dial();
      await until('both legs', () => pairs.length === 1 && callees.length === 1);
      t.strictSame(provisional, [180]);
      t.equal(caller.remote.sdp, sdp(7));
      const end = once(callees[0] as Dialog, 'destroy');
      await caller.destroy();
      await end;
      const second = await dial();
      await until('both legs', () => pairs.length === 2 && callees.length === 2);
      const end2 = once(second, 'destroy');
      await callees[1]?.destroy();
      await end2;
      await until('no dialogs', () => middle.agent.stats().dialogs === 0);

      phones.onInvite = (_req, res) => res.send(486);
      t.equal(status(await dial().catch((error: unknown) => error)), 486);

      // The caller leaves while the called party rings: CANCEL all the way.
      const cancelled = new Promise<Message>((resolve) => {
        phones.onInvite = (req, res) => {
          req.on('cancel', (cancel: Message) => resolve(cancel));
          res.send(180);
        };
      });
      let sent: Message | undefined;
      const attempt = phones.srf.createUAC(
        middle.uri('100', transport),
        { localSdp: sdp(), headers: { Subject: subject } },
        {
          cbRequest: (_error: unknown, req: Message) => {
            sent = req;
          },
          cbProvisional: () => sent?.cancel({ headers: { Reason: 'SIP;cause=487;text="left"' } }),
        },
      );
      t.equal(status(await attempt.catch((error: unknown) => error)), 487);
      t.match((await cancelled).get('Reason'), 'left', 'the reason goes through');
      await until(
        'no dialogs',
        () => phones.agent.stats().dialogs === 0 && middle.agent.stats().dialogs === 0,
      );
      t.match([phones.agent.stats().pendingRequests, middle.agent.stats().pendingRequests], [0, 0]);
      await until('both failures are told', () => failures.length === 2);
    },
  );

  t.test(
    `${transport}: requests outside dialogs, offer in the 200, digest, 50 KB bodies, subscriptions`,
    async (t) => {
      const [a, b] = [await node(t), await node(t)];
      const name = '\u65e5\u672c';
      b.srf.use('message', () => undefined);
      b.srf.use('register', (req, res) =>
        res.send(200, {
          headers: { 'X-Name': req.get('X-Name'), 'Content-Type': 'text/plain' },
          body: req.body + name,
        }),
      );
      const ping = await answered(await a.srf.request(b.uri('x', transport), { method: 'OPTIONS' }));
      t.equal(ping.status, 200);
      const register = await answered(
        await a.srf.request(b.uri('x', transport), {
          method: 'REGISTER',
          headers: { 'X-Name': name, 'Content-Type': 'text/plain', Contact: '<sip:me@localhost>' },
          body: name,
        }),
      );
      t.match(register, { status: 200, body: name + name });
      t.equal(register.get('X-Name'), name);
      // By a proxy: the Request-URI stays, the request goes elsewhere.
      const proxied = await answered(
        await a.srf.request('sip:y@nowhere.invalid', {
          method: 'OPTIONS',
          proxy: b.uri('', transport).replace(':@', ':'),
        }),
      );
      t.equal(proxied.status, 200);

      // No SDP in the INVITE: the offer comes with the 200, the answer with the ACK.
      const ack = new Promise<string>((resolve) => {
        b.onInvite = (req, res) => {
          t.equal(req.body, '');
          b.srf.createUAS(req, res, { localSdp: sdp(9) }).then((dialog) => {
            dialog.once('ack', (acknowledge: Message) => resolve(acknowledge.body));
          }, t.fail);
        };
      });
      const late = await a.srf.createUAC(b.uri('x', transport), {});
      t.match(await ack, 'a=recvonly', 'the body of the ACK arrives');
      await late.destroy();

      // A challenge: the second INVITE has the same Call-ID and From tag and the next CSeq.
      const seen: string[] = [];
      b.onInvite = (req, res) => {
        seen.push(`${req.get('Call-ID')} ${tagOf(req.get('From'))} ${req.get('CSeq').split(' ')[0]}`);
        if (!req.has('Authorization'))
          res.send(401, { headers: { 'WWW-Authenticate': 'Digest realm="r", nonce="n"' } });
        else b.srf.createUAS(req, res, { localSdp: sdp() }).catch(t.fail);
      };
      const auth = { username: 'u', password: 'p' };
      const secured = await a.srf.createUAC(b.uri('x', transport), { localSdp: sdp(), auth });
      const [first = '', second = ''] = seen;
      t.equal(
        second,
        first.replace(/[0-9]+$/, (n) => String(Number(n) + 1)),
      );
      await secured.destroy();

      const big = 'x'.repeat(50_000);
      const bodies = new Inbox<string>();
      b.srf.use('publish', (req, res) => {
        bodies.push(req.body);
        res.send(200, { headers: { 'Content-Type': 'text/plain' }, body: req.body });
      });
      const published = async (): Promise<Message> =>
        answered(
          await a.srf.request(b.uri('x', transport), {
            method: 'PUBLISH',
            headers: { 'Content-Type': 'text/plain' },
            body: big,
          }),
        );
      let huge = await published();
      // The route was registered over another socket than the request came by.
      while (huge.status === 503) huge = await published();
      t.equal(huge.body.length, big.length, '50 KB through both application links');
      t.equal((await bodies.next()).length, big.length);

      b.srf.use('subscribe', (req, res) => {
        b.srf.createUAS(req, res, { headers: { Expires: '60' } }).then((dialog) => {
          void dialog.request({
            method: 'NOTIFY',
            headers: { Event: 'x', 'Subscription-State': 'active', 'Content-Type': 'text/plain' },
            body: 'hi',
          });
        }, t.fail);
      });
      const subscribe = async (): Promise<Dialog> => {
        const headers = { Event: 'x', Expires: '60' };
        for (;;) {
          const dialog = await a.srf
            .createUAC(b.uri('x', transport), { method: 'SUBSCRIBE', headers })
            .catch((e: unknown) => {
              if (status(e) !== 503) throw e;
            });
          if (dialog !== undefined) return dialog;
        }
      };
      const notify = new Promise<Message>((resolve) => {
        a.srf.use('notify', (req, res) => {
          res.send(200);
          resolve(req);
        });
      });
      const subscription = await subscribe();
      subscription.on('notify', (req: Message, res: Reply) => {
        res.send(200);
        a.srf.emit('seen', req);
      });
      const got = await Promise.race([notify, once(a.srf, 'seen').then(([req]) => req as Message)]);
      t.equal(got.body, 'hi');
    },
  );

  t.test(`${transport}: nobody there, nobody answers, application gone and back`, async (t) => {
    const timers = { t1: 20, t2: 80, t4: 100 };
    const [a, b] = [await node(t, { timers }), await node(t, { timers })];
    const dead = await RawUdp.open();
    const { port } = dead;
    dead.close();
    const suffix = transport === 'tcp' ? ';transport=tcp' : '';
    const dial = (uri: string): Promise<unknown> =>
      a.srf.createUAC(uri, { localSdp: sdp() }).catch((error: unknown) => status(error));
    t.equal(await dial(`sip:x@127.0.0.1:${port}${suffix}`), 503, 'nobody listens');
    const silent = await RawUdp.open();
    if (transport === 'udp') t.equal(await dial(`sip:x@127.0.0.1:${silent.port}`), 408, 'nobody answers');
    silent.close();

    // The ACK never comes: the application's dialog is destroyed by the agent.
    const deaf = await RawUdp.open();
    t.teardown(() => deaf.close());
    const unacked = new Promise<unknown[]>((resolve) => {
      b.onInvite = (req, res) => {
        b.srf.createUAS(req, res, { localSdp: sdp() }).then((dialog) => {
          dialog.once('destroy', (...args: unknown[]) => resolve(args));
        }, t.fail);
      };
    });
    deaf.send(request({ port: deaf.port }), b.agent.sip[0]?.port ?? 0);
    const [, reason] = await unacked;
    t.equal(reason, 'ACK timeout');
    deaf.send(response((await deaf.next('BYE')).text, 200), b.agent.sip[0]?.port ?? 0);

    // The application dies with a call up; another ends both legs by the ids it had stored.
    const { uac, uas } = await call(a, b, transport);
    const ids = [uac.id, uas.id];
    const ringing = new Promise<void>((resolve) => {
      b.onInvite = () => resolve();
    });
    const waiting = dial(b.uri('x', transport));
    await ringing;
    const back = once(b.srf, 'connect');
    uas.socket.resetAndDestroy();
    t.equal(await waiting, 503, 'the call that was being offered is refused');
    await back;
    const reaper = newSrf();
    await connected(reaper, b.agent.appPort);
    t.teardown(() => leave(reaper));
    const destroyed = once(uac, 'destroy');
    const client = reaper as unknown as {
      _app: { client: { request(options: object, done: (e: unknown, r: Message) => void): void } };
    };
    const bye = await new Promise<Message>((resolve, reject) => {
      client._app.client.request({ method: 'BYE', stackDialogId: ids[1] }, (error, sent) =>
        error ? reject(error) : resolve(sent),
      );
    });
    t.equal((await answered(bye)).status, 200);
    await destroyed;
    t.match([a.agent.stats().dialogs, b.agent.stats().dialogs], [0, 0]);
    const gone = await new Promise<unknown>((resolve) => {
      client._app.client.request({ method: 'BYE', stackDialogId: ids[1] }, (error) => resolve(error));
    });
    t.match(gone, { code: 'ENODIALOG' });

    // The library has reconnected and given its routes again.
    let again = await call(a, b, transport).catch(() => undefined);
    while (again === undefined) again = await call(a, b, transport).catch(() => undefined);
    await again.uac.destroy();
  });
}

t.test('a bad secret is refused; two applications take turns; one leaves', async (t) => {
  const b = await node(t);
  const stranger = newSrf();
  await t.rejects(connected(stranger, b.agent.appPort, 'wrong'), /failed to authenticate/);
  leave(stranger);

  const second = newSrf();
  const turns: string[] = [];
  const take = (who: string) => (_req: Message, res: Reply) => {
    turns.push(who);
    res.send(486);
  };
  b.onInvite = take('first');
  second.use('invite', take('second'));
  await connected(second, b.agent.appPort);
  const peer = await RawUdp.open();
  t.teardown(() => peer.close());
  const port = b.agent.sip[0]?.port ?? 0;
  const one = async (): Promise<string> => {
    const invite = request({ port: peer.port });
    peer.send(invite, port);
    const callId = header(invite, 'Call-ID');
    const fits = (m: { text: string }): boolean =>
      header(m.text, 'Call-ID') === callId && !m.text.startsWith('SIP/2.0 100');
    return (await peer.inbox.next(fits)).text.slice(8, 11);
  };
  for (let i = 0; i < 20 && !turns.includes('second'); i++) await one();
  turns.length = 0;
  for (let i = 0; i < 6; i++) t.equal(await one(), '486');
  t.equal(turns.filter((who) => who === 'first').length, 3, 'round robin');
  leave(second);
  await until('gone', () => b.agent.stats().appConnections === 1);
  turns.length = 0;
  for (let i = 0; i < 3; i++) t.equal(await one(), '486');
  t.strictSame(turns, ['first', 'first', 'first']);
  leave(b.srf);
  await until('gone', () => b.agent.stats().appConnections === 0);
  t.equal(await one(), '503', 'nobody takes it');
});
