import { type EndingCode, endings } from '../core/ending.js';
import type { JournalsPort, ShownRow } from './ports.js';

/** A call that is over, as its CDR tells it. */
export interface PastCall {
  readonly journal: string;
  readonly node: string;
  readonly seq: number;
  /** The first row of the journal that is about it. */
  readonly firstSeq: number;
  readonly endedAt: string;
  readonly arrivedAt: string | null;
  readonly callId: string;
  readonly facility: string;
  readonly trunk: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly caller: string | null;
  readonly dialled: string;
  readonly number: string | null;
  readonly verdict: string;
  readonly class: string | null;
  readonly reasons: readonly string[];
  readonly ending: string;
  readonly disposition: string;
  readonly fault: string;
  readonly durationMs: number;
  readonly connectedMs: number;
  readonly recording: string | null;
}

export interface SeenAlarm {
  readonly journal: string;
  readonly node: string;
  readonly seq: number;
  readonly at: string;
  readonly alarm: string;
  readonly callId: string | null;
  /** Of its call; null where it is of none, or that is not known. */
  readonly facility: string | null;
  readonly detail: string;
}

export interface SeenNode {
  readonly journal: string;
  readonly name: string;
  readonly at: string;
  readonly state: string | null;
  readonly pool: string | null;
  readonly attested: { readonly at: string; readonly verdict: string } | null;
}

export interface Bounds {
  readonly calls: number;
  readonly alarms: number;
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const count = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) ? Math.max(0, Math.round(value)) : 0;
const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** A call by its closing record; null where that names none. */
export const pastCall = ({ journal, node, seq, at, body }: ShownRow): PastCall | null => {
  const callId = text(body.callId);
  if (callId === null) return null;
  const dialled = fields(body.dialled);
  const ending = text(body.ending) ?? 'unknown';
  const own = fields(body.rows).own;
  const first = Array.isArray(own) ? Number(own[0]) : Number.NaN;
  return {
    journal,
    node,
    seq,
    firstSeq: Number.isSafeInteger(first) && first > 0 ? Math.min(first, seq) : Math.max(1, seq - 10_000),
    endedAt: at,
    arrivedAt: text(body.arrivedAt),
    callId,
    facility: text(body.facility) ?? '',
    trunk: text(body.trunk) ?? '',
    unit: text(body.unit),
    phone: text(body.phone),
    caller: text(body.caller),
    dialled: text(dialled.kind) ?? 'nothing',
    number: text(dialled.number),
    verdict: text(body.verdict) ?? 'undecided',
    class: text(body.class),
    reasons: Array.isArray(body.reasons)
      ? body.reasons.flatMap((one: unknown) => text(fields(one).code) ?? [])
      : [],
    ending,
    disposition:
      text(body.disposition) ??
      (Object.hasOwn(endings, ending) ? endings[ending as EndingCode].disposition : 'unknown'),
    fault: text(body.fault) ?? 'unknown',
    durationMs: count(body.durationMs),
    connectedMs: count(body.connectedMs),
    recording: text(fields(body.spool).state),
  };
};

const REFRESH_MS = 500;

/**
 * The calls that are over, the alarms and the nodes of all controllers, out of their journals. What is asked for is
 * answered from memory, the newest first; what is older than its bounds is told of as not looked at.
 */
export class CallLog {
  readonly #journals: JournalsPort;
  readonly #bounds: Bounds;
  #calls: PastCall[] = [];
  #alarms: SeenAlarm[] = [];
  readonly #nodes = new Map<string, SeenNode>();
  /** Where calls are made that have been decided, also those under way. */
  readonly #places = new Map<string, string>();
  #dropped = false;
  #refreshed = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | null = null;
  #lastSeq = new Map<string, number>();
  #onAlarm: { readonly told: (alarm: SeenAlarm) => void; since: string } | null = null;

  constructor(journals: JournalsPort, bounds: Bounds) {
    this.#journals = journals;
    this.#bounds = bounds;
  }

  /** Told of alarms that were raised after a time, each once. */
  watch(since: string, told: (alarm: SeenAlarm) => void): void {
    this.#onAlarm = { told, since };
  }

  /** Reads what the journals have grown by. Rejects with PartError `journal-unread`. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#refreshed < REFRESH_MS) return;
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = null;
      this.#refreshed = performance.now();
    });
    await this.#refreshing;
  }

  async #read(): Promise<void> {
    let grown = false;
    for (const journal of this.#journals.calls) {
      for await (const row of this.#journals.grown(journal)) {
        grown = this.#take(row) || grown;
      }
    }
    if (!grown) return;
    // Several controllers write at once; each journal for itself is in order.
    this.#calls.sort((one, other) =>
      one.endedAt < other.endedAt ? -1 : one.endedAt > other.endedAt ? 1 : one.seq - other.seq,
    );
    if (this.#calls.length > this.#bounds.calls) {
      this.#dropped = true;
      this.#calls = this.#calls.slice(-this.#bounds.calls);
    }
    this.#alarms.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : one.seq - other.seq));
    this.#alarms = this.#alarms.slice(-this.#bounds.alarms);
    // Only now: of one batch several have the same time.
    const newest = this.#alarms.at(-1)?.at;
    if (this.#onAlarm !== null && newest !== undefined && newest > this.#onAlarm.since)
      this.#onAlarm.since = newest;
  }

  #take(row: ShownRow): boolean {
    const { journal, node, seq, at, kind, body } = row;
    this.#lastSeq.set(journal, seq);
    this.#place(body);
    switch (kind) {
      case 'cdr': {
        const call = pastCall(row);
        if (call === null) return false;
        this.#calls.push(call);
        return true;
      }
      case 'alarm': {
        const alarm: SeenAlarm = {
          ...{ journal, node, seq, at },
          alarm: text(body.alarm) ?? 'unknown',
          callId: text(body.callId),
          facility: text(body.facility) ?? this.facilityOf(text(body.callId) ?? ''),
          detail: text(body.detail) ?? '',
        };
        this.#alarms.push(alarm);
        this.#alarm(alarm);
        return true;
      }
      case 'node-state':
      case 'attestation':
        this.#node(row);
        return false;
      case 'reset':
        // What was read of it is not what is there: it is read anew.
        this.#calls = this.#calls.filter((one) => one.journal !== journal);
        this.#alarms = this.#alarms.filter((one) => one.journal !== journal);
        return true;
      case 'abandoned': {
        // The journal took these rows back: whoever gave them gave them again.
        const gone = (one: { readonly journal: string; readonly seq: number }): boolean =>
          one.journal === journal && one.seq >= Number(body.firstSeq) && one.seq <= Number(body.lastSeq);
        this.#calls = this.#calls.filter((one) => !gone(one));
        this.#alarms = this.#alarms.filter((one) => !gone(one));
        return false;
      }
      default:
        return false;
    }
  }

  #place(body: Readonly<Record<string, unknown>>): void {
    const [callId, facility] = [text(body.callId), text(body.facility)];
    if (callId === null || facility === null || this.#places.has(callId)) return;
    this.#places.set(callId, facility);
    const [oldest] = this.#places.keys();
    if (this.#places.size > this.#bounds.calls && oldest !== undefined) this.#places.delete(oldest);
  }

  /** Where a call was made; null where no row that was read says so. */
  facilityOf(callId: string): string | null {
    return this.#places.get(callId) ?? null;
  }

  #alarm(alarm: SeenAlarm): void {
    const watch = this.#onAlarm;
    if (watch === null || alarm.at <= watch.since) return;
    watch.told(alarm);
  }

  #node({ journal, at, kind, body }: ShownRow): void {
    const name = text(body.node);
    if (name === null || (this.#nodes.size >= 1000 && !this.#nodes.has(`${journal} ${name}`))) return;
    const known = this.#nodes.get(`${journal} ${name}`) ?? {
      ...{ journal, name, at },
      state: null,
      pool: null,
      attested: null,
    };
    this.#nodes.set(
      `${journal} ${name}`,
      kind === 'attestation'
        ? {
            ...known,
            at,
            pool: text(body.pool) ?? known.pool,
            attested: { at, verdict: text(body.verdict) ?? 'unknown' },
          }
        : { ...known, at, state: text(body.state), pool: text(body.pool) ?? known.pool },
    );
  }

  /** The newest first; `oldest`: the end of the first call that is looked at, where older ones are not. */
  get calls(): readonly PastCall[] {
    return this.#calls;
  }
  get oldest(): string | null {
    return this.#dropped ? (this.#calls[0]?.endedAt ?? null) : null;
  }
  get alarms(): readonly SeenAlarm[] {
    return this.#alarms;
  }
  get nodes(): readonly SeenNode[] {
    return [...this.#nodes.values()];
  }
  /** Up to where a journal was read. */
  lastSeq(journal: string): number {
    return this.#lastSeq.get(journal) ?? 0;
  }
  find(callId: string): PastCall | null {
    return this.#calls.findLast((one) => one.callId === callId) ?? null;
  }
}
