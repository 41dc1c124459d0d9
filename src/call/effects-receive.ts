import type { CallEvent, Effect, Speech } from '../core/call.js';
import type { PromptId } from '../core/prompt.js';
import { closing, failed, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { withDeadline } from './deadline.js';
import { noteCaller } from './effects-connect.js';
import { listen } from './hear.js';
import { PinPad } from './pin-pad.js';
import { speak } from './speak.js';
import type { LobbyAnchor, PinAnswer } from './talk.js';

/** Answers the caller in the lobby, on a node that cannot record: nothing has been decided yet. */
export const receiveCaller = async (run: CallRun): Promise<CallEvent> => {
  const { media, bounds } = run.parts;
  const release = (made: LobbyAnchor): void => {
    void closing(run, 'release-media', async () => void (await made.release()));
  };
  let lobby: LobbyAnchor | null = null;
  try {
    lobby = await withDeadline(
      'receive-caller',
      bounds.anchorMs,
      media.anchorLobby(run.callId, run.caller.offer, { between: run.between }),
      release,
    );
    run.cameTo(lobby.node);
    lobby.onLost((why) => run.feed({ type: 'node-lost', detail: why }));
    const answer = await withDeadline('receive-caller', bounds.anchorMs, lobby.receive());
    const late = (): void =>
      void closing(run, 'hang-up-caller', () => run.caller.hangUp({ code: 'internal-error' }));
    await timed(run, 'receive-caller', bounds.connectMs, run.caller.connect(answer), late);
    noteCaller(run);
    run.answerForCaller = answer;
    run.lobby = lobby;
    run.record.answered = true;
    listen(run);
    return { type: 'received' };
  } catch (error) {
    if (lobby !== null) release(lobby);
    return { type: 'receive-failed', detail: failed(run, 'receive-caller', error) };
  }
};

/** Asks once for the caller's number and PIN. What was keyed in goes to the check and is gone. */
export const askPin = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'ask-pin' }>,
): Promise<CallEvent> => {
  const { entered, unasked } = await enter(run, effect);
  if (unasked !== null) return { type: 'pin-unasked', detail: unasked };
  if (entered === null) return { type: 'pin-checked', outcome: again(run, 'incomplete'), language: null };
  const answer = await check(run, entered);
  switch (answer.state) {
    case 'known':
      run.leg = { ...run.leg, caller: answer.caller };
      return { type: 'pin-checked', outcome: 'known', language: answer.language };
    case 'wrong':
      return { type: 'pin-checked', outcome: again(run, 'wrong'), language: null };
    case 'locked':
      return { type: 'pin-checked', outcome: 'locked', language: null };
    case 'unknown':
      return { type: 'pin-checked', outcome: 'unknown', language: null };
    default: {
      const never: never = answer;
      return never;
    }
  }
};

const again = (run: CallRun, why: 'wrong' | 'incomplete'): 'wrong' | 'incomplete' => {
  run.pinWrong = why;
  return why;
};

/** What was keyed in, if anything, or why the caller could not be asked. */
interface Entry {
  readonly entered: string | null;
  readonly unasked: string | null;
}

const enter = (run: CallRun, effect: Extract<Effect, { type: 'ask-pin' }>): Promise<Entry> =>
  new Promise((resolve) => {
    const hush = (): void => void hushed(run);
    const pad = new PinPad((digits) => {
      if (run.pinPad === pad) run.pinPad = null;
      resolve({ entered: digits, unasked: null });
    }, hush);
    run.pinPad = pad;
    const first: PromptId =
      run.pinWrong === null ? 'pin-ask' : run.pinWrong === 'wrong' ? 'pin-wrong' : 'pin-incomplete';
    const ids: readonly PromptId[] = run.pinWrong === 'wrong' ? [first, 'pin-ask'] : [first];
    const clips = ids.map((id) => ({ kind: 'prompt', id }) as const);
    void asked(run, { clips, language: effect.language }).then((unasked) => {
      // Who has begun to key in knows what is asked for, heard or not.
      if (unasked === null || pad.isTouched) {
        pad.begin();
        return;
      }
      resolve({ entered: null, unasked });
      pad.close();
    });
  });

/** Never rejects: null where the question was heard to its end, else the code of why not. */
const asked = async (run: CallRun, speech: Speech): Promise<string | null> => {
  try {
    return (await speak(run, 'ask-pin', 'caller', speech)) === 'said' ? null : 'hushed';
  } catch (error) {
    return failed(run, 'ask-pin', error);
  }
};

/** Never rejects: a prompt that goes on is no reason not to take the key that was to end it. */
const hushed = async (run: CallRun): Promise<void> => {
  try {
    await run.voice?.hush('caller');
  } catch (error) {
    failed(run, 'ask-pin', error);
  }
};

const check = async (run: CallRun, digits: string): Promise<PinAnswer> => {
  try {
    const work = run.parts.callers.check(run.leg.origin, digits);
    return await withDeadline('ask-pin', run.parts.bounds.pinMs, work);
  } catch (error) {
    return { state: 'unknown', why: failed(run, 'ask-pin', error) };
  }
};
