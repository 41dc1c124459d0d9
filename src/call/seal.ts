import { alarm, failed, noteDown } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { SpoolFinding } from './ports.js';
import type { SpokenArmed, SpokenRecordedAnchor } from './talk.js';

/**
 * Somebody privileged is in a recorded call, and the call ends for it: the recording stops before a last word is said,
 * and what there is of it becomes no ordinary recording. Never rejects, and is waited for no longer than `ms`: then the
 * call ends without a word, and the end of its media ends the recording too.
 */
export const recordNoMore = async (run: CallRun, ms: number): Promise<void> => {
  const { armed, decided } = run;
  if (armed === null || run.becoming !== null || decided?.verdict !== 'monitored') return;
  run.becoming = decided;
  noteDown(run, 'sealing', {});
  run.mayStillRecord = true;
  await Promise.race([stopped(run, armed), new Promise<void>((resolve) => void run.after(ms, resolve))]);
};

/** Never rejects. What is not seen to have stopped in all this time is a matter for somebody, however the call ended. */
const stopped = async (run: CallRun, armed: SpokenArmed): Promise<void> => {
  try {
    await withDeadline('stop-recording', run.parts.bounds.armMs, armed.stop());
    run.mayStillRecord = false;
  } catch (error) {
    alarm(run, 'recording-goes-on', codeOf(error));
    failed(run, 'stop-recording', error);
  }
};

/** The old node has let go of the call: what it recorded goes where the ordinary recordings are not. */
export const sealWhatThereIs = async (run: CallRun, recorded: SpokenRecordedAnchor): Promise<void> => {
  const { becoming, parts } = run;
  run.recorded = null;
  run.armed = null;
  if (becoming === null) return;
  const late = (finding: SpoolFinding): void => {
    if (finding.state === 'violation') alarm(run, 'private-file-found', 'unsealed');
  };
  try {
    const sealing = parts.recorder.seal(run.leg, becoming, recorded, 'became-private');
    note(run, await withDeadline('inspect-spool', parts.bounds.inspectMs, sealing, late));
  } catch (error) {
    alarm(run, 'absence-unverified', codeOf(error));
    run.record.sealed = { state: 'unknown', code: failed(run, 'inspect-spool', error) };
  }
};

const note = (run: CallRun, finding: SpoolFinding): void => {
  switch (finding.state) {
    case 'recording-sealed':
      run.record.sealed = {
        state: finding.state,
        file: finding.recording.file,
        ...finding.recording.evidence,
      };
      return;
    case 'nothing-found':
      run.record.sealed = { state: finding.state };
      return;
    case 'recording-missing':
      run.record.sealed = { state: finding.state, code: finding.code };
      alarm(run, 'recording-missing', finding.code);
      return;
    case 'recording-finished':
    case 'violation':
      // Among the ordinary recordings, or in the spool: where it must not be.
      run.record.sealed = { state: finding.state };
      alarm(run, 'private-file-found', 'unsealed');
      return;
    default:
      finding satisfies never;
  }
};
