import type { JsonObject } from '../call/ports.js';
import type { WallMs } from '../core/leg.js';
import type { Pool } from './attestation.js';
import { type BencodeDict, dictAt, isList } from './bencode.js';

/** Tags of a call that are kept: our own are a handful. */
const MAX_TAGS = 16;

/**
 * What a node was told about one call and what it answered, for the call's CDR: how often each command, how many of
 * them failed, how many replies named a recording, and who was in the call when it was deleted. Commands are of a closed
 * list, so the counts are bounded; nothing a party sent is in them.
 */
export class CallReplies {
  readonly #node: string;
  readonly #pool: Pool;
  readonly #commands = new Map<string, number>();
  #failed = 0;
  #recordings = 0;
  #deleted = false;
  #tags: readonly string[] | null = null;
  #leftAt: WallMs | null = null;

  constructor(node: string, pool: Pool) {
    this.#node = node;
    this.#pool = pool;
  }

  sent(command: string): void {
    this.#commands.set(command, (this.#commands.get(command) ?? 0) + 1);
  }

  /** The call is on the node no more. */
  left(at: WallMs): void {
    this.#leftAt ??= at;
  }

  failed(): void {
    this.#failed += 1;
  }

  answered(command: string, reply: BencodeDict): void {
    if (isList(reply.recordings) && reply.recordings.length > 0) this.#recordings += 1;
    if (command !== 'delete') return;
    this.#deleted = true;
    // The first delete says who was in the call; the second one is of what is left.
    const tags = dictAt(reply, 'tags');
    if (tags === null) return;
    const names = Object.keys(tags).map((tag) => tag.slice(0, 32));
    this.#tags ??= names.sort().slice(0, MAX_TAGS);
  }

  json(): JsonObject {
    return {
      node: this.#node,
      pool: this.#pool,
      commands: Object.fromEntries([...this.#commands].sort(([a], [b]) => (a < b ? -1 : 1))),
      failed: this.#failed,
      recordings: this.#recordings,
      deleted: this.#deleted,
      leftAt: this.#leftAt,
      tags: this.#tags === null ? null : [...this.#tags],
    };
  }
}
