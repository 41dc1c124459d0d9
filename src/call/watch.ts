import type { Connectable } from '../core/decision.js';
import { maxCallMs } from '../core/policy.js';
import { alarm } from './bounded.js';
import type { CallRun } from './call-run.js';

/** Warnings before the time is over, for calls long enough to have one. */
const warnings = [
  { left: 'minute', ms: 60_000 },
  { left: 'ten-seconds', ms: 10_000 },
] as const;

/** Signs of a third party that are kept of one call. */
const maxSigns = 32;

/**
 * Watches a call that is up: its time, its recording, and what its recording sounds like. Called again when a call
 * became private, whose time is another and is counted from the same beginning.
 */
export const watch = (run: CallRun, decision: Connectable): void => {
  for (const stop of run.watching.splice(0)) stop();
  const { 'open-media': opened } = run.record.times;
  const gone = opened === undefined ? 0 : Math.max(0, run.elapsed() - opened);
  const { text: phone } = run.parts.surroundings.of(run.leg, run.parts.clock.wall());
  // Typed conversations take longer than spoken ones, whoever's phone it was that could not be configured as one.
  const text = phone || run.anchor?.carriesText === true;
  const left = Math.max(0, maxCallMs(decision, text, run.parts.policy) - gone);
  run.watching.push(run.after(left, () => run.feed({ type: 'time-limit-reached' })));
  for (const warning of warnings) {
    // A call that is shorter than its warning needs none: it was told at its beginning.
    if (left <= warning.ms) continue;
    const feed = (): void => run.feed({ type: 'time-warning', left: warning.left });
    run.watching.push(run.after(left - warning.ms, feed));
  }
  if (decision.verdict !== 'monitored') return;
  const { armed } = run;
  // A recording that is to stop, or was left behind, is not lost, and what it sounds like is nobody's business.
  const isRecorded = (): boolean => run.armed === armed && run.becoming === null;
  armed?.watch((code) => {
    if (!isRecorded()) return;
    alarm(run, 'recording-lost', code);
    run.feed({ type: 'recording-lost', detail: code });
  });
  let acted = false;
  armed?.observe((evidence) => {
    if (!isRecorded()) return;
    run.record.threeWay = {
      score: Math.round(evidence.score),
      // The newest: a long call's row must stay within the journal's bound.
      signs: evidence.signs
        .slice(-maxSigns)
        .map(({ sign, party, atMs }) => ({ sign, party, atMs: Math.round(atMs) })),
    };
    const { score } = evidence;
    run.parts.emit({
      event: 'three-way-suspected',
      callId: run.callId,
      score: Math.round(score),
      signs: evidence.signs.slice(-maxSigns).map(({ sign }) => sign),
    });
    // Told once, at the score it counts from: a warning at each further sign would be no conversation any more. One
    // that came while something else was being said is told again.
    if (acted || !(score >= run.parts.policy.threeWayScore)) return;
    const before = run.state;
    run.feed({ type: 'three-way-suspected', score });
    acted = run.state !== before;
  });
};
