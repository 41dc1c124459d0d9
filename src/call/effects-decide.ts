import type { CallEvent } from '../core/call.js';
import { countedAs, type DecisionInput, explain, isHotline } from '../core/decide.js';
import type { Decision } from '../core/decision.js';
import type { Leg, WallMs } from '../core/leg.js';
import { allUnknown, type ListAnswers } from '../core/lists.js';
import { noUsage, type Usage } from '../core/usage.js';
import { alarm, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { decisionRow } from './cdr.js';
import { codeOf, withDeadline } from './deadline.js';
import type { Place } from './talk.js';

export const lookUpAndDecide = async (run: CallRun): Promise<CallEvent> => {
  const { parts, leg } = run;
  const asked = await askLists(run, leg);
  const now = parts.clock.wall();
  const answers = withoutClock(asked, now);
  const usage = await takePlace(run, answers, now);
  const circumstances = { ...parts.surroundings.of(leg, now), usage };
  const input: DecisionInput = { leg, trunkEnabled: true, answers, circumstances, policy: parts.policy, now };
  const { decision, row } = explain(input);
  run.record.decision = decision;
  run.record.times['look-up-and-decide'] = run.elapsed();
  run.evidence = decisionRow(leg, row, decision, answers, circumstances);
  emitDecided(run, decision, row);
  if (decision.verdict === 'refused' && decision.alarm) alarm(run, 'emergency-dialled', leg.origin.facility);
  return { type: 'decided', decision };
};

export const emitDecided = (run: CallRun, decision: Decision, row: number): void =>
  run.parts.emit({
    event: 'call-decided',
    callId: run.callId,
    verdict: decision.verdict,
    reason: decision.reasons[0].code,
    row,
    epoch: decision.epoch?.id ?? null,
  });

/** Without a time nobody can say which entries are in force: nothing the lists said may be used (design I4). */
export const withoutClock = (answers: ListAnswers, now: WallMs): ListAnswers =>
  Number.isFinite(now) ? answers : allUnknown('clock', { state: 'unknown', why: 'clock' });

/** Takes this call's place in the counts before it is decided, so that two calls cannot both be the last allowed. */
const takePlace = async (run: CallRun, answers: ListAnswers, now: WallMs): Promise<Usage> => {
  const { leg, parts } = run;
  const { dialled } = leg;
  // Asked for a second time, once the caller is known: the place taken for nobody is given back.
  void run.place?.leave();
  run.place = null;
  if (dialled.kind !== 'number' && dialled.kind !== 'hotline') return noUsage;
  const kind = countedAs(answers, now);
  // A hotline counts nobody: what the caller did must not be found in any store.
  const counted = isHotline(answers, now) || dialled.kind === 'hotline' ? { ...leg, caller: null } : leg;
  const late = (place: Place): void => void place.leave();
  const entering = parts.counters.enter(counted, dialled.key, kind);
  run.place = await withDeadline('look-up-and-decide', parts.bounds.lookUpMs, entering, late);
  return run.place.usage;
};

/** Asks the lists about a leg; what is no number needs no list, for an earlier row of the table refuses it. */
export const askLists = async (run: CallRun, leg: Leg): Promise<ListAnswers> => {
  const unknown = { state: 'unknown', why: 'unreachable' } as const;
  if (leg.dialled.kind !== 'number' && leg.dialled.kind !== 'hotline')
    return allUnknown('unreachable', unknown);
  const question = { key: leg.dialled.key, caller: leg.caller, facility: leg.origin.facility };
  try {
    return await withDeadline(
      'look-up-and-decide',
      run.parts.bounds.lookUpMs,
      run.parts.lists.lookUp(question),
    );
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
    return allUnknown('unreachable', unknown);
  }
};

export const journalDecision = async (run: CallRun): Promise<CallEvent> => {
  try {
    if (run.evidence === null) return { type: 'journal-failed', detail: 'no-evidence' };
    const append = run.parts.journal.append('decision', run.evidence);
    await timed(run, 'journal-decision', run.parts.bounds.journalMs, append);
    return { type: 'decision-journalled' };
  } catch (error) {
    alarm(run, 'journal-unhealthy', codeOf(error));
    return { type: 'journal-failed', detail: failed(run, 'journal-decision', error) };
  }
};

export const readyRecorder = async (run: CallRun): Promise<CallEvent> => {
  try {
    const answer = await timed(run, 'ready-recorder', run.parts.bounds.readyMs, run.parts.recorder.ready());
    if (answer.ready) return { type: 'recorder-ready' };
    alarm(run, 'spool-unusable', answer.code);
    return { type: 'recorder-unready', detail: answer.code };
  } catch (error) {
    return { type: 'recorder-unready', detail: failed(run, 'ready-recorder', error) };
  }
};
