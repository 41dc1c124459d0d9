import dgram from 'node:dgram';
import type { Phone } from '../../src/phones/sip-phone.js';

/** One run of calls at an even rate. */
export interface RunOrder {
  readonly callsPerSecond: number;
  readonly seconds: number;
  readonly holdMs: number;
  readonly target: { readonly host: string; readonly port: number };
  /** Each so-manieth call goes to the privileged number; 0 for none. */
  readonly privateEvery: number;
}

export interface RunResult {
  readonly calls: number;
  readonly answered: number;
  /** Final status or reason → calls that failed. */
  readonly failures: Readonly<Record<string, number>>;
  readonly retransmissions: number;
  /** INVITE to 200, in µs, of the answered calls, in ascending order. */
  readonly latenciesUs: readonly number[];
  /** RTP packets sent and received by this side; null where the phones make no sound. */
  readonly rtp: { readonly sent: number; readonly received: number } | null;
  /** How far behind its plan the generator was at worst, in ms. */
  readonly behindMs: number;
  readonly seconds: number;
}

/** RTP packets each party sends in a call: enough for a recording to hold sound from both. */
export const packetsACall = 4;
/** After the answer, when the media is sure to be open. */
const rtpAfterMs = 300;
const payload = Buffer.alloc(172, 0xff);
payload[0] = 0x80;
payload[1] = 0;

/**
 * The audio of all calls of one side over one socket: a few packets a call. The phones' own audio would cost the
 * generators more CPU than the calls; a recording without a packet would not be made into a WAV.
 */
export class Sound {
  sent = 0;
  received = 0;
  readonly #socket: dgram.Socket;
  readonly #host: string;
  #sources = 0;

  private constructor(socket: dgram.Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on('message', () => {
      this.received++;
    });
    socket.on('error', () => undefined);
  }

  static open(host: string): Promise<Sound> {
    return new Promise((resolve, reject) => {
      const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
      socket.once('error', reject);
      socket.bind(0, host, () => resolve(new Sound(socket, host)));
    });
  }

  /** The session description of this side. */
  sdp(): string {
    const { port } = this.#socket.address();
    return [
      'v=0',
      `o=- 1 1 IN IP4 ${this.#host}`,
      's=-',
      `c=IN IP4 ${this.#host}`,
      't=0 0',
      `m=audio ${port} RTP/AVP 0`,
      'a=rtpmap:0 PCMU/8000',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ].join('\r\n');
  }

  /** Sends the packets of one call to where the far side's description says, a moment from now. */
  speak(sdp: string, call: { readonly ended: () => boolean }): void {
    const host = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    if (host === undefined || !(port > 0)) return;
    const source = ++this.#sources;
    setTimeout(() => {
      if (call.ended()) return;
      for (let i = 0; i < packetsACall; i++) {
        const packet = Buffer.from(payload);
        packet.writeUInt16BE(i, 2);
        packet.writeUInt32BE(i * 160, 4);
        packet.writeUInt32BE(source, 8);
        this.sent++;
        this.#socket.send(packet, port, host);
      }
    }, rtpAfterMs).unref();
  }

  close(): void {
    this.#socket.close();
  }
}

/** Counts what a phone sends by kind: every message beyond the one a call needs is a retransmission on either side. */
export const countSent = (phone: Phone): Map<string, number> => {
  const sent = new Map<string, number>();
  const { transactions } = phone;
  const write = transactions.write.bind(transactions);
  transactions.write = (title, to, text, source) => {
    sent.set(title, (sent.get(title) ?? 0) + 1);
    write(title, to, text, source);
  };
  return sent;
};

export const count = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts one call whenever one is due, until all are; gives how far behind it was at worst, in ms. */
export const pace = async (order: RunOrder, start: () => void): Promise<number> => {
  const total = Math.round(order.callsPerSecond * order.seconds);
  const began = performance.now();
  let behind = 0;
  for (let made = 0; made < total; ) {
    const now = performance.now() - began;
    const due = Math.min(total, Math.floor((now / 1000) * order.callsPerSecond) + 1);
    if (due > made) behind = Math.max(behind, now - (made / order.callsPerSecond) * 1000);
    // What a stall left behind is made up for a few at a time: a burst would measure the stall and not the calls.
    for (let few = 0; made < due && few < 8; few++, made++) start();
    await pause(1);
  }
  return behind;
};
