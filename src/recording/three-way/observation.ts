import type { ThreeWayEvidence } from '../../call/talk.js';
import type { Disk } from '../../durable/disk.js';
import { readDatagram } from '../datagram.js';
import type { ProvedFile } from '../proof.js';
import { type Sides, Sorter } from '../sorter.js';
import { PartyEar } from './party-ear.js';
import { PcapTail } from './pcap-tail.js';
import { Evidence } from './score.js';
import type { Notice } from './signs.js';

/**
 * Reads behind a running recording and tells what in it may come of a third party. It needs the file of a recording
 * that was proved: of a private call there is none, and so no way to here.
 */
export class Observation {
  readonly #sides: () => Sides;
  readonly #listener: (evidence: ThreeWayEvidence) => void;
  readonly #everyMs: number;
  readonly #sorter: Sorter;
  readonly #tail: PcapTail;
  readonly #evidence = new Evidence();
  #changed = false;
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;
  #reading: Promise<void> = Promise.resolve();

  constructor(
    file: ProvedFile,
    disk: Disk,
    sides: () => Sides,
    everyMs: number,
    listener: (evidence: ThreeWayEvidence) => void,
  ) {
    this.#sides = sides;
    this.#listener = listener;
    this.#everyMs = everyMs;
    this.#sorter = new Sorter(sides());
    const ears = { caller: new PartyEar(this.#of('caller')), called: new PartyEar(this.#of('called')) };
    this.#tail = new PcapTail(file, disk, (arrivedMs, ip) => {
      const datagram = readDatagram(ip);
      const packet = datagram === null ? null : this.#sorter.sort(arrivedMs, datagram);
      if (packet?.stream === 'audio') ears[packet.party].take(packet.atMs, packet.rtp);
    });
    this.#again();
  }

  /** At once: what is read but not looked at yet is forgotten, and nothing more is told. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    void this.#reading.then(() => this.#tail.close());
  }

  #of(party: 'caller' | 'called'): Notice {
    return (sign, atMs) => {
      if (this.#evidence.add({ sign, party, atMs: Math.max(0, Math.round(atMs)) })) this.#changed = true;
    };
  }

  #again(): void {
    this.#timer = setTimeout(() => {
      // Whatever goes wrong here, the call it is about goes on.
      this.#reading = this.#look().catch(() => this.stop());
    }, this.#everyMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    // Addresses first: a packet from a new one comes after it was named.
    this.#sorter.knows(this.#sides().sources);
    const more = await this.#tail.read(() => !this.#stopped);
    if (this.#stopped) return;
    if (this.#changed) {
      this.#changed = false;
      this.#listener(this.#evidence.evidence);
    }
    if (more) this.#again();
    else this.stop();
  }
}
