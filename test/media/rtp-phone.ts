import dgram from 'node:dgram';
import { closeLater } from '../../src/phones/close-later.js';

/**
 * The smallest thing that speaks and hears RTP: sends a tone in PCMU or PCMA every 20 ms and says how strongly it
 * hears a frequency. Written apart from the product's own G.711 and RTP code, so that both can be wrong only apart.
 */

const encodeMulaw = (sample: number): number => {
  const sign = sample < 0 ? 0x80 : 0;
  let magnitude = Math.min(Math.abs(sample), 32_635) + 132;
  let exponent = 7;
  for (let mask = 0x4000; (magnitude & mask) === 0 && exponent > 0; mask >>= 1) exponent--;
  magnitude = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | magnitude) & 0xff;
};

const decodeMulaw = (byte: number): number => {
  const value = ~byte & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 132) << ((value >> 4) & 7);
  return value & 0x80 ? 132 - magnitude : magnitude - 132;
};

const encodeAlaw = (sample: number): number => {
  const sign = sample >= 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32_767) >> 4;
  let exponent = 0;
  while (magnitude >> (exponent + 1) >= 16 && exponent < 7) exponent++;
  const segment = magnitude < 16 ? 0 : exponent + 1;
  const mantissa = segment === 0 ? magnitude : (magnitude >> exponent) & 0x0f;
  return (sign | (Math.min(segment, 7) << 4) | (mantissa & 0x0f)) ^ 0x55;
};

/** Strength of a frequency in samples, 0 to about 1 for a full-scale sine (Goertzel). */
export const strengthOf = (samples: ArrayLike<number>, hz: number, rate = 8000): number => {
  const count = samples.length;
  if (count === 0) return 0;
  const turn = (2 * Math.PI * hz) / rate;
  let [before, last] = [0, 0];
  for (let i = 0; i < count; i++) {
    [before, last] = [last, (samples[i] ?? 0) / 32_768 + 2 * Math.cos(turn) * last - before];
  }
  const power = before * before + last * last - 2 * Math.cos(turn) * before * last;
  return (2 * Math.sqrt(Math.max(power, 0))) / count;
};

/** A tone as a WAV file, G.711 µ-law, 8 kHz, one channel: what prompts are. */
export const toneWav = (hz: number, ms: number): Buffer => {
  const count = ms * 8;
  const header = Buffer.alloc(58);
  header.write('RIFF', 0);
  header.writeUInt32LE(50 + count, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(18, 16);
  header.writeUInt16LE(7, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('fact', 38);
  header.writeUInt32LE(4, 42);
  header.writeUInt32LE(count, 46);
  header.write('data', 50);
  header.writeUInt32LE(count, 54);
  const samples = Buffer.alloc(count);
  for (let i = 0; i < count; i++)
    samples[i] = encodeMulaw(Math.round(12_000 * Math.sin((2 * Math.PI * hz * i) / 8000)));
  return Buffer.concat([header, samples]);
};

export interface PhoneOptions {
  readonly host?: string;
  readonly hz: number;
  readonly codec?: 'PCMU' | 'PCMA';
  /** Leave the host's own address: bind here, but write another one into the SDP. */
  readonly sdpAddress?: string;
}

export class RtpPhone {
  readonly socket = dgram.createSocket('udp4');
  readonly host: string;
  readonly #hz: number;
  readonly #codec: 'PCMU' | 'PCMA';
  readonly #sdpAddress: string;
  #timer: NodeJS.Timeout | null = null;
  #target: { host: string; port: number } | null = null;
  #sequence = Math.floor(Math.random() * 65_536);
  #timestamp = Math.floor(Math.random() * 2 ** 32);
  #ssrc = Math.floor(Math.random() * 2 ** 32);
  #phase = 0;
  #startedMs = 0;
  #ticks = 0;
  sent = 0;
  received = 0;
  /** Packets of telephone events that came in. */
  events = 0;
  heard: number[] = [];
  /** Samples that go out before its own tone goes on. */
  #first: number[] = [];

  constructor(options: PhoneOptions) {
    this.host = options.host ?? '127.0.0.1';
    this.#hz = options.hz;
    this.#codec = options.codec ?? 'PCMU';
    this.#sdpAddress = options.sdpAddress ?? this.host;
    this.socket.on('error', () => undefined);
    this.socket.on('message', (bytes) => {
      if (bytes.length >= 12 && ((bytes[1] ?? 0) & 0x7f) === 101) this.events++;
      if (bytes.length < 12 || ((bytes[1] ?? 0) & 0x7f) > 8) return;
      this.received++;
      for (const byte of bytes.subarray(12)) this.heard.push(decodeMulaw(byte));
      if (this.heard.length > 16_000) this.heard.splice(0, this.heard.length - 16_000);
    });
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.socket.bind(0, this.host, resolve));
    return this;
  }

  get port(): number {
    return this.socket.address().port;
  }

  sdp(extra: { direction?: string; formats?: string; more?: string; connection?: string } = {}): string {
    const formats = extra.formats ?? (this.#codec === 'PCMU' ? '0 8 101' : '8 101');
    return [
      'v=0',
      `o=phone 18446744073709551615 1 IN IP4 ${this.#sdpAddress}`,
      's=a call',
      `c=IN IP4 ${extra.connection ?? this.#sdpAddress}`,
      't=0 0',
      `m=audio ${this.port} RTP/AVP ${formats}`,
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      `a=${extra.direction ?? 'sendrecv'}`,
      ...(extra.more === undefined ? [] : [extra.more]),
      '',
    ].join('\r\n');
  }

  /** Sends where this SDP says, until stop(). */
  talkTo(sdp: string): void {
    const host = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '';
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    this.#target = { host, port };
    if (this.#timer !== null) return;
    this.#startedMs = performance.now();
    this.#ticks = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor((performance.now() - this.#startedMs) / 20);
      // Who was kept from the processor for long goes on from now: what was missed, sent at once, would deaden the
      // node's port (see read-out.ts).
      const missed = Math.max(0, due - 25 - this.#ticks);
      this.#ticks += missed;
      // Time went on meanwhile.
      this.#timestamp = (this.#timestamp + 160 * missed) >>> 0;
      while (this.#ticks < due) {
        this.#ticks++;
        this.sendOne();
      }
    }, 10);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  newSource(): void {
    this.#ssrc = Math.floor(Math.random() * 2 ** 32);
    this.#timestamp = Math.floor(Math.random() * 2 ** 32);
  }

  sendOne(payloadType?: number): void {
    if (this.#target === null) return;
    const bytes = Buffer.alloc(172);
    bytes[0] = 0x80;
    bytes[1] = payloadType ?? (this.#codec === 'PCMU' ? 0 : 8);
    bytes.writeUInt16BE(this.#sequence++ & 0xffff, 2);
    bytes.writeUInt32BE(this.#timestamp >>> 0, 4);
    this.#timestamp = (this.#timestamp + 160) >>> 0;
    bytes.writeUInt32BE(this.#ssrc >>> 0, 8);
    for (let i = 0; i < 160; i++) {
      const sample = this.#first[i] ?? Math.round(12_000 * Math.sin(this.#phase));
      this.#phase += (2 * Math.PI * this.#hz) / 8000;
      bytes[12 + i] = this.#codec === 'PCMU' ? encodeMulaw(sample) : encodeAlaw(sample);
    }
    this.#first.splice(0, 160);
    this.sent++;
    this.socket.send(bytes, this.#target.port, this.#target.host, () => undefined);
  }

  /**
   * Presses a key (RFC 4733 section 2.5): the event every 20 ms, then its end three times. With no ends, as where
   * the end was lost.
   */
  async press(event: number, { ends = 3, packets = 3 } = {}): Promise<void> {
    const timestamp = this.#timestamp >>> 0;
    for (let i = 0; i < packets + ends; i++) {
      const bytes = Buffer.alloc(16);
      bytes[0] = 0x80;
      bytes[1] = 101 | (i === 0 ? 0x80 : 0);
      bytes.writeUInt16BE(this.#sequence++ & 0xffff, 2);
      bytes.writeUInt32BE(timestamp, 4);
      bytes.writeUInt32BE(this.#ssrc >>> 0, 8);
      bytes[12] = event;
      bytes[13] = (i >= packets ? 0x80 : 0) | 10;
      bytes.writeUInt16BE(160 * Math.min(i + 1, packets), 14);
      if (this.#target !== null)
        this.socket.send(bytes, this.#target.port, this.#target.host, () => undefined);
      if (i < packets) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#timestamp = (timestamp + 160 * (packets + 1)) >>> 0;
  }

  /** Presses keys as tones in the sound (ITU-T Q.23), each followed by silence. Settles when they are sent. */
  async pressTones(keys: string, ms = 80, gapMs = ms): Promise<void> {
    for (const key of keys) {
      const place = '123A456B789C*0#D'.indexOf(key);
      const low = [697, 770, 852, 941][Math.floor(place / 4)] ?? 0;
      const high = [1209, 1336, 1477, 1633][place % 4] ?? 0;
      for (let i = 0; i < ms * 8; i++) {
        const turn = (2 * Math.PI * i) / 8000;
        this.#first.push(Math.round(6000 * (Math.sin(low * turn) + Math.sin(high * turn))));
      }
      for (let i = 0; i < gapMs * 8; i++) this.#first.push(0);
    }
    await this.sendFirst();
  }

  /** Sends these samples in place of its tone. */
  async sendFirst(samples: Iterable<number> = []): Promise<void> {
    for (const sample of samples) this.#first.push(sample);
    await until('the sound is sent', () => this.#first.length === 0, 30_000);
  }

  /** Sends where this SDP says, but nothing of its own accord. */
  aim(sdp: string): void {
    this.#target = {
      host: /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '',
      port: Number(/^m=audio (\d+)/m.exec(sdp)?.[1]),
    };
  }

  /** True where the last samples heard carry this tone. */
  hears(hz: number): boolean {
    const last = this.heard.slice(-1600);
    return last.length === 1600 && strengthOf(last, hz) > 0.1;
  }

  forget(): void {
    this.heard = [];
    this.received = 0;
  }

  close(): void {
    this.stop();
    closeLater(this.socket);
  }
}

/** Waits until something is so, with a bound; says what was waited for. */
export const until = async (
  what: string,
  so: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> => {
  const end = performance.now() + withinMs;
  while (!(await so())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
