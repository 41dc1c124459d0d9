import { createHash } from 'node:crypto';
import type { OpenFile } from '../durable/disk.js';
import { givePage, PAGE, takePage } from '../durable/pages.js';
import { Channel, type ChannelCounts } from './channel.js';
import { readDatagram } from './datagram.js';
import { PcapError, PcapReader } from './pcap.js';
import { type Sides, Sorter } from './sorter.js';
import { type Slice, StereoTrack } from './stereo-track.js';
import { TextChannel, type TextCounts } from './text-channel.js';
import { Transcript } from './transcript.js';
import { wavHeader } from './wav.js';

export interface TypedText {
  readonly transcript: string;
  readonly caller: TextCounts;
  readonly called: TextCounts;
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
  /** What was typed; null where the call had no real-time text. */
  readonly text: TypedText | null;
  /** What ended the reading before the end of the file, or 'cut' where the last record is not whole. */
  readonly damage: 'cut' | PcapError['code'] | null;
  readonly pcapBytes: number;
  readonly pcapSha256: string;
}

/** Where a WAV goes: its bytes in order, its header, which is known last, at the end. */
export interface WavSink {
  write(audio: Buffer): Promise<void>;
  end(header: Buffer): Promise<void>;
}

const silence = Buffer.alloc(PAGE);

/** Puts slices and the silence between them one after another. */
const writerOf = (wav: WavSink) => {
  let frames = 0;
  return async (slices: readonly Slice[]): Promise<void> => {
    for (const { frame, bytes } of slices) {
      for (let gap = (frame - frames) * 4; gap > 0; gap -= PAGE) {
        await wav.write(silence.subarray(0, Math.min(gap, PAGE)));
      }
      await wav.write(bytes);
      frames = frame + bytes.length / 4;
    }
  };
};

/** Both halves of a typed conversation; null where there was none. */
const textOf = (sides: Sides) => {
  const text = sides.text ?? null;
  if (text === null) return null;
  const transcript = new Transcript();
  const { caller, called } = text.formats;
  // Payload types are those the other side wants to receive; who sends its own is read all the same.
  return {
    transcript,
    caller: new TextChannel({ ...caller, ...called }, (atMs, typed) =>
      transcript.type('caller', atMs, typed),
    ),
    called: new TextChannel({ ...called, ...caller }, (atMs, typed) =>
      transcript.type('called', atMs, typed),
    ),
  };
};

/**
 * Makes a WAV (caller left, called party right) out of a node's pcap, reading and writing in small pieces:
 * nothing of it is anywhere else than in memory and in the sink. What was typed comes back as a transcript. Damage in
 * the pcap ends the reading and is reported, not thrown; file errors are thrown.
 */
export const convert = async (
  pcap: OpenFile,
  wav: WavSink,
  sides: Sides,
  maxSeconds: number,
): Promise<Conversion> => {
  const track = new StereoTrack(maxSeconds * 8000);
  const sorter = new Sorter(sides);
  const channels = { caller: new Channel(0, track), called: new Channel(1, track) };
  const text = textOf(sides);
  const reader = new PcapReader((arrivedMs, ip) => {
    const datagram = readDatagram(ip);
    const packet = datagram === null ? null : sorter.sort(arrivedMs, datagram);
    if (packet === null) return;
    const channel = packet.stream === 'audio' ? channels[packet.party] : text?.[packet.party];
    channel?.take(packet.atMs, packet.rtp);
  });
  const hash = createHash('sha256');
  const page = takePage();
  let damage: Conversion['damage'] = null;
  let pcapBytes = 0;
  const write = writerOf(wav);
  try {
    for (;;) {
      const { bytesRead } = await pcap.read(page, 0, PAGE, pcapBytes);
      if (bytesRead === 0) break;
      pcapBytes += bytesRead;
      const chunk = page.subarray(0, bytesRead);
      hash.update(chunk);
      if (damage !== null) continue;
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof PcapError)) throw error;
        damage = error.code;
      }
      await write(track.take());
    }
  } finally {
    givePage(page);
  }
  track.finish();
  text?.caller.finish();
  text?.called.finish();
  await write(track.take());
  await wav.end(wavHeader(track.frames));
  if (damage === null && (reader.pending > 0 || !reader.begun)) damage = 'cut';
  return {
    frames: track.frames,
    seconds: track.frames / 8000,
    caller: channels.caller.counts,
    called: channels.called.counts,
    rtp: sorter.rtp,
    strangers: sorter.strangers,
    text:
      text === null
        ? null
        : { transcript: text.transcript.text, caller: text.caller.counts, called: text.called.counts },
    damage,
    pcapBytes,
    pcapSha256: hash.digest('hex'),
  };
};
