import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import type { AppEvent } from '../../src/call/events.js';
import { SipEndpoint } from '../../src/sip/endpoint.js';
import { newProbeUser, SelfProbe } from '../../src/sip/self-probe.js';
import { RawUdp, request, response, until } from '../agent/support.js';
import { leg, now } from '../core/samples.js';

/** A TCP relay that can go on taking bytes and pass none of them on, as a dead path does. */
class Swallowing {
  readonly #sockets = new Set<Socket>();
  swallows = false;
  connections = 0;

  async open(test: Test, to: () => number): Promise<number> {
    const server = createServer((near) => {
      this.connections++;
      const far = connect(to(), '127.0.0.1');
      const pass = (from: Socket, other: Socket): void => {
        this.#sockets.add(from);
        from.on('data', (data) => this.swallows || other.write(data));
        from.on('error', () => undefined);
        from.on('close', () => other.destroy());
      };
      pass(near, far);
      pass(far, near);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    test.teardown(async () => {
      for (const socket of this.#sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
}

// Each waits for what happens, however long a busy machine takes.
t.setTimeout(300_000);

const secret = 'sesame';
const startedAgent = (options: Partial<AgentOptions> = {}): Promise<Agent> =>
  startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    ...options,
  });

interface Bench {
  readonly endpoint: SipEndpoint;
  readonly events: AppEvent[];
  lost: number;
  readonly alarms: () => readonly string[];
}

async function joined(
  test: Test,
  port: number,
  at: { host: string; port: number } | null,
  user = newProbeUser(),
): Promise<Bench> {
  const events: AppEvent[] = [];
  const endpoint = new SipEndpoint({
    agent: { host: '127.0.0.1', port, secret },
    trunks: [],
    clock: { wall: () => now, mono: () => performance.now() },
    emit: (event) => void events.push(event),
    newCallId: () => leg().callId,
    probe: { at, user, everyMs: 50 },
  });
  const bench: Bench = {
    endpoint,
    events,
    lost: 0,
    alarms: () => events.flatMap((one) => (one.event === 'alarm' ? [`${one.alarm} ${one.detail}`] : [])),
  };
  test.teardown(() => endpoint.stop());
  await endpoint.start({
    refusal: () => null,
    crowded: () => null,
    take: () => undefined,
    reject: () => undefined,
    agentLost: () => {
      bench.lost++;
    },
  });
  return bench;
}

t.test('a connection that swallows everything is found, and made anew', async (t) => {
  const agent = await startedAgent();
  t.teardown(() => agent.stop());
  const path = new Swallowing();
  const bench = await joined(t, await path.open(t, () => agent.appPort), null);
  await until('the probe has been answered', () => bench.endpoint.probed, 40_000);
  t.same(bench.alarms(), []);
  path.swallows = true;
  await until('the alarm', () => bench.alarms().length > 0, 30_000);
  t.same(bench.alarms(), ['sip-path-dead connection']);
  t.equal(bench.endpoint.up, false, 'not ready');
  t.equal(bench.lost, 1, 'the calls on it are told');
  path.swallows = false;
  await until('it is up again', () => bench.endpoint.up, 40_000);
  t.ok(path.connections >= 2);
  // And it serves: what comes in comes through to the application.
  const peer = await RawUdp.open();
  t.teardown(() => peer.close());
  peer.send(request({ method: 'OPTIONS', port: peer.port }), agent.sip[0]?.port ?? 0);
  await peer.next('SIP/2.0 403');
  t.equal(bench.alarms().length, 1);
});

t.test('a SIP port that is dead beside a connection that lives: an alarm, and no call is lost', async (t) => {
  const agent = await startedAgent();
  t.teardown(() => agent.stop());
  const relay = createSocket('udp4');
  let open = true;
  let asker: { address: string; port: number } | null = null;
  relay.on('message', (data, from) => {
    if (!open) return;
    if (from.port === agent.sip[0]?.port) {
      if (asker !== null) relay.send(data, asker.port, asker.address);
      return;
    }
    asker = from;
    relay.send(data, agent.sip[0]?.port ?? 0, '127.0.0.1');
  });
  await new Promise<void>((resolve) => relay.bind(0, '127.0.0.1', resolve));
  t.teardown(() => relay.close());
  const bench = await joined(t, agent.appPort, { host: '127.0.0.1', port: relay.address().port });
  await until('the probe has been answered', () => bench.endpoint.probed, 40_000);
  open = false;
  await until('the alarm', () => bench.alarms().length > 0, 30_000);
  t.same(bench.alarms(), ['sip-path-dead sip-port']);
  t.equal(bench.endpoint.up, false);
  t.equal(bench.lost, 0);
  t.equal(agent.stats().appConnections, 1);
  open = true;
  await until('it is well again', () => bench.endpoint.up, 30_000);
  t.equal(bench.lost, 0);
});

t.test(
  'peers with passwords do not keep the probe out; what cannot be reached raises no alarm',
  async (t) => {
    const user = newProbeUser();
    const digest = { username: 'u', password: 'p' };
    const peers = [{ name: 'pbx', addresses: [], transports: ['udp'], digest }] as const;
    const agent = await startedAgent({ peers, probeUser: user });
    t.teardown(() => agent.stop());
    const at = { host: '127.0.0.1', port: agent.sip[0]?.port ?? 0 };
    const bench = await joined(t, agent.appPort, at, user);
    await until('probes', () => agent.stats().received > 8, 30_000);
    t.equal(agent.stats().refused.credentials, 0);
    const other = await joined(t, agent.appPort, at, newProbeUser());
    await until('challenges', () => agent.stats().refused.credentials > 5, 30_000);
    t.same([...bench.alarms(), ...other.alarms()], []);
    t.ok(bench.endpoint.up && other.endpoint.up);
  },
);

t.test('whoever has too much to do is not dead', async (t) => {
  const peer = await RawUdp.open();
  t.teardown(() => peer.close());
  const events: AppEvent[] = [];
  let reconnects = 0;
  const probe = new SelfProbe(
    { at: { host: '127.0.0.1', port: peer.port }, user: 'probe-x', everyMs: 30 },
    { up: true, signOfLife: () => () => false, reconnect: () => reconnects++ },
    (event) => events.push(event),
  );
  probe.start('');
  t.teardown(() => probe.stop());
  const answer = async (status: number, lines: string[] = []): Promise<void> => {
    const asked = await peer.next('OPTIONS');
    peer.send(response(asked.text, status, { lines }), asked.port);
  };
  await answer(200);
  for (let i = 0; i < 8; i++) await answer(503, ['Retry-After: 5']);
  t.same(events, []);
  // No application, or an answer to something else, is no answer.
  for (let i = 0; i < 5; i++) await answer(503);
  await until('the alarm', () => events.length > 0);
  t.match(events, [{ event: 'alarm', alarm: 'sip-path-dead', detail: 'connection' }]);
  t.equal(reconnects, 1);
});

t.test('an agent whose process is stopped is found, and served by again when it goes on', async (t) => {
  const script = `
    const { startAgent } = await import(${JSON.stringify(new URL('../../src/agent/agent.js', import.meta.url).href)});
    const agent = await startAgent({ app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
      sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }] });
    process.stdout.write(agent.appPort + '\\n');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const port = await new Promise<number>((resolve) => {
    child.stdout.once('data', (data) => resolve(Number(String(data))));
  });
  const bench = await joined(t, port, null);
  await until('the probe has been answered', () => bench.endpoint.probed, 40_000);
  child.kill('SIGSTOP');
  await until('the alarm', () => bench.alarms().length > 0, 30_000);
  t.same(bench.alarms(), ['sip-path-dead connection']);
  t.equal(bench.lost, 1);
  child.kill('SIGCONT');
  await until('it is up again', () => bench.endpoint.up, 40_000);
});

t.test('a process whose event loop is stuck ends itself', async (t) => {
  const script = `
    const { guardAgainstStalls } = await import(${JSON.stringify(new URL('../../src/stall-guard.js', import.meta.url).href)});
    const alive = setInterval(() => undefined, 1000);
    const guard = guardAgainstStalls(1000);
    await guard.watching;
    if (process.argv[1] === 'well') setTimeout(() => { guard.stop(); clearInterval(alive); }, 2500);
    else for (;;);`;
  const ended = (how: string): Promise<{ signal: NodeJS.Signals | null; text: string }> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, how], {
        stdio: ['ignore', 'inherit', 'pipe'],
        timeout: 60_000,
      });
      let text = '';
      child.stderr.on('data', (data) => {
        text += String(data);
      });
      child.once('close', (_code, signal) => resolve({ signal, text }));
    });
  const [stuck, well] = await Promise.all([ended('stuck'), ended('well')]);
  t.equal(stuck.signal, 'SIGKILL');
  t.match(stuck.text, /event-loop-stuck/);
  t.same(well, { signal: null, text: '' });
});
