/**
 * The yardstick: the smallest back-to-back user agent on drachtio-srf and the embedded agent. It asks no list, writes
 * no row and anchors no media; it joins the two legs and passes the BYE on, as the library's own examples do.
 */
import Srf from 'drachtio-srf';
import { type Agent, startAgent } from '../../src/agent/agent.js';
import { serve } from './ask.js';
import { watchLoop } from './event-loop.js';

interface Dialog {
  on(event: 'destroy', listener: () => void): void;
  destroy(): Promise<unknown>;
}

interface Incoming {
  readonly uri: string;
}

interface PlainSrf {
  on(event: 'connect' | 'error', listener: (error: unknown) => void): void;
  connect(options: { host: string; port: number; secret: string }): void;
  disconnect(): void;
  invite(take: (request: Incoming, response: unknown) => void): void;
  createB2BUA(
    request: Incoming,
    response: unknown,
    uri: string,
    options: { proxy: string },
  ): Promise<{ uas: Dialog; uac: Dialog }>;
}

const loop = watchLoop();
let agent: Agent | null = null;
let srf: PlainSrf | null = null;
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

const start = async (called: { host: string; port: number }): Promise<{ host: string; port: number }> => {
  const secret = 'bench';
  agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  const plain = new (Srf as unknown as new () => PlainSrf)();
  srf = plain;
  const target = `${called.host}:${called.port}`;
  plain.invite((request, response) => {
    const user = /^sip:([^@]*)@/.exec(request.uri)?.[1] ?? '';
    plain
      .createB2BUA(request, response, `sip:${user}@${target}`, { proxy: `sip:${target}` })
      .then(({ uas, uac }) => join(uas, uac))
      .catch(() => failed++);
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
  memory: () => {
    globalThis.gc?.();
    return process.memoryUsage();
  },
  stop: async () => {
    srf?.disconnect();
    await agent?.stop();
  },
});
