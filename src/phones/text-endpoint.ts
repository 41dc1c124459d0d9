import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { closeLater } from './close-later.js';
import { literalLookup } from './literal-lookup.js';
import { buildRtp, parseRtp } from './rtp-packet.js';
import { newMasterKey, SrtpReceiver, SrtpSender } from './srtp.js';
import { type Deadline, nowUs, Waits } from './waiting.js';

/** The payload types this side offers. */
export const T140_PAYLOAD_TYPE = 99;
export const RED_PAYLOAD_TYPE = 98;

/** Where to send text, and as which payload types; `red` undefined sends each text once. */
export interface RemoteText {
  readonly address: string;
  readonly port: number;
  readonly t140: number;
  readonly red: number | undefined;
  /** The master key it is protected with. */
  readonly key?: string;
}

/** Times what was typed is sent again with what follows (RFC 4103 section 4). */
const REPEATS = 2;
/** And for how long, in ms: a sender of RFC 4103 section 5.2 sends every 300 ms, so its repetitions are out by then. */
const REPEATED_FOR = 1000;
const MAX_HEARD = 100_000;

interface Sent {
  readonly timestamp: number;
  readonly bytes: Buffer;
}

/** One end of real-time text (RFC 4103): what is typed goes out at once, in a packet that repeats the two before. */
export class TextEndpoint {
  readonly port: number;
  readonly #socket: dgram.Socket;
  readonly #waits = new Waits(() => `text port ${this.port}: read "${this.#heard}"`);
  readonly #ssrc = randomInt(2 ** 32);
  readonly #base = randomInt(2 ** 32);
  readonly #seen = new Set<number>();
  #remote: RemoteText | undefined;
  #sequence = randomInt(2 ** 16);
  #before: Sent[] = [];
  /** This side's master key; undefined where it sends plain RTP. */
  readonly key: string | undefined;
  readonly #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;
  #heard = '';
  #received = 0;
  #closed = false;

  constructor(socket: dgram.Socket, srtp = false) {
    this.#socket = socket;
    this.key = srtp ? newMasterKey() : undefined;
    this.#sender = this.key === undefined ? undefined : new SrtpSender(this.key);
    this.port = socket.address().port;
    socket.on('message', (bytes) => this.#receive(bytes));
    socket.on('error', () => undefined);
  }

  /** Undefined where the far end takes no text. */
  get remote(): RemoteText | undefined {
    return this.#remote;
  }

  sendTo(remote: RemoteText | undefined): void {
    const known = this.#remote?.key;
    this.#remote = remote;
    if (remote?.key !== known)
      this.#receiver = remote?.key === undefined ? undefined : new SrtpReceiver(remote.key);
  }

  /** All that was read, the newest at the end. */
  get heard(): string {
    return this.#heard;
  }

  /** Packets of any kind that came. */
  get received(): number {
    return this.#received;
  }

  /** Sends a text. Throws where the far end takes none. */
  type(text: string): void {
    const remote = this.#remote;
    if (remote === undefined) throw new Error('the far end takes no text');
    const timestamp = (this.#base + Math.floor(nowUs() / 1000)) >>> 0;
    const bytes = Buffer.from(text);
    const { red, t140 } = remote;
    this.#before = this.#before.filter((sent) => (timestamp - sent.timestamp) >>> 0 <= REPEATED_FOR);
    const payload = red === undefined ? bytes : this.#repeated(timestamp, bytes, t140);
    this.#before = [...this.#before, { timestamp, bytes }].slice(-REPEATS);
    this.sendRaw(red ?? t140, payload, timestamp);
  }

  /** Sends any payload, as no phone would. */
  sendRaw(payloadType: number, payload: Uint8Array, timestamp = 0): void {
    const remote = this.#remote;
    if (remote === undefined) throw new Error('the far end takes no text');
    const sequence = this.#sequence++;
    const packet = buildRtp({ payloadType, marker: false, sequence, timestamp, ssrc: this.#ssrc, payload });
    const bytes = this.#sender?.protect(packet) ?? packet;
    this.#socket.send(bytes, remote.port, remote.address, () => undefined);
  }

  /** Leaves a number out, as where a packet is lost on the way. */
  lose(text: string): void {
    const timestamp = (this.#base + Math.floor(nowUs() / 1000)) >>> 0;
    this.#before = [...this.#before, { timestamp, bytes: Buffer.from(text) }].slice(-REPEATS);
    this.#sequence++;
  }

  /** Waits until this was read as the last. */
  async untilReads(text: string, deadline: Deadline = {}): Promise<void> {
    await this.#waits.until(`text "${text}"`, () => this.#heard.endsWith(text) || undefined, deadline);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waits.finish('the endpoint is closed');
    closeLater(this.#socket);
  }

  /** RFC 2198 section 3. */
  #repeated(timestamp: number, bytes: Buffer, t140: number): Buffer {
    const headers = this.#before.map((sent) => {
      const header = Buffer.alloc(4);
      const offset = Math.min((timestamp - sent.timestamp) >>> 0, 0x3fff);
      header.writeUInt32BE(((0x80 | t140) * 2 ** 24 + offset * 2 ** 10 + sent.bytes.length) >>> 0);
      return header;
    });
    return Buffer.concat([...headers, Buffer.of(t140), ...this.#before.map((sent) => sent.bytes), bytes]);
  }

  #receive(message: Buffer): void {
    this.#received++;
    const plain = this.key === undefined ? message : this.#receiver?.unprotect(message);
    const packet = plain === undefined ? undefined : parseRtp(plain);
    if (packet === undefined || this.#seen.has(packet.sequence)) return;
    this.#seen.add(packet.sequence);
    // Only the newest text of a packet: on a loopback nothing is lost that its repetitions would have to replace.
    let bytes = Buffer.from(packet.payload);
    if (packet.payloadType === RED_PAYLOAD_TYPE) {
      let skipped = 0;
      while (((bytes[0] ?? 0) & 0x80) !== 0 && bytes.length >= 4) {
        skipped += bytes.readUInt16BE(2) & 0x3ff;
        bytes = bytes.subarray(4);
      }
      bytes = bytes.subarray(1 + skipped);
    }
    this.#heard = (this.#heard + bytes.toString()).slice(-MAX_HEARD);
    this.#waits.poke();
  }
}

/** Opens an endpoint on a free UDP port of `host`. */
export async function openText(host: string, srtp = false): Promise<TextEndpoint> {
  const socket = dgram.createSocket({ type: 'udp4', lookup: literalLookup });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, host, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  return new TextEndpoint(socket, srtp);
}
