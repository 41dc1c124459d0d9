import type { Party, TextStreams } from '../call/ports.js';
import { type Datagram, type Rtp, readRtp } from './datagram.js';

/** Which packets of the pcap are whose. */
export interface Sides {
  /** The node's UDP port that receives each party's RTP. */
  readonly ports: { readonly caller: number; readonly called: number };
  /** Every 'address port' each party named for its RTP. */
  readonly sources: { readonly caller: readonly string[]; readonly called: readonly string[] };
  /** Real-time text, where the call had any: packets at its ports. */
  readonly text?: TextStreams | null;
}

/** An RTP packet of a party, with its arrival in ms since the recording's first one. */
export interface PartyPacket {
  readonly party: Party;
  readonly stream: 'audio' | 'text';
  readonly atMs: number;
  readonly rtp: Rtp;
}

const placesOf = (
  ports: Sides['ports'],
  stream: PartyPacket['stream'],
): [number, Pick<PartyPacket, 'party' | 'stream'>][] => [
  [ports.called, { party: 'called', stream }],
  [ports.caller, { party: 'caller', stream }],
];

/** Tells whose packets a recording holds, on one time line that never jumps back. */
export class Sorter {
  readonly rtp = { caller: 0, called: 0 };
  strangers = 0;
  readonly #places: ReadonlyMap<number, Pick<PartyPacket, 'party' | 'stream'>>;
  readonly #sources: Readonly<Record<PartyPacket['stream'], Readonly<Record<Party, Set<string>>>>>;
  #startMs: number | null = null;
  #latestMs = 0;
  #setBackMs = 0;

  constructor(sides: Sides) {
    const text = sides.text ?? null;
    this.#places = new Map([
      ...(text === null ? [] : placesOf(text.ports, 'text')),
      // The audio's last: no port is ever the text's that is the audio's.
      ...placesOf(sides.ports, 'audio'),
    ]);
    const sets = (sources: Sides['sources'] | undefined): Record<Party, Set<string>> => ({
      caller: new Set(sources?.caller),
      called: new Set(sources?.called),
    });
    this.#sources = { audio: sets(sides.sources), text: sets(text?.sources) };
  }

  /** A party may name more addresses while it is recorded. */
  knows({ caller, called }: Sides['sources']): void {
    for (const source of caller) this.#sources.audio.caller.add(source);
    for (const source of called) this.#sources.audio.called.add(source);
  }

  /** Null for what is not RTP at a party's port, and for what a stranger sent there. */
  sort(arrivedMs: number, datagram: Datagram): PartyPacket | null {
    const place = this.#places.get(datagram.toPort);
    if (place === undefined) return null;
    const { party, stream } = place;
    const rtp = readRtp(datagram.payload);
    if (rtp === null) return null;
    // The node's count, which this is compared with, is of the audio.
    if (stream === 'audio') this.rtp[party]++;
    if (!this.#sources[stream][party].has(datagram.source)) {
      this.strangers++;
      return null;
    }
    const at = this.#steady(arrivedMs);
    this.#startMs ??= at;
    return { party, stream, atMs: at - this.#startMs, rtp };
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
