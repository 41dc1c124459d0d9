import { join } from 'node:path';
import type { CallId } from '../core/leg.js';
import { nodeIsDone, removeFromSpool, stemOf } from './node-files.js';
import { holdsOpen, pcapsOf } from './proof.js';
import { pidOf, type SpoolOptions } from './spool.js';

/** Calls remembered for their removal, should nobody ask for it. */
const MAX_UNPROVED = 10_000;

/**
 * Calls whose files in a spool are no recording: begun and not proved, never connected, or sealed already. What the
 * node made of them is ours to remove.
 */
export class Unproved {
  readonly #spools = new Map<CallId, SpoolOptions>();
  readonly #settleMs: number;

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  add(callId: CallId, spool: SpoolOptions): void {
    this.#spools.delete(callId);
    this.#spools.set(callId, spool);
    const [oldest] = this.#spools.keys();
    if (this.#spools.size > MAX_UNPROVED && oldest !== undefined) this.#spools.delete(oldest);
  }

  drop(callId: CallId): void {
    this.#spools.delete(callId);
  }

  /**
   * Removes a call's files once the node is done with them. How many those were. What the node still writes stays:
   * the look that follows finds it, and the node crashed when its files were removed under it. Never rejects.
   */
  async remove(callId: CallId): Promise<number> {
    const spool = this.#spools.get(callId);
    if (spool === undefined) return 0;
    try {
      const pid = await pidOf(spool);
      for (const name of await pcapsOf(spool.dir, callId)) {
        const path = join(spool.dir, 'pcaps', name);
        const done = await nodeIsDone(stemOf(name), path, spool.dir, pid, null, this.#settleMs);
        if (!done && holdsOpen(pid, path, null) === true) return 0;
      }
      // It stays known: a node that stood still begins a recording when it goes on, long after it was asked to.
      return await removeFromSpool(spool.dir, callId);
    } catch {
      // What could not be removed is found by the look that follows, and is an alarm there.
      return 0;
    }
  }
}
