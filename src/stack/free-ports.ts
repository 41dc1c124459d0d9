import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { StackError } from './program.js';

const listen = (host: string, port: number): Promise<Server | null> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', () => resolve(null));
    server.listen({ host, port, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

const bindUdp = (host: string, port: number): Promise<number | null> =>
  new Promise((resolve) => {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', () => {
      socket.close();
      resolve(null);
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });

/** A range of UDP ports nobody else of us takes while it is held. */
export interface PortRange {
  readonly min: number;
  readonly max: number;
  release(): Promise<void>;
}

// Below the range the kernel takes ephemeral ports from (32768 up), so a short-lived socket cannot fall into it.
const LOWEST = 10_000;
const HIGHEST = 32_000;

// Every sixteenth port of a range is a lock, and each range begins at one: two that overlap cannot both be had.
const LOCK_EVERY = 16;

/** What was given once is not given again: whoever asked may listen there only after the next one has asked. */
const given = new Set<number>();

/** A free TCP port that the kernel gives to no outgoing connection before somebody listens on it. */
export const freeTcpPort = async (host: string): Promise<number> => {
  for (let tried = 0; tried < 200; tried++) {
    const wanted = randomInt(LOWEST, HIGHEST);
    // The locks of ranges, and the ports beside them on which their holders listen: one may be taken between this look
    // and the moment at which the server it is for listens.
    const server = wanted % LOCK_EVERY < 2 || given.has(wanted) ? null : await listen(host, wanted);
    if (server === null) continue;
    given.add(wanted);
    await close(server);
    return wanted;
  }
  throw new StackError('no-free-ports', `no TCP port is free on ${host} between ${LOWEST} and ${HIGHEST}`);
};

const lockRange = async (host: string, min: number, size: number): Promise<PortRange | null> => {
  const locks: Server[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(locks.map(close));
  };
  for (let port = min; port < min + size; port += LOCK_EVERY) {
    const lock = await listen('127.0.0.1', port);
    if (lock === null) {
      await release();
      return null;
    }
    locks.push(lock);
  }
  if ((await bindUdp(host, min)) !== null && (await bindUdp(host, min + size - 2)) !== null) {
    return { min, max: min + size - 1, release };
  }
  await release();
  return null;
};

/**
 * Holds a free even range of UDP ports. The TCP port of the same number as the first one, held open by this
 * process, is the lock: it works between processes and a crash lets go of it.
 */
export const holdPortRange = async (host: string, size: number): Promise<PortRange> => {
  // First where ranges of one size lie side by side, so that as many as can be find room; then wherever one fits.
  const stride = Math.ceil(Math.max(size, 16) / LOCK_EVERY) * LOCK_EVERY;
  const slots = Math.floor((HIGHEST - LOWEST) / stride);
  const first = randomInt(Math.max(slots, 1));
  for (let tried = 0; tried < slots; tried++) {
    const range = await lockRange(host, LOWEST + ((first + tried) % slots) * stride, size);
    if (range !== null) return range;
  }
  for (let min = LOWEST; min + stride <= HIGHEST; min += LOCK_EVERY * 8) {
    const range = await lockRange(host, min, size);
    if (range !== null) return range;
  }
  throw new StackError(
    'no-free-ports',
    `no free range of ${size} UDP ports between ${LOWEST} and ${HIGHEST}`,
  );
};

/** What is left of the range that UDP ports are given from. Its first two ports are a lock and its holder's. */
let room: { next: number; readonly end: number } = { next: 0, end: 0 };

/**
 * A free UDP port that stays this process's as long as it lives, whether anybody is bound to it or not: whoever is
 * killed comes back on it. Nothing that binds to any port there is can have got it meanwhile.
 */
export const freeUdpPort = async (host: string): Promise<number> => {
  for (let tried = 0; tried < 200; tried++) {
    if (room.next >= room.end) {
      const { min, max } = await holdPortRange('127.0.0.1', LOCK_EVERY);
      room = { next: min + 2, end: max + 1 };
    }
    const port = room.next++;
    if ((await bindUdp(host, port)) !== null) return port;
  }
  throw new StackError('no-free-ports', `no UDP port is free on ${host}`);
};
