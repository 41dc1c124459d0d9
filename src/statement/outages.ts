import { codeWord, configured, countOf } from './guard.js';
import type { Period } from './period.js';
import type { NodeRow } from './read-node.js';
import { Listed, type Listing, type Place, Table } from './tally.js';

/** What can be out of order for a while, as far as journals tell. */
export const outageKinds = [
  'controller',
  'journal',
  'lists',
  'spool',
  'vault',
  'attestation',
  'media-node',
  'agent',
  'trunk',
] as const;
export type OutageKind = (typeof outageKinds)[number];

/** `at` is when it began, which may be before the period; `to` is null where it went on at the period's end. */
export interface Outage extends Place {
  readonly kind: OutageKind;
  /** The media node or the trunk; null where there is only one of its kind. */
  readonly subject: string | null;
  readonly why: string;
  readonly to: string | null;
}

export interface OutagesJson {
  readonly listed: Listing<Outage>;
  /** By kind: how many, and how long within the period altogether, in ms. */
  readonly totals: Readonly<Record<string, { readonly count: number; readonly ms: number }>>;
  /** Tails of the journal that were cut off after a crash, and rows refused while the disk failed. */
  readonly repairs: number;
  readonly refusedRows: number;
  readonly starts: { readonly clean: number; readonly unclean: number; readonly first: number };
}

/** What all controllers' outages add up to. */
export class OutageTotals {
  readonly listed = new Listed<Outage>(1000);
  readonly counts = new Table();
  readonly starts = new Table();
  repairs = 0;
  refusedRows = 0;

  json(): OutagesJson {
    const { listed, counts, starts, repairs, refusedRows } = this;
    const totals = Object.fromEntries(
      outageKinds.map((kind) => [
        kind,
        { count: counts.row(kind).get('count'), ms: counts.row(kind).get('ms') },
      ]),
    );
    const started = starts.row('starts');
    return {
      listed: listed.json(),
      totals,
      repairs,
      refusedRows,
      starts: {
        clean: started.get('clean'),
        unclean: started.get('unclean'),
        first: started.get('none'),
      },
    };
  }
}

interface Begun {
  readonly kind: OutageKind;
  readonly subject: string | null;
  readonly why: string;
  readonly at: string;
  readonly seq: number;
}

const MAX_GOING_ON = 10_000;

/** Kinds of rows whose bodies this needs whenever they were written: an outage may have begun before the period. */
export const outageRowKinds: ReadonlySet<string> = new Set([
  'lists-armed',
  'lists-disarmed',
  'lists-unusable',
  'lists-usable',
  'spool-unusable',
  'spool-usable',
  'vault-unusable',
  'vault-usable',
  'node-state',
  'attestation',
  'agent-state',
  'trunk-state',
  'controller-started',
  'controller-stopped',
]);

/** One controller's outages, row by row. A change that says again what was known changes nothing. */
export class Outages {
  readonly #node: string;
  readonly #period: Period;
  readonly #totals: OutageTotals;
  readonly #goingOn = new Map<string, Begun>();
  /** What keeps the lists from being used: that they are not genuine, and that they are not there or too old. */
  readonly #listFaults = new Set<'disarmed' | 'unusable'>();
  #lastAt: string | null = null;
  #ended = false;

  constructor(node: string, period: Period, totals: OutageTotals) {
    this.#node = node;
    this.#period = period;
    this.#totals = totals;
  }

  take(row: NodeRow): void {
    const inPeriod = row.at >= this.#period.from && row.at < this.#period.to;
    if (row.at >= this.#period.to) {
      this.#after(row);
      return;
    }
    if (this.#ended) return;
    this.#row(row, inPeriod);
    this.#lastAt = row.at;
  }

  /** The period is over, or the journal is: what goes on does so at the period's end. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const begun of this.#goingOn.values()) this.#close(begun, null);
    this.#goingOn.clear();
  }

  /** Of what comes after the period one thing matters: that the controller was not running at its end. */
  #after(row: NodeRow): void {
    if (this.#ended) return;
    const crashed = row.kind === 'opened' && row.body.previous === 'unclean';
    if (crashed && this.#lastAt !== null) this.#begin('controller', null, 'crashed', this.#lastAt, row.seq);
    // A repaired tail is told before the opening it belongs to.
    if (row.kind === 'repaired' || row.kind === 'segment') return;
    this.end();
  }

  #row({ kind, body, at, seq }: NodeRow, inPeriod: boolean): void {
    switch (kind) {
      case 'opened':
        this.#opened(codeWord(body.previous), at, seq, inPeriod);
        return;
      case 'closed':
        this.#stop(at);
        this.#begin('controller', null, 'stopped', at, seq);
        return;
      case 'repaired':
        if (inPeriod) this.#totals.repairs += 1;
        return;
      case 'recovered':
        if (inPeriod) this.#totals.refusedRows += countOf(body.refused);
        this.#recovered(body, at, seq);
        return;
      case 'lists-disarmed':
      case 'lists-unusable':
        this.#listFaults.add(kind === 'lists-disarmed' ? 'disarmed' : 'unusable');
        this.#begin('lists', null, codeWord(body.why), this.#since(body, at), seq);
        return;
      case 'lists-armed':
      case 'lists-usable':
        this.#listFaults.delete(kind === 'lists-armed' ? 'disarmed' : 'unusable');
        if (this.#listFaults.size === 0) this.#over('lists', null, this.#since(body, at));
        return;
      case 'spool-unusable':
      case 'vault-unusable':
        this.#begin(
          kind === 'spool-unusable' ? 'spool' : 'vault',
          this.#subject(body),
          codeWord(body.why),
          this.#since(body, at),
          seq,
        );
        return;
      case 'spool-usable':
      case 'vault-usable':
        this.#over(kind === 'spool-usable' ? 'spool' : 'vault', this.#subject(body), this.#since(body, at));
        return;
      case 'agent-state':
        this.#state('agent', null, body, at, seq);
        return;
      case 'trunk-state':
        this.#state('trunk', configured(body.trunk) ?? 'unreadable', body, at, seq);
        return;
      case 'node-state':
        this.#state('media-node', configured(body.node) ?? 'unreadable', body, at, seq);
        return;
      case 'attestation':
        this.#attestation(body, at, seq);
        return;
      default:
        return;
    }
  }

  /** These rows are written once a change has lasted, and say since when: a time before the row, or the row's own. */
  #since({ since }: NodeRow['body'], at: string): string {
    return typeof since === 'string' && TIME.test(since) && since < at ? since : at;
  }

  #subject({ subject }: NodeRow['body']): string | null {
    return subject === null ? null : (configured(subject) ?? 'unreadable');
  }

  #state(kind: OutageKind, subject: string | null, body: NodeRow['body'], at: string, seq: number): void {
    // Whatever is not said to be up is not up.
    if (body.state === 'up') this.#over(kind, subject, at);
    else this.#begin(kind, subject, codeWord(body.why), at, seq);
  }

  #attestation(body: NodeRow['body'], at: string, seq: number): void {
    const subject = configured(body.node) ?? 'unreadable';
    if (body.verdict === 'attested') {
      this.#over('attestation', subject, at);
      return;
    }
    const failures = Array.isArray(body.failures) ? body.failures : [];
    const why = body.verdict === 'failed' ? codeWord(failures[0]) : 'unseen';
    this.#begin('attestation', subject, why, at, seq);
  }

  #recovered(body: NodeRow['body'], at: string, seq: number): void {
    const since = typeof body.since === 'string' && TIME.test(body.since) ? body.since : at;
    // The code is that of the system, such as ENOSPC.
    const why = typeof body.code === 'string' ? codeWord(body.code.toLowerCase()) : 'unreadable';
    this.#close({ kind: 'journal', subject: null, why, at: since, seq }, at);
  }

  #opened(previous: string, at: string, seq: number, inPeriod: boolean): void {
    if (inPeriod) this.#totals.starts.add('starts', previous);
    if (previous === 'unclean' && this.#lastAt !== null) {
      this.#stop(this.#lastAt);
      this.#close({ kind: 'controller', subject: null, why: 'crashed', at: this.#lastAt, seq }, at);
    }
    this.#over('controller', null, at);
  }

  /** What a controller knew ends with it: the next one says anew how things are. */
  #stop(at: string): void {
    this.#listFaults.clear();
    for (const { kind, subject } of [...this.#goingOn.values()]) this.#over(kind, subject, at);
  }

  #begin(kind: OutageKind, subject: string | null, why: string, at: string, seq: number): void {
    const key = `${kind} ${subject ?? ''}`;
    if (this.#goingOn.has(key) || this.#goingOn.size >= MAX_GOING_ON) return;
    this.#goingOn.set(key, { kind, subject, why, at, seq });
  }

  #over(kind: OutageKind, subject: string | null, at: string): void {
    const key = `${kind} ${subject ?? ''}`;
    const begun = this.#goingOn.get(key);
    if (begun === undefined) return;
    this.#goingOn.delete(key);
    this.#close(begun, at);
  }

  #close(begun: Begun, to: string | null): void {
    const { period, totals } = { period: this.#period, totals: this.#totals };
    const end = to === null || to > period.to ? period.to : to;
    if (end <= period.from || begun.at >= period.to) return;
    const start = Math.max(Date.parse(begun.at), Date.parse(period.from));
    totals.counts.add(begun.kind, 'count');
    totals.counts.add(begun.kind, 'ms', Math.max(0, Date.parse(end) - start));
    totals.listed.add({ ...begun, node: this.#node, to });
  }
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
