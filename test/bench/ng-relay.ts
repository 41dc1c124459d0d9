/**
 * Stands between the controller and its media nodes: loses a share of the datagrams, or replays, delays and reorders
 * them. It counts by the cookies it sees, so what is said of commands sent again is not the controller's own word.
 */
import dgram from 'node:dgram';
import { randomFrom } from '../agent/mutation.js';
import { serve } from './ask.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface NgCounts {
  /** Commands, by cookie, pings included. */
  readonly commands: number;
  /** Datagrams of the controller whose cookie had come before. */
  readonly again: number;
  /** Datagrams that were lost, commands and replies. */
  readonly lost: number;
  /** Datagrams the attack sent to the controller, and to the nodes, beyond what was forwarded. */
  readonly hostile: number;
}

/** Address of the relays; the port of each is that of its node. */
const host = '127.0.0.6';
const kept = 512;
const cookiesKept = 8192;
/** A node answers a cookie it remembers without doing anything; older ones would be new commands to it. */
const freshMs = 15_000;
/** A reply whose copies are still on their way is not changed: who cannot read the wire cannot know its cookie. */
const settledMs = 200;

let share = 0;
let random = randomFrom(1);
const counts = { commands: 0, again: 0, lost: 0, hostile: 0 };

const isLost = (): boolean => {
  if (share === 0 || random() >= share) return false;
  counts.lost++;
  return true;
};

/** The cookies of the last commands, in two halves so that none is forgotten too soon. */
class Cookies {
  #young = new Set<string>();
  #old = new Set<string>();

  isNew(cookie: string): boolean {
    if (this.#young.has(cookie) || this.#old.has(cookie)) return false;
    this.#young.add(cookie);
    if (this.#young.size > cookiesKept) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return true;
  }
}

interface Kept {
  readonly bytes: Buffer;
  readonly at: number;
  send(bytes: Buffer): void;
}

/** The last so many, in a ring. */
class Last {
  readonly #all: Kept[] = [];
  #next = 0;

  keep(one: Kept): void {
    this.#all[this.#next++ % kept] = one;
  }

  any(): Kept | undefined {
    return this.#all[Math.floor(random() * this.#all.length)];
  }
}

const replies = new Last();
const requests = new Last();
let attack: NodeJS.Timeout | null = null;
let endAttack: () => void = () => undefined;
/** The controller's sockets. */
const clients = new Set<number>();

/** During an attack everything goes out twice, and each copy at a time of its own: so it comes out of order. */
const pass = (bytes: Buffer, send: (bytes: Buffer) => void): void => {
  if (isLost()) return;
  if (attack === null) {
    send(bytes);
    return;
  }
  counts.hostile++;
  for (const _ of [1, 2]) setTimeout(() => send(bytes), random() * 15);
};

const bound = (port: number, at: string): Promise<dgram.Socket> =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    socket.once('error', reject);
    socket.bind(port, at, () => {
      socket.removeListener('error', reject);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });

const relay = async (node: Address): Promise<void> => {
  const front = await bound(node.port, host);
  const backs = new Map<number, dgram.Socket>();
  const cookies = new Cookies();
  /** The controller has two sockets for each node; whoever else comes is no business of this one. */
  const backOf = (port: number): dgram.Socket => {
    const known = backs.get(port);
    if (known !== undefined) return known;
    const back = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    back.on('error', () => undefined);
    back.on('message', (bytes) => {
      const send = (data: Buffer): void => front.send(data, port, '127.0.0.1', () => undefined);
      replies.keep({ bytes, at: performance.now(), send });
      pass(bytes, send);
    });
    backs.set(port, back);
    clients.add(port);
    return back;
  };
  front.on('message', (bytes, from) => {
    const cookie = bytes.toString('latin1', 0, Math.max(0, bytes.indexOf(0x20)));
    if (cookies.isNew(cookie)) counts.commands++;
    else counts.again++;
    const back = backOf(from.port);
    const send = (data: Buffer): void => back.send(data, node.port, node.host, () => undefined);
    requests.keep({ bytes, at: performance.now(), send });
    pass(bytes, send);
  });
};

/** What is sent to the controller: replies it has had, cut, changed, or as they were. */
const spoilt = (bytes: Buffer): Buffer => {
  const kind = random();
  if (kind < 0.6) return bytes;
  if (kind < 0.7) return bytes.subarray(0, Math.floor(random() * bytes.length));
  if (kind < 0.8) return Buffer.concat([bytes, Buffer.alloc(8000, 0x6c)]);
  const other = Buffer.from(bytes);
  for (let i = 0; i < 8; i++) other[Math.floor(random() * other.length)] = Math.floor(random() * 256);
  return other;
};

const startReplaying = async ({ perSecond }: { readonly perSecond: number }): Promise<void> => {
  const stranger = await bound(0, '127.0.9.9');
  let due = 0;
  let last = performance.now();
  const shoot = (): void => {
    const now = performance.now();
    // After a stall not all of it at once: that would be a test of the scheduler.
    due = Math.min(50, due + ((now - last) / 1000) * perSecond);
    last = now;
    for (; due >= 1; due -= 1) {
      const reply = replies.any();
      const kind = random();
      if (reply === undefined || now - reply.at < settledMs) continue;
      counts.hostile++;
      if (kind < 0.8) reply.send(spoilt(reply.bytes));
      else if (kind < 0.95) {
        for (const port of clients) stranger.send(reply.bytes, port, '127.0.0.1', () => undefined);
      } else {
        const request = requests.any();
        if (request !== undefined && now - request.at < freshMs) request.send(request.bytes);
      }
    }
  };
  attack = setInterval(shoot, 2);
  endAttack = () => stranger.close();
};

serve({
  open: async (nodes: readonly Address[]) => {
    for (const node of nodes) await relay(node);
    return host;
  },
  lose: (order: { readonly share: number; readonly seed: number }) => {
    share = order.share;
    random = randomFrom(order.seed);
  },
  replay: startReplaying,
  calm: () => {
    if (attack !== null) clearInterval(attack);
    attack = null;
    endAttack();
    endAttack = () => undefined;
  },
  counts: (): NgCounts => ({ ...counts }),
  stop: () => undefined,
});
