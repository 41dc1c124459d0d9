import { createHash } from 'node:crypto';
import type { FollowedRows, JsonObject, PastRow } from './call/ports.js';
import type { CallId } from './core/leg.js';
import { canonicalJson } from './journal/canonical.js';

interface Place {
  readonly seq: number;
  readonly hash: string;
}

/** Rows of one call that its CDR names; an ordinary call has three to six. */
const MAX_NAMED = 256;
/** Attestations of all nodes during one call: one in five seconds of each node while other calls end on it. */
const MAX_NODE_ROWS = 1024;
const MAX_NODES = 256;

interface NodeRow extends Place {
  readonly node: string;
}

class Followed implements FollowedRows {
  readonly #rows: Place[] = [];
  readonly #nodeRows: NodeRow[];
  /** Each with the node it is about, or null for the call's own. */
  readonly #waiting = new Map<Promise<void>, string | null>();
  readonly #done: () => void;
  #more = 0;

  /** `inForce`: the last attestation of each node. */
  constructor(inForce: readonly NodeRow[], done: () => void) {
    this.#nodeRows = [...inForce];
    this.#done = done;
  }

  wrote(row: Promise<Place>): void {
    this.#await(row, null, (place) => this.#own(place));
  }

  attested(node: string, row: Promise<Place>): void {
    this.#await(row, node, (place) => this.#ofNode(node, place));
  }

  knew(rows: readonly PastRow[]): void {
    for (const { node, ...place } of rows) {
      if (node === null) this.#own(place);
      else this.#ofNode(node, place);
    }
  }

  async settled(ms: number, nodes: readonly string[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        isLate = true;
        resolve();
      }, ms);
    });
    // Others come while these are waited for: all that matters is a moment without any.
    for (let rows = this.#onTheirWay(nodes); rows.length > 0 && !isLate; rows = this.#onTheirWay(nodes)) {
      await Promise.race([Promise.all(rows), late]);
    }
    clearTimeout(timer);
  }

  named(nodes: readonly string[]): JsonObject {
    const ofNodes = nodes.map((node) => [node, this.#nodeRows.filter((row) => row.node === node)] as const);
    const all = [...this.#rows, ...ofNodes.flatMap(([, rows]) => rows)].sort((a, b) => a.seq - b.seq);
    const seqs = (rows: readonly Place[]): number[] => rows.map(({ seq }) => seq).sort((a, b) => a - b);
    return {
      own: seqs(this.#rows),
      nodes: Object.fromEntries(ofNodes.map(([node, rows]) => [node, seqs(rows)])),
      sha256: createHash('sha256')
        .update(canonicalJson(all.map(({ seq, hash }) => [seq, hash])))
        .digest('hex'),
      waiting: this.#onTheirWay(nodes).length,
      more: this.#more,
    };
  }

  end(): void {
    this.#done();
  }

  #own({ seq, hash }: Place): void {
    if (this.#rows.some((row) => row.seq === seq)) return;
    if (this.#rows.length < MAX_NAMED) this.#rows.push({ seq, hash });
    else this.#more += 1;
  }

  #ofNode(node: string, { seq, hash }: Place): void {
    if (this.#nodeRows.some((row) => row.seq === seq)) return;
    if (this.#nodeRows.length < MAX_NODE_ROWS) this.#nodeRows.push({ node, seq, hash });
    else this.#more += 1;
  }

  /** A row that was refused is not in the journal; one whose answer came too late is, with a mark that it does not count. */
  #await(row: Promise<Place>, node: string | null, note: (place: Place) => void): void {
    const noted: Promise<void> = row.then(note, () => undefined).finally(() => this.#waiting.delete(noted));
    this.#waiting.set(noted, node);
  }

  #onTheirWay(nodes: readonly string[]): Promise<void>[] {
    const all = [...this.#waiting];
    return all.filter(([, node]) => node === null || nodes.includes(node)).map(([row]) => row);
  }
}

/**
 * Which rows of the journal are about a call under way: those with its id, whichever part of the controller writes them,
 * and the attestations of its media nodes. Its CDR names them, so that whoever holds the CDR can tell whether one of
 * them was kept from him.
 */
export class RowsOfCalls {
  readonly #calls = new Map<string, Followed>();
  /** The last attestation of each node. */
  readonly #nodes = new Map<string, NodeRow>();

  follow(callId: CallId): FollowedRows {
    const followed = new Followed([...this.#nodes.values()], () => {
      if (this.#calls.get(callId) === followed) this.#calls.delete(callId);
    });
    this.#calls.set(callId, followed);
    return followed;
  }

  /** Told of every row as it is given to the journal. */
  wrote(kind: string, { callId, node }: JsonObject, row: Promise<Place>): void {
    if (typeof callId === 'string') this.#calls.get(callId)?.wrote(row);
    if (kind !== 'attestation' || typeof node !== 'string') return;
    for (const followed of this.#calls.values()) followed.attested(node, row);
    void row.then(
      ({ seq, hash }) => {
        if (this.#nodes.size < MAX_NODES || this.#nodes.has(node)) this.#nodes.set(node, { node, seq, hash });
      },
      () => undefined,
    );
  }
}
