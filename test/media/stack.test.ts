import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { freeTcpPort, holdPortRange } from '../../src/stack/free-ports.js';
import { startRedis } from '../../src/stack/redis.js';
import { startRtpengine } from '../../src/stack/rtpengine.js';
import { until } from './rtp-phone.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-stack-'));
// So that the servers' own users get there.
await chmod(dir, 0o755);
t.teardown(() => rm(dir, { recursive: true, force: true }));

/** A zombie only waits for whoever inherited it. */
const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

/** One line to Redis, one answer. */
const ask = (port: number, line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write(`${line}\r\n`));
    socket.once('error', reject);
    socket.once('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString('latin1'));
    });
  });

t.test('Redis: started, frozen, stopped, and started again with what it kept', async (t) => {
  const redis = await startRedis({ dir: join(dir, 'redis'), persist: true });
  t.match(await ask(redis.port, 'SET key value'), /OK/);
  if (process.getuid?.() === 0) {
    t.notMatch(readFileSync(`/proc/${redis.pid}/status`, 'utf8'), /^Uid:\s+0\b/m, 'never as root');
  }
  t.match(readFileSync(`/proc/${redis.pid}/status`, 'utf8'), /^CapEff:\t0+$/m, 'without capabilities');
  redis.freeze();
  await until('it is frozen', () => /^State:\tT/m.test(readFileSync(`/proc/${redis.pid}/status`, 'utf8')));
  t.match(await redis.stop(), { code: 0 }, 'a frozen server is stopped in order too');
  t.notOk(alive(redis.pid));
  const again = await startRedis({ dir: join(dir, 'redis'), persist: true, port: redis.port });
  t.equal(again.port, redis.port);
  t.match(await ask(again.port, 'GET key'), /value/);
  t.match(await again.kill(), { signal: 'SIGKILL' });
});

t.test('rtpengine: a private one cannot write, a recorded one has a spool of its own', async (t) => {
  const locked = join(dir, 'locked');
  await mkdir(locked);
  await chmod(locked, 0o700);
  const [secret, open] = await Promise.all([
    startRtpengine({ kind: 'private', dir: locked, name: 'p' }),
    startRtpengine({ kind: 'recorded', dir: locked, name: 'r' }),
  ]);
  const limits = (pid: number): string =>
    /Max file size\s+(\S+\s+\S+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? '';
  t.match(limits(secret.pid), /^0\s+0$/);
  t.equal(secret.spool, undefined);
  t.match(limits(open.pid), /^unlimited/);
  const spool = open.spool ?? '';
  t.equal(statSync(spool).mode & 0o777, 0o700, 'nobody else reads recordings');
  t.ok(existsSync(join(spool, 'pcaps')), 'the node could make its folders there');
  if (process.getuid?.() === 0) t.notOk(spool.startsWith(locked), 'a folder out of its reach is not used');
  t.ok(secret.ports.max < open.ports.min || open.ports.max < secret.ports.min, 'ports apart');
  await Promise.all([secret.stop(), open.stop()]);
  t.notOk(alive(secret.pid) || alive(open.pid));
});

t.test('errors say what to do', async (t) => {
  const port = await freeTcpPort('127.0.0.1');
  const first = await startRedis({ dir: join(dir, 'one'), port });
  await t.rejects(startRedis({ dir: join(dir, 'two'), port, args: ['--no-such-option', '1'] }), {
    code: 'died-early',
    message: /no-such-option/,
  });
  await first.stop();
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  await t.rejects(startRtpengine({ kind: 'private', dir, name: 'x' }), {
    code: 'program-missing',
    message: /apt-get install (rtpengine-daemon|util-linux)/,
  });
  process.env.PATH = path;
});

t.test('a port range is held by one at a time', async (t) => {
  const ranges = await Promise.all(Array.from({ length: 8 }, () => holdPortRange('127.0.0.1', 64)));
  const sorted = [...ranges].sort((left, right) => left.min - right.min);
  for (const [index, range] of sorted.entries()) {
    t.equal(range.min % 2, 0);
    t.ok(range.max < (sorted[index + 1]?.min ?? 99_999));
    await range.release();
  }
});

t.test('no server is given the port that the holder of a range takes', async (t) => {
  const ports: number[] = [];
  for (let i = 0; i < 300; i++) ports.push(await freeTcpPort('127.0.0.1'));
  t.same(
    ports.filter((port) => port % 16 < 2 || port >= 32_768),
    [],
  );
});

t.test('children end with their parent, however it ends', async (t) => {
  const module = fileURLToPath(new URL('../../src/stack/redis.js', import.meta.url));
  for (const end of [
    'process.kill(process.pid, "SIGKILL")',
    'process.exit(0)',
    'throw new Error("on purpose")',
  ]) {
    const code = `
      import { startRedis } from ${JSON.stringify(module)};
      const redis = await startRedis({ dir: ${JSON.stringify(join(dir, 'orphan'))} });
      process.stdout.write(String(redis.pid) + '\\n', () => { ${end} });
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (bytes) => resolve(Number(bytes.toString())));
    });
    t.ok(pid > 1);
    await until(`the child is gone after ${end}`, () => !alive(pid));
  }
});

t.end();
