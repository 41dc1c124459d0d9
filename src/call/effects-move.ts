import type { CallEvent } from '../core/call.js';
import type { Private } from '../core/decision.js';
import { alarm, closing, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import { endEars } from './listen-in.js';
import { mediaEnding } from './media-ending.js';
import { sealWhatThereIs } from './seal.js';
import type { SpokenPrivateAnchor } from './talk.js';

/** A call whose number became privileged while it was recorded (design I5). */

/** The recording stops at once, and the two do not hear each other until the call is where nothing can record it. */
export const stopRecording = async (run: CallRun): Promise<CallEvent> => {
  const { armed, recorded, record } = run;
  if (record.decision?.verdict === 'monitored') run.becoming = record.decision;
  if (armed === null || recorded === null) return { type: 'recording-stop-failed', detail: 'no-recording' };
  try {
    // Whoever listens hears nothing more from here on.
    const deaf = endEars(run);
    const shut = recorded.shut();
    await timed(run, 'stop-recording', run.parts.bounds.armMs, armed.stop());
    await withDeadline('stop-recording', run.parts.bounds.armMs, Promise.all([shut, deaf]));
    return { type: 'recording-stopped' };
  } catch (error) {
    alarm(run, 'recording-goes-on', codeOf(error));
    return { type: 'recording-stop-failed', detail: failed(run, 'stop-recording', error) };
  }
};

/** To a private node, by re-INVITE of both. The media stays shut: the step opens it when both were told. */
export const moveMedia = async (run: CallRun, decision: Private): Promise<CallEvent> => {
  const { recorded, joined, called } = run;
  if (recorded === null || joined === null || called === null) {
    return { type: 'media-move-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  }
  let made: SpokenPrivateAnchor | null = null;
  const release = (anchor: SpokenPrivateAnchor): void =>
    void closing(run, 'release-media', async () => void (await anchor.release()));
  try {
    await withDeadline('move-media', run.parts.bounds.moveMs, joined.pause());
    const heard = joined.heard();
    const anchoring = run.parts.media.anchorPrivate(run.callId, decision, heard.caller);
    made = await withDeadline('move-media', run.parts.bounds.anchorMs, anchoring, release);
    const anchor = made;
    const forCaller = await withDeadline(
      'move-media',
      run.parts.bounds.armMs,
      anchor.answer(decision, heard.called),
    );
    const both = Promise.all([
      run.caller.reinvite(forCaller).then((answer) => anchor.readdress('caller', answer)),
      called.reinvite(anchor.offerForCalled).then((answer) => anchor.readdress('called', answer)),
    ]);
    await timed(run, 'move-media', run.parts.bounds.moveMs, both);
    joined.move(anchor);
    joined.resume();
    anchor.onLost((why) => run.feed({ type: 'node-lost', detail: why }));
    run.anchor = anchor;
    run.record.node = anchor.node;
    run.record.decision = decision;
    await sealWhatThereIs(run, recorded);
    return { type: 'media-moved' };
  } catch (error) {
    if (made !== null && run.anchor !== made) release(made);
    return { type: 'media-move-failed', ending: mediaEnding(error, 'called-media-unusable') };
  }
};
