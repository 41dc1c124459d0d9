import type { CallEvent } from '../core/call.js';
import type { Ending } from '../core/ending.js';
import { alarm, closing, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { DeadlineError, withDeadline } from './deadline.js';
import { leavePlace } from './effects-decide.js';
import { stopListening } from './hear.js';
import { endEars } from './listen-in.js';
import type { JsonObject, SpoolFinding } from './ports.js';
import { sealWhatThereIs } from './seal.js';

export const releaseMedia = async (run: CallRun): Promise<CallEvent> => {
  try {
    stopListening(run);
  } catch (error) {
    failed(run, 'release-media', error);
  }
  const { lobby, recorded } = run;
  run.lobby = null;
  const others = [closing(run, 'release-media', () => endEars(run))];
  if (lobby !== null) others.push(closing(run, 'release-media', async () => void (await lobby.release())));
  try {
    if (run.anchor !== null) {
      run.record.totals = await timed(run, 'release-media', run.parts.bounds.closeMs, run.anchor.release());
    }
  } catch (error) {
    failed(run, 'release-media', error);
  }
  await Promise.all(others);
  for (const anchor of [lobby, run.anchor]) if (anchor !== null) run.released(anchor);
  // A call that was to become private and did not get there: what was recorded is sealed all the same.
  if (run.becoming !== null && recorded !== null) await sealWhatThereIs(run, recorded);
  return { type: 'media-released' };
};

export const inspectSpool = async (run: CallRun): Promise<CallEvent> => {
  try {
    const late = (finding: SpoolFinding): void => {
      // The CDR is written; the gravest alarm there is must come all the same.
      if (finding.state === 'violation') violation(run);
    };
    note(run, await withDeadline('inspect-spool', run.parts.bounds.inspectMs, look(run), late));
  } catch (error) {
    const code = failed(run, 'inspect-spool', error);
    alarm(run, run.mayHaveFlowed && run.armed !== null ? 'recording-missing' : 'absence-unverified', code);
    run.record.spool = { state: 'unknown', code };
  }
  return { type: 'spool-inspected' };
};

/** A monitored call that was up must have left its recording; every other call must have left nothing. */
const look = (run: CallRun): Promise<SpoolFinding> => {
  const { recorder } = run.parts;
  const { decision } = run.record;
  // What was recorded of a call that was to be recorded no more is under seal by now.
  if (decision?.verdict !== 'monitored' || run.becoming !== null) return recorder.verifyAbsence(run.callId);
  // A node that did not answer the opening may have done it: that recording is kept, not thrown away.
  if (run.mayHaveFlowed && run.recorded !== null) {
    return recorder.finish(run.leg, decision, run.recorded, run.record.totals);
  }
  return recorder.discard(run.callId);
};

/**
 * A call that ended before a packet could be recorded has no recording to miss. The called party's packets of the
 * first second may have come before the recording began; a single packet of the caller could not.
 */
const saidNothing = (run: CallRun, code: string): boolean => {
  const packets = run.record.totals?.packets;
  return code === 'no-audio' && packets !== undefined && packets.caller === 0 && packets.called <= 50;
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
      if (!saidNothing(run, finding.code)) alarm(run, 'recording-missing', finding.code);
      return;
    case 'recording-sealed':
      run.record.spool = {
        state: finding.state,
        file: finding.recording.file,
        ...finding.recording.evidence,
      };
      return;
    case 'nothing-found':
      run.record.spool = { state: finding.state, ...finding.evidence };
      return;
    case 'violation':
      run.record.spool = { state: finding.state, ...finding.evidence };
      violation(run);
      return;
    default:
      finding satisfies never;
  }
};

const violation = (run: CallRun): void =>
  alarm(run, 'private-file-found', run.record.decision?.verdict ?? 'undecided');

export const writeCdr = async (run: CallRun, ending: Ending): Promise<CallEvent> => {
  const { parts } = run;
  let cdr: JsonObject | null = null;
  let append: Promise<unknown> | null = null;
  try {
    // A call that became private and ended before the step had its row written: the row is evidence all the same.
    if (run.becoming !== null && run.evidence !== null)
      run.keep(parts.journal.append('decision', run.evidence));
    run.evidence = null;
    await allKept(run);
    run.record.told = await toldOf(run);
    // Named in the same moment as the CDR is given to the journal: no row of the call comes between the two.
    run.record.rows = run.followed?.named(run.record.nodes) ?? null;
    cdr = run.cdr(ending);
    append = parts.journal.append('cdr', cdr);
    await withDeadline('write-cdr', parts.bounds.journalMs, append);
    // Whoever follows a controller that is killed here finds the CDR, and what is still to be given back.
    await leavePlace(run);
    parts.ledger.over(run.callId);
  } catch (error) {
    failed(run, 'write-cdr', error);
    parts.unwritten(cdr ?? run.cdr(ending), error instanceof DeadlineError ? append : null);
  }
  return { type: 'cdr-written' };
};

/** What the caller was told in the end. Never rejects: a CDR that does not know it says so. */
const toldOf = async (run: CallRun): Promise<number | null> => {
  try {
    return await withDeadline('write-cdr', run.parts.bounds.closeMs, run.caller.told());
  } catch (error) {
    failed(run, 'write-cdr', error);
    return null;
  }
};

/** What is to be in the journal before the CDR, for as long as one row may take. Never rejects. */
const allKept = async (run: CallRun): Promise<void> => {
  const { followed, keeping, parts } = run;
  const { journalMs } = parts.bounds;
  const began = parts.clock.mono();
  try {
    if (keeping.size > 0) await withDeadline('write-cdr', journalMs, Promise.allSettled([...keeping]));
  } catch (error) {
    failed(run, 'write-cdr', error);
  }
  await followed?.settled(Math.max(0, journalMs - (parts.clock.mono() - began)), run.record.nodes);
};
