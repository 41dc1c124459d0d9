import type { Party } from '../call/ports.js';
import { type Datagram, type Rtp, readRtp } from './datagram.js';

/** Which packets of the pcap are whose. */
export interface Sides {
  /** The node's UDP port that receives each party's RTP. */
  readonly ports: { readonly caller: number; readonly called: number };
  /** Every 'address port' each party named for its RTP. */
  readonly sources: { readonly caller: readonly string[]; readonly called: readonly string[] };
}

/** An RTP packet of a party, with its arrival in ms since the recording's first one. */
export interface PartyPacket {
  readonly party: Party;
  readonly atMs: number;
  readonly rtp: Rtp;
}

/** Tells whose packets a recording holds, on one time line that never jumps back. */
export class Sorter {
  readonly rtp = { caller: 0, called: 0 };
  strangers = 0;
  readonly #ports: Sides['ports'];
  readonly #sources: Readonly<Record<Party, Set<string>>>;
  #startMs: number | null = null;
  #latestMs = 0;
  #setBackMs = 0;

  constructor(sides: Sides) {
    this.#ports = sides.ports;
    this.#sources = { caller: new Set(sides.sources.caller), called: new Set(sides.sources.called) };
  }

  /** A party may name more addresses while it is recorded. */
  knows({ caller, called }: Sides['sources']): void {
    for (const source of caller) this.#sources.caller.add(source);
    for (const source of called) this.#sources.called.add(source);
  }

  /** Null for what is not RTP at a party's port, and for what a stranger sent there. */
  sort(arrivedMs: number, datagram: Datagram): PartyPacket | null {
    const { toPort } = datagram;
    const party = toPort === this.#ports.caller ? 'caller' : toPort === this.#ports.called ? 'called' : null;
    if (party === null) return null;
    const rtp = readRtp(datagram.payload);
    if (rtp === null) return null;
    this.rtp[party]++;
    if (!this.#sources[party].has(datagram.source)) {
      this.strangers++;
      return null;
    }
    const at = this.#steady(arrivedMs);
    this.#startMs ??= at;
    return { party, atMs: at - this.#startMs, rtp };
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
