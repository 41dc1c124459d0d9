import { explain } from '../core/decide.js';
import { type Connectable, type Decision, privilegedIn } from '../core/decision.js';
import { failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { type OtherNoted, otherRow } from './cdr.js';
import { withDeadline } from './deadline.js';
import { inputOf } from './effects-decide.js';
import { recordNoMore } from './seal.js';
import type { OtherParty } from './talk.js';

/** Other parties judged in one call; each leg's adapter has a bound of its own below this. */
export const maxListedOthers = 32;

type Asker = (decision: Connectable | null) => void;

/**
 * Another party came into sight: a leg of its own, with its own decision in the journal (design I7), before the call
 * is told. What nobody can read is told as that. One that is named before the call is decided waits for that: only
 * then is it known whether the row may say who calls, and whether the two may be together.
 */
export const meetOther = (run: CallRun, other: OtherParty, asker: Asker | null = null): void => {
  if (run.isOver) return;
  const { others } = run.record;
  if (others.length >= maxListedOthers) {
    // Over the bound it must not be the one that matters that nobody looks at: it is nobody we can read.
    failed(run, 'note-other-party', { code: 'too-many-other-parties' });
    tell(run, other, null, null);
    return;
  }
  const noted: OtherNoted = { how: other.how, verdict: 'undecided', outcome: null };
  others.push(noted);
  const judging = (): void => {
    const judged = judge(run, other, noted, asker);
    run.keep(judged);
    run.judging.add(judged);
    void judged.finally(() => run.judging.delete(judged));
  };
  if (run.decided === null || run.state.phase === 'journalling') run.unjudged.push(judging);
  else judging();
};

/** As `meetOther`, for a carrier that waits for our word on its redirect. Null: not to be followed. */
export const meetRedirect = (run: CallRun, other: OtherParty): Promise<Connectable | null> =>
  new Promise((resolve) => {
    answerRedirect(run, null);
    if (run.state.phase !== 'dialling') {
      resolve(null);
      return;
    }
    run.redirect = resolve;
    meetOther(run, other, resolve);
  });

export const answerRedirect = (run: CallRun, decision: Connectable | null): void => {
  const { redirect } = run;
  run.redirect = null;
  redirect?.(decision);
};

const judge = async (
  run: CallRun,
  other: OtherParty,
  noted: OtherNoted,
  asker: Asker | null,
): Promise<void> => {
  let decision: Decision | null = null;
  try {
    // Awaited also where there is nobody to decide on: the call may be in the midst of an event, and takes one at a time.
    decision = await decideOn(run, other);
  } catch (error) {
    failed(run, 'note-other-party', error);
  }
  noted.verdict = decision?.verdict ?? 'unreadable';
  // A newer redirect has taken this one's place: nobody waits for the answer any more.
  if (asker !== null && run.redirect !== asker) return;
  await protectNow(run, other, decision);
  tell(run, other, decision, noted);
  if (other.target !== null && other.how !== 'refer' && noted.outcome !== 'end') {
    run.otherLegs.push({ ...run.leg, dialled: other.target });
  }
  // A call that has moved on has no use for the event: the carrier is answered all the same.
  if (asker !== null && run.redirect === asker) answerRedirect(run, null);
};

const tell = (
  run: CallRun,
  { how }: OtherParty,
  decision: Decision | null,
  noted: OtherNoted | null,
): void => {
  run.otherNow = noted;
  run.feed({ type: 'other-party-decided', how, decision });
  run.otherNow = null;
};

/**
 * Whoever is named here may be the one who talks: nothing more of a privileged party is recorded, and what was is
 * sealed. A redirect is not dialled yet, and a transfer is refused.
 */
const protectNow = async (run: CallRun, { how }: OtherParty, decision: Decision | null): Promise<void> => {
  if (decision === null || how === 'redirect' || how === 'refer') return;
  if (decision.verdict === 'private' || privilegedIn(decision) !== null) {
    await recordNoMore(run, run.parts.bounds.endStopMs);
  }
};

/** Null where its row could not be made durable: an unproved decision is none. */
const decideOn = async (run: CallRun, { how, target }: OtherParty): Promise<Decision | null> => {
  const { parts } = run;
  if (target === null) return null;
  const leg = { ...run.leg, dialled: target };
  const input = await inputOf(run, leg);
  const explanation = explain(input);
  const evidence = otherRow(how, run.leg, run.decided, input, explanation);
  await withDeadline('journal-decision', parts.bounds.journalMs, parts.journal.append('decision', evidence));
  return explanation.decision;
};
