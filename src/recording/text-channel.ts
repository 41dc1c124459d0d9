import type { Rtp } from './datagram.js';
import { type Block, readBlocks, type TextFormats } from './t140.js';

export interface TextCounts {
  /** Characters as they were typed, erasures and line ends too. */
  readonly characters: number;
  readonly packets: number;
  /** Packets whose text is missing: neither they nor a repetition came. */
  readonly lost: number;
  /** Packets that were lost and whose text was repeated in later ones. */
  readonly recovered: number;
  readonly duplicates: number;
  readonly malformed: number;
  readonly notUtf8: number;
  /** Packets of payload types that are no text, by type. */
  readonly other: Readonly<Record<string, number>>;
  /** Characters beyond the longest transcript. */
  readonly dropped: number;
}

/** Takes characters in the order they were typed. */
export type OnTyped = (atMs: number, characters: string) => void;

/** Where a character is missing (RFC 4103 section 5.4; T.140 addendum 1). */
export const MISSING = '\ufffd';

const MAX_CHARACTERS = 1_000_000;
/** How long, and how many packets, a gap may wait for what fills it: RFC 4103 section 5.4 says a second. */
const WAIT_MS = 1_000;
const MAX_WAITING = 64;
/** Further apart, it is another beginning (RFC 3550 appendix A.1). */
const MAX_DROPOUT = 3_000;

interface Waiting {
  readonly atMs: number;
  readonly bytes: Buffer;
}

/**
 * One party's half of a typed conversation: each packet's text once and in order, whether it came itself or was
 * repeated, and a mark where it never came.
 */
export class TextChannel {
  readonly #formats: TextFormats;
  readonly #onTyped: OnTyped;
  readonly #waiting = new Map<number, Waiting>();
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #other: { [type: string]: number } = {};
  #ssrc: number | null = null;
  /** The extended sequence number whose text comes next. */
  #next = 0;
  #highest = 0;
  #counts = {
    characters: 0,
    packets: 0,
    lost: 0,
    recovered: 0,
    duplicates: 0,
    malformed: 0,
    notUtf8: 0,
    dropped: 0,
  };

  constructor(formats: TextFormats, onTyped: OnTyped) {
    this.#formats = formats;
    this.#onTyped = onTyped;
  }

  get counts(): TextCounts {
    return { ...this.#counts, other: { ...this.#other } };
  }

  /** `atMs` counts from the start of the recording. */
  take(atMs: number, rtp: Rtp): void {
    const blocks = readBlocks(rtp, this.#formats);
    if (blocks === 'other') {
      this.#other[rtp.payloadType] = (this.#other[rtp.payloadType] ?? 0) + 1;
      return;
    }
    if (blocks === 'malformed') {
      this.#counts.malformed++;
      return;
    }
    this.#counts.packets++;
    const sequence = this.#extended(rtp, blocks);
    let fresh = false;
    for (const { back, bytes } of blocks) {
      const number = sequence - back;
      if (number < this.#next || this.#waiting.has(number)) continue;
      if (back === 0) fresh = true;
      else this.#counts.recovered++;
      // A copy: the packet's buffer is read into again.
      this.#waiting.set(number, { atMs, bytes: Buffer.from(bytes) });
    }
    if (!fresh) this.#counts.duplicates++;
    this.#highest = Math.max(this.#highest, sequence);
    this.#deliver(atMs);
  }

  /** Hands out what still waits. */
  finish(): void {
    this.#deliver(Number.POSITIVE_INFINITY);
  }

  /** The sequence number without its wrap; where another sender begins, from its first text on. */
  #extended(rtp: Rtp, blocks: readonly Block[]): number {
    const ahead = ((rtp.sequence - (this.#highest & 0xffff) + 0x1_8000) % 0x1_0000) - 0x8000;
    if (rtp.ssrc === this.#ssrc && Math.abs(ahead) <= MAX_DROPOUT) return this.#highest + ahead;
    this.finish();
    this.#ssrc = rtp.ssrc;
    // Far from zero, so that repetitions of what came before have a number too.
    const sequence = rtp.sequence + 0x1_0000;
    this.#highest = sequence;
    // Empty repetitions are of packets that were never sent (RFC 4103 section 4).
    const oldest = blocks.find(({ bytes }) => bytes.length > 0);
    this.#next = sequence - (oldest?.back ?? 0);
    return sequence;
  }

  #deliver(nowMs: number): void {
    while (this.#waiting.size > 0) {
      const block = this.#waiting.get(this.#next);
      if (block !== undefined) {
        this.#waiting.delete(this.#next++);
        this.#type(block);
        continue;
      }
      const [first] = this.#waiting.values();
      const patient = first !== undefined && nowMs - first.atMs < WAIT_MS;
      if (patient && this.#waiting.size <= MAX_WAITING) return;
      this.#skip();
    }
  }

  /** Gives up the packets that are missing before the next one that waits. */
  #skip(): void {
    const next = Math.min(...this.#waiting.keys());
    const atMs = this.#waiting.get(next)?.atMs ?? 0;
    this.#counts.lost += next - this.#next;
    this.#next = next;
    this.#give(atMs, MISSING);
  }

  #type({ atMs, bytes }: Waiting): void {
    if (bytes.length === 0) return;
    let text = MISSING;
    try {
      text = this.#decoder.decode(bytes);
    } catch {
      this.#counts.notUtf8++;
    }
    // A byte order mark begins a stream and keeps it alive: nobody typed it (T.140 section 7).
    this.#give(atMs, text.replaceAll('\ufeff', ''));
  }

  #give(atMs: number, text: string): void {
    const characters = [...text].length;
    if (characters === 0) return;
    if (this.#counts.characters + characters > MAX_CHARACTERS) {
      this.#counts.dropped += characters;
      return;
    }
    this.#counts.characters += characters;
    this.#onTyped(atMs, text);
  }
}
