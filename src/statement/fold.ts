import { bucketsOf } from './buckets.js';
import { Calls, CallTotals } from './calls.js';
import { CanaryTotals } from './canaries.js';
import { accountOf, codeWord, configured, countOf, digestOf, fieldsOf, versionOf } from './guard.js';
import type { ControllerPart, StartPart, TakenPart } from './model.js';
import { Orders, OrderTotals } from './orders.js';
import { Outages, OutageTotals, outageRowKinds } from './outages.js';
import type { Period } from './period.js';
import type { NodeReader, NodeRow } from './read-node.js';
import { Stretch } from './stretch.js';
import { Listed, Table, Tally } from './tally.js';

/** What a statement is about, apart from the journals. */
export interface Scope {
  readonly period: Period;
  /** A facility, or null for all of them. */
  readonly facility: string | null;
  readonly words: boolean;
}

/** Every kind of row this statement reads. A kind that is not here is counted and named as not interpreted. */
const interpreted: ReadonlySet<string> = new Set([
  ...outageRowKinds,
  'decision',
  'cdr',
  'shed',
  'armed',
  'claim',
  'answer',
  'supervision',
  'canary',
  'recording-state',
  'alarm',
  'other-party',
  'three-way-suspected',
  'calls-recovered',
  'segment',
  'opened',
  'repaired',
  'recovered',
  'abandoned',
  'closed',
]);

/** Calls open when the period begins were decided within two days before it: no call lasts longer. */
const CALLS_BEFORE_MS = 2 * 86_400_000;
const callKinds: ReadonlySet<string> = new Set(['decision', 'cdr']);
const beforeKinds: ReadonlySet<string> = new Set([...outageRowKinds, 'supervision']);

/** All that is counted over all controllers. Its size does not grow with the journal's. */
export class Totals {
  readonly calls = new CallTotals();
  readonly orders = new OrderTotals();
  readonly outages = new OutageTotals();
  readonly canaries = new CanaryTotals();
  readonly attestation = new Table();
  readonly alarms = new Tally();
  readonly otherParties = new Tally();
  readonly decidedAgain = new Tally();
  readonly kinds = new Tally();
  readonly notInterpreted = new Tally();
  readonly taken = new Listed<TakenPart>(1000);
  readonly starts = new Listed<StartPart>(500);
  armings = 0;
  abandoned = 0;
}

type Phase = 'before' | 'in' | 'after';

/**
 * One controller's journal folded into the totals: a function of its rows alone, in their order. It knows no clock, no
 * file and no other controller, so that the same rows lead to the same statement wherever and whenever it is made.
 */
export class NodeFold implements NodeReader {
  readonly #scope: Scope;
  readonly #totals: Totals;
  readonly #calls: Calls;
  readonly #orders: Orders;
  readonly #outages: Outages;
  readonly #callsFrom: string;
  readonly #stretch: Stretch;
  #startBefore: NodeRow | null = null;

  constructor(node: string, scope: Scope, totals: Totals) {
    const { period, facility, words } = scope;
    this.#stretch = new Stretch(node);
    this.#scope = scope;
    this.#totals = totals;
    this.#callsFrom = new Date(Date.parse(period.from) - CALLS_BEFORE_MS).toISOString();
    const phaseOf = (at: string): Phase => this.#phase(at);
    const calls = new Calls(totals.calls, phaseOf, bucketsOf(period).of, facility);
    this.#calls = calls;
    this.#orders = new Orders(totals.orders, {
      phaseOf,
      callOf: (callId) => calls.of(callId),
      facility,
      words,
    });
    this.#outages = new Outages(node, period, totals.outages);
  }

  readonly wants = (kind: string, at: string): boolean => {
    if (callKinds.has(kind)) return at >= this.#callsFrom;
    if (at >= this.#scope.period.to) return false;
    return at >= this.#scope.period.from || beforeKinds.has(kind);
  };

  readonly take = (row: NodeRow): void => {
    const phase = this.#phase(row.at);
    this.#outages.take(row);
    if (row.at >= this.#callsFrom) this.#calls.take(row);
    if (phase !== 'after') this.#orders.take(row);
    if (phase === 'before' && row.kind === 'controller-started') this.#startBefore = row;
    if (phase === 'in') this.#count(row);
  };

  end(): ControllerPart {
    const { period } = this.#scope;
    this.#outages.end();
    this.#calls.end(period.to);
    if (this.#startBefore !== null) this.#totals.starts.add(this.#started(this.#startBefore, true));
    return this.#stretch.json();
  }

  #phase(at: string): Phase {
    if (at < this.#scope.period.from) return 'before';
    return at < this.#scope.period.to ? 'in' : 'after';
  }

  #count(row: NodeRow): void {
    const { kind, body } = row;
    const totals = this.#totals;
    this.#stretch.take(row);
    totals.kinds.add(kind);
    if (row.abandoned) totals.abandoned += 1;
    if (!interpreted.has(kind)) totals.notInterpreted.add(codeWord(kind));
    switch (kind) {
      case 'armed':
        if (!row.abandoned && !this.#calls.isCanary(body.callId) && this.#isOfScope(body.callId)) {
          totals.armings += 1;
        }
        return;
      case 'alarm':
        if (body.callId === null || this.#isOfScope(body.callId)) totals.alarms.add(codeWord(body.alarm));
        return;
      case 'other-party':
        if (this.#isOfScope(body.callId)) totals.otherParties.add(codeWord(body.outcome));
        return;
      case 'decision':
        if (body.again !== undefined && !row.abandoned && this.#isOfScope(body.callId)) {
          totals.decidedAgain.add(codeWord(body.verdict));
        }
        return;
      case 'shed':
        if (!row.abandoned) this.#shed(row);
        return;
      case 'attestation':
        totals.attestation.add(`${configured(body.node) ?? 'unreadable'}`, codeWord(body.verdict));
        return;
      case 'canary':
      case 'recording-state':
        if (!row.abandoned) totals.canaries.take(row, this.#scope.facility);
        return;
      case 'lists-armed':
        this.#taken(row);
        return;
      case 'controller-started':
        totals.starts.add(this.#started(row, false));
        return;
      default:
        return;
    }
  }

  /** Attempts turned away at the door: nobody read of which facility they were. */
  #shed({ body }: NodeRow): void {
    const { calls } = this.#totals;
    for (const kind of Array.isArray(body.calls) ? body.calls.slice(0, 64) : []) {
      const { ending, count } = fieldsOf(kind);
      calls.turnedAway.add(codeWord(ending), countOf(count));
    }
    calls.uncounted += countOf(body.more);
  }

  #taken({ at, node, seq, body }: NodeRow): void {
    const epoch = countOf(body.epoch);
    if (epoch === 0) return;
    const { digest, by, approvedBy, shrink, change } = body;
    const { added, removed, lost } = fieldsOf(change);
    // Rows of earlier versions hold the epoch alone: what they do not tell is null.
    const told = digestOf(digest) !== null;
    this.#totals.taken.add({
      at,
      node,
      seq,
      epoch,
      digest: digestOf(digest),
      by: typeof by === 'string' ? accountOf(by) : null,
      approvedBy: Array.isArray(approvedBy) ? approvedBy.slice(0, 16).map(accountOf) : null,
      secondApproval: told ? typeof shrink === 'string' : null,
      privileged: told ? countOf(body.privileged) : null,
      change:
        change === null || change === undefined
          ? null
          : { added: countOf(added), removed: countOf(removed), lost: countOf(lost) },
    });
  }

  #started({ at, node, seq, body }: NodeRow, before: boolean): StartPart {
    const { version, policy, config } = fieldsOf(body);
    return {
      at,
      node,
      seq,
      version: versionOf(version),
      policy: versionOf(policy),
      configuration: digestOf(config),
      before,
    };
  }

  #isOfScope(callId: unknown): boolean {
    const { facility } = this.#scope;
    return facility === null || this.#calls.of(callId)?.facility === facility;
  }
}
