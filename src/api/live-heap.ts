import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from 'node:perf_hooks';

/**
 * What the main thread holds: its heap and what hangs on it outside (buffers), in bytes, as it was after the last full
 * collection; null before the first. The resident size goes up and down by tens of megabytes between collections, and
 * cannot tell a slow leak from that in less than a day.
 */
export class LiveHeap {
  #bytes: number | null = null;
  readonly #observer = new PerformanceObserver((list) => {
    // The types of Node leave the detail out, which is there for each collection.
    const entries = list.getEntries() as readonly { readonly detail?: NodeGCPerformanceDetail }[];
    const full = entries.some(({ detail }) => detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
    if (!full) return;
    const { heapUsed, external } = process.memoryUsage();
    this.#bytes = heapUsed + external;
    this.#collected(heapUsed);
  });
  readonly #collected: (heapBytes: number) => void;

  /** `collected` is told what each full collection has left in the heap. */
  constructor(collected: (heapBytes: number) => void = () => undefined) {
    this.#collected = collected;
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  get bytes(): number | null {
    return this.#bytes;
  }

  stop(): void {
    this.#observer.disconnect();
  }
}
