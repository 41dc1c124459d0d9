import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { mkdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type Child, type ChildExit, startChild, untilReady } from './child.js';
import { holdPortRange } from './free-ports.js';
import { ownsPort } from './owns-port.js';
import { isInMemory, memoryPlaceFor, type Place, placeFor } from './place.js';
import { chooseUser, type RunAs } from './run-as.js';

export interface RtpengineOptions {
  /** `recorded` gets a spool; `private` gets none, and may not write a byte to any file. */
  readonly kind: 'recorded' | 'private';
  /** Folder for this node's files; a recorded node's spool is `dir/name`, unless that is out of its reach. */
  readonly dir: string;
  readonly name: string;
  /** Loopback address for media. Default 127.0.0.1. */
  readonly interface?: string;
  /** RTP ports. Default: a free range of `portCount`. */
  readonly portMin?: number;
  readonly portMax?: number;
  /** Size of the free range, four ports a call. Default 256. */
  readonly portCount?: number;
  readonly ngPort?: number;
  readonly cliPort?: number;
  /** Seconds without any RTP after which a call is dropped. Default 60. */
  readonly timeout?: number;
  /** The same for held calls. Default 14400: a call may be on hold for as long as it may last. */
  readonly silentTimeout?: number;
  /** Longest life of a call in seconds. Default 14400. */
  readonly finalTimeout?: number;
  /** Seconds an offer may stay unanswered. Default 180. */
  readonly offerTimeout?: number;
  readonly maxSessions?: number;
  /** Recorded only: use this folder as the spool instead of `dir/name`. */
  readonly spool?: string;
  /** Recorded only: a folder in memory stands for `dir/name`, where there is memory to be had. */
  readonly inMemory?: boolean;
  /** Default 5 (notices and worse). */
  readonly logLevel?: number;
  /** Where the node sends each key a party presses, as JSON over UDP. Without it, keys go unseen. */
  readonly dtmfLog?: Address;
  /** Where the node says that it gave a call up because nobody was heard, as XML-RPC. Without it, nobody is told. */
  readonly notices?: Address;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RunningRtpengine extends Child {
  readonly kind: 'recorded' | 'private';
  readonly ng: Address;
  readonly cli: Address;
  /** Address in the SDP this node makes. */
  readonly mediaAddress: string;
  readonly ports: { readonly min: number; readonly max: number };
  /** Real path of the spool; undefined for a private node. */
  readonly spool: string | undefined;
  /** The spool lies on no disk; false for a private node. */
  readonly spoolInMemory: boolean;
}

/** One NG ping (bencoded by hand: this folder knows no other). */
const pings = ({ host, port }: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    const cookie = randomBytes(8).toString('hex');
    const done = (up: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(up);
    };
    const timer = setTimeout(() => done(false), 200);
    socket.once('error', () => done(false));
    socket.once('message', (bytes) => done(bytes.toString('latin1').includes('pong')));
    socket.connect(port, host, () => socket.send(`${cookie} d7:command4:pinge`));
  });

const connects = ({ host, port }: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

/** The options every node runs with. */
const commonArgs = (
  options: RtpengineOptions,
  ng: Address,
  cli: Address,
  ports: { min: number; max: number },
): string[] => [
  // Without this, Debian's /etc/rtpengine/rtpengine.conf would be read: it records, and wants the kernel module.
  '--config-file=none',
  '-f',
  '-E',
  '--table=-1',
  `--interface=${options.interface ?? '127.0.0.1'}`,
  `--listen-ng=${ng.host}:${ng.port}`,
  `--listen-cli=${cli.host}:${cli.port}`,
  `--port-min=${ports.min}`,
  `--port-max=${ports.max}`,
  // A deleted call would otherwise relay, and record, for 30 seconds more.
  '--delete-delay=0',
  // A stranger who sends to the port must not become the party (CVE-2025-53399 class).
  '--endpoint-learning=off',
  `--timeout=${options.timeout ?? 60}`,
  `--silent-timeout=${options.silentTimeout ?? 14_400}`,
  `--final-timeout=${options.finalTimeout ?? 14_400}`,
  `--offer-timeout=${options.offerTimeout ?? 180}`,
  `--max-sessions=${options.maxSessions ?? -1}`,
  '--num-threads=2',
  '--media-num-threads=1',
  `--log-level=${options.logLevel ?? 5}`,
  ...(options.dtmfLog === undefined
    ? []
    : [`--dtmf-log-dest=${options.dtmfLog.host}:${options.dtmfLog.port}`]),
  ...(options.notices === undefined
    ? []
    : [`--b2b-url=http://${options.notices.host}:${options.notices.port}/`, '--xmlrpc-format=1']),
];

const spoolFor = (options: RtpengineOptions, user: RunAs | null): Promise<Place> => {
  const wanted = options.spool ?? join(options.dir, options.name);
  const inMemory = options.inMemory === true && options.spool === undefined;
  return inMemory ? memoryPlaceFor(wanted, user) : placeFor(wanted, user);
};

/** Starts rtpengine in userspace on loopback. Rejects with StackError. */
export const startRtpengine = async (options: RtpengineOptions): Promise<RunningRtpengine> => {
  const user = await chooseUser(['rtpengine']);
  const recorded = options.kind === 'recorded';
  await mkdir(options.dir, { recursive: true });
  const place = recorded ? await spoolFor(options, user) : undefined;
  const spool = place?.dir;
  const spoolInMemory = spool !== undefined && (await isInMemory(spool));
  const mediaAddress = options.interface ?? '127.0.0.1';
  const range =
    options.portMin !== undefined && options.portMax !== undefined
      ? { min: options.portMin, max: options.portMax, release: async () => undefined }
      : await holdPortRange(mediaAddress, options.portCount ?? 256);
  const host = '127.0.0.1';
  // Control ports lie where the kernel gives nobody an ephemeral one: a party whose RTP port happened to be a control
  // port of a node is refused, and must be.
  const control =
    options.ngPort !== undefined && options.cliPort !== undefined ? null : await holdPortRange(host, 16);
  const release = async (): Promise<void> => {
    await Promise.all([range.release(), control?.release()]);
  };
  try {
    const ng = { host, port: options.ngPort ?? control?.min ?? 0 };
    // The lock of the range is the TCP port of its first number, so the next one is the first that is free.
    const cli = { host, port: options.cliPort ?? (control?.min ?? 0) + 1 };
    const recording = spool === undefined ? [] : [`--recording-dir=${spool}`, '--recording-method=pcap'];
    const child = await startChild({
      name: `rtpengine ${options.name}`,
      program: 'rtpengine',
      args: [...commonArgs(options, ng, cli, range), ...recording],
      runAs: user,
      cwd: '/',
      // The second lock: not told not to record, but unable to write.
      ...(recorded ? {} : { maxFileBytes: 0 }),
    });
    const exited = child.exited.then(async (exit) => {
      await release();
      return exit;
    });
    const stop = async (): Promise<ChildExit> => {
      await child.stop();
      const exit = await exited;
      // Only where it was stopped on purpose: after a crash the controller still takes recordings out of the spool.
      await place?.tidy();
      return exit;
    };
    const owns = (): boolean => ownsPort(child.pid, 'udp', ng.port) && ownsPort(child.pid, 'tcp', cli.port);
    await untilReady(child, async () => owns() && (await pings(ng)) && (await connects(cli)));
    return {
      ...child,
      stop,
      kill: () => child.kill().then(() => exited),
      kind: options.kind,
      ng,
      cli,
      mediaAddress,
      ports: { min: range.min, max: range.max },
      spool,
      spoolInMemory,
    };
  } catch (error) {
    await release();
    throw error;
  }
};
