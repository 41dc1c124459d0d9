import { explain } from '../core/decide.js';
import type { Connectable, Decision } from '../core/decision.js';
import type { Leg } from '../core/leg.js';
import { noUsage } from '../core/usage.js';
import { failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { decisionRow } from './cdr.js';
import { withDeadline } from './deadline.js';
import { askLists, withoutClock } from './effects-decide.js';
import type { OtherParty } from './talk.js';

/** Other parties judged in one call; the adapter has a bound of its own below this. */
const maxOthers = 16;

/**
 * Another party came into sight: a leg of its own, with its own decision in the journal (design I7), before the call
 * is told. What nobody can read is told as that.
 */
export const meetOther = (run: CallRun, other: OtherParty): void => {
  if (run.record.others.length >= maxOthers) return;
  const place = run.record.others.push({ how: other.how, verdict: 'undecided', outcome: null }) - 1;
  void judge(run, other, place);
};

/** As `meetOther`, for a carrier that waits for our word on its redirect. Null: not to be followed. */
export const meetRedirect = (run: CallRun, other: OtherParty): Promise<Connectable | null> =>
  new Promise((resolve) => {
    run.redirect?.(null);
    run.redirect = resolve;
    if (run.record.others.length >= maxOthers) answerRedirect(run, null);
    else meetOther(run, other);
  });

export const answerRedirect = (run: CallRun, decision: Connectable | null): void => {
  run.redirect?.(decision);
  run.redirect = null;
};

const judge = async (run: CallRun, other: OtherParty, place: number): Promise<void> => {
  let decision: Decision | null = null;
  try {
    if (other.target !== null) decision = await decideOn(run, { ...run.leg, dialled: other.target }, other);
  } catch (error) {
    failed(run, 'note-other-party', error);
  }
  const noted = run.record.others[place];
  if (noted !== undefined) noted.verdict = decision?.verdict ?? 'unreadable';
  run.feed({ type: 'other-party-decided', how: other.how, decision });
};

/** Null where its row could not be made durable: an unproved decision is none. */
const decideOn = async (run: CallRun, leg: Leg, other: OtherParty): Promise<Decision | null> => {
  const { parts } = run;
  const asked = await askLists(run, leg);
  const now = parts.clock.wall();
  const answers = withoutClock(asked, now);
  const circumstances = { ...parts.surroundings.of(leg, now), usage: noUsage };
  const { decision, row } = explain({
    leg,
    trunkEnabled: true,
    answers,
    circumstances,
    policy: parts.policy,
    now,
  });
  const evidence = { ...decisionRow(leg, row, decision, answers, circumstances), other: other.how };
  await withDeadline('journal-decision', parts.bounds.journalMs, parts.journal.append('decision', evidence));
  return decision;
};
