import type { Rtp } from './datagram.js';
import { g711Tables } from './g711.js';
import type { StereoTrack } from './stereo-track.js';

export interface ChannelCounts {
  /** Packets with sound that are in the recording. */
  readonly packets: number;
  /** By the gaps in the sequence numbers. */
  readonly lost: number;
  readonly duplicates: number;
  /** Came too late, or beyond the longest recording. */
  readonly dropped: number;
  /** RTP of other payload types, by type: telephone-event and what could not be decoded. */
  readonly other: Readonly<Record<string, number>>;
  readonly codecs: readonly string[];
  /** How often the sender started anew (another SSRC), or its clock jumped. */
  readonly restarts: number;
}

const FRAMES_PER_MS = 8;
/** Half a second: where RTP time and arrival are further apart, the sender's clock has jumped. */
const MAX_SKEW = 4_000;
const MAX_DROPOUT = 3_000;
const SEEN = 1_024;

/** Which sequence numbers of a source came: RFC 3550 appendix A.1, with a memory against duplicates. */
class Sequence {
  readonly #seen = new Int32Array(SEEN).fill(-1);
  #first = -1;
  #highest = -1;
  #unique = 0;
  #lostBefore = 0;

  /** False for a duplicate. */
  take(sequence: number): boolean {
    if (this.#highest < 0) return this.#begin(sequence);
    const ahead = ((sequence - (this.#highest & 0xffff) + 0x1_8000) % 0x1_0000) - 0x8000;
    if (Math.abs(ahead) > MAX_DROPOUT) {
      this.close();
      return this.#begin(sequence);
    }
    const extended = this.#highest + ahead;
    if (this.#seen[extended % SEEN] === extended) return false;
    this.#seen[extended % SEEN] = extended;
    this.#unique++;
    if (extended > this.#highest) this.#highest = extended;
    if (extended < this.#first) this.#first = extended;
    return true;
  }

  /** A new source follows. */
  close(): void {
    this.#lostBefore = this.lost;
    this.#highest = -1;
    this.#unique = 0;
  }

  get lost(): number {
    const expected = this.#highest < 0 ? 0 : this.#highest - this.#first + 1;
    return this.#lostBefore + Math.max(0, expected - this.#unique);
  }

  #begin(sequence: number): boolean {
    this.#seen.fill(-1);
    // Far from zero, so that packets from before the first one have a number too.
    this.#first = sequence + 0x1_0000;
    this.#highest = this.#first;
    this.#seen[this.#first % SEEN] = this.#first;
    this.#unique = 1;
    return true;
  }
}

/** One party's half of the recording: places its packets on the common time line by their RTP timestamps. */
export class Channel {
  readonly #side: 0 | 1;
  readonly #track: StereoTrack;
  readonly #sequence = new Sequence();
  readonly #codecs = new Set<string>();
  readonly #other: { [type: string]: number } = {};
  #ssrc: number | null = null;
  #anchor = { frame: 0, timestamp: 0 };
  #end = 0;
  #packets = 0;
  #duplicates = 0;
  #dropped = 0;
  #restarts = 0;

  constructor(side: 0 | 1, track: StereoTrack) {
    this.#side = side;
    this.#track = track;
  }

  /** `arrivedMs` counts from the start of the recording. */
  take(arrivedMs: number, rtp: Rtp): void {
    const codec = g711Tables[rtp.payloadType];
    if (this.#ssrc !== null && rtp.ssrc !== this.#ssrc) this.#sequence.close();
    // Keys share the sequence numbers of the sound: they count too, or each would look like a loss.
    const fresh = this.#sequence.take(rtp.sequence);
    if (codec === undefined) {
      this.#other[rtp.payloadType] = (this.#other[rtp.payloadType] ?? 0) + 1;
      return;
    }
    if (!fresh) {
      this.#duplicates++;
      return;
    }
    const frame = this.#place(Math.round(arrivedMs * FRAMES_PER_MS), rtp);
    this.#codecs.add(codec.name);
    if (this.#track.put(this.#side, frame, rtp.payload, codec.samples)) {
      this.#packets++;
      this.#end = Math.max(this.#end, frame + rtp.payload.length);
    } else {
      this.#dropped++;
    }
  }

  get counts(): ChannelCounts {
    return {
      packets: this.#packets,
      lost: this.#sequence.lost,
      duplicates: this.#duplicates,
      dropped: this.#dropped,
      other: this.#other,
      codecs: [...this.#codecs],
      restarts: this.#restarts,
    };
  }

  /**
   * By RTP time from an anchor, so that jitter does not show; by arrival where the source is new or its clock has
   * jumped, so that both channels stay together.
   */
  #place(arrival: number, rtp: Rtp): number {
    const same = rtp.ssrc === this.#ssrc;
    const frame = this.#anchor.frame + ((rtp.timestamp - this.#anchor.timestamp) | 0);
    if (same && Math.abs(frame - arrival) <= MAX_SKEW) return frame;
    if (this.#ssrc !== null) this.#restarts++;
    this.#ssrc = rtp.ssrc;
    // Never over what the source before has said.
    this.#anchor = { frame: Math.max(arrival, this.#end), timestamp: rtp.timestamp };
    return this.#anchor.frame;
  }
}
