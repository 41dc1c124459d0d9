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

const keepNewest = (of: Set<string> | Map<string, unknown>): void => {
  if (of.size > remembered) of.delete(of.keys().next().value ?? '');
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
  /** Ids of the last calls that were judged, with the rows of their CDRs: one that comes after that is one too many. */
  readonly #judged = new Map<string, readonly number[]>();
  /** Of these, those whose CDR was marked as not counting: one more has to come. The values are callers. */
  readonly #takenBack = new Map<string, string>();
  /** Callers of calls that were judged: that may be before any row of a call came. */
  readonly #callers = new Set<string>();
  readonly #left = new Set<string>();
  readonly #onJudged: (judged: Judged, findings: readonly Finding[]) => void;
  readonly #onCount: (as: string, callId: string, count: 'more' | 'none') => void;

  readonly #overdueMs: number;

  /**
   * Without a CDR, a call is judged so long after its end: a controller that was killed has to close what it left.
   * `onCount` hears of a call that was judged and has a CDR more, or none that counts.
   */
  constructor(
    overdueMs: number,
    onJudged: (judged: Judged, findings: readonly Finding[]) => void,
    onCount: (as: string, callId: string, count: 'more' | 'none') => void,
  ) {
    this.#overdueMs = overdueMs;
    this.#onJudged = onJudged;
    this.#onCount = onCount;
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
    else if (this.#takenBack.delete(callId)) this.#judged.set(callId, [row.seq]);
    else if (known ? this.#judged.has(callId) : this.#callers.has(caller))
      this.#onCount(caller, callId, 'more');
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
      this.#callers.add(as);
      keepNewest(this.#callers);
      for (const id of ids) this.#remember(id, cdrs);
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
    if (!all) return;
    for (const [callId, as] of this.#takenBack) this.#onCount(as, callId, 'none');
    this.#takenBack.clear();
  }

  #abandoned({ firstSeq, lastSeq }: TailRow['body']): void {
    if (typeof firstSeq !== 'number' || typeof lastSeq !== 'number') return;
    const counts = (seq: number): boolean => seq < firstSeq || seq > lastSeq;
    for (const entry of this.#open.values()) {
      const counting = entry.cdrs.filter(({ seq }) => counts(seq));
      if (counting.length < entry.cdrs.length) entry.cdrs.splice(0, entry.cdrs.length, ...counting);
    }
    for (const [callId, seqs] of this.#judged) {
      const counting = seqs.filter(counts);
      if (counting.length === seqs.length) continue;
      this.#judged.set(callId, counting);
      if (counting.length === 0) this.#takenBack.set(callId, this.#sides.get(callId)?.as ?? '');
    }
  }

  #remember(callId: string, cdrs: Entry['cdrs']): void {
    this.#judged.set(
      callId,
      cdrs.filter(({ facts }) => facts.callId === callId).map(({ seq }) => seq),
    );
    keepNewest(this.#judged);
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
    keepNewest(this.#sides);
  }
}
