import type { CallEvent } from '../core/call.js';
import { type DecisionInput, explain } from '../core/decide.js';
import { allUnknown, type ListAnswers } from '../core/lists.js';
import { alarm, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { decisionRow } from './cdr.js';
import { codeOf, withDeadline } from './deadline.js';

export const lookUpAndDecide = async (run: CallRun): Promise<CallEvent> => {
  const { parts, caller } = run;
  const { leg } = caller;
  const asked = await ask(run);
  const now = parts.clock.wall();
  // Without a time nobody can say which entries are in force: nothing the lists said may be used (design I4).
  const noClock = { state: 'unknown', why: 'clock' } as const;
  const answers = Number.isFinite(now) ? asked : allUnknown('clock', noClock);
  const around = parts.surroundings.of(leg, now);
  const circumstances = {
    ...around,
    concurrentCalls: parts.concurrentCalls(leg.caller ?? ''),
  };
  const input: DecisionInput = { leg, trunkEnabled: true, answers, circumstances, policy: parts.policy, now };
  const { decision, row } = explain(input);
  run.record.decision = decision;
  run.record.times['look-up-and-decide'] = run.elapsed();
  run.evidence = decisionRow(leg, row, decision, answers, circumstances);
  parts.emit({
    event: 'call-decided',
    callId: run.callId,
    verdict: decision.verdict,
    reason: decision.reasons[0].code,
    row,
    epoch: decision.epoch?.id ?? null,
  });
  if (decision.verdict === 'refused' && decision.alarm) alarm(run, 'emergency-dialled', leg.origin.facility);
  return { type: 'decided', decision };
};

/** Asks the lists about a number; anything else needs no list, for an earlier row of the table refuses it. */
const ask = async (run: CallRun): Promise<ListAnswers> => {
  const { leg } = run.caller;
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
