import type { Rtp } from '../datagram.js';
import { g711Tables } from '../g711.js';
import { CallProgress, PROGRESS_BLOCK } from './call-progress.js';
import { Blocks, energyOf } from './goertzel.js';
import { KEY_BLOCK, Keys } from './keys.js';
import type { Notice } from './signs.js';
import { Silence } from './silence.js';
import { Stream } from './stream.js';

/** RFC 4733 section 3.2: event codes. */
const LAST_KEY = 15;
const HOOK_FLASH = 16;
const FIRST_DYNAMIC = 96;

/** RFC 3550 appendix A.1: MAX_MISORDER. */
const MAX_LATE = 100;

/** Longest packet that is looked at: 60 ms; senders use 20 or 30. */
const MAX_SAMPLES = 480;

/** A packet's samples while it is looked at: nobody keeps them. */
const heard = new Int16Array(MAX_SAMPLES);

/** Everything there is to notice in one party's packets. */
export class PartyEar {
  readonly #notice: Notice;
  readonly #stream: Stream;
  readonly #silence: Silence;
  readonly #progress: CallProgress;
  readonly #keys: Keys;
  readonly #progressBlocks = new Blocks(PROGRESS_BLOCK);
  readonly #keyBlocks = new Blocks(KEY_BLOCK);
  #source: { readonly ssrc: number; readonly sequence: number } | null = null;
  /** RTP timestamp of the last event: all packets of one carry the same (RFC 4733 section 2.2). */
  #event: number | null = null;

  constructor(notice: Notice) {
    this.#notice = notice;
    this.#stream = new Stream(notice);
    this.#silence = new Silence(notice);
    this.#progress = new CallProgress(notice);
    this.#keys = new Keys(notice);
  }

  /** A packet, at its arrival in ms since the recording's first one. */
  take(atMs: number, rtp: Rtp): void {
    if (!this.#isNext(rtp)) return;
    this.#stream.take(atMs, rtp);
    const codec = g711Tables[rtp.payloadType];
    if (codec !== undefined) this.#hear(atMs, rtp.payload, codec.samples);
    else if (rtp.payloadType >= FIRST_DYNAMIC) this.#event4733(atMs, rtp);
  }

  /** False for a packet that came twice, or after its successor: nothing is noticed by single packets. */
  #isNext({ ssrc, sequence }: Rtp): boolean {
    const before = this.#source;
    this.#source = { ssrc, sequence };
    if (before === null || before.ssrc !== ssrc) {
      this.#cut();
      return true;
    }
    const ahead = (sequence - before.sequence) & 0xffff;
    // Further back than any network holds a packet, the sender began to count anew.
    if (ahead === 0 || ahead > 0x1_0000 - MAX_LATE) {
      this.#source = before;
      return false;
    }
    // Sound that does not join spoils a block, and nothing else.
    if (ahead > 1) this.#cut();
    return true;
  }

  #cut(): void {
    this.#progressBlocks.cut();
    this.#keyBlocks.cut();
  }

  #hear(atMs: number, payload: Buffer, table: Int16Array): void {
    const count = Math.min(payload.length, MAX_SAMPLES);
    const sound = heard.subarray(0, count);
    for (let i = 0; i < count; i++) sound[i] = table[payload[i] ?? 0] ?? 0;
    this.#keyBlocks.push(sound, (block) => this.#keys.sound(block, atMs));
    this.#progressBlocks.push(sound, (block) => {
      const energy = energyOf(block);
      this.#silence.take(energy, block.length, atMs);
      this.#progress.take(block, energy, atMs);
    });
  }

  #event4733(atMs: number, { timestamp, payload }: Rtp): void {
    const event = payload.length < 4 ? null : (payload[0] ?? null);
    if (event === null || event > HOOK_FLASH || timestamp === this.#event) return;
    this.#event = timestamp;
    if (event === HOOK_FLASH) this.#notice('hook-flash', atMs);
    else if (event <= LAST_KEY) this.#keys.event(atMs);
  }
}
