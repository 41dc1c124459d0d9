import { type CodecName, decodeG711, payloadTypes } from './g711.js';
import { keyOfEvent, type RtpPacket } from './rtp-packet.js';
import { SampleRing } from './sample-ring.js';
import { SAMPLE_RATE } from './tone.js';

/** Sequence numbers remembered to tell a duplicate from a packet that came late. */
const SEEN = 128;

/** One sender's stream: a change of SSRC begins a new one. */
interface Stream {
  readonly ssrc: number;
  lowestSequence: number;
  highestSequence: number;
  received: number;
  /** Ring position = unwrapped timestamp + offset. */
  offset: number;
  lastTimestamp: number;
  readonly seen: Int32Array;
}

/** What came in, as counted by `ReceivedAudio`. */
export interface AudioCounters {
  /** Audio and keypad packets taken, duplicates not counted. */
  readonly received: number;
  /** Missing in the sequence numbers (RFC 3550 appendix A.3), over all streams. */
  readonly lost: number;
  readonly duplicates: number;
  /** How often the sender's SSRC was a new one, the first included. */
  readonly streams: number;
  /** Packets whose payload type is neither codec nor telephone-event. */
  readonly unknownPayload: number;
}

/**
 * Decodes received packets into a bounded buffer. Packets take the place their timestamp gives them, which within a
 * stream is the order of the sequence numbers, so reordering is undone, loss is silence and a hold is silence.
 * A new SSRC, or a timestamp that jumps further than the buffer is long, goes on where the buffer ends.
 */
export class ReceivedAudio {
  readonly ring: SampleRing;
  readonly #capacity: number;
  readonly #eventType: number;
  #stream: Stream | undefined;
  #received = 0;
  #lostBefore = 0;
  #duplicates = 0;
  #streams = 0;
  #unknownPayload = 0;
  #keys = '';
  #lastEvent = -1;

  constructor(keepMs: number, eventType: number) {
    this.#capacity = Math.ceil((keepMs * SAMPLE_RATE) / 1000);
    this.ring = new SampleRing(this.#capacity);
    this.#eventType = eventType;
  }

  /** Keys pressed by the far end (RFC 4733), oldest first, the last 256. */
  get keys(): string {
    return this.#keys;
  }

  get counters(): AudioCounters {
    return {
      received: this.#received,
      lost: this.#lostBefore + lostIn(this.#stream),
      duplicates: this.#duplicates,
      streams: this.#streams,
      unknownPayload: this.#unknownPayload,
    };
  }

  take(packet: RtpPacket): void {
    const stream = this.#streamOf(packet);
    if (!count(stream, packet.sequence)) {
      this.#duplicates++;
      return;
    }
    this.#received++;
    if (packet.payloadType === this.#eventType) this.#takeEvent(packet);
    else if (packet.payloadType === payloadTypes.PCMU) this.#takeAudio(stream, packet, 'PCMU');
    else if (packet.payloadType === payloadTypes.PCMA) this.#takeAudio(stream, packet, 'PCMA');
    else this.#unknownPayload++;
  }

  #streamOf(packet: RtpPacket): Stream {
    if (this.#stream?.ssrc === packet.ssrc) return this.#stream;
    this.#lostBefore += lostIn(this.#stream);
    this.#streams++;
    this.#stream = {
      ssrc: packet.ssrc,
      lowestSequence: packet.sequence,
      highestSequence: packet.sequence - 1,
      received: 0,
      offset: this.ring.end - packet.timestamp,
      lastTimestamp: packet.timestamp,
      seen: new Int32Array(SEEN).fill(-1),
    };
    return this.#stream;
  }

  #takeAudio(stream: Stream, packet: RtpPacket, codec: CodecName): void {
    // The signed 32-bit difference unwraps the timestamp, in either direction.
    const timestamp = stream.lastTimestamp + ((packet.timestamp - stream.lastTimestamp) | 0);
    let position = timestamp + stream.offset;
    if (Math.abs(position - this.ring.end) > this.#capacity) {
      stream.offset = this.ring.end - timestamp;
      position = this.ring.end;
    }
    stream.lastTimestamp = timestamp;
    this.ring.write(position, decodeG711(codec, packet.payload));
  }

  #takeEvent(packet: RtpPacket): void {
    // All packets of one event carry the timestamp of its start (RFC 4733 section 2.2).
    if (packet.payload.length < 4 || packet.timestamp === this.#lastEvent) return;
    this.#lastEvent = packet.timestamp;
    this.#keys = (this.#keys + (keyOfEvent(packet.payload[0] ?? 255) ?? '?')).slice(-256);
  }
}

/** Notes the sequence number in the stream; false for a duplicate. */
function count(stream: Stream, sequence: number): boolean {
  const extended = stream.highestSequence + (((sequence - stream.highestSequence) << 16) >> 16);
  const slot = ((extended % SEEN) + SEEN) % SEEN;
  if (stream.seen[slot] === sequence) return false;
  stream.seen[slot] = sequence;
  stream.highestSequence = Math.max(stream.highestSequence, extended);
  stream.lowestSequence = Math.min(stream.lowestSequence, extended);
  stream.received++;
  return true;
}

function lostIn(stream: Stream | undefined): number {
  if (stream === undefined) return 0;
  return Math.max(0, stream.highestSequence - stream.lowestSequence + 1 - stream.received);
}
