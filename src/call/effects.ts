import type { CallEvent, Effect } from '../core/call.js';
import { closing } from './bounded.js';
import type { CallRun } from './call-run.js';
import {
  anchor,
  answerMedia,
  arm,
  cancelDial,
  connectCaller,
  dial,
  greetCaller,
  openMedia,
} from './effects-connect.js';
import { journalDecision, lookUpAndDecide, readyRecorder } from './effects-decide.js';
import { inspectSpool, releaseMedia, writeCdr } from './effects-end.js';
import { moveMedia, stopRecording } from './effects-move.js';
import { askPin, receiveCaller } from './effects-receive.js';
import { keepAnswer, keepClaim, withdrawClaim } from './keep.js';
import { answerRedirect } from './other-party.js';
import { awaitKey, holdCaller, interlude, say, sayFarewell, tell } from './speak.js';
import { watch } from './watch.js';

/**
 * The effects of a call, each answered by its event or events. A failure, an exception or a missed deadline is
 * answered by the effect's own failing event: none of them can look like success.
 */
export const carryOut = async (run: CallRun, effect: Effect): Promise<readonly CallEvent[]> => {
  switch (effect.type) {
    case 'look-up-and-decide':
      return one(await lookUpAndDecide(run));
    case 'journal-decision':
      return one(await journalDecision(run, effect.decision));
    case 'ready-recorder':
      return one(await readyRecorder(run));
    case 'anchor':
      return one(await anchor(run, effect.decision));
    case 'dial':
      return dial(run, effect.decision);
    case 'ring-caller':
      run.caller.ring();
      return [];
    case 'arm':
      return one(await arm(run, effect.decision));
    case 'answer-media':
      return one(await answerMedia(run, effect.decision));
    case 'connect-caller':
      return one(await connectCaller(run));
    case 'open-media':
      return one(await openMedia(run));
    case 'watch':
      watch(run, effect.decision);
      return [];
    case 'receive-caller':
      return one(await receiveCaller(run));
    case 'ask-pin':
      return one(await askPin(run, effect));
    case 'claim-private':
      run.leg = { ...run.leg, claimsPrivate: true };
      return [];
    case 'withdraw-claim':
      return one(await withdrawClaim(run));
    case 'keep-claim':
      keepClaim(run);
      return [];
    case 'keep-answer':
      keepAnswer(run, effect.answer);
      return [];
    case 'greet-caller':
      return one(await greetCaller(run));
    case 'hold-caller':
      holdCaller(run, effect);
      return [];
    case 'say':
      return say(run, effect);
    case 'await-key':
      awaitKey(run, effect);
      return [];
    case 'tell':
      return one(await tell(run, effect));
    case 'interlude':
      return interlude(run, effect);
    case 'stop-recording':
      return one(await stopRecording(run));
    case 'move-media':
      return one(await moveMedia(run, effect.decision));
    case 'follow-redirect':
      answerRedirect(run, effect.decision);
      return [];
    case 'refuse-redirect':
      answerRedirect(run, null);
      return [];
    case 'note-other-party':
      noteOther(run, effect);
      return [];
    case 'say-farewell':
      return one(await sayFarewell(run, effect));
    case 'cancel-dial':
      cancelDial(run);
      return [];
    case 'refuse-caller':
      await closing(run, effect.type, () => run.caller.refuse(effect.ending));
      return [{ type: 'caller-closed' }];
    case 'hang-up-caller':
      await closing(run, effect.type, () => run.caller.hangUp(effect.ending));
      return [{ type: 'caller-closed' }];
    case 'hang-up-called':
      await closing(run, effect.type, async () => run.called?.hangUp(effect.ending));
      return [{ type: 'called-closed' }];
    case 'release-media':
      return one(await releaseMedia(run));
    case 'inspect-spool':
      return one(await inspectSpool(run));
    case 'write-cdr':
      return one(await writeCdr(run, effect.ending));
    default: {
      const never: never = effect;
      return never;
    }
  }
};

const noteOther = (run: CallRun, { how, outcome }: Extract<Effect, { type: 'note-other-party' }>): void => {
  if (run.otherNow !== null) run.otherNow.outcome = outcome;
  run.parts.emit({ event: 'other-party', callId: run.callId, how, outcome });
};

const one = (event: CallEvent): readonly CallEvent[] => [event];

/**
 * What an effect that broke down comes to, so that nobody waits for its answer: `carryOut` answers its own failures,
 * and this is the net below it. A call whose ending waits for an answer that never comes would have no CDR.
 */
export const brokenDown = (effect: Effect, code: string): readonly CallEvent[] => {
  const fault: CallEvent = { type: 'fault', detail: code };
  const ending = { code: 'internal-error', detail: code } as const;
  switch (effect.type) {
    case 'look-up-and-decide':
    case 'ready-recorder':
    case 'ring-caller':
    case 'watch':
    case 'cancel-dial':
    case 'ask-pin':
    case 'claim-private':
    case 'keep-claim':
    case 'keep-answer':
    case 'hold-caller':
    case 'await-key':
    case 'follow-redirect':
    case 'refuse-redirect':
    case 'note-other-party':
      return [fault];
    case 'receive-caller':
      return [fault, { type: 'receive-failed', detail: code }];
    case 'withdraw-claim':
      return [fault, { type: 'journal-failed', detail: code }];
    case 'greet-caller':
      return [fault, { type: 'caller-connect-failed', detail: code }];
    case 'say':
      return [{ type: 'say-failed', turn: effect.turn, detail: code }];
    case 'tell':
      return [{ type: 'tell-failed', detail: code }];
    case 'interlude':
      return [{ type: 'interlude-failed', detail: code }];
    case 'stop-recording':
      return [fault, { type: 'recording-stop-failed', detail: code }];
    case 'move-media':
      return [fault, { type: 'media-move-failed', ending }];
    case 'say-farewell':
      return [{ type: 'farewell-said' }];
    case 'journal-decision':
      return [fault, { type: 'journal-failed', detail: code }];
    case 'anchor':
      return [fault, { type: 'anchor-failed', ending }];
    case 'dial':
      return [fault, { type: 'dial-failed', ending }];
    case 'arm':
      return [fault, { type: 'arm-failed', ending }];
    case 'answer-media':
      return [fault, { type: 'media-answer-failed', ending }];
    case 'connect-caller':
      return [fault, { type: 'caller-connect-failed', detail: code }];
    case 'open-media':
      return [fault, { type: 'media-open-failed', detail: code }];
    case 'refuse-caller':
    case 'hang-up-caller':
      return [{ type: 'caller-closed' }];
    case 'hang-up-called':
      return [{ type: 'called-closed' }];
    case 'release-media':
      return [{ type: 'media-released' }];
    case 'inspect-spool':
      return [{ type: 'spool-inspected' }];
    case 'write-cdr':
      return [{ type: 'cdr-written' }];
    default: {
      const never: never = effect;
      return never;
    }
  }
};
