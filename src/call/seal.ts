import { alarm, failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { SpoolFinding } from './ports.js';
import type { SpokenRecordedAnchor } from './talk.js';

/**
 * Somebody privileged is in a recorded call, and the call ends for it: the recording stops before a last word is said,
 * and what there is of it becomes no ordinary recording. Never rejects: the end of the media ends the recording too.
 */
export const recordNoMore = async (run: CallRun): Promise<void> => {
  const { armed, decided } = run;
  if (armed === null || run.becoming !== null || decided?.verdict !== 'monitored') return;
  run.becoming = decided;
  try {
    await withDeadline('stop-recording', run.parts.bounds.armMs, armed.stop());
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
