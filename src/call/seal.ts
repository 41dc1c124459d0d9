import { alarm, closing, failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { SpokenRecordedAnchor } from './talk.js';

/** The old node lets go of the call, and what it recorded goes where the ordinary recordings are not. */
export const sealWhatThereIs = async (run: CallRun, recorded: SpokenRecordedAnchor): Promise<void> => {
  const { becoming, parts } = run;
  run.recorded = null;
  run.armed = null;
  const work = async (): Promise<void> => void (await recorded.release());
  await closing(run, 'release-media', work);
  if (becoming === null) return;
  try {
    const sealing = parts.recorder.seal(run.leg, becoming, recorded, 'became-private');
    const finding = await withDeadline('inspect-spool', parts.bounds.inspectMs, sealing);
    run.record.sealed =
      finding.state === 'recording-sealed'
        ? { state: finding.state, file: finding.recording.file, ...finding.recording.evidence }
        : { state: finding.state };
    if (finding.state === 'violation') alarm(run, 'private-file-found', 'unsealed');
  } catch (error) {
    alarm(run, 'absence-unverified', codeOf(error));
    run.record.sealed = { state: 'unknown', code: failed(run, 'inspect-spool', error) };
  }
};
