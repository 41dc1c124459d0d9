import { againOutcome } from '../core/again.js';
import { type DecisionInput, explain } from '../core/decide.js';
import { noUsage } from '../core/usage.js';
import { failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { decisionRow } from './cdr.js';
import { askLists, emitDecided, withoutClock } from './effects-decide.js';

/**
 * Asks the table again about a call that is being set up or is up, because the lists or the orders changed. Only what
 * changes the call is journalled and fed to it; a list that cannot be asked changes nothing (design section 9).
 */
export const lookAgain = async (run: CallRun): Promise<void> => {
  const current = run.record.decision;
  if (current === null || current.verdict === 'refused' || isOver(run)) return;
  try {
    const { parts, leg } = run;
    const asked = await askLists(run, leg);
    const now = parts.clock.wall();
    const answers = withoutClock(asked, now);
    // Counts are of new calls: this one has its place already.
    const circumstances = { ...parts.surroundings.of(leg, now), usage: noUsage };
    const input: DecisionInput = {
      leg,
      trunkEnabled: true,
      answers,
      circumstances,
      policy: parts.policy,
      now,
    };
    const { decision, row } = explain(input);
    if (isOver(run) || run.record.decision !== current) return;
    const outcome = againOutcome(current, decision);
    if (outcome.does === 'nothing') return;
    const evidence = { ...decisionRow(leg, row, decision, answers, circumstances), again: true };
    emitDecided(run, decision, row);
    if (outcome.does === 'become-private' && run.state.phase === 'connected') {
      // The step has it journalled once the recording has stopped.
      run.evidence = evidence;
    } else {
      run.keep(
        parts.journal
          .append('decision', evidence)
          .catch((error: unknown) => failed(run, 'journal-decision', error)),
      );
    }
    run.feed({ type: 'decided-again', decision });
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
  }
};

const isOver = (run: CallRun): boolean => {
  const { phase } = run.state;
  return phase === 'parting' || phase === 'ending' || phase === 'ended';
};
