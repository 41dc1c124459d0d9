import { spawn } from 'node:child_process';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type Child, type ChildExit, type ChildOptions, startChild, untilReady } from './child.js';
import { freeTcpPort } from './free-ports.js';
import { ownsPort } from './owns-port.js';
import { placeFor } from './place.js';
import { findProgram, StackError } from './program.js';
import { chooseUser, privilegeArgs, type RunAs } from './run-as.js';

export interface PostgresOptions {
  /** Where the cluster lies. It is made where it is not there; what is there is kept. */
  readonly dir: string;
  /** What lies there is thrown away first, and all of it in the end. */
  readonly fresh?: boolean;
  /** Default: a free port. */
  readonly port?: number;
  /** Further settings, `name=value`. */
  readonly settings?: readonly string[];
}

export interface RunningPostgres extends Child {
  readonly host: string;
  readonly port: number;
  readonly dir: string;
  readonly user: string;
  readonly database: string;
}

/** Debian keeps the server's programs out of the PATH, a folder for each version. */
const versions = '/usr/lib/postgresql';

/** Folder of the programs of the newest version installed. Rejects with StackError `program-missing`. */
const programFolder = async (): Promise<string> => {
  const found = (await readdir(versions).catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a));
  for (const version of found) {
    const folder = join(versions, version, 'bin');
    const there = await access(join(folder, 'postgres')).then(
      () => true,
      () => false,
    );
    if (there) return folder;
  }
  throw new StackError(
    'program-missing',
    'PostgreSQL is not installed; on Debian: apt-get install postgresql',
  );
};

const runOnce = (program: string, args: readonly string[], runAs: RunAs | null, cwd: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(findProgram('setpriv'), [...privilegeArgs(runAs), '--', program, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: cwd },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString('utf8')).slice(-4096);
      });
    child.once('error', (error) => reject(new StackError('died-early', `${program}: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new StackError('died-early', `${program} ended with ${code}:\n${said}`));
    });
  });

const USER = 'sallyport';
const DATABASE = 'postgres';

/** The message that opens a connection (PostgreSQL's documentation, "Message Formats": StartupMessage). */
const startup = (): Buffer => {
  const body = Buffer.from(`user\0${USER}\0database\0${DATABASE}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(196_608, 4);
  return Buffer.concat([head, body]);
};

/** A server that still starts, or recovers from a crash, takes the connection and answers with an error (E). */
const answers = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const done = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(500, () => done(false));
    socket.once('error', () => done(false));
    socket.once('connect', () => socket.write(startup()));
    socket.once('data', (bytes) => done(String.fromCharCode(bytes[0] ?? 0) === 'R'));
    socket.once('close', () => resolve(false));
  });

const PREDECESSOR_MS = 15_000;

/** Starts the server; where one before it was killed, as soon as the last of its processes has noticed that. */
const started = async (
  { host, port }: { readonly host: string; readonly port: number },
  options: ChildOptions,
): Promise<Child> => {
  const end = performance.now() + PREDECESSOR_MS;
  for (;;) {
    const child = await startChild(options);
    try {
      await untilReady(
        child,
        async () => ownsPort(child.pid, 'tcp', port) && (await answers(host, port)),
        30_000,
      );
      return child;
    } catch (error) {
      const waits = /shared memory block|is another postmaster/.test(child.stderrTail());
      if (!waits || performance.now() > end) throw error;
    }
  }
};

/**
 * Starts PostgreSQL on loopback, for the demo, the tests and `npm start`: whoever can reach the port is trusted, which
 * is good for a machine of one's own and for nothing else. Rejects with StackError.
 */
export const startPostgres = async (options: PostgresOptions): Promise<RunningPostgres> => {
  const user = await chooseUser(['postgres']);
  const { dir, tidy } = await placeFor(options.dir, user);
  const bin = await programFolder();
  const data = join(dir, 'data');
  const clear = (): Promise<void> =>
    options.fresh === true ? rm(data, { recursive: true, force: true }) : Promise.resolve();
  await clear();
  const made = await access(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!made) {
    await mkdir(dir, { recursive: true });
    const args = ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    await runOnce(join(bin, 'initdb'), args, user, dir);
  }
  const host = '127.0.0.1';
  const port = options.port ?? (await freeTcpPort(host));
  const settings = [
    ...[`listen_addresses=${host}`, 'unix_socket_directories=', 'timezone=UTC', 'log_timezone=UTC'],
    // In its own folder, not in /dev/shm: a server that is killed leaves nothing elsewhere.
    'dynamic_shared_memory_type=mmap',
    ...['shared_buffers=64MB', 'max_connections=40', 'logging_collector=off'],
    ...(options.settings ?? []),
  ];
  const child = await started(
    { host, port },
    {
      name: 'postgres',
      program: { path: join(bin, 'postgres') },
      args: ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
      runAs: user,
      cwd: dir,
    },
  );
  const exited = child.exited.finally(() => clear().then(tidy));
  const stop = async (): Promise<ChildExit> => {
    // SIGINT is its fast shutdown: connections are ended, what is committed is written.
    try {
      process.kill(child.pid, 'SIGINT');
    } catch {
      // It is gone already.
    }
    const timer = setTimeout(() => void child.kill(), 10_000);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  return {
    ...child,
    stop,
    kill: () => child.kill().then(() => exited),
    host,
    port,
    dir,
    user: USER,
    database: DATABASE,
  };
};
