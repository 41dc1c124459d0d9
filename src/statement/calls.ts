import { isCanaryTrunk } from '../core/leg.js';
import { callIdOf, codeWord, configured, countOf, digestOf, fieldsOf } from './guard.js';
import type { NodeRow } from './read-node.js';
import { Listed, type Listing, type Place, Table, Tally } from './tally.js';

/** A call that needs somebody's explanation: the row says where the journal tells more. */
export interface Incident extends Place {
  readonly callId: string | null;
  readonly facility: string;
  readonly what: IncidentKind;
  readonly code: string | null;
}

export const incidentKinds = [
  'private-file-found',
  'absence-not-established',
  'recording-missing',
  'sealing-failed',
  'ended-without-record',
  'epoch-with-two-contents',
] as const;
export type IncidentKind = (typeof incidentKinds)[number];

/** A publication of the lists, as the decisions made by it tell. */
interface Epoch {
  readonly digest: string;
  from: string;
  to: string;
  calls: number;
}

const MAX_EPOCHS = 2000;
const MAX_INCIDENTS = 500;
const verdicts = ['monitored', 'private', 'refused', 'undecided'] as const;

/** Facts of one CDR, safe to count. */
interface Cdr {
  readonly row: NodeRow;
  readonly verdict: string;
  readonly facility: string;
  readonly connected: boolean;
  readonly connectedMs: number;
  readonly ending: string;
  readonly spool: Readonly<Record<string, unknown>>;
  readonly sealed: Readonly<Record<string, unknown>>;
}

/** What all controllers' calls add up to. */
export class CallTotals {
  readonly byVerdict = new Table();
  readonly byFacility = new Table();
  readonly byClass = new Table();
  readonly reasons = new Table();
  readonly refusedByFacility = new Table();
  readonly endings = new Table();
  readonly dispositions = new Table();
  readonly buckets = new Table(1000);
  readonly privateAbsence = new Table();
  readonly otherAbsence = new Tally();
  readonly recordings = new Tally();
  readonly missing = new Tally();
  readonly sealed = new Tally();
  readonly turnedAway = new Tally();
  /** Each kind has a list of its own: many of one kind must not push one of a graver kind off the paper. */
  readonly incidents = new Map<IncidentKind, Listed<Incident>>(
    incidentKinds.map((kind) => [kind, new Listed<Incident>(MAX_INCIDENTS)]),
  );
  readonly incidentKinds = new Tally();
  readonly withoutRecord = new Tally();
  readonly threeWay = new Tally();
  /** Test calls: not among the calls above. */
  canaryCalls = 0;
  readonly epochs = new Map<number, Epoch>();
  uncounted = 0;
  reduced = 0;
  underWay = 0;
  moreEpochs = 0;
  otherFacilities = 0;

  count(cdr: Cdr, bucket: string): void {
    const { verdict, facility, connected, connectedMs, row } = cdr;
    this.byVerdict.add(verdict, 'calls');
    this.byFacility.add(facility, verdict);
    this.byFacility.add(facility, 'calls');
    if (connected) {
      this.byVerdict.add(verdict, 'connected');
      this.byVerdict.add(verdict, 'connectedMs', connectedMs);
    }
    this.buckets.add(bucket, verdict);
    this.endings.add(verdict, cdr.ending);
    this.dispositions.add(verdict, codeWord(row.body.disposition));
    if (row.body.reduced !== undefined) this.reduced += 1;
    if (row.body.threeWay !== undefined) this.threeWay.add('suspected');
    this.#reason(cdr);
    this.#epoch(row);
    if (verdict === 'private') {
      const name = codeWord(row.body.class);
      this.byClass.add(name, 'calls');
      if (connected) this.byClass.add(name, 'connected');
    }
    this.#disk(cdr);
  }

  incident(row: Place, what: IncidentKind, facility: string, callId: unknown, code: unknown = null): void {
    const { at, node, seq } = row;
    this.incidentKinds.add(what);
    this.incidents.get(what)?.add({
      at,
      node,
      seq,
      what,
      facility,
      callId: callIdOf(callId),
      code: code === null || code === undefined ? null : codeWord(code),
    });
  }

  incidentsJson(): Readonly<Record<string, Listing<Incident>>> {
    const all = [...this.incidents].map(([kind, listed]) => [kind, listed.json()] as const);
    return Object.fromEntries(all.filter(([, { rows }]) => rows.length > 0));
  }

  #reason({ row, verdict, facility }: Cdr): void {
    const reasons = Array.isArray(row.body.reasons) ? row.body.reasons : [];
    // A call that ended before its decision has none, and a CDR that was cut down has lost them.
    const first = reasons.length === 0 ? 'none-kept' : codeWord(fieldsOf(reasons[0]).code);
    if (verdict === 'undecided' && first === 'none-kept') return;
    this.reasons.add(verdict, first);
    if (verdict === 'refused') this.refusedByFacility.add(facility, first);
  }

  #epoch(row: NodeRow): void {
    const { id, digest } = fieldsOf(row.body.epoch);
    const number = countOf(id);
    const content = digestOf(digest);
    if (number === 0 || content === null) return;
    const known = this.epochs.get(number);
    if (known === undefined) {
      if (this.epochs.size >= MAX_EPOCHS) this.moreEpochs += 1;
      else this.epochs.set(number, { digest: content, from: row.at, to: row.at, calls: 1 });
      return;
    }
    if (known.digest !== content) {
      this.incident(row, 'epoch-with-two-contents', facilityOf(row), row.body.callId);
      return;
    }
    if (row.at < known.from) known.from = row.at;
    if (row.at > known.to) known.to = row.at;
    known.calls += 1;
  }

  /** What the disks showed when the call was over. */
  #disk(cdr: Cdr): void {
    const { verdict, row, facility, connected, spool, sealed } = cdr;
    const state = spool.state === undefined ? 'not-looked-at' : codeWord(spool.state);
    const tell = (what: IncidentKind, code: unknown): void =>
      this.incident(row, what, facility, row.body.callId, code);
    const wasSealed = sealed.state === undefined ? null : codeWord(sealed.state);
    if (wasSealed !== null) {
      this.sealed.add(wasSealed);
      if (wasSealed !== 'recording-sealed' && wasSealed !== 'nothing-found')
        tell('sealing-failed', wasSealed);
    } else if (state === 'recording-sealed') this.sealed.add(state);
    if (state === 'violation') tell('private-file-found', verdict);
    if (verdict === 'monitored' && connected) {
      this.recordings.add(wasSealed === 'recording-sealed' ? 'recording-sealed' : state);
      if (
        state === 'recording-finished' ||
        state === 'recording-sealed' ||
        wasSealed === 'recording-sealed'
      ) {
        return;
      }
      const code = spool.code === undefined ? state : codeWord(spool.code);
      this.missing.add(code);
      tell('recording-missing', code);
      return;
    }
    if (verdict !== 'private') {
      if (state === 'not-looked-at') return;
      this.otherAbsence.add(state);
      return;
    }
    this.privateAbsence.add(connected ? 'connected' : 'not-connected', state);
    if (state !== 'nothing-found' && state !== 'violation' && state !== 'recording-sealed' && connected) {
      tell('absence-not-established', state);
    }
  }
}

const facilityOf = (row: NodeRow): string => configured(row.body.facility) ?? 'unreadable';

const cdrOf = (row: NodeRow): Cdr => {
  const { verdict } = row.body;
  const connectedMs = countOf(row.body.connectedMs);
  return {
    row,
    verdict: verdicts.find((one) => one === verdict) ?? 'unreadable',
    facility: facilityOf(row),
    connected: connectedMs > 0,
    connectedMs,
    ending: codeWord(row.body.ending),
    spool: fieldsOf(row.body.spool),
    sealed: fieldsOf(row.body.sealed),
  };
};

/** A call that was decided and has no CDR yet. */
interface Open {
  readonly row: NodeRow;
  readonly facility: string;
  readonly caller: string | null;
  readonly verdict: string;
}

/** More calls than a controller can have under way (configuration: 20,000), with room for what a crash left. */
const MAX_OPEN = 200_000;
const DAY_MS = 86_400_000;
const MAX_CANARIES = 10_000;

/** One controller's calls, row by row: one call, one CDR. */
export class Calls {
  readonly #totals: CallTotals;
  readonly #phaseOf: (at: string) => 'before' | 'in' | 'after';
  readonly #bucketOf: (at: string) => string;
  readonly #facility: string | null;
  readonly #open = new Map<string, Open>();
  /** CDRs that were written too late for whoever wrote them, and may have been written again. */
  readonly #late = new Map<string, NodeRow>();
  /** Test calls under way: few, for a facility makes one at a time. */
  readonly #canaryOpen = new Set<string>();
  /** Calls a controller left without a CDR when it ended, with the row that says so. */
  readonly #lost = new Map<string, { readonly open: Open; readonly row: NodeRow }>();

  constructor(
    totals: CallTotals,
    phaseOf: (at: string) => 'before' | 'in' | 'after',
    bucketOf: (at: string) => string,
    facility: string | null,
  ) {
    this.#totals = totals;
    this.#phaseOf = phaseOf;
    this.#bucketOf = bucketOf;
    this.#facility = facility;
  }

  take(row: NodeRow): void {
    if (row.kind === 'decision') this.#decision(row);
    else if (row.kind === 'cdr') this.#cdr(row);
    else if (row.kind === 'opened') this.#restart(row);
  }

  /** The facility and the caller of a call under way; null where its decision was not seen. */
  of(callId: unknown): { readonly facility: string; readonly caller: string | null } | null {
    return typeof callId === 'string' ? (this.#open.get(callId) ?? null) : null;
  }

  isCanary(callId: unknown): boolean {
    return typeof callId === 'string' && this.#canaryOpen.has(callId);
  }

  /** A call the controller made to itself is nobody's call. Its trunk tells: no configured one can be called so. */
  #canary({ body: { trunk, callId } }: NodeRow): boolean {
    if (!isCanaryTrunk(trunk)) return false;
    if (typeof callId === 'string') this.#canaryOpen.add(callId);
    // What a crash left open is forgotten one by one.
    const [oldest] = this.#canaryOpen;
    if (this.#canaryOpen.size > MAX_CANARIES && oldest !== undefined) this.#canaryOpen.delete(oldest);
    return true;
  }

  end(periodEnd: string): void {
    for (const row of this.#late.values()) this.#count(row);
    for (const { open, row } of this.#lost.values()) this.#unended(open, row);
    const dayBefore = new Date(Date.parse(periodEnd) - DAY_MS).toISOString();
    for (const open of this.#open.values()) {
      if (!this.#isScope(open.facility) || open.row.at >= periodEnd) continue;
      // No call lasts a day: this one was forgotten.
      if (open.row.at < dayBefore) this.#unended(open, open.row);
      else this.#totals.underWay += 1;
    }
  }

  #decision(row: NodeRow): void {
    if (this.#canary(row)) return;
    const { callId, again, other, verdict, caller } = row.body;
    // Decisions about another party and decisions made anew belong to a call that is open already.
    if (typeof callId !== 'string' || again !== undefined || other !== undefined) return;
    if (this.#phaseOf(row.at) === 'after') return;
    if (this.#open.size >= MAX_OPEN) {
      const [oldest] = this.#open;
      if (oldest !== undefined) {
        this.#open.delete(oldest[0]);
        this.#unended(oldest[1], oldest[1].row);
      }
    }
    this.#open.set(callId, {
      row: { ...row, body: { callId } },
      facility: facilityOf(row),
      caller: typeof caller === 'string' ? caller : null,
      verdict: codeWord(verdict),
    });
  }

  #cdr(row: NodeRow): void {
    const { callId } = row.body;
    if (this.#canary(row)) {
      if (typeof callId !== 'string') return;
      this.#canaryOpen.delete(callId);
      if (!row.abandoned && this.#phaseOf(row.at) === 'in' && this.#isScope(facilityOf(row))) {
        this.#totals.canaryCalls += 1;
      }
      return;
    }
    if (typeof callId !== 'string') {
      this.#rejection(row);
      return;
    }
    if (row.abandoned) {
      if (this.#late.size < MAX_OPEN) this.#late.set(callId, row);
      return;
    }
    this.#late.delete(callId);
    this.#lost.delete(callId);
    this.#count(row);
    if (this.#phaseOf(row.at) !== 'after') this.#open.delete(callId);
  }

  #count(row: NodeRow): void {
    if (this.#phaseOf(row.at) !== 'in') return;
    const cdr = cdrOf(row);
    if (this.#isScope(cdr.facility)) this.#totals.count(cdr, this.#bucketOf(row.at));
    else this.#totals.otherFacilities += 1;
  }

  /** An attempt that never became a call has no facility: nobody read so far. */
  #rejection(row: NodeRow): void {
    // Its uncounted ones are counted again in the row that took its place.
    if (row.abandoned || this.#phaseOf(row.at) !== 'in') return;
    this.#totals.turnedAway.add(codeWord(row.body.ending));
    this.#totals.uncounted += countOf(row.body.uncounted);
  }

  /** The journal is opened anew: what was under way has no one any more who would write its CDR. */
  #restart(row: NodeRow): void {
    if (this.#phaseOf(row.at) === 'after') return;
    for (const [callId, open] of this.#open) {
      if (this.#late.has(callId)) continue;
      if (this.#lost.size < MAX_OPEN) this.#lost.set(callId, { open, row: { ...row, body: { callId } } });
    }
    this.#open.clear();
  }

  #unended(open: Open, row: NodeRow): void {
    if (this.#phaseOf(row.at) !== 'in' || !this.#isScope(open.facility)) return;
    // A refused call has nothing to end; its CDR is missing all the same.
    this.#totals.withoutRecord.add(open.verdict);
    const { callId } = row.body;
    this.#totals.incident(row, 'ended-without-record', open.facility, callId ?? null, open.verdict);
  }

  #isScope(facility: string): boolean {
    return this.#facility === null || facility === this.#facility;
  }
}
