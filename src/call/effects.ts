import type { CallEvent, Effect } from '../core/call.js';
import type { CallRun } from './call-run.js';
import {
  anchor,
  answerMedia,
  arm,
  cancelDial,
  connectCaller,
  dial,
  openMedia,
  watch,
} from './effects-connect.js';
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
      return [fault];
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
