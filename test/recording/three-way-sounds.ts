import { g711Tables } from '../../src/recording/g711.js';
import type { PacketSpec } from './pcap-maker.js';

/** Sounds and packets of a party's line, made to measure. */

/** A small generator of our own, so that a failing run can be had again by its seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = (seed ^ 0x9e37_79b9) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x6d2b_79f5) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a_2d39) >>> 0;
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
};

export type Random = () => number;
export type Sound = Float64Array;

const samplesOf = (ms: number): number => Math.round(ms * 8);

export const zeros = (ms: number): Sound => new Float64Array(samplesOf(ms));

export const tones = (ms: number, frequencies: readonly number[], level = 3000): Sound =>
  Float64Array.from({ length: samplesOf(ms) }, (_, i) =>
    frequencies.reduce((sum, hz) => sum + level * Math.sin((2 * Math.PI * hz * i) / 8000), 0),
  );

export const noise = (ms: number, random: Random, rms = 40): Sound =>
  Float64Array.from({ length: samplesOf(ms) }, () => (random() + random() + random() - 1.5) * 2 * rms);

export const join = (...parts: readonly Sound[]): Sound => {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** Adds a line's own noise. */
export const onLine = (sound: Sound, random: Random, rms = 40): Sound => {
  const line = noise(sound.length / 8, random, rms);
  return line.map((sample, i) => sample + (sound[i] ?? 0));
};

/** Syllables of a gliding voice with formants, hisses, and pauses in between. */
export const speech = (ms: number, random: Random, level = 2500): Sound => {
  const all = new Float64Array(samplesOf(ms));
  const voice = 85 + random() * 140;
  for (let at = 0; at < all.length; ) {
    const length = Math.min(samplesOf(80 + random() * 250), all.length - at);
    const hiss = random() < 0.2;
    const formants = [300 + random() * 600, 900 + random() * 1500];
    let [phase, glide] = [0, voice * (0.8 + random() * 0.4)];
    for (let i = 0; i < length; i++) {
      const shape = Math.sin((Math.PI * i) / length);
      glide *= 1 + (random() - 0.5) * 0.002;
      phase += (2 * Math.PI * glide) / 8000;
      let sample = hiss ? (random() - 0.5) * 0.6 : 0;
      for (let harmonic = 1; !hiss && harmonic <= 12; harmonic++) {
        const near = formants.some((formant) => Math.abs(formant - harmonic * glide) < 150) ? 1 : 0.2;
        sample += (near * Math.sin(phase * harmonic)) / 4;
      }
      all[at + i] = sample * shape * level;
    }
    at += length + samplesOf(random() < 0.15 ? random() * 1800 : random() * 80);
  }
  return all;
};

/** Chords of one to four notes of the equal scale, as organ pipes (nearly pure) or strings. */
export const music = (ms: number, random: Random, level = 1500): Sound => {
  const all = new Float64Array(samplesOf(ms));
  const pure = random() < 0.5;
  for (let at = 0; at < all.length; ) {
    const length = Math.min(samplesOf(120 + random() * 700), all.length - at);
    const notes = Array.from(
      { length: 1 + Math.floor(random() * 4) },
      () => 110 * 2 ** (Math.floor(random() * 40) / 12),
    );
    for (let i = 0; i < length; i++) {
      let sample = 0;
      for (const hz of notes) {
        for (let harmonic = 1; harmonic <= (pure ? 1 : 5); harmonic++) {
          sample += Math.sin((2 * Math.PI * hz * harmonic * i) / 8000) / harmonic;
        }
      }
      all[at + i] = (sample * level) / notes.length;
    }
    at += length;
  }
  return all;
};

const rows = [697, 770, 852, 941];
const columns = [1209, 1336, 1477];

/** Keys as sound, each of them at random. */
export const keys = (count: number, random: Random, onMs = 80, offMs = 70): Sound =>
  join(
    ...Array.from({ length: count }, () => {
      const pair = [rows[Math.floor(random() * 4)] ?? 697, columns[Math.floor(random() * 3)] ?? 1209];
      return join(tones(onMs, pair), zeros(offMs));
    }),
  );

export const dialTone = (ms: number): Sound => tones(ms, [350, 440]);
export const ringback = (times: number): Sound =>
  join(...Array.from({ length: times }, () => join(tones(2000, [440, 480]), zeros(1500))));
export const busy = (times: number): Sound =>
  join(...Array.from({ length: times }, () => join(tones(500, [480, 620]), zeros(500))));

const mulaw = g711Tables[0]?.samples ?? new Int16Array();
/** By looking every value up in the decoding table: slow to make, and surely the inverse. */
const encoded: readonly Uint8Array[] = [0, 8].map((type) => {
  const table = g711Tables[type]?.samples ?? mulaw;
  const order = [...table.keys()].sort((one, other) => (table[one] ?? 0) - (table[other] ?? 0));
  const bytes = new Uint8Array(65_536);
  let near = 0;
  for (let value = -32_768; value < 32_768; value++) {
    const distance = (index: number): number => Math.abs((table[order[index] ?? 0] ?? 0) - value);
    while (near + 1 < order.length && distance(near + 1) <= distance(near)) near++;
    bytes[value + 32_768] = order[near] ?? 0;
  }
  return bytes;
});

export const encode = (sound: Sound, payloadType: 0 | 8): Buffer => {
  const bytes = Buffer.alloc(sound.length);
  sound.forEach((sample, i) => {
    const value = Math.max(-32_768, Math.min(32_767, Math.round(sample)));
    bytes[i] = encoded[payloadType === 0 ? 0 : 1]?.[value + 32_768] ?? 0xff;
  });
  return bytes;
};

export const PORTS = { caller: 30_000, called: 30_002 };
export const SOURCES = { caller: ['192.0.2.1 5000'], called: ['192.0.2.2 6000'] };

/** One party's line: what is said on it becomes packets, one after another. */
export class Line {
  readonly packets: PacketSpec[] = [];
  readonly #party: 'caller' | 'called';
  atMs = 0;
  ssrc = 1;
  payloadType: 0 | 8 = 0;
  #sequence = 65_000;
  #timestamp = 4_294_900_000;

  constructor(party: 'caller' | 'called') {
    this.#party = party;
  }

  say(sound: Sound): this {
    const bytes = encode(sound, this.payloadType);
    for (let at = 0; at + 160 <= bytes.length; at += 160) {
      this.#send(this.payloadType, bytes.subarray(at, at + 160), this.#timestamp);
      this.#pass(20);
    }
    return this;
  }

  /** A key or the hook flash (16) as an event: three packets at its end, as RFC 4733 has it. */
  event(code: number, ms = 100): this {
    const timestamp = this.#timestamp;
    for (let at = 0; at < ms; at += 20) {
      const body = Buffer.from([code, 10, 0, 0]);
      body.writeUInt16BE(at * 8, 2);
      this.#send(101, body, timestamp);
      this.#pass(20);
    }
    for (let i = 0; i < 2; i++) this.#send(101, Buffer.from([code, 0x8a, 3, 0x20]), timestamp);
    return this;
  }

  /** Sends nothing: its sequence goes on where it was. */
  pause(ms: number): this {
    this.#pass(ms);
    return this;
  }

  /** The network loses what it sends. */
  lose(ms: number): this {
    this.#sequence += ms / 20;
    this.#pass(ms);
    return this;
  }

  #pass(ms: number): void {
    this.atMs += ms;
    this.#timestamp += ms * 8;
  }

  #send(payloadType: number, payload: Buffer, timestamp: number): void {
    const side =
      this.#party === 'caller'
        ? { toPort: PORTS.caller, from: '192.0.2.1', fromPort: 5000 }
        : { toPort: PORTS.called, from: '192.0.2.2', fromPort: 6000 };
    const sequence = this.#sequence++;
    this.packets.push({ at: this.atMs, sequence, timestamp, ssrc: this.ssrc, payloadType, payload, ...side });
  }
}
