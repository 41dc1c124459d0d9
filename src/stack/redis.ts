import { createConnection } from 'node:net';
import { type Child, startChild, untilReady } from './child.js';
import { freeTcpPort } from './free-ports.js';
import { ownsPort } from './owns-port.js';
import { placeFor } from './place.js';
import { chooseUser } from './run-as.js';

export interface RedisOptions {
  /** Where Redis keeps its files. */
  readonly dir: string;
  /** Default: a free port. */
  readonly port?: number;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Keep what was written over a restart (append-only file). Default false. */
  readonly persist?: boolean;
  /** Further arguments for redis-server, such as `--maxmemory 100mb`. */
  readonly args?: readonly string[];
}

export interface RunningRedis extends Child {
  readonly host: string;
  readonly port: number;
  readonly dir: string;
}

/** One PING on a connection of its own. A password or a loading server answers too: then it is up. */
const pings = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const done = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(500, () => done(false));
    socket.once('error', () => done(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (bytes) => done(/^(\+PONG|-NOAUTH)/.test(bytes.toString('latin1'))));
    socket.once('close', () => resolve(false));
  });

/** Starts Redis on loopback. Rejects with StackError. */
export const startRedis = async (options: RedisOptions): Promise<RunningRedis> => {
  const user = await chooseUser(['redis']);
  const { dir, tidy } = await placeFor(options.dir, user);
  const host = options.host ?? '127.0.0.1';
  const port = options.port ?? (await freeTcpPort(host));
  const child = await startChild({
    name: 'redis',
    program: 'redis-server',
    args: [
      ...['--bind', host, '--port', String(port), '--dir', dir, '--daemonize', 'no', '--save', ''],
      ...['--appendonly', options.persist === true ? 'yes' : 'no', '--pidfile', ''],
      ...(options.args ?? []),
    ],
    runAs: user,
    cwd: dir,
  });
  const exited = child.exited.finally(tidy);
  await untilReady(child, async () => ownsPort(child.pid, 'tcp', port) && (await pings(host, port)));
  return {
    ...child,
    stop: () => child.stop().then(() => exited),
    kill: () => child.kill().then(() => exited),
    host,
    port,
    dir,
  };
};
