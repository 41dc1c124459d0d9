/** What is thrown at the controller, in a process of its own: each attack at a rate this machine can make beside it. */
import dgram from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fromRoot } from '../../src/root.js';
import { mutate, randomFrom } from '../agent/mutation.js';
import { RawTcp, request, sdp, token } from '../agent/support.js';
import { serve } from './ask.js';
import { addresses } from './hostile-site.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface AttackOrder {
  readonly attack: string;
  readonly udp: Address;
  readonly tcp: Address;
  readonly seed: number;
  /** 1 for all of it, less for trying. */
  readonly scale: number;
}

export interface AttackResult {
  /** Messages, or connections where the attack is made of those. */
  readonly sent: number;
  readonly seconds: number;
  /** What is worth telling of it, in a few words. */
  readonly note: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Does something so often a second; what a stall left behind is made up for a few at a time. */
const paced = async (
  total: number,
  perSecond: number,
  one: (i: number) => void | Promise<void>,
): Promise<void> => {
  const began = performance.now();
  for (let made = 0; made < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond) + 1);
    for (let few = 0; made < due && few < 20; few++, made++) await one(made);
    await pause(1);
  }
};

/** A UDP socket at an address, which says who it is. Answers are counted by their status and else thrown away. */
class Peer {
  readonly answers = new Map<string, number>();
  readonly #socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 8 << 20 });
  readonly #to: Address;
  readonly address: string;
  port = 0;

  private constructor(address: string, to: Address) {
    this.address = address;
    this.#to = to;
  }

  static async open(address: string, to: Address): Promise<Peer> {
    const peer = new Peer(address, to);
    peer.#socket.on('message', (data) => {
      const status = data.toString('latin1', 8, 11);
      peer.answers.set(status, (peer.answers.get(status) ?? 0) + 1);
    });
    await new Promise<void>((resolve, reject) => {
      peer.#socket.once('error', reject);
      peer.#socket.bind(0, address, resolve);
    });
    peer.#socket.on('error', () => undefined);
    peer.port = peer.#socket.address().port;
    return peer;
  }

  send(data: string | Buffer): void {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    this.#socket.send(bytes, this.#to.port, this.#to.host, () => undefined);
  }

  request(options: Partial<Parameters<typeof request>[0]> = {}): string {
    return request({ port: this.port, ...options }).replaceAll(
      `127.0.0.1:${this.port}`,
      `${this.address}:${this.port}`,
    );
  }

  close(): void {
    this.#socket.close();
  }
}

const told = (answers: ReadonlyMap<string, number>): string =>
  [...answers]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 5)
    .map(([status, times]) => `${times} × ${status}`)
    .join(', ');

const tcpFrom = async (address: string, to: Address): Promise<RawTcp> => {
  const socket = connect({ host: to.host, port: to.port, localAddress: address });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.setNoDelay(true);
  return new RawTcp(socket);
};

const written = (peer: RawTcp, data: string | Buffer): Promise<void> =>
  new Promise((resolve) => {
    if (peer.closed || peer.socket.destroyed) resolve();
    else peer.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data, () => resolve());
  });

/** Waits until it is closed from the other side, or not any longer; gives whether it was. */
const closedWithin = async (peer: RawTcp, ms: number): Promise<boolean> => {
  const end = performance.now() + ms;
  while (!peer.closed && performance.now() < end) await pause(10);
  const closed = peer.closed;
  peer.socket.destroy();
  return closed;
};

const folder = fromRoot('test', 'agent', 'rfc4475');
const torture = (): readonly Buffer[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.dat'))
    .map((name) => readFileSync(`${folder}/${name}`));

/** A message as if it were another one than the last of its kind, which would be taken for a retransmission. */
const fresh = (source: string): string =>
  source
    .replace(/branch=[^;,\r\n]*/, `branch=z9hG4bK${token()}`)
    .replace(/^(Call-ID|i) *:.*$/im, `Call-ID: ${token()}`);

type Attack = (order: AttackOrder) => Promise<Omit<AttackResult, 'seconds'>>;

const everyTorture: Attack = async ({ udp, tcp, scale }) => {
  const peers = [await Peer.open(addresses.trunk, udp), await Peer.open(addresses.strangers[0], udp)];
  const messages = torture();
  const passes = Math.max(1, Math.round(20 * scale));
  let sent = 0;
  await paced(passes * messages.length, 400, (i) => {
    const bytes = messages[i % messages.length] ?? Buffer.alloc(0);
    // The first time as it stands in the RFC.
    const data = i < messages.length ? bytes : fresh(bytes.toString('latin1'));
    for (const peer of peers) peer.send(data);
    sent += peers.length;
  });
  for (const bytes of messages) {
    const peer = await tcpFrom(addresses.trunk, tcp);
    await written(peer, bytes);
    await closedWithin(peer, 100);
    sent++;
  }
  await pause(500);
  for (const peer of peers) peer.close();
  return { sent, note: `${messages.length} messages, ${told(peers[0]?.answers ?? new Map())}` };
};

const mutations: Attack = async ({ udp, seed, scale }) => {
  const random = randomFrom(seed);
  const trunk = await Peer.open(addresses.trunk, udp);
  const stranger = await Peer.open(addresses.strangers[0], udp);
  const methods = ['INVITE', 'OPTIONS', 'BYE', 'CANCEL', 'ACK', 'REGISTER', 'INFO', 'PRACK', 'UPDATE'];
  const sources = [
    ...torture().map((bytes) => bytes.toString('latin1')),
    ...methods.map((method) => trunk.request({ method, body: method === 'INVITE' ? sdp() : '' })),
  ];
  const total = Math.round(100_000 * scale);
  await paced(total, 2000, (i) => {
    const source = sources[Math.floor(random() * sources.length)] ?? '';
    (i % 2 === 0 ? trunk : stranger).send(mutate(fresh(source), random).slice(0, 60_000));
  });
  await pause(500);
  trunk.close();
  stranger.close();
  return { sent: total, note: `seed ${seed}; ${told(trunk.answers)}` };
};

const oneByteAtATime: Attack = async ({ tcp, scale }) => {
  const connections = 10;
  const each = Math.max(1, Math.round(40 * scale));
  let bytes = 0;
  let answered = 0;
  const talk = async (): Promise<void> => {
    const peer = await tcpFrom(addresses.trunk, tcp);
    const { port } = peer.socket.address() as { port: number };
    for (let i = 0; i < each; i++) {
      const method = i % 2 === 0 ? 'OPTIONS' : 'INVITE';
      const body = method === 'INVITE' ? sdp() : '';
      const lines = method === 'INVITE' ? ['Content-Type: application/sdp'] : [];
      const text = request({ transport: 'TCP', port, method, body, lines });
      for (const byte of Buffer.from(text, 'latin1')) {
        await written(peer, Buffer.of(byte));
        bytes++;
        // One a millisecond and connection: each is a packet of its own.
        await pause(1);
      }
    }
    await pause(1000);
    answered += peer.inbox.items.filter((answer) => /^SIP\/2\.0 [2-6]/.test(answer)).length;
    peer.socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, talk));
  return { sent: bytes, note: `bytes; ${answered} of ${connections * each} messages answered` };
};

const head = (text: string): string => text.split('\r\n\r\n', 1)[0] ?? '';

const headsWithoutEnd: Attack = async ({ udp, tcp, scale }) => {
  const begin = (): string => `${head(request({ transport: 'TCP', port: 5060 }))}\r\n`;
  const streams: ((i: number) => string)[] = [
    (i) => (i === 0 ? `${begin()}X-Long: ` : 'x'.repeat(4096)),
    (i) => (i === 0 ? begin() : 'X-More: y\r\n'.repeat(300)),
    (i) => (i === 0 ? `${begin()}Via: SIP/2.0/TCP x` : ', SIP/2.0/TCP x'.repeat(200)),
    () => 'INVITE'.repeat(700),
    () => '\r\n'.repeat(2000),
  ];
  let sent = 0;
  let closed = 0;
  const connections = Math.max(streams.length, Math.round(200 * scale));
  await paced(connections, 20, async (i) => {
    const piece = streams[i % streams.length];
    const peer = await tcpFrom(addresses.trunk, tcp);
    for (let part = 0; part < 40 && !peer.closed; part++) await written(peer, piece?.(part) ?? '');
    if (await closedWithin(peer, 20)) closed++;
    sent++;
  });
  const trunk = await Peer.open(addresses.trunk, udp);
  const datagrams: (() => string)[] = [
    () => `${head(trunk.request())}\r\nX-Long: ${'x'.repeat(58_000)}\r\n\r\n`,
    () => `${head(trunk.request())}\r\n${'X: y\r\n'.repeat(9000)}\r\n`,
    () => `${head(trunk.request())}\r\n${'Via: SIP/2.0/UDP x\r\n'.repeat(2900)}\r\n`,
    () => trunk.request({ uri: `sip:${'1'.repeat(58_000)}@127.0.0.1` }),
    () => trunk.request({ to: `<sip:100@127.0.0.1>${';x=y'.repeat(14_000)}` }),
    () => `${head(trunk.request())}\r\nX-Folded: a${'\r\n b'.repeat(14_000)}\r\n\r\n`,
  ];
  const total = Math.round(2000 * scale);
  await paced(total, 200, (i) => trunk.send(datagrams[i % datagrams.length]?.() ?? ''));
  await pause(500);
  trunk.close();
  return {
    sent: sent + total,
    note: `${total} datagrams of up to 60 KB; ${closed} of ${sent} connections closed`,
  };
};

const lyingLengths: Attack = async ({ udp, tcp, scale }) => {
  const lies = [
    ...['-1', '99999999999', '5\r\nContent-Length: 7', 'five', '0x10', '17000', '1e3', '4294967297'],
    ...['3', '', ' ', '0\r\nl: 9', '65535'],
  ];
  const lie = (text: string, i: number): string =>
    text.replace(/Content-Length: \d+/, `Content-Length: ${lies[i % lies.length]}`);
  let behind = 0;
  const connections = Math.round(300 * scale);
  const open: Promise<void>[] = [];
  await paced(connections, 20, async (i) => {
    const peer = await tcpFrom(addresses.trunk, tcp);
    const invite = request({
      transport: 'TCP',
      port: 5060,
      body: sdp(),
      lines: ['Content-Type: application/sdp'],
    });
    await written(peer, lie(invite, i));
    await written(peer, request({ transport: 'TCP', port: 5060, method: 'OPTIONS', contact: false }));
    open.push(
      closedWithin(peer, 1000).then(() => {
        if (peer.inbox.items.some((answer) => answer.startsWith('SIP/2.0 200'))) behind++;
      }),
    );
  });
  await Promise.all(open);
  const trunk = await Peer.open(addresses.trunk, udp);
  const total = Math.round(3000 * scale);
  await paced(total, 300, (i) => trunk.send(lie(trunk.request({ body: sdp() }), i)));
  await pause(500);
  trunk.close();
  return {
    sent: connections + total,
    note: `${connections} connections, ${total} datagrams; what stood behind a lie was answered 200 ${behind} times`,
  };
};

const slowLoris: Attack = async ({ tcp, scale }) => {
  const from = [addresses.trunk, ...addresses.strangers];
  const wanted = Math.round(480 * scale);
  const peers: RawTcp[] = [];
  await paced(wanted, 200, async (i) => {
    const peer = await tcpFrom(from[i % from.length] ?? addresses.trunk, tcp);
    await written(peer, 'INVITE sip:x SIP/2.0\r\n');
    peers.push(peer);
  });
  await pause(500);
  const most = peers.filter(({ closed }) => !closed).length;
  const began = performance.now();
  // Longer than a message may take (32 s).
  const seconds = Math.max(3, 40 * Math.min(1, scale * 10));
  while (performance.now() - began < seconds * 1000) {
    await paced(peers.length, 500, (i) => written(peers[i] as RawTcp, 'X'));
    await pause(500);
  }
  const left = peers.filter(({ closed }) => !closed).length;
  for (const { socket } of peers) socket.destroy();
  return {
    sent: wanted,
    note: `connections, a byte a second each; ${most} were let in, ${left} were left after ${seconds} s`,
  };
};

const halfOpen: Attack = async ({ udp, scale }) => {
  const trunk = await Peer.open(addresses.trunk, udp);
  const total = Math.round(10_000 * scale);
  // All within the 32 s that an answer waits for its ACK.
  await paced(total, 500, () =>
    trunk.send(trunk.request({ body: sdp(), lines: ['Content-Type: application/sdp'] })),
  );
  await pause(1000);
  trunk.close();
  return { sent: total, note: `no ACK; ${told(trunk.answers)}` };
};

/** The number the whole facility may call; one INVITE in five hundred of a flood is for it. */
const callable = '+12125550142';

const flood =
  (address: string): Attack =>
  async ({ udp, seed, scale }) => {
    const random = randomFrom(seed);
    const peer = await Peer.open(address, udp);
    const total = Math.round(60_000 * scale);
    const body = sdp();
    await paced(total, 2000, (i) => {
      const number = i % 500 === 0 ? callable : `+1646${String(Math.floor(random() * 1e7)).padStart(7, '0')}`;
      const text = peer.request({
        uri: `sip:${number}@${udp.host}:${udp.port}`,
        callId: Array.from({ length: 3 }, () => Math.floor(random() * 2 ** 32).toString(36)).join('-'),
        body,
        lines: ['Content-Type: application/sdp'],
      });
      peer.send(text.replace('<sip:caller@', `<sip:${100_000 + Math.floor(random() * 900_000)}@`));
    });
    await pause(1000);
    peer.close();
    return { sent: total, note: told(peer.answers) };
  };

const nothing: Attack = async ({ scale }) => {
  await pause(Math.max(3, 30 * scale) * 1000);
  return { sent: 0, note: 'what this machine does to a probe by itself' };
};

const attacks: Readonly<Record<string, Attack>> = {
  nothing,
  rfc4475: everyTorture,
  mutations,
  bytes: oneByteAtATime,
  heads: headsWithoutEnd,
  lengths: lyingLengths,
  loris: slowLoris,
  'half-open': halfOpen,
  'flood-trunk': flood(addresses.trunk),
  'flood-stranger': flood(addresses.strangers[0]),
};

serve({
  run: async (order: AttackOrder): Promise<AttackResult> => {
    const attack = attacks[order.attack];
    if (attack === undefined) throw new RangeError(`no attack ${order.attack}`);
    const began = performance.now();
    const result = await attack(order);
    return { ...result, seconds: (performance.now() - began) / 1000 };
  },
  stop: () => undefined,
});
