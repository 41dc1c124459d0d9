/**
 * The yardstick: the smallest back-to-back user agent on drachtio-srf and the embedded agent. It writes no row and
 * anchors no media; it joins the two legs and passes the BYE on, as the library's own examples do. Where it is given
 * lists it asks them what Kamailio asks, two look-ups in one round trip; else it lets everybody call.
 */
import Srf from 'drachtio-srf';
import { Redis } from 'ioredis';
import { type Agent, startAgent } from '../../src/agent/agent.js';
import { serve } from './ask.js';
import { watchLoop } from './event-loop.js';
import { liveMemory } from './memory.js';

interface Dialog {
  on(event: 'destroy', listener: () => void): void;
  destroy(): Promise<unknown>;
}

interface Incoming {
  readonly uri: string;
  get(header: string): string;
}

interface Outgoing {
  send(status: number): void;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface PlainSrf {
  on(event: 'connect' | 'error', listener: (error: unknown) => void): void;
  connect(options: { host: string; port: number; secret: string }): void;
  disconnect(): void;
  invite(take: (request: Incoming, response: Outgoing) => void): void;
  createB2BUA(
    request: Incoming,
    response: Outgoing,
    uri: string,
    options: { proxy: string },
  ): Promise<{ uas: Dialog; uac: Dialog }>;
}

const loop = watchLoop();
let agent: Agent | null = null;
let srf: PlainSrf | null = null;
let redis: Redis | null = null;
let up = 0;
let failed = 0;

const join = (uas: Dialog, uac: Dialog): void => {
  up++;
  let over = false;
  const end = (other: Dialog): void => {
    if (!over) up--;
    over = true;
    other.destroy().catch(() => undefined);
  };
  uas.on('destroy', () => end(uac));
  uac.on('destroy', () => end(uas));
};

/** 200 where the call may go on. Anything but a clear answer refuses, as in test/bench/kamailio/kamailio.cfg. */
const ask = async (lists: Redis, request: Incoming, number: string): Promise<number> => {
  const caller = /sip:([^@]*)@/.exec(request.get('From'))?.[1] ?? '';
  const replies = await lists
    .pipeline()
    .sismember('peer:privileged', number)
    .sismember(`peer:allowed:${caller}`, number)
    .exec();
  const [privileged, allowed] = (replies ?? []).map(([error, reply]) => (error === null ? reply : null));
  if (typeof privileged !== 'number' || typeof allowed !== 'number') return 503;
  return privileged === 1 || allowed === 1 ? 200 : 403;
};

interface Order {
  readonly called: Address;
  readonly lists: Address | null;
}

const start = async ({ called, lists }: Order): Promise<Address> => {
  const secret = 'bench';
  agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  if (lists !== null) redis = new Redis({ host: lists.host, port: lists.port });
  const plain = new (Srf as unknown as new () => PlainSrf)();
  srf = plain;
  const target = `${called.host}:${called.port}`;
  const take = async (request: Incoming, response: Outgoing): Promise<void> => {
    const user = /^sip:([^@]*)@/.exec(request.uri)?.[1] ?? '';
    const status = redis === null ? 200 : await ask(redis, request, user).catch(() => 503);
    if (status !== 200) return response.send(status);
    const { uas, uac } = await plain.createB2BUA(request, response, `sip:${user}@${target}`, {
      proxy: `sip:${target}`,
    });
    join(uas, uac);
  };
  plain.invite((request, response) => {
    take(request, response).catch(() => failed++);
  });
  plain.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    plain.on('connect', (error) => (error == null ? resolve() : reject(error)));
    plain.connect({ host: '127.0.0.1', port: agent?.appPort ?? 0, secret });
  });
  const [at] = agent.sip;
  return { host: at?.host ?? '', port: at?.port ?? 0 };
};

serve({
  start,
  reset: () => loop.reset(),
  report: () => ({ calls: up, failed, loop: loop.read(), agent: agent?.stats() ?? null }),
  memory: liveMemory,
  stop: async () => {
    srf?.disconnect();
    redis?.disconnect();
    await agent?.stop();
  },
});
