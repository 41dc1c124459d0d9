import type { CallId } from '../core/leg.js';
import { filesOf } from './absence.js';
import { nodeIsDone, removeFromSpool, stemOf } from './node-files.js';
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
    this.#spools.set(callId, spool);
    const [oldest] = this.#spools.keys();
    if (this.#spools.size > MAX_UNPROVED && oldest !== undefined) this.#spools.delete(oldest);
  }

  drop(callId: CallId): void {
    this.#spools.delete(callId);
  }

  /** Removes a call's files once the node is done with them. How many those were. Never rejects. */
  async remove(callId: CallId): Promise<number> {
    const spool = this.#spools.get(callId);
    if (spool === undefined) return 0;
    this.#spools.delete(callId);
    try {
      for (const file of await filesOf(spool.dir, callId)) {
        if (!file.startsWith('pcaps/')) continue;
        const pid = await pidOf(spool);
        await nodeIsDone(stemOf(file), `${spool.dir}/${file}`, spool.dir, pid, null, this.#settleMs);
      }
      return await removeFromSpool(spool.dir, callId);
    } catch {
      // What could not be removed is found by the look that follows, and is an alarm there.
      return 0;
    }
  }
}
