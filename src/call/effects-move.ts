import type { CallEvent } from '../core/call.js';
import type { Private } from '../core/decision.js';
import { alarm, closing, failed, noteDown, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import { endEars } from './listen-in.js';
import { mediaEnding } from './media-ending.js';
import type { CalledLeg, Joining } from './ports.js';
import { sealWhatThereIs } from './seal.js';
import type { SpokenPrivateAnchor } from './talk.js';

/** A call whose number became privileged while it was recorded (design I5). */

/** The recording stops at once, and the two do not hear each other until the call is where nothing can record it. */
export const stopRecording = async (run: CallRun): Promise<CallEvent> => {
  const { armed, recorded, parts } = run;
  if (armed === null || recorded === null) return { type: 'recording-stop-failed', detail: 'no-recording' };
  // All at once, and none waits for another's failure: each protects by itself.
  const stop = timed(
    run,
    'stop-recording',
    parts.bounds.armMs,
    begun(() => armed.stop()),
  );
  const shut = withDeadline(
    'stop-recording',
    parts.bounds.armMs,
    begun(() => recorded.shut()),
  );
  const deaf = withDeadline('stop-recording', parts.bounds.armMs, endEars(run));
  const [stopped, ...others] = await Promise.allSettled([stop, shut, deaf]);
  if (stopped.status === 'rejected') alarm(run, 'recording-goes-on', codeOf(stopped.reason));
  for (const one of [stopped, ...others]) {
    if (one.status === 'rejected') {
      return { type: 'recording-stop-failed', detail: failed(run, 'stop-recording', one.reason) };
    }
  }
  return { type: 'recording-stopped' };
};

/** A throw becomes a rejection, so that what was begun beside it is waited for. */
const begun = async <T>(work: () => Promise<T>): Promise<T> => work();

/** To a private node, by re-INVITE of both. The media stays shut: the step opens it when both were told. */
export const moveMedia = async (run: CallRun, decision: Private): Promise<CallEvent> => {
  const { recorded, joined, called } = run;
  if (recorded === null || joined === null || called === null) {
    return { type: 'media-move-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  }
  const release = (anchor: SpokenPrivateAnchor): void =>
    void closing(run, 'release-media', async () => void (await anchor.release()));
  let made: SpokenPrivateAnchor | null = null;
  try {
    made = await anchorThere(run, decision, joined, release);
    await takeBothThere(run, decision, made, joined, called);
    run.anchor = made;
    run.record.node = made.node;
    run.cameTo(made.node);
    noteDown(run, 'node', { node: made.node });
  } catch (error) {
    if (made !== null) release(made);
    failed(run, 'move-media', error);
    return { type: 'media-move-failed', ending: mediaEnding(error, 'called-media-unusable') };
  }
  await closing(run, 'release-media', async () => void (await recorded.release()));
  run.released(recorded);
  await sealWhatThereIs(run, recorded);
  return { type: 'media-moved' };
};

const anchorThere = async (
  run: CallRun,
  decision: Private,
  joined: Joining,
  release: (anchor: SpokenPrivateAnchor) => void,
): Promise<SpokenPrivateAnchor> => {
  const { bounds, media } = run.parts;
  await withDeadline('move-media', bounds.moveMs, joined.pause());
  // Text moves where both agreed to it; what one of them offered in vain is not offered again.
  const text = run.anchor?.carriesText === true;
  const also = { text, between: run.between };
  const anchoring = media.anchorPrivate(run.callId, decision, joined.heard().caller, also);
  return withDeadline('move-media', bounds.anchorMs, anchoring, release);
};

const takeBothThere = async (
  run: CallRun,
  decision: Private,
  anchor: SpokenPrivateAnchor,
  joined: Joining,
  called: CalledLeg,
): Promise<void> => {
  const { bounds } = run.parts;
  anchor.onLost((why) => run.feed({ type: 'node-lost', detail: why }));
  anchor.onSilent?.((why) => run.feed({ type: 'media-silent', detail: why }));
  const answering = anchor.answer(decision, joined.heard().called);
  const forCaller = await withDeadline('move-media', bounds.armMs, answering);
  const caller = async (): Promise<void> => anchor.readdress('caller', await run.caller.reinvite(forCaller));
  const other = async (): Promise<void> =>
    anchor.readdress('called', await called.reinvite(anchor.offerForCalled));
  await timed(run, 'move-media', bounds.moveMs, Promise.all([caller(), other()]));
  joined.move(anchor);
  joined.resume();
};
