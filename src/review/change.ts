import type { Verdict } from './past-decision.js';
import { sameVerdict } from './replay.js';

/** What a replay can come to that differs from what happened, the gravest first. */
export const changeTexts = {
  'private-recorded': 'private then, WOULD BE RECORDED now',
  'private-undetermined': 'private then, no longer privileged; whether it would be recorded cannot be told',
  'private-unprotected':
    'private then, no longer privileged: would be refused, until somebody allows the number',
  'recording-forbidden': 'monitored then, privileged now: the recording should never have been made',
  'now-refused': 'connected then, would be refused now',
  'now-recorded': 'refused then, would be connected and recorded now',
  'now-private': 'refused then, would be connected in private now',
  'other-class': 'private then and now, as another class',
  'other-reason': 'the same outcome, for another reason',
} as const;
export type Change = keyof typeof changeTexts;
export const changes = Object.keys(changeTexts) as readonly Change[];

/** The change from one verdict to the other; null where there is none. */
export const changeOf = (was: Verdict, now: Verdict): Change | null => {
  if (sameVerdict(was, now)) return null;
  // A refusal that speaks of a privileged number is of a number that was protected.
  if (was.protected && !now.protected) {
    return now.verdict === 'monitored' ? 'private-recorded' : 'private-unprotected';
  }
  if (was.verdict === 'monitored' && now.protected) return 'recording-forbidden';
  if (was.verdict === now.verdict) return was.class === now.class ? 'other-reason' : 'other-class';
  if (now.verdict === 'refused') return 'now-refused';
  return now.verdict === 'private' ? 'now-private' : 'now-recorded';
};
