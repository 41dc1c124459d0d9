import { type FaultWindow, machineStalled } from './judge.js';

const everyMs = 50;
/** Later than this, a timer tells that nobody was served. */
const lateMs = 300;
/** What was missed meanwhile is made up for within this: an attestation, a look-up. */
const afterMs = 2000;
const maxKept = 500;

/** Times in which this machine gave even the soak no processor. */
export class Stalls {
  readonly #windows: FaultWindow[] = [];
  readonly #timer: NodeJS.Timeout;
  #last = performance.now();
  count = 0;
  /** In all, in ms. */
  total = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  get windows(): readonly FaultWindow[] {
    return this.#windows;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.#last - everyMs;
    this.#last = now;
    if (late < lateMs) return;
    this.count += 1;
    this.total += late;
    const at = Date.now();
    this.#windows.push({ name: machineStalled, from: at - late - everyMs, to: at + afterMs });
    if (this.#windows.length > maxKept) this.#windows.shift();
  }
}
