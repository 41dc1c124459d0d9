import type { Disk } from '../durable/disk.js';
import type { ProvedFile } from './proof.js';

export interface WatchTiming {
  readonly firstMs: number;
  readonly everyMs: number;
  /** How the spool is asked. */
  readonly spoolDisk: Disk;
}

/**
 * A node writes its pcaps in steps of 4 KiB, so the file may lag by that much, and by what came in between our two
 * questions.
 */
const LAG_BYTES = 6_144;
/** Least a packet adds: pcap record, IP, UDP and RTP headers and 10 ms of G.711. */
const LEAST_RECORD = 16 + 20 + 8 + 12 + 16;

/**
 * Watches one recording while its call is up: the file must stay what it was and grow while packets arrive. A call
 * on hold, with no packets, is fine. Nothing else tells of a full disk: the node logs nothing (facts: reliability
 * F7).
 */
export class GrowthWatch {
  readonly #file: ProvedFile;
  readonly #packets: () => Promise<number | null>;
  readonly #lost: (code: string) => void;
  readonly #timing: WatchTiming;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #size = 0;
  /** Packets counted when the file was last seen to grow. */
  #packetsThen = 0;

  constructor(
    file: ProvedFile,
    packets: () => Promise<number | null>,
    timing: WatchTiming,
    lost: (code: string) => void,
  ) {
    this.#file = file;
    this.#packets = packets;
    this.#timing = timing;
    this.#lost = lost;
    this.#again(timing.firstMs);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #again(ms: number): void {
    this.#timer = setTimeout(() => void this.#check(), ms);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const code = await this.#look().catch(() => 'file-unreadable');
    if (this.#stopped) return;
    if (code === null) {
      this.#again(this.#timing.everyMs);
      return;
    }
    this.stop();
    this.#lost(code);
  }

  async #look(): Promise<string | null> {
    // Packets first: what is counted before the file is looked at must be in the file or in the node's buffer.
    const packets = await this.#packets();
    const stat = await this.#timing.spoolDisk.lstat(this.#file.path).catch(() => null);
    if (stat === null) return 'file-vanished';
    if (!stat.isFile() || stat.ino !== this.#file.ino || stat.dev !== this.#file.dev || stat.nlink !== 1) {
      return 'file-replaced';
    }
    if (stat.size < this.#size) return 'file-truncated';
    if (stat.size > this.#size) {
      this.#size = stat.size;
      this.#packetsThen = packets ?? this.#packetsThen;
      return null;
    }
    // A node that does not answer is the media adapter's to judge; the call ends through it.
    if (packets === null) return null;
    return (packets - this.#packetsThen) * LEAST_RECORD > LAG_BYTES ? 'file-not-growing' : null;
  }
}
