import type { CallEvent, Effect } from '../core/call.js';
import type { Ending } from '../core/ending.js';
import { alarm, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { withDeadline } from './deadline.js';
import type { SpoolFinding } from './ports.js';

/** Closing never fails: what could not be told is noted, and the ending goes on. */
export const closing = async (run: CallRun, effect: Effect['type'], work: Promise<void>): Promise<void> => {
  try {
    await withDeadline(effect, run.parts.bounds.closeMs, work);
  } catch (error) {
    failed(run, effect, error);
  }
};

export const releaseMedia = async (run: CallRun): Promise<CallEvent> => {
  try {
    if (run.anchor !== null) {
      run.record.totals = await timed(run, 'release-media', run.parts.bounds.closeMs, run.anchor.release());
    }
  } catch (error) {
    failed(run, 'release-media', error);
  }
  return { type: 'media-released' };
};

export const inspectSpool = async (run: CallRun): Promise<CallEvent> => {
  try {
    const finding = await withDeadline('inspect-spool', run.parts.bounds.inspectMs, look(run));
    note(run, finding);
  } catch (error) {
    const code = failed(run, 'inspect-spool', error);
    if (run.record.times['open-media'] !== undefined && run.armed !== null)
      alarm(run, 'recording-missing', code);
    run.record.spool = { state: 'unknown', code };
  }
  return { type: 'spool-inspected' };
};

/** A monitored call that was up must have left its recording; every other call must have left nothing. */
const look = (run: CallRun): Promise<SpoolFinding> => {
  const { recorder } = run.parts;
  const { decision } = run.record;
  if (decision?.verdict !== 'monitored') return recorder.verifyAbsence(run.callId);
  const wasUp = run.record.times['open-media'] !== undefined;
  if (wasUp && run.recorded !== null) {
    return recorder.finish(run.caller.leg, decision, run.recorded, run.record.totals);
  }
  return recorder.discard(run.callId);
};

const note = (run: CallRun, finding: SpoolFinding): void => {
  switch (finding.state) {
    case 'recording-finished':
      run.record.spool = {
        state: finding.state,
        file: finding.recording.file,
        ...finding.recording.evidence,
      };
      run.parts.emit({
        event: 'recording-finished',
        callId: run.callId,
        seconds: Number(finding.recording.evidence.seconds ?? 0),
      });
      return;
    case 'recording-missing':
      run.record.spool = { state: finding.state, code: finding.code, ...finding.evidence };
      alarm(run, 'recording-missing', finding.code);
      return;
    case 'nothing-found':
      run.record.spool = { state: finding.state, ...finding.evidence };
      return;
    case 'violation':
      run.record.spool = { state: finding.state, ...finding.evidence };
      alarm(run, 'private-file-found', run.record.decision?.verdict ?? 'undecided');
      return;
    default:
      finding satisfies never;
  }
};

export const writeCdr = async (run: CallRun, ending: Ending): Promise<CallEvent> => {
  try {
    await withDeadline(
      'write-cdr',
      run.parts.bounds.journalMs,
      run.parts.journal.append('cdr', run.cdr(ending)),
    );
  } catch (error) {
    failed(run, 'write-cdr', error);
    run.parts.unwritten(run.cdr(ending));
  }
  return { type: 'cdr-written' };
};
