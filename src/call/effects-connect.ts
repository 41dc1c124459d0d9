import type { CallEvent } from '../core/call.js';
import type { Connectable, Monitored, Private } from '../core/decision.js';
import type { Ending } from '../core/ending.js';
import { alarm, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf } from './deadline.js';
import { type Anchor, MediaError, RecordingError } from './ports.js';

export const anchor = async (run: CallRun, decision: Connectable): Promise<CallEvent> => {
  const { media, bounds } = run.parts;
  const { offer } = run.caller;
  const release = (made: Anchor): void => void made.release().catch(() => null);
  try {
    let made: Anchor;
    // The pool follows from the decision's type: no value can send a private call to a node that records.
    if (decision.verdict === 'monitored') {
      const work = media.anchorRecorded(run.callId, decision, offer);
      made = run.recorded = await timed(run, 'anchor', bounds.anchorMs, work, release);
    } else {
      const work = media.anchorPrivate(run.callId, decision, offer);
      made = await timed(run, 'anchor', bounds.anchorMs, work, release);
    }
    run.anchor = made;
    run.record.node = made.node;
    made.onLost((why) => run.feed({ type: 'node-lost', detail: why }));
    return { type: 'anchored' };
  } catch (error) {
    failed(run, 'anchor', error);
    return { type: 'anchor-failed', ending: mediaEnding(error, 'offer-unusable') };
  }
};

const mediaEnding = (error: unknown, unusable: 'offer-unusable' | 'called-media-unusable'): Ending => {
  if (error instanceof RecordingError) return { code: 'recording-unproved', detail: error.code };
  if (!(error instanceof MediaError)) return { code: 'media-unavailable', detail: codeOf(error) };
  switch (error.code) {
    case 'offer-unusable':
    case 'answer-unusable':
    case 'foreign-address':
      return { code: unusable, detail: error.detail };
    case 'no-node':
    case 'node-timeout':
    case 'node-refused':
    case 'node-error':
    case 'unexpected-recording':
      return { code: 'media-unavailable', detail: error.code };
    default: {
      const never: never = error.code;
      return never;
    }
  }
};

export const dial = async (run: CallRun, decision: Connectable): Promise<CallEvent> => {
  const { anchor } = run;
  if (anchor === null)
    return { type: 'dial-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  run.after(run.parts.policy.maxRingMs, { type: 'ring-limit-reached' });
  const dialling = run.parts.dialer.dial(run.caller.leg, decision, anchor, () => {
    run.record.times.rang ??= run.elapsed();
    run.feed({ type: 'rang' });
  });
  run.dialling = dialling;
  const outcome = await dialling.outcome;
  run.record.attempts = dialling.attempts;
  if (outcome.state === 'failed') return { type: 'dial-failed', ending: outcome.ending };
  run.record.times.dial = run.elapsed();
  run.record.trunk = outcome.trunk;
  run.called = outcome.called;
  run.answerOfCalled = outcome.answer;
  outcome.called.onGone(() => run.feed({ type: 'called-gone' }));
  return { type: 'answered' };
};

export const arm = async (run: CallRun, decision: Monitored): Promise<CallEvent> => {
  const { recorded, answerOfCalled } = run;
  if (recorded === null || answerOfCalled === null) {
    return { type: 'arm-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  }
  try {
    const work = run.parts.recorder.arm(decision, recorded, answerOfCalled);
    const armed = await timed(run, 'arm', run.parts.bounds.armMs, work);
    run.armed = armed;
    run.answerForCaller = armed.answerForCaller;
    run.record.armed = armed.proof;
    run.parts.emit({ event: 'recording-armed', callId: run.callId, ms: run.elapsed() });
    return { type: 'armed' };
  } catch (error) {
    const ending = mediaEnding(error, 'called-media-unusable');
    failed(run, 'arm', error);
    if (ending.code === 'recording-unproved') alarm(run, 'recording-unproved', ending.detail ?? '');
    return { type: 'arm-failed', ending };
  }
};

export const answerMedia = async (run: CallRun, decision: Private): Promise<CallEvent> => {
  const { anchor, answerOfCalled } = run;
  if (anchor === null || anchor.pool !== 'private' || answerOfCalled === null) {
    return { type: 'media-answer-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  }
  try {
    const work = anchor.answer(decision, answerOfCalled);
    run.answerForCaller = await timed(run, 'answer-media', run.parts.bounds.armMs, work);
    return { type: 'media-answered' };
  } catch (error) {
    failed(run, 'answer-media', error);
    return { type: 'media-answer-failed', ending: mediaEnding(error, 'called-media-unusable') };
  }
};

export const connectCaller = async (run: CallRun): Promise<CallEvent> => {
  const { answerForCaller } = run;
  if (answerForCaller === null) return { type: 'caller-connect-failed', detail: 'no-answer' };
  try {
    await timed(run, 'connect-caller', run.parts.bounds.connectMs, run.caller.connect(answerForCaller));
    return { type: 'caller-connected' };
  } catch (error) {
    return { type: 'caller-connect-failed', detail: failed(run, 'connect-caller', error) };
  }
};

export const openMedia = async (run: CallRun): Promise<CallEvent> => {
  const { anchor, called, caller } = run;
  if (anchor === null || called === null) return { type: 'media-open-failed', detail: 'no-anchor' };
  try {
    run.parts.bridge.join(caller, called, anchor);
    await timed(run, 'open-media', run.parts.bounds.connectMs, anchor.open());
    return { type: 'media-opened' };
  } catch (error) {
    return { type: 'media-open-failed', detail: failed(run, 'open-media', error) };
  }
};

export const watch = (run: CallRun, decision: Connectable): void => {
  const { policy } = run.parts;
  const limit = decision.verdict === 'private' ? policy.maxPrivateCallMs : policy.maxCallMs;
  run.after(limit, { type: 'time-limit-reached' });
  run.armed?.watch((code) => {
    alarm(run, 'recording-lost', code);
    run.feed({ type: 'recording-lost', detail: code });
  });
};
