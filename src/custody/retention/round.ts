import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '../../journal/canonical.js';
import type { Head } from '../../journal/row.js';
import { markOf } from './being-sealed.js';
import { clockIsSure } from './clock-check.js';
import { codeOf, type RetentionCode } from './codes.js';
import type { Holdable } from './holds.js';
import { Ledger, type Pending, ROUND_KIND } from './ledger.js';
import { type Due, dueBy, type Plan, type PlanParts, Problems, planOf } from './plan.js';
import { type Appender, bury, inChunks, removeBuried, stoneOf } from './removal.js';
import { dueAt, HOUR_MS, needsConfirming, ruleOf } from './rules.js';
import { type RetentionStatus, readStatus, writeStatus } from './status.js';
import { lookAt, nameIn, type Problem, problemOf } from './walk.js';

/** What a round works with. */
export interface RoundParts extends PlanParts {
  /** The journal of custody: its folder, and how it is opened for writing, alone, for a while. */
  readonly custody: {
    readonly dir: string;
    readonly withJournal: <T>(use: (journal: Appender) => Promise<T>) => Promise<T>;
  };
  readonly clock: { wall(): number; mono(): number };
}

/** Who lets it run, and what they answer for. */
export interface RoundOrder {
  readonly by: string;
  /** Tells what it would do; nothing is written and nothing removed. */
  readonly dryRun?: boolean;
  /** The journal of custody is new because there never was one. */
  readonly first?: boolean;
  /** The clock is right, whatever it looks like. */
  readonly clockOk?: boolean;
  /** So many recordings may go, whatever the guard says. */
  readonly confirmCount?: number | null;
}

export interface RoundReport {
  readonly round: string;
  readonly now: number;
  readonly outcome: 'complete' | 'partial' | 'refused';
  /** Why it refused or did not do all; null where it did. */
  readonly code: RetentionCode | null;
  readonly clock: 'sure' | 'confirmed' | 'unsure';
  readonly counts: RoundCounts;
  readonly completeUntil: number | null;
  readonly problems: readonly Problem[];
  readonly moreProblems: number;
  /** What was due when it looked; for a dry run. At most so many as a round removes. */
  readonly due: readonly Due[];
}

export interface RoundCounts {
  /** Recordings in the vault when it looked. */
  readonly all: number;
  readonly lookedAt: number;
  /** Due and held by nothing. */
  readonly due: number;
  /** Due, and kept because they are held or may be. */
  readonly held: number;
  readonly unknown: number;
  readonly removed: number;
  /** Of these, removals that an earlier round had begun. */
  readonly finished: number;
  /** Due, held by nothing, and still there. */
  readonly left: number;
  /** Of the ones left, those due for longer than the bound. */
  readonly overdue: number;
  readonly problems: number;
}

const BATCH = 100;
/** Whoever wants to put a hold on something waits no longer than about this. */
const BATCH_MS = 1000;
const YIELD_MS = 150;

const newRound = (): string => `r${randomBytes(8).toString('hex')}`;

/**
 * One round of expiry: finds what is due, and for each recording writes a tombstone, removes it, looks that it is gone
 * and writes that. The journal of custody is held for a second at a time, so that a hold can be put on meanwhile: what
 * is held at the moment of its removal is not removed.
 *
 * A round that may not remove anything is reported as `refused` and journalled too. Rejects with RetentionError where
 * the journal of custody cannot be read (nobody knows then what is held), or with what it rejects when it is written.
 */
export const retentionRound = async (parts: RoundParts, order: RoundOrder): Promise<RoundReport> => {
  const round = new Round(parts, order);
  return round.run();
};

/** The last status that was written, and the journal proved to go on from it. */
export const openLedger = async (dir: string): Promise<Ledger> => {
  const status = await readStatus(dir);
  return Ledger.read(dir, typeof status === 'string' ? null : { seq: status.seq, hash: status.hash });
};

interface Permit {
  readonly clock: RoundReport['clock'];
  readonly code: RetentionCode | null;
}

/** Whether there may be removals at all, before anything is looked at. */
export const permitOf = async (
  parts: Pick<RoundParts, 'journals' | 'rules'>,
  order: Pick<RoundOrder, 'first' | 'clockOk'>,
  ledger: Ledger,
  now: number,
): Promise<Permit> => {
  const { acceptedRound } = ledger;
  const evidence = {
    journals: parts.journals,
    lastRound: acceptedRound?.at ?? null,
    maxGapMs: parts.rules.maxClockGapHours * HOUR_MS,
  };
  const sure = await clockIsSure(now, evidence);
  if (!sure && order.clockOk !== true) return { clock: 'unsure', code: 'clock-unsure' };
  const clock = sure ? 'sure' : 'confirmed';
  const isNew = acceptedRound === null && order.first !== true;
  return { clock, code: isNew ? 'custody-journal-new' : null };
};

class Round {
  readonly #parts: RoundParts;
  readonly #order: RoundOrder;
  readonly #id = newRound();
  readonly #now: number;
  #removed = 0;
  #finished = 0;

  constructor(parts: RoundParts, order: RoundOrder) {
    this.#parts = parts;
    this.#order = order;
    // One moment for the whole round: a clock that jumps during it makes nothing due.
    this.#now = parts.clock.wall();
  }

  async run(): Promise<RoundReport> {
    const { rules, custody } = this.#parts;
    const { dryRun, confirmCount } = this.#order;
    const ledger = await openLedger(custody.dir);
    const { clock, code } = await permitOf(this.#parts, this.#order, ledger, this.#now);
    if (clock === 'unsure') return this.#end(ledger, null, clock, code);
    const plan = await planOf(this.#parts, ledger, this.#now);
    if (code !== null) return this.#end(ledger, plan, clock, code);
    if (needsConfirming(rules, plan.dueCount, plan.all) && confirmCount !== plan.dueCount) {
      return this.#end(ledger, plan, clock, 'retention-guard');
    }
    if (dryRun !== true) await this.#remove(ledger, plan);
    return this.#end(ledger, plan, clock, null);
  }

  async #remove(ledger: Ledger, plan: Plan): Promise<void> {
    const { custody, clock } = this.#parts;
    const pending = [...ledger.pending];
    let [finished, done] = [0, 0];
    while (finished < pending.length || done < plan.due.length) {
      await custody.withJournal(async (journal) => {
        const until = clock.mono() + BATCH_MS;
        do {
          await ledger.catchUp();
          if (finished < pending.length) {
            const some = pending.slice(finished, finished + BATCH);
            finished += some.length;
            const gone = await this.#finish(journal, ledger, plan, some);
            this.#finished += gone;
            this.#removed += gone;
          } else {
            const some = plan.due.slice(done, done + BATCH);
            done += some.length;
            this.#removed += await this.#expire(journal, ledger, plan, some);
          }
        } while (clock.mono() < until && (finished < pending.length || done < plan.due.length));
      });
      if (finished < pending.length || done < plan.due.length) await pause(YIELD_MS);
    }
  }

  /** What an earlier round has written a tombstone for, unless it was put on hold or its rule changed since. */
  async #finish(journal: Appender, ledger: Ledger, plan: Plan, pending: readonly Pending[]): Promise<number> {
    const { store, rules } = this.#parts;
    const go: Pending[] = [];
    for (const one of pending) {
      const receivedAt = Date.parse(one.receivedAt);
      const name = `${one.callId}.json`;
      if ((await plan.who.held(ledger.holds, { ...one, receivedAt })) !== null) continue;
      try {
        if (await store.has(nameIn(one.folder, name))) {
          const found = await lookAt(store, one.class, one.folder, name, this.#now);
          if ('code' in found) plan.problems.add(found);
          else if (found.sha256 !== one.manifestSha256)
            plan.problems.add(problemOf(nameIn(one.folder, name), 'recording-changed'));
          else if (dueBy(rules, found, this.#now) !== null) go.push(one);
          continue;
        }
        go.push(one);
      } catch (error) {
        plan.problems.add(problemOf(nameIn(one.folder, name), codeOf(error)));
      }
    }
    return removeBuried(store, journal, go, plan.problems);
  }

  async #expire(journal: Appender, ledger: Ledger, plan: Plan, due: readonly Due[]): Promise<number> {
    const { store } = this.#parts;
    const looked = await inChunks(due, (one) => this.#stillDue(ledger, plan, one));
    const go = due.filter((_one, i) => looked[i] === true);
    const stones = go.map((one) => stoneOf(one, this.#id, this.#order.by));
    return removeBuried(store, journal, await bury(journal, stones, plan.problems), plan.problems);
  }

  /** Whether it may go at this moment: nobody put a hold on it, and it is the recording the plan speaks of. */
  async #stillDue(ledger: Ledger, plan: Plan, one: Due): Promise<boolean> {
    const { store } = this.#parts;
    const name = nameIn(one.folder, `${one.callId}.json`);
    if ((await plan.who.held(ledger.holds, one)) !== null) return false;
    try {
      if (one.class === 'ordinary' && (await store.has(markOf(one.callId)))) {
        plan.problems.add(problemOf(name, 'being-sealed'));
        return false;
      }
      const again = await lookAt(store, one.class, one.folder, `${one.callId}.json`, this.#now);
      if (!('code' in again) && again.sha256 === one.sha256) return true;
      plan.problems.add('code' in again ? again : problemOf(name, 'recording-changed'));
    } catch (error) {
      plan.problems.add(problemOf(name, codeOf(error)));
    }
    return false;
  }

  async #end(
    ledger: Ledger,
    plan: Plan | null,
    clock: RoundReport['clock'],
    refusal: RetentionCode | null,
  ): Promise<RoundReport> {
    const { dryRun } = this.#order;
    if (dryRun !== true) await ledger.catchUp();
    const done = { removed: this.#removed, finished: this.#finished };
    const counts = await countsOf(this.#parts, plan, ledger, done);
    const problems = plan?.problems ?? new Problems();
    const short = plan !== null && plan.dueCount > plan.due.length;
    const code = refusal ?? (short && dryRun !== true ? 'due-too-many' : null);
    const whole = code === null && problems.grave === 0 && (counts.left === 0 || dryRun === true);
    const outcome = refusal !== null ? 'refused' : whole ? 'complete' : 'partial';
    const report: RoundReport = {
      round: this.#id,
      now: this.#now,
      outcome,
      code,
      clock,
      counts,
      completeUntil: outcome === 'complete' && dryRun !== true ? this.#now : ledger.completeUntil,
      problems: problems.listed,
      moreProblems: problems.count - problems.listed.length,
      due: plan?.due ?? [],
    };
    if (dryRun !== true) await this.#write(report);
    return report;
  }

  async #write(report: RoundReport): Promise<void> {
    const { custody } = this.#parts;
    await custody.withJournal(async (journal) => {
      const { seq, hash }: Head = await journal.append(ROUND_KIND, rowOf(report, this.#order));
      await writeStatus(custody.dir, statusOf(report, { seq, hash }));
    });
  }
}

interface Done {
  readonly removed: number;
  readonly finished: number;
}

/** What is still there of what was due, by the journal as it is after the round. */
const countsOf = async (
  { rules }: RoundParts,
  plan: Plan | null,
  ledger: Ledger,
  done: Done,
): Promise<RoundCounts> => {
  const none = { all: 0, lookedAt: 0, due: 0, held: 0, unknown: 0, left: 0, overdue: 0, problems: 0 };
  if (plan === null) return { ...none, ...done };
  const { now, who } = plan;
  const late = now - rules.overdueHours * HOUR_MS;
  const free = async (one: Holdable): Promise<boolean> => (await who.held(ledger.holds, one)) === null;
  let left = plan.dueCount - plan.due.length;
  let overdue = plan.unknown.filter((one) => one.dueAt < late).length;
  const leave = (at: number): void => {
    left += 1;
    if (at < late) overdue += 1;
  };
  for (const one of plan.due) {
    const { callId, folder } = one;
    const told = ledger.isGone(callId, folder) || ledger.isPending(callId, folder);
    if (!told && (await free(one))) leave(one.dueAt);
  }
  for (const one of ledger.pending) {
    const receivedAt = Date.parse(one.receivedAt);
    const at = dueAt(ruleOf(rules, one.facility, one.class), receivedAt);
    if (at !== null && at <= now && (await free({ ...one, receivedAt }))) leave(at);
  }
  return {
    all: plan.all,
    lookedAt: plan.lookedAt,
    due: plan.dueCount,
    held: plan.held,
    unknown: plan.unknown.length,
    ...done,
    left,
    overdue,
    problems: plan.problems.count,
  };
};

const iso = (at: number): string => new Date(at).toISOString();

const rowOf = (report: RoundReport, { by, first, confirmCount }: RoundOrder): JsonObject => ({
  round: report.round,
  by,
  now: iso(report.now),
  outcome: report.outcome,
  code: report.code,
  clock: report.clock,
  // A refusal for the clock, or before anybody answered for a new journal, is no round the next one may build on.
  accepted: report.clock !== 'unsure' && report.code !== 'custody-journal-new',
  first: first === true,
  confirmed: confirmCount ?? null,
  counts: { ...report.counts },
  left: Math.max(0, report.counts.all - report.counts.removed),
  completeUntil: report.completeUntil === null ? null : iso(report.completeUntil),
  problems: report.problems.slice(0, 50).map(({ name, code }) => ({ name, code })),
});

const statusOf = (report: RoundReport, head: Head): RetentionStatus => ({
  format: 1,
  at: iso(report.now),
  outcome: report.outcome,
  code: report.code,
  completeUntil: report.completeUntil === null ? null : iso(report.completeUntil),
  overdue: report.counts.overdue,
  seq: head.seq,
  hash: head.hash,
});
