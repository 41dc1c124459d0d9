import type { CallEvent, Effect } from '../core/call.js';
import type { CallRun } from './call-run.js';
import { anchor, answerMedia, arm, connectCaller, dial, openMedia, watch } from './effects-connect.js';
import { journalDecision, lookUpAndDecide, readyRecorder } from './effects-decide.js';
import { closing, inspectSpool, releaseMedia, writeCdr } from './effects-end.js';

/**
 * The effects of a call, each answered by its event or events. A failure, an exception or a missed deadline is
 * answered by the effect's own failing event: none of them can look like success.
 */
export const carryOut = async (run: CallRun, effect: Effect): Promise<readonly CallEvent[]> => {
  switch (effect.type) {
    case 'look-up-and-decide':
      return one(await lookUpAndDecide(run));
    case 'journal-decision':
      return one(await journalDecision(run));
    case 'ready-recorder':
      return one(await readyRecorder(run));
    case 'anchor':
      return one(await anchor(run, effect.decision));
    case 'dial':
      return one(await dial(run, effect.decision));
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
    case 'cancel-dial':
      run.dialling?.cancel();
      return [];
    case 'refuse-caller':
      await closing(run, effect.type, run.caller.refuse(effect.ending));
      return [{ type: 'caller-closed' }];
    case 'hang-up-caller':
      await closing(run, effect.type, run.caller.hangUp(effect.ending));
      return [{ type: 'caller-closed' }];
    case 'hang-up-called':
      if (run.called !== null) await closing(run, effect.type, run.called.hangUp(effect.ending));
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

const one = (event: CallEvent): readonly CallEvent[] => [event];
