import { againOutcome } from '../core/again.js';
import { explainAgain } from '../core/decide.js';
import { privilegedIn } from '../core/decision.js';
import { isKillSwitch } from '../core/farewell.js';
import type { Leg } from '../core/leg.js';
import { failed, noteDown } from './bounded.js';
import type { CallRun } from './call-run.js';
import { againRow } from './cdr.js';
import { emitDecided, inputOf } from './effects-decide.js';
import { recordNoMore } from './seal.js';

/**
 * Asks the table again about a call that is being set up or is up, because the lists or the orders changed, and about
 * whoever else came in: a call that was redirected is with somebody else than was dialled. Only what changes the call
 * is journalled and fed to it; a list that cannot be asked changes nothing (design section 9).
 */
export const lookAgain = async (run: CallRun): Promise<void> => {
  for (const leg of [run.leg, ...run.otherLegs]) {
    if (await changes(run, leg)) return;
  }
};

const changes = async (run: CallRun, leg: Leg): Promise<boolean> => {
  if (!isConnectable(run)) return true;
  try {
    const { parts } = run;
    // A kill switch has 2 s for all it does, with the last words: less time than for a new call.
    const input = await inputOf(run, leg, parts.bounds.againMs);
    const explanation = explainAgain(input);
    const { decision, row } = explanation;
    const current = run.decided;
    if (!isConnectable(run) || current === null || current.verdict === 'refused') return true;
    const outcome = againOutcome(current, decision);
    if (outcome.does === 'nothing') return false;
    const evidence = againRow(input, current, explanation);
    emitDecided(run, decision, row);
    // The two may have been heard: what was recorded of them belongs to no ordinary recording any more.
    if (outcome.does === 'become-private' && run.mayHaveFlowed && current.verdict === 'monitored') {
      run.becoming = current;
      noteDown(run, 'sealing', {});
      run.record.decision = outcome.decision;
    }
    // The step has it journalled once the recording has stopped; nothing may come before that.
    if (outcome.does === 'become-private' && run.state.phase === 'connected') run.evidence = evidence;
    else run.keep(journalled(run, () => parts.journal.append('decision', evidence)));
    // It ends for being privileged: then nothing of its last words is recorded either.
    if (outcome.does === 'end' && privilegedIn(decision) !== null) {
      const { killStopMs, endStopMs } = parts.bounds;
      await recordNoMore(run, isKillSwitch(outcome.ending) ? killStopMs : endStopMs);
    }
    run.feed({ type: 'decided-again', decision });
    return true;
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
    return false;
  }
};

/** Whether there is a call that a new decision could change. What parts can still come to be sealed. */
const isConnectable = (run: CallRun): boolean => {
  const { decided } = run;
  return decided !== null && decided.verdict !== 'refused' && !run.isOver;
};

/** Never rejects. */
const journalled = async (run: CallRun, append: () => Promise<unknown>): Promise<void> => {
  try {
    await append();
  } catch (error) {
    failed(run, 'journal-decision', error);
  }
};
