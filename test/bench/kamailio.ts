/**
 * Kamailio as the peer of the benchmark: started here, from test/bench/kamailio/kamailio.cfg, with lists of its own in a
 * Redis of its own and, where it has media, on nodes of its own, because ours do not suffer a second master.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fromRoot } from '../../src/root.js';
import { type Child, startChild } from '../../src/stack/child.js';
import { freeUdpPort } from '../../src/stack/free-ports.js';
import { callerIds, monitoredNumber, privilegedNumber } from './numbers.js';
import type { Address } from './stack.js';

const children = 4;

export interface Peer {
  readonly at: Address;
  readonly pids: readonly number[];
  stop(): Promise<unknown>;
}

const firstOf = (paths: readonly string[]): string | null =>
  paths.find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  }) ?? null;

/** Where it is installed; a text that says what is missing where it is not. */
export const findKamailio = ():
  | { readonly program: string; readonly modules: string; readonly version: string }
  | string => {
  const program = firstOf(['/usr/sbin/kamailio', '/usr/local/sbin/kamailio']);
  if (program === null) return 'Kamailio is not installed (Debian: kamailio, kamailio-redis-modules)';
  const multiarch = readdirSync('/usr/lib').filter((name) => name.endsWith('-linux-gnu'));
  const modules = firstOf([
    ...multiarch.map((name) => `/usr/lib/${name}/kamailio/modules/ndb_redis.so`),
    '/usr/local/lib64/kamailio/modules/ndb_redis.so',
  ]);
  if (modules === null) return 'Kamailio has no ndb_redis module (Debian: kamailio-redis-modules)';
  const said = execFileSync(program, ['-v'], { encoding: 'utf8' });
  return {
    program,
    modules: modules.slice(0, -'ndb_redis.so'.length),
    version: /version: (.*?) \(/.exec(said)?.[1] ?? 'Kamailio',
  };
};

/** Commands in RESP, and the wait for as many replies: what the lists of the peer need of a client. */
const tellRedis = ({ host, port }: Address, commands: readonly (readonly string[])[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let replies = 0;
    socket.setTimeout(20_000, () => socket.destroy(new Error('Redis did not take the lists of the peer')));
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('latin1').split('\n')) if (line.startsWith(':')) replies++;
      if (replies < commands.length) return;
      socket.destroy();
      resolve();
    });
    for (const command of commands)
      socket.write(
        `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`,
      );
  });

/** The lists of a peer: who is privileged, and whom each caller may call. */
export const fillPeerLists = (redis: Address): Promise<void> =>
  tellRedis(redis, [
    ['SADD', 'peer:privileged', privilegedNumber],
    ...callerIds().map((id) => ['SADD', `peer:allowed:${id}`, monitoredNumber]),
  ]);

/** Pids of a process and of its children: Kamailio forks its workers. */
const familyOf = (pid: number): number[] => {
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(below === '' ? [] : below.split(' ').map(Number))];
};

const listensAt = (port: number): boolean =>
  readFileSync('/proc/net/udp', 'latin1').includes(
    `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000`,
  );

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface KamailioOptions {
  /** Its Redis. */
  readonly lists: Address;
  /** Its media nodes; null for none: then the session descriptions are passed on as they are. */
  readonly media: { readonly recorded: Address; readonly private: Address } | null;
  /** Folder for its files; it exists. */
  readonly dir: string;
  /** Where every call goes. */
  readonly called: Address;
}

/** Starts it between the callers and `called`. Throws where it does not come up. */
export const startKamailio = async (
  found: Exclude<ReturnType<typeof findKamailio>, string>,
  { lists, media, dir, called }: KamailioOptions,
): Promise<Peer> => {
  await fillPeerLists(lists);
  const at = { host: '127.0.0.1', port: await freeUdpPort('127.0.0.1') };
  const place = ({ host, port }: Address): string => `${host}:${port}`;
  const values: Readonly<Record<string, string | number>> = {
    CHILDREN: children,
    HOST: at.host,
    PORT: at.port,
    MODULES: found.modules,
    REDIS_HOST: lists.host,
    REDIS_PORT: lists.port,
    RECORDED: media === null ? '' : place(media.recorded),
    PRIVATE: media === null ? '' : place(media.private),
    CALLED: place(called),
  };
  const template = readFileSync(fromRoot('test', 'bench', 'kamailio', 'kamailio.cfg'), 'utf8');
  const file = join(dir, 'kamailio.cfg');
  writeFileSync(
    file,
    template.replace(/@([A-Z_]+)@/g, (whole, name: string) => String(values[name] ?? whole)),
  );
  const child: Child = await startChild({
    name: 'kamailio',
    program: { path: found.program },
    // Its default allocators are made for finding errors and take a third of its CPU.
    args: [
      '-f',
      file,
      '-DD',
      '-E',
      '-x',
      'fm',
      '-X',
      'fm',
      '-m',
      '256',
      '-M',
      '32',
      '-w',
      dir,
      '-Y',
      dir,
      ...(media === null ? [] : ['-A', 'WITH_MEDIA']),
    ],
    runAs: null,
    cwd: dir,
  });
  const end = performance.now() + 10_000;
  let dead = false;
  void child.exited.then(() => {
    dead = true;
  });
  while (!listensAt(at.port) || familyOf(child.pid).length <= children) {
    if (dead || performance.now() > end) {
      await child.kill();
      throw new Error(`Kamailio did not start:\n${child.stderrTail()}`);
    }
    await pause(25);
  }
  return { at, pids: familyOf(child.pid), stop: () => child.stop() };
};
