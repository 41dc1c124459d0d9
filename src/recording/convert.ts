import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Channel, type ChannelCounts } from './channel.js';
import { type Datagram, readDatagram, readRtp } from './datagram.js';
import { PcapError, PcapReader } from './pcap.js';
import { StereoTrack } from './stereo-track.js';
import { WAV_HEADER, wavHeader } from './wav.js';

/** Which packets of the pcap are whose. */
export interface Sides {
  /** The node's UDP port that receives each party's RTP. */
  readonly ports: { readonly caller: number; readonly called: number };
  /** Every 'address port' each party named for its RTP. */
  readonly sources: { readonly caller: readonly string[]; readonly called: readonly string[] };
}

export interface Conversion {
  readonly frames: number;
  readonly seconds: number;
  readonly caller: ChannelCounts;
  readonly called: ChannelCounts;
  /** RTP packets at the parties' ports, whoever sent them: what the node counts too. */
  readonly rtp: { readonly caller: number; readonly called: number };
  /** RTP packets at the parties' ports from others than the parties; they are not in the WAV. */
  readonly strangers: number;
  /** What ended the reading before the end of the file, or 'cut' where the last record is not whole. */
  readonly damage: 'cut' | PcapError['code'] | null;
  readonly pcapBytes: number;
  readonly pcapSha256: string;
}

const CHUNK = 65_536;

const writeAll = async (file: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  let done = 0;
  while (done < bytes.length) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
};

/** Sorts the packets of a pcap into the two channels. */
class Sorting {
  readonly caller: Channel;
  readonly called: Channel;
  readonly rtp = { caller: 0, called: 0 };
  strangers = 0;
  readonly #sides: Sides;
  readonly #sources: { readonly caller: ReadonlySet<string>; readonly called: ReadonlySet<string> };
  #startMs: number | null = null;
  #latestMs = 0;
  #setBackMs = 0;

  constructor(track: StereoTrack, sides: Sides) {
    this.caller = new Channel(0, track);
    this.called = new Channel(1, track);
    this.#sides = sides;
    this.#sources = { caller: new Set(sides.sources.caller), called: new Set(sides.sources.called) };
  }

  take(arrivedMs: number, datagram: Datagram): void {
    const { ports } = this.#sides;
    const party =
      datagram.toPort === ports.caller ? 'caller' : datagram.toPort === ports.called ? 'called' : null;
    if (party === null) return;
    const rtp = readRtp(datagram.payload);
    if (rtp === null) return;
    this.rtp[party]++;
    if (!this.#sources[party].has(datagram.source)) {
      this.strangers++;
      return;
    }
    const at = this.#steady(arrivedMs);
    this.#startMs ??= at;
    this[party].take(at - this.#startMs, rtp);
  }

  /** Arrival times follow the node's wall clock; where that was set back, ours goes on. */
  #steady(arrivedMs: number): number {
    let at = arrivedMs + this.#setBackMs;
    if (at < this.#latestMs - 1000) {
      this.#setBackMs += this.#latestMs - at;
      at = this.#latestMs;
    }
    this.#latestMs = Math.max(this.#latestMs, at);
    return at;
  }
}

/**
 * Makes a WAV (caller left, called party right) out of a node's pcap, reading and writing in small pieces. Silence
 * is left as a hole in the file. Damage in the pcap ends the reading and is reported, not thrown; file errors are
 * thrown.
 */
export const convert = async (
  pcap: FileHandle,
  wav: FileHandle,
  sides: Sides,
  maxSeconds: number,
): Promise<Conversion> => {
  const track = new StereoTrack(maxSeconds * 8000);
  const sorting = new Sorting(track, sides);
  const reader = new PcapReader((arrivedMs, ip) => {
    const datagram = readDatagram(ip);
    if (datagram !== null) sorting.take(arrivedMs, datagram);
  });
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK);
  let damage: Conversion['damage'] = null;
  let pcapBytes = 0;
  const write = async (): Promise<void> => {
    for (const { frame, bytes } of track.take()) {
      await writeAll(wav, bytes, WAV_HEADER + frame * 4);
    }
  };
  for (;;) {
    const { bytesRead } = await pcap.read(buffer, 0, CHUNK, pcapBytes);
    if (bytesRead === 0) break;
    pcapBytes += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    if (damage !== null) continue;
    try {
      reader.push(chunk);
    } catch (error) {
      if (!(error instanceof PcapError)) throw error;
      damage = error.code;
    }
    await write();
  }
  track.finish();
  await write();
  await wav.truncate(WAV_HEADER + track.frames * 4);
  await writeAll(wav, wavHeader(track.frames), 0);
  if (damage === null && (reader.pending > 0 || !reader.begun)) damage = 'cut';
  return {
    frames: track.frames,
    seconds: track.frames / 8000,
    caller: sorting.caller.counts,
    called: sorting.called.counts,
    rtp: sorting.rtp,
    strangers: sorting.strangers,
    damage,
    pcapBytes,
    pcapSha256: hash.digest('hex'),
  };
};
