import type { WallMs } from '../core/leg.js';
import type { CanaryKind } from './facts.js';
import type { CanaryVerdict } from './judge.js';

/** Whether a facility's recording is armed, and what its test calls have shown. Kept over restarts. */
export interface FacilityState {
  readonly recording: 'armed' | 'disarmed';
  /** Why it is disarmed: `privileged: recorded`, `silent`. Null while it is armed. */
  readonly why: string | null;
  readonly since: WallMs;
  /** From when silence is counted: the last set that passed, an operator's word, or the first start. */
  readonly countedFrom: WallMs;
  readonly passedAt: WallMs | null;
  /** Sets in a row that failed or could not be made. */
  readonly missed: number;
}

export interface ArmingRules {
  readonly everyMs: number;
  readonly retryMs: number;
  readonly retries: number;
  readonly maxSilentMs: number;
}

export interface CanaryResult {
  readonly kind: CanaryKind;
  readonly verdict: CanaryVerdict;
}

export interface Judged {
  readonly state: FacilityState;
  readonly change: 'armed' | 'disarmed' | null;
  readonly alarms: readonly {
    readonly alarm: 'canary-failed' | 'canary-unknown' | 'canary-silent';
    readonly detail: string;
  }[];
  /** When the next set is due, in ms from now. */
  readonly nextMs: number;
}

export const freshState = (now: WallMs): FacilityState => ({
  recording: 'armed',
  why: null,
  since: now,
  countedFrom: now,
  passedAt: null,
  missed: 0,
});

const disarmed = (state: FacilityState, why: string, now: WallMs): FacilityState =>
  state.recording === 'disarmed' ? { ...state, why } : { ...state, recording: 'disarmed', why, since: now };

export const disarmedAs = (why: string, now: WallMs): FacilityState => disarmed(freshState(now), why, now);

const changeOf = (before: FacilityState, after: FacilityState): Judged['change'] =>
  before.recording === after.recording ? null : after.recording;

/** Time that runs backwards says nothing of how long ago something was. */
const silentMs = ({ countedFrom }: FacilityState, now: WallMs): number =>
  Number.isFinite(now) ? now - countedFrom : Number.POSITIVE_INFINITY;

/** Looks at the time alone: at the start, and whenever a set brought nothing. */
export const whenSilent = (
  state: FacilityState,
  rules: ArmingRules,
  now: WallMs,
): Pick<Judged, 'state' | 'change' | 'alarms'> => {
  // Clocks are set back: then what was counted from lies in the future, and would never be over.
  const known = state.countedFrom > now ? { ...state, countedFrom: now } : state;
  if (known.recording === 'disarmed' || silentMs(known, now) <= rules.maxSilentMs) {
    return { state: known, change: null, alarms: [] };
  }
  const after = disarmed(known, 'silent', now);
  return {
    state: after,
    change: changeOf(known, after),
    alarms: [{ alarm: 'canary-silent', detail: 'silent' }],
  };
};

/**
 * What a set of test calls means. Any that failed disarms; all three passed, in one set, arm; anything else changes
 * nothing until it has been so for too long. `jitter` is from -1 to 1.
 */
export const afterSet = (
  state: FacilityState,
  results: readonly CanaryResult[],
  rules: ArmingRules,
  now: WallMs,
  jitter: number,
): Judged => {
  const everyMs = rules.everyMs * (1 + jitter / 10);
  const kinds = new Set(
    results.filter(({ verdict }) => verdict.outcome === 'passed').map(({ kind }) => kind),
  );
  const failed = results.filter(({ verdict }) => verdict.outcome === 'failed');
  if (failed.length === 0 && kinds.size === 3 && results.length === 3) {
    const passed: FacilityState = {
      recording: 'armed',
      why: null,
      since: state.recording === 'armed' ? state.since : now,
      countedFrom: now,
      passedAt: now,
      missed: 0,
    };
    return { state: passed, change: changeOf(state, passed), alarms: [], nextMs: everyMs };
  }
  const missed = Math.min(state.missed + 1, rules.retries + 1);
  const nextMs = missed > rules.retries ? everyMs : Math.min(rules.retryMs, everyMs);
  if (failed.length > 0) {
    const details = failed.map(({ kind, verdict }) => `${kind}: ${verdict.code}`);
    const after = { ...disarmed(state, details.join(', '), now), missed };
    const alarms = details.map((detail) => ({ alarm: 'canary-failed', detail }) as const);
    return { state: after, change: changeOf(state, after), alarms, nextMs };
  }
  const silent = whenSilent({ ...state, missed }, rules, now);
  const unknown = results
    .filter(({ verdict }) => verdict.outcome !== 'passed')
    .map(({ kind, verdict }) => `${kind}: ${verdict.code}`);
  const tried =
    missed > rules.retries
      ? [{ alarm: 'canary-unknown', detail: unknown.join(', ') || 'not-made' } as const]
      : [];
  return { ...silent, alarms: [...tried, ...silent.alarms], nextMs };
};

/** An operator's word: armed, and as long as after a set that passed. */
export const cleared = (state: FacilityState, now: WallMs): FacilityState => ({
  ...state,
  recording: 'armed',
  why: null,
  since: now,
  countedFrom: now,
  missed: 0,
});
