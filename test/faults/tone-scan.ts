import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decodeG711, encodeG711 } from '../../src/phones/g711.js';
import { PACKET_SAMPLES, SAMPLE_RATE, toneSamples } from '../../src/phones/tone.js';

/** Samples of a packet that are looked for, and where in it they begin. */
const WINDOW = 24;
const AT = 16;

/** What was found of a tone, and where. */
export interface Found {
  readonly file: string;
  readonly offset: number;
  readonly form: 'pcmu' | 'pcm16' | 'pcm16-stereo';
  readonly tone: number;
}

interface Pattern {
  readonly tone: number;
  readonly pcmu: Uint8Array;
  readonly pcm: Int16Array;
}

const MASK = (1 << 22) - 1;
const mix = (key: number): number => (Math.imul(key, 0x9e3779b1) >>> 10) & MASK;

class Index {
  readonly #bits = new Uint8Array((MASK + 1) >> 3);
  readonly #patterns = new Map<number, Pattern[]>();

  add(key: number, pattern: Pattern): void {
    const slot = mix(key);
    this.#bits[slot >> 3] = (this.#bits[slot >> 3] ?? 0) | (1 << (slot & 7));
    const known = this.#patterns.get(key);
    if (known === undefined) this.#patterns.set(key, [pattern]);
    else known.push(pattern);
  }

  get(key: number): readonly Pattern[] | undefined {
    const slot = mix(key);
    return ((this.#bits[slot >> 3] ?? 0) & (1 << (slot & 7))) === 0 ? undefined : this.#patterns.get(key);
  }
}

const CHUNK = 4 * 1024 * 1024;
const OVERLAP = 4 * WINDOW + 8;

/**
 * Looks through every byte of files for the sound of known tones: as the telephone's companded bytes (alone, in RTP, in
 * pcaps), as 16-bit samples, and as one channel of two. It knows nothing of formats: each byte may begin a sound.
 */
export class ToneScan {
  readonly #pcmu = new Index();
  readonly #mono = new Index();
  readonly #stereo = new Index();
  bytes = 0;
  files = 0;

  /** Tones in whole multiples of 5 Hz, which repeat after 1600 samples: ten packets each. */
  constructor(tones: readonly number[]) {
    for (const tone of tones) {
      if (tone % 5 !== 0) throw new RangeError(`${tone} Hz`);
      const period = toneSamples(tone, SAMPLE_RATE);
      const pcmu = encodeG711('PCMU', period);
      const pcm = decodeG711('PCMU', pcmu);
      for (let at = AT; at < 1600; at += PACKET_SAMPLES) {
        const pattern = { tone, pcmu: pcmu.slice(at, at + WINDOW), pcm: pcm.slice(at, at + WINDOW) };
        const bytes = Buffer.from(pattern.pcmu);
        this.#pcmu.add(bytes.readUInt32LE(0), pattern);
        const [first = 0, second = 0] = pattern.pcm;
        const key = ((first & 0xffff) | (second << 16)) >>> 0;
        this.#mono.add(key, pattern);
        this.#stereo.add(key, pattern);
      }
    }
  }

  /** Everything below these folders; sockets and pipes hold nothing. At most `max` findings. */
  folders(folders: readonly string[], max = 50): readonly Found[] {
    const found: Found[] = [];
    const visit = (path: string): void => {
      if (found.length >= max) return;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
      else if (stat?.isFile()) found.push(...this.file(path, max - found.length));
    };
    for (const folder of folders) visit(folder);
    return found;
  }

  file(path: string, max = 50): readonly Found[] {
    this.files += 1;
    const found: Found[] = [];
    const fd = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(CHUNK + OVERLAP);
      let offset = 0;
      let kept = 0;
      for (;;) {
        const read = readSync(fd, buffer, kept, CHUNK, offset + kept);
        const end = kept + read;
        this.bytes += read;
        for (const one of this.#buffer(buffer.subarray(0, end), max - found.length)) {
          found.push({ ...one, file: path, offset: one.offset + offset });
        }
        if (read === 0 || found.length >= max) return found;
        const rest = Math.min(OVERLAP, end);
        buffer.copyWithin(0, end - rest, end);
        offset += end - rest;
        kept = rest;
      }
    } finally {
      closeSync(fd);
    }
  }

  #buffer(bytes: Buffer, max: number): readonly Omit<Found, 'file'>[] {
    const found: Omit<Found, 'file'>[] = [];
    const last = bytes.length - WINDOW;
    for (let at = 0; at <= last && found.length < max; at++) {
      const key = bytes.readUInt32LE(at);
      const found4 = this.#pcmu.get(key)?.find(({ pcmu }) => isPcmu(bytes, at, pcmu));
      if (found4 !== undefined) found.push({ offset: at, form: 'pcmu', tone: found4.tone });
      if (at + 2 * WINDOW <= bytes.length) {
        const mono = this.#mono.get(key)?.find(({ pcm }) => isPcm(bytes, at, pcm, 2));
        if (mono !== undefined) found.push({ offset: at, form: 'pcm16', tone: mono.tone });
      }
      if (at + 4 * WINDOW <= bytes.length) {
        const apart = (bytes.readUInt16LE(at) | (bytes.readUInt16LE(at + 4) << 16)) >>> 0;
        const stereo = this.#stereo.get(apart)?.find(({ pcm }) => isPcm(bytes, at, pcm, 4));
        if (stereo !== undefined) found.push({ offset: at, form: 'pcm16-stereo', tone: stereo.tone });
      }
    }
    return found;
  }
}

const isPcmu = (bytes: Buffer, at: number, pattern: Uint8Array): boolean =>
  pattern.every((one, i) => bytes[at + i] === one);

const isPcm = (bytes: Buffer, at: number, pattern: Int16Array, stride: number): boolean =>
  pattern.every((one, i) => bytes.readInt16LE(at + i * stride) === one);
