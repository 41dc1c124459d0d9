import type { TailRow } from './journal-tail.js';
import { type CdrFacts, cdrFacts, excuseOf, type FaultWindow, type Finding, judgeCall } from './judge.js';
import { kindFacts, type Side } from './mix.js';
import type { CallPlan } from './schedule.js';
import type { Seen } from './seen.js';

/** A break: what, in which call, and all that is known of it. */
export interface Break extends Finding {
  /** Wall time in ms. */
  readonly at: number;
  readonly callId: string | null;
  readonly context: string;
}

export interface Judged {
  readonly seen: Seen;
  readonly cdr: CdrFacts | null;
  /** Faults at its time that may have cost it something. */
  readonly faults: readonly FaultWindow['name'][];
  readonly asPlanned: boolean;
}

/** A call is judged this long after its end: rows of a late batch may still be marked as not counting. */
const settleMs = 1500;
/** Ids of calls that were judged, for files that turn up later. */
const remembered = 100_000;

/** A CDR cannot come while there is no controller: the waiting counts from when it was well again. */
const waitsFrom = (seen: Seen, windows: readonly FaultWindow[], now: number): number => {
  const excused = new Set(excuseOf(seen, windows).names);
  return windows
    .filter(({ name, from }) => excused.has(name) && from <= now)
    .reduce((latest, { to }) => Math.max(latest, Math.min(now, to ?? now)), seen.overAt);
};

interface Entry {
  readonly plan: CallPlan;
  seen: Seen | null;
  readonly cdrs: { seq: number; facts: CdrFacts }[];
  /** Ids its rows had. */
  readonly ids: string[];
}

const addBounded = (to: Set<string>, one: string): void => {
  to.add(one);
  if (to.size > remembered) to.delete(to.keys().next().value ?? '');
};

/**
 * What the phones saw and what the journal says, brought together call by call. The first row of an id finds its call by
 * the caller; those after it by the id, for the caller may be in the next call by then.
 */
export class CallBook {
  readonly #open = new Map<string, Entry>();
  /** Calls that are open, by the ids their rows had. */
  readonly #ofId = new Map<string, Entry>();
  readonly #sides = new Map<string, { readonly side: Side; readonly as: string }>();
  /** Ids of the last calls that were judged: a CDR that comes after that is one too many. */
  readonly #judged = new Set<string>();
  /** And their callers: a call may be judged before any row of it came. */
  readonly #callers = new Set<string>();
  readonly #left = new Set<string>();
  readonly #onJudged: (judged: Judged, findings: readonly Finding[]) => void;
  readonly #onLate: (as: string, callId: string) => void;

  readonly #overdueMs: number;

  /** Without a CDR, a call is judged so long after its end: a controller that was killed has to close what it left. */
  constructor(
    overdueMs: number,
    onJudged: (judged: Judged, findings: readonly Finding[]) => void,
    onLate: (as: string, callId: string) => void,
  ) {
    this.#overdueMs = overdueMs;
    this.#onJudged = onJudged;
    this.#onLate = onLate;
  }

  placed(plan: CallPlan): void {
    this.#open.set(plan.as, { plan, seen: null, cdrs: [], ids: [] });
  }

  /** The call was never made. */
  drop(plan: CallPlan): void {
    this.#close(plan.as);
  }

  over(seen: Seen): void {
    const entry = this.#open.get(seen.plan.as);
    if (entry !== undefined) entry.seen = seen;
  }

  /** Takes a row of the journal. */
  row(row: TailRow): void {
    if (row.kind === 'abandoned') this.#abandoned(row.body);
    if (row.kind !== 'decision' && row.kind !== 'cdr') return;
    const { caller, callId } = row.body;
    if (typeof caller !== 'string' || typeof callId !== 'string') return;
    const known = this.#sides.has(callId);
    const entry = known ? this.#ofId.get(callId) : this.#open.get(caller);
    if (entry !== undefined && !known) this.#bind(callId, entry);
    if (row.kind !== 'cdr') return;
    const facts = cdrFacts(row.body);
    if (facts === null) return;
    if (facts.leftInSpool && this.#left.size < remembered) this.#left.add(callId);
    if (entry !== undefined) entry.cdrs.push({ seq: row.seq, facts });
    else if (known ? this.#judged.has(callId) : this.#callers.has(caller)) this.#onLate(caller, callId);
  }

  /** What a call was to be, by its id; null for an id no call of ours has had. */
  sideOfId(callId: string): { readonly side: Side; readonly as: string } | null {
    return this.#sides.get(callId) ?? null;
  }

  /** True where the call's CDR says that its files stay in the spool: the node did not let go of them. */
  isLeftInSpool(callId: string): boolean {
    return this.#left.has(callId);
  }

  /** Calls not judged yet. */
  get open(): number {
    return this.#open.size;
  }

  /** Judges what can be judged; with `all`, also what still waits for a CDR. */
  sweep(now: number, windows: readonly FaultWindow[], all = false): void {
    for (const [as, { seen, cdrs, ids }] of this.#open) {
      if (seen === null) continue;
      const bound = cdrs.length > 0 ? settleMs : this.#overdueMs;
      if (!all && now - waitsFrom(seen, cdrs.length > 0 ? [] : windows, now) < bound) continue;
      this.#close(as);
      addBounded(this.#callers, as);
      for (const id of ids) addBounded(this.#judged, id);
      const facts = cdrs.map((one) => one.facts);
      const findings = judgeCall(seen, facts, windows);
      const expected = kindFacts[seen.plan.kind];
      const judged: Judged = {
        seen,
        cdr: facts[0] ?? null,
        faults: excuseOf(seen, windows).names,
        asPlanned:
          expected.statuses.includes(seen.status) &&
          facts.some(({ ending }) => expected.endings.includes(ending as never)),
      };
      this.#onJudged(judged, findings);
    }
  }

  #abandoned({ firstSeq, lastSeq }: TailRow['body']): void {
    if (typeof firstSeq !== 'number' || typeof lastSeq !== 'number') return;
    for (const entry of this.#open.values()) {
      const counting = entry.cdrs.filter(({ seq }) => seq < firstSeq || seq > lastSeq);
      if (counting.length < entry.cdrs.length) entry.cdrs.splice(0, entry.cdrs.length, ...counting);
    }
  }

  #close(as: string): void {
    for (const id of this.#open.get(as)?.ids ?? []) this.#ofId.delete(id);
    this.#open.delete(as);
  }

  /** Once for each id: what it was to be stays, whatever its caller does next. */
  #bind(callId: string, entry: Entry): void {
    const { kind, as } = entry.plan;
    entry.ids.push(callId);
    this.#ofId.set(callId, entry);
    this.#sides.set(callId, { side: kindFacts[kind].side, as });
    if (this.#sides.size <= remembered) return;
    const [oldest] = this.#sides.keys();
    if (oldest !== undefined) this.#sides.delete(oldest);
  }
}
