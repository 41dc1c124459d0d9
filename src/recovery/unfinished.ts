import type { JsonObject } from '../call/ports.js';
import { type CallId, parseCallId } from '../core/leg.js';
import type { Notes, ReadLedger } from './ledger-lines.js';

/** A call without a CDR, with all that is known of it. */
export interface Unfinished {
  readonly callId: CallId;
  /** The row of its decision; null where it ended before one was durable. */
  readonly decision: JsonObject | null;
  /** The row of the decision that made it private while it was up. */
  readonly becamePrivate: JsonObject | null;
  /** The proof of its recording. */
  readonly proof: JsonObject | null;
  /** What the ledger has of it; null where the ledger is lost. */
  readonly notes: Notes | null;
}

/** A row of the journal, as far as it matters here. */
export interface KnownRow {
  readonly seq: number;
  readonly kind: string;
  readonly body: { readonly [member: string]: unknown };
}

/** Kinds of rows that say which calls are unfinished. */
export const kindsRead = ['decision', 'armed', 'cdr', 'abandoned'] as const;

type Open = { -readonly [member in keyof Unfinished]: Unfinished[member] };

/** Calls that had their CDR, remembered for an `abandoned` row that takes it back. */
const maxClosed = 10_000;

const objectOf = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;

/**
 * The first row that must be read. The ledger knows up to where nothing but its own calls is unfinished; without it the
 * whole journal is read, for every decision without a CDR is a call that somebody must close.
 */
export const firstRowToRead = ({ head, calls }: ReadLedger, lastRow: number): number => {
  // The ledger of another journal: that directory was put away, or begun anew.
  if (head === null || head.through > lastRow) return 1;
  let first = head.through + 1;
  for (const { decided } of calls.values()) {
    if (typeof decided?.seq === 'number') first = Math.min(first, decided.seq);
  }
  return Math.max(1, first);
};

/** Follows the journal's rows, and says at the end which calls have no CDR. */
export class Unclosed {
  readonly #ledger: ReadLedger;
  readonly #open = new Map<CallId, Open>();
  readonly #closed = new Map<CallId, { readonly seq: number; readonly call: Open | null }>();

  constructor(ledger: ReadLedger) {
    this.#ledger = ledger;
  }

  take({ seq, kind, body }: KnownRow): void {
    if (kind === 'abandoned') {
      this.#takeBack(Number(body.firstSeq), Number(body.lastSeq));
      return;
    }
    const callId = typeof body.callId === 'string' ? parseCallId(body.callId) : null;
    // A decision about another party belongs to a call that has its own.
    if (callId === null || (kind === 'decision' && body.other !== undefined)) return;
    if (kind === 'cdr') {
      this.#close(callId, seq);
      return;
    }
    const known = this.#open.get(callId) ?? this.#begin(callId);
    if (kind === 'armed') known.proof = objectOf(body.proof);
    else if (body.again === undefined) known.decision = body as JsonObject;
    else if (body.verdict === 'private') known.becamePrivate = body as JsonObject;
  }

  /** The calls to close, and those of the ledger that have their CDR. */
  end(): { readonly unfinished: readonly Unfinished[]; readonly closed: readonly CallId[] } {
    const { head, calls } = this.#ledger;
    const closed = [...calls.keys()].filter((callId) => this.#closed.has(callId));
    for (const callId of calls.keys()) {
      if (!this.#closed.has(callId) && !this.#open.has(callId)) this.#begin(callId);
    }
    // Whose arrival was not noted was noted by nobody, or in part: the ledger is as good as lost for it.
    const noted = (callId: CallId): Notes | null => {
      const notes = head === null ? undefined : calls.get(callId);
      return notes?.arrived === undefined ? null : notes;
    };
    const unfinished = [...this.#open.values()].map((call) => ({ ...call, notes: noted(call.callId) }));
    return { unfinished, closed };
  }

  #begin(callId: CallId): Open {
    const call: Open = { callId, decision: null, becamePrivate: null, proof: null, notes: null };
    this.#open.set(callId, call);
    return call;
  }

  #close(callId: CallId, seq: number): void {
    this.#closed.set(callId, { seq, call: this.#open.get(callId) ?? null });
    this.#open.delete(callId);
    const [oldest] = this.#closed.keys();
    // One of the ledger is asked for at the end.
    if (this.#closed.size > maxClosed && oldest !== undefined && !this.#ledger.calls.has(oldest)) {
      this.#closed.delete(oldest);
    }
  }

  /** Rows that came too late for whoever wrote them do not count. */
  #takeBack(first: number, last: number): void {
    for (const [callId, { seq, call }] of this.#closed) {
      if (seq < first || seq > last) continue;
      this.#closed.delete(callId);
      if (call !== null) this.#open.set(callId, call);
    }
  }
}
