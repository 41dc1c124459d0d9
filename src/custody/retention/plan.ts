import type { Store } from '../../vault/store.js';
import type { Ledger } from './ledger.js';
import { DAY_MS, dueAt, type RetentionRules, ruleOf, shortest } from './rules.js';
import { type DayFolder, nameIn, type Problem, problemOf, type Recording, walk } from './walk.js';
import { WhoCalled } from './who-called.js';

/** A recording whose time is over, with the rule that says so. */
export interface Due extends Recording {
  readonly rule: string;
  readonly days: number;
  readonly dueAt: number;
}

/** What there is to do, as of a moment. */
export interface Plan {
  readonly now: number;
  /** Recordings in the vault. */
  readonly all: number;
  /** Manifests that were read: of the days old enough for something to be due. */
  readonly lookedAt: number;
  /** Due and held by nothing; no more of them than one round removes. */
  readonly due: readonly Due[];
  /** All that are due and held by nothing. */
  readonly dueCount: number;
  readonly held: number;
  /** Due ones that a hold may cover and nobody can say. */
  readonly unknown: readonly Due[];
  readonly problems: Problems;
  readonly who: WhoCalled;
}

/** More are left to the next round, so that what is in memory has a bound. */
export const MAX_DUE = 100_000;
const MAX_PROBLEMS = 100;
/** What is in the making is done by then. */
const MAKING_MS = 3 * DAY_MS;

/** What does not keep a round from being complete. */
const harmless: ReadonlySet<string> = new Set(['name-unknown']);

/** What was found wrong: the first ones by name, all of them by count. */
export class Problems {
  readonly listed: Problem[] = [];
  count = 0;
  /** Those that keep the round from being complete. */
  grave = 0;

  add(problem: Problem): void {
    this.count += 1;
    if (!harmless.has(problem.code)) this.grave += 1;
    if (this.listed.length < MAX_PROBLEMS) this.listed.push(problem);
  }
}

export interface PlanParts {
  readonly store: Store;
  readonly rules: RetentionRules;
  readonly journals: readonly string[];
  /** How many due ones to keep; for tests. */
  readonly maxDue?: number | undefined;
}

/** The rule by which a recording is due at a moment; null where it is not. */
export const dueBy = (rules: RetentionRules, one: Recording, now: number): Due | null => {
  const rule = ruleOf(rules, one.facility, one.class);
  const at = dueAt(rule, one.receivedAt);
  if (rule.keep === 'forever' || at === null || at > now) return null;
  return { ...one, rule: rule.name, days: rule.keep, dueAt: at };
};

/** Looks through the vault for what is due. Nothing is changed. */
export const planOf = async (
  { store, rules, journals, maxDue = MAX_DUE }: PlanParts,
  ledger: Ledger,
  now: number,
): Promise<Plan> => {
  const problems = new Problems();
  const due: Due[] = [];
  const counts = { all: 0, lookedAt: 0, due: 0 };
  const found = {
    due: (one: Due): void => {
      counts.due += 1;
      if (due.length < maxDue) due.push(one);
    },
    problem: (problem: Problem): void => problems.add(problem),
  };
  const upTo = (of: Recording['class']): number | null => {
    const days = shortest(rules, of);
    return days === 'forever' ? null : now - days * DAY_MS;
  };
  for await (const part of walk(store, { now, upTo })) {
    if ('code' in part) {
      problems.add(part);
      continue;
    }
    counts.all += part.recordings;
    counts.lookedAt += part.looked.length;
    await judge(part, rules, ledger, now, found);
  }
  // Of what is being removed the manifest may be gone already.
  const before = (ledger.acceptedRound?.left ?? 0) - ledger.pending.length;
  if (counts.all === 0 && before > 0) problems.add(problemOf('/', 'vault-empty'));
  const beyond = counts.due - due.length;
  const who = new WhoCalled(
    journals,
    () => new Set([...due.map(({ callId }) => callId), ...ledger.pending.map(({ callId }) => callId)]),
  );
  const free: Due[] = [];
  const unknown: Due[] = [];
  for (const one of due) {
    const hold = await who.held(ledger.holds, one);
    if (hold === null) free.push(one);
    else if (hold === 'unknown') unknown.push(one);
  }
  if (who.unread) problems.add(problemOf('/', 'journals-unread'));
  for (const one of unknown)
    problems.add(problemOf(nameIn(one.folder, `${one.callId}.json`), 'call-unknown'));
  return {
    now,
    all: counts.all,
    lookedAt: counts.lookedAt,
    due: free,
    dueCount: free.length + beyond,
    held: due.length - free.length - unknown.length,
    unknown,
    problems,
    who,
  };
};

interface Judged {
  readonly due: (one: Due) => void;
  readonly problem: (problem: Problem) => void;
}

const judge = async (
  { folder, looked, ownerless, strange }: DayFolder,
  rules: RetentionRules,
  ledger: Ledger,
  now: number,
  found: Judged,
): Promise<void> => {
  for (const one of looked) {
    if ('code' in one) {
      found.problem(one);
      continue;
    }
    // What has a tombstone is finished under it.
    if (ledger.isPending(one.callId, folder)) continue;
    const due = dueBy(rules, one, now);
    if (due === null) continue;
    if (await ledger.wasRemoved(one.callId, folder)) {
      found.problem(problemOf(nameIn(folder, `${one.callId}.json`), 'recording-returned'));
    } else found.due(due);
  }
  const day = Date.parse(`${folder.slice(-10).replaceAll('/', '-')}T00:00:00Z`);
  const settled = !(now - day < MAKING_MS);
  for (const [callId, names] of ownerless) {
    if (ledger.isPending(callId, folder)) continue;
    const removed = await ledger.wasRemoved(callId, folder);
    if (!removed && !settled) continue;
    for (const name of names)
      found.problem(problemOf(nameIn(folder, name), removed ? 'left-over' : 'no-manifest'));
  }
  for (const problem of strange) found.problem(problem);
};
