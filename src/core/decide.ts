import type { NonEmpty } from './brand.js';
import { asDecided, type Decision, type Monitored, type Private, type Refused } from './decision.js';
import type { EndingCode } from './ending.js';
import { isCodeTrunk, type Leg, type WallMs } from './leg.js';
import { type Answer, inForce, type ListAnswers, type PrivilegedEntry } from './lists.js';
import type { NumberKey } from './number.js';
import type { Circumstances, Policy } from './policy.js';
import type { Reason, ReasonCode } from './reason.js';
import { type Excess, excessOf } from './usage.js';

/** Everything a decision depends on. The journal keeps it, so that a decision can be replayed years later. */
export interface DecisionInput {
  readonly leg: Leg;
  readonly trunkEnabled: boolean;
  readonly answers: ListAnswers;
  readonly circumstances: Circumstances;
  readonly policy: Policy;
  readonly now: WallMs;
}

/** One row of the table: a question and what a match leads to. A row that does not match says nothing. */
export interface DecisionRow {
  readonly order: number;
  readonly question: string;
  readonly outcome: string;
  readonly match: (input: DecisionInput) => Decision | null;
}

const keyOf = (input: DecisionInput): NumberKey | null => {
  const { dialled } = input.leg;
  return dialled.kind === 'number' || dialled.kind === 'hotline' ? dialled.key : null;
};

const refused = (
  { answers, policy }: DecisionInput,
  ending: EndingCode,
  code: ReasonCode,
  detail?: string,
  alarm = false,
): Refused =>
  asDecided<Refused>({
    verdict: 'refused',
    ending,
    alarm,
    reasons: [reason(code, detail)],
    epoch: answers.epoch,
    policy: policy.version,
  });

const reason = (code: ReasonCode, detail?: string): Reason =>
  detail === undefined ? { code } : { code, detail };

/** What nobody foresaw is refused: `never` is for the compiler, which cannot see what comes from a journal. */
const undecided = (input: DecisionInput, _unforeseen?: never): Refused =>
  refused(input, 'internal-error', 'undecided');

const trunk = (input: DecisionInput): Decision | null =>
  input.trunkEnabled ? null : refused(input, 'trunk-unknown', 'trunk-unknown');

const dialled = (input: DecisionInput): Decision | null => {
  const what = input.leg.dialled;
  switch (what.kind) {
    case 'number':
    case 'hotline':
      return null;
    case 'emergency':
      return refused(input, 'emergency-number', 'emergency-number', what.code, true);
    case 'service':
      return refused(input, 'service-barred', 'service-code', what.service);
    case 'unparseable':
      return refused(input, 'number-unparseable', 'number-unparseable', what.reason);
    default:
      return undecided(input, what);
  }
};

/** The first entry in force, from Redis or from the snapshot: either is enough (sticky, design section 5). */
const protectionIn = (
  answers: ListAnswers,
  now: WallMs,
): { entry: PrivilegedEntry; source: 'privileged-listed' | 'privileged-in-snapshot' } | null => {
  const find = (answer: Answer<PrivilegedEntry>): PrivilegedEntry | undefined =>
    answer.state === 'listed' ? answer.entries.find((entry) => inForce(entry, now)) : undefined;
  const listed = find(answers.privileged);
  if (listed !== undefined) return { entry: listed, source: 'privileged-listed' };
  const kept = find(answers.snapshot);
  return kept === undefined ? null : { entry: kept, source: 'privileged-in-snapshot' };
};

const privileged = (input: DecisionInput): Decision | null => {
  const key = keyOf(input);
  const found = protectionIn(input.answers, input.now);
  if (key === null || found === null) return null;
  const { policy, circumstances, answers } = input;
  const inLockdown = found.entry.class === 'hotline' ? policy.hotlineInLockdown : policy.privilegedInLockdown;
  // Unknown lockdown counts as lockdown: a policy that refuses then must not be passed by a failure.
  if (circumstances.lockdown !== 'off' && inLockdown === 'refused') {
    return refused(input, 'lockdown', 'privileged-lockdown', found.entry.class);
  }
  // Privileged calls know no allow list, no hours and no velocity, but limits of their own.
  const excess = excessOf(circumstances.usage, policy.limits.private, policy.limits.alone);
  if (excess !== null) return overLimit(input, excess, reason(found.source, found.entry.class));
  const reasons: Reason[] = [reason(found.source, found.entry.class)];
  if (found.entry.match === 'main-number-of-extension') reasons.push(reason('privileged-main-number'));
  return asDecided<Private>({
    verdict: 'private',
    key,
    class: found.entry.class,
    reasons: reasons as unknown as NonEmpty<Reason>,
    epoch: answers.epoch,
    policy: policy.version,
  });
};

const knowledge = (input: DecisionInput): Decision | null => {
  const { answers, policy } = input;
  const unavailable = (code: 'lists-unknown' | 'snapshot-unknown', why: string): Decision =>
    refused(input, 'lists-unavailable', code, why);
  for (const answer of [answers.privileged, answers.pending, answers.block, answers.allow]) {
    if (answer.state === 'unknown') return unavailable('lists-unknown', answer.why);
  }
  // Without a clock no entry's time can be judged: neither a block's expiry nor a protection's beginning.
  if (!Number.isFinite(input.now)) return unavailable('lists-unknown', 'clock');
  if (answers.snapshot.state === 'unknown') return unavailable('snapshot-unknown', answers.snapshot.why);
  if (answers.epoch === null) return unavailable('lists-unknown', 'no-epoch');
  const age = answers.heartbeatAgeMs;
  // Written so that a missing or NaN age fails.
  if (age === null || !(age <= policy.maxListAgeMs)) return unavailable('lists-unknown', 'stale');
  return null;
};

/** Whether it is our own call that tells a code: by where it came from, which no configuration can name otherwise. */
const isCodeCall = ({ leg }: DecisionInput): boolean => isCodeTrunk(leg.origin.trunk);

const pending = (input: DecisionInput): Decision | null => {
  // How a claim is settled is that somebody proves the number to be theirs: the claim must not stand in its own way.
  if (isCodeCall(input)) return null;
  if (input.answers.pending.state === 'listed') return refused(input, 'review-pending', 'review-pending');
  if (input.leg.claimsPrivate) return refused(input, 'review-pending', 'private-claim-unlisted');
  return null;
};

const lockdown = (input: DecisionInput): Decision | null => {
  switch (input.circumstances.lockdown) {
    case 'off':
      return null;
    case 'on':
      return refused(input, 'lockdown', 'lockdown');
    case 'unknown':
      return refused(input, 'lockdown', 'lockdown-unknown');
    default:
      return undecided(input, input.circumstances.lockdown);
  }
};

const blocked = (input: DecisionInput): Decision | null => {
  const { block } = input.answers;
  if (block.state !== 'listed') return null;
  const standing = block.entries.find((entry) => entry.expires === null || input.now < entry.expires);
  return standing === undefined ? null : refused(input, 'blocked', 'blocked', standing.cause);
};

const barredType = (input: DecisionInput): Decision | null => {
  const what = input.leg.dialled;
  return what.kind === 'number' && input.policy.barredNumberTypes.includes(what.type)
    ? refused(input, 'service-barred', 'number-type-barred', what.type)
    : null;
};

/**
 * Our own call that tells a code. No person held here is in it, so no list of theirs is asked; it must never be
 * recorded, for who heard the code later could prove a number that is not theirs.
 */
const codeCall = (input: DecisionInput): Decision | null => {
  const key = keyOf(input);
  if (!isCodeCall(input) || key === null) return null;
  return asDecided<Private>({
    verdict: 'private',
    key,
    class: 'code-call',
    reasons: [reason('code-call')],
    epoch: input.answers.epoch,
    policy: input.policy.version,
  });
};

const allowed = (input: DecisionInput): Decision | null => {
  // What the whole facility may call is still not for somebody nobody knows.
  if (input.leg.caller === null) return refused(input, 'caller-unidentified', 'caller-unidentified');
  return input.answers.allow.state === 'listed' ? null : refused(input, 'not-allowed', 'not-allowed');
};

const limits = (input: DecisionInput): Decision | null => {
  const { circumstances, policy } = input;
  if (circumstances.schedule === 'closed') return refused(input, 'not-now', 'schedule-closed');
  if (circumstances.schedule !== 'open') return refused(input, 'not-now', 'schedule-unknown');
  if (circumstances.suspended) return refused(input, 'caller-suspended', 'caller-suspended');
  const excess = excessOf(circumstances.usage, policy.limits.monitored, policy.limits.alone);
  return excess === null ? null : overLimit(input, excess);
};

/** Written so that a value nobody knows disarms. */
const disarmed = (input: DecisionInput): Decision | null =>
  input.circumstances.recording === 'armed'
    ? null
    : refused(input, 'recording-disarmed', 'recording-disarmed');

/** `privileged`: that the number is privileged all the same, for whoever asks what such a refusal hides. */
const overLimit = (input: DecisionInput, excess: Excess, privileged?: Reason): Decision => {
  const over = ((): Refused => {
    switch (excess.limit) {
      case 'concurrent':
        return refused(input, 'too-many-calls', 'too-many-calls', excess.subject);
      case 'recent':
        return refused(input, 'too-often', 'too-often', excess.subject);
      case 'cool-down':
        return refused(input, 'too-often', 'cool-down', excess.subject);
      default:
        return undecided(input, excess);
    }
  })();
  return privileged === undefined
    ? over
    : asDecided<Refused>({ ...over, reasons: [over.reasons[0], privileged] });
};

/**
 * Which counts a call belongs into, before it is decided: the counts are part of the decision. What is privileged
 * can become private and nothing else.
 */
export const countedAs = (answers: ListAnswers, now: WallMs): 'monitored' | 'private' =>
  protectionIn(answers, now) === null ? 'monitored' : 'private';

/** Whether the number is an anonymous hotline's. */
export const isHotline = (answers: ListAnswers, now: WallMs): boolean =>
  protectionIn(answers, now)?.entry.class === 'hotline';

const otherwise = (input: DecisionInput): Decision | null => {
  const { allow } = input.answers;
  const key = keyOf(input);
  if (allow.state !== 'listed' || key === null) return null;
  return asDecided<Monitored>({
    verdict: 'monitored',
    key,
    reasons: [
      reason(allow.entries[0].scope === 'caller' ? 'allowed-by-caller-list' : 'allowed-by-facility-list'),
    ],
    epoch: input.answers.epoch,
    policy: input.policy.version,
  });
};

/**
 * The decision table: the first row that matches wins. docs/decision.md holds the same rows, `sallyport explain
 * --table` prints them.
 */
export const decisionTable: readonly DecisionRow[] = [
  { order: 1, question: 'Is the trunk unknown or disabled?', outcome: 'refused', match: trunk },
  {
    order: 2,
    question: 'Is the number unparseable, an emergency number or a service code?',
    outcome: 'refused; an emergency number raises an alarm',
    match: dialled,
  },
  {
    order: 3,
    question: 'Is the number privileged and in force, in Redis or in the local snapshot, under any scope?',
    outcome: 'private (in lockdown: by policy; over its own limits: refused)',
    match: privileged,
  },
  {
    order: 4,
    question: 'Is any list unknown, older than the bound, or not armed?',
    outcome: 'refused: try again',
    match: knowledge,
  },
  {
    order: 5,
    question: 'Is a review pending, or does the caller claim a private call to an unlisted number?',
    outcome: 'refused, never connected and recorded',
    match: pending,
  },
  { order: 6, question: 'Is there a lockdown here?', outcome: 'refused', match: lockdown },
  {
    order: 7,
    question: 'Is the number blocked, or of a barred type?',
    outcome: 'refused',
    match: (input) => blocked(input) ?? barredType(input),
  },
  {
    order: 8,
    question: 'Is the caller unknown, or the number on neither the caller’s nor the facility’s list?',
    outcome: 'refused; a call of our own that tells a code is private',
    // One row, not one more: journals name rows by their numbers, and these must not come to mean something else.
    match: (input) => codeCall(input) ?? allowed(input),
  },
  {
    order: 9,
    question:
      'Does a schedule, a suspension, the number of calls, their frequency or a failed test call forbid it now?',
    outcome: 'refused',
    match: (input) => limits(input) ?? disarmed(input),
  },
  { order: 10, question: 'Otherwise', outcome: 'monitored', match: otherwise },
];

/** What each row said, in order, up to the one that decided: for `sallyport explain` and the console. */
export interface Explanation {
  readonly decision: Decision;
  readonly row: number;
}

/**
 * Decides one leg. Pure and total: refused is the default, and a row that throws would refuse the call in the
 * caller of this function, never connect it.
 */
export const explain = (input: DecisionInput): Explanation => {
  for (const row of decisionTable) {
    const decision = row.match(input);
    if (decision !== null) return { decision, row: row.order };
  }
  return { decision: undecided(input), row: 0 };
};

/**
 * The same for a call that is being set up or is up. Lists that cannot be asked say nothing about it, and must not
 * hide an order that ends it: a kill switch and a suspension hold whatever the lists' state is (design section 9).
 */
export const explainAgain = (input: DecisionInput): Explanation => {
  const first = explain(input);
  const { lockdown, suspended } = input.circumstances;
  if (first.decision.verdict !== 'refused' || first.decision.ending !== 'lists-unavailable') return first;
  if (lockdown === 'on') return { decision: refused(input, 'lockdown', 'lockdown'), row: 6 };
  // Orders that cannot be read are not an order: such a suspension is only a guess that refuses new calls.
  return suspended && lockdown === 'off'
    ? { decision: refused(input, 'caller-suspended', 'caller-suspended'), row: 9 }
    : first;
};

export const decide = (input: DecisionInput): Decision => explain(input).decision;
