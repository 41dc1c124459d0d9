import type { Subject } from './stack.js';

type Name = Subject['name'];

/** Rounds of rates that several subjects climb in turn. */
export interface Climb {
  readonly rounds: number;
  /** Rates at which all subjects are compared, in calls a second. */
  readonly rates: readonly number[];
  /** Further rates of each, climbed until one fails. */
  readonly ladder: Readonly<Record<Name, readonly number[]>>;
  /** Rates Sallyport is loaded with though it was not clean at a lower one: a goal is set for them. */
  readonly anyway: readonly number[];
  /** Seconds of load at a rate. */
  readonly seconds: (rate: number, subject: Name) => number;
  /** Load before the first round, in slices, so that one can see that a call's CPU no longer falls. */
  readonly warmUp: { readonly perSecond: number; readonly seconds: number; readonly slices: number };
  readonly holdMs: number;
  /** No further rung is begun after this time; each round has its share of it for the ladder. */
  readonly budgetMs: number;
}

export interface Plan extends Climb {
  /** How long to wait after the last round, so that every transaction is forgotten (RFC 3261: up to 64·T1); 0 for not. */
  readonly forgetMs: number;
  /** Calls held for the memory they take, three times as many in the end; 0 for none. */
  readonly heldCalls: number;
  /** Bursts on a cold process, each with processes of its own; 0 for none. */
  readonly bursts: number;
  /** The comparison without media; null for none. */
  readonly policy: Climb | null;
}

/** The rate the goals for CPU and latency are set for. */
export const goalRate = 300;

/** Enough calls for a 99th percentile, and for a call's CPU to be more than a few ticks of the clock it is read from. */
const secondsFor = (rate: number, subject: Name): number => {
  if (subject === 'direct') return 1;
  return Math.max(1.5, (rate >= 100 ? 500 : 300) / rate);
};

const noLadder = { direct: [], plain: [], kamailio: [], before: [], full: [] };
/** A call of ours cost a third less after 1,400 calls than in the first 200, and no less after that (200 a slice, 25/s). */
const warmUp = { perSecond: 75, seconds: 4, slices: 5 };

/** Without media far more is clean, and a call is hung up sooner: nobody's sound is waited for. */
export const policyClimb: Climb = {
  rounds: 3,
  rates: [100, goalRate],
  ladder: {
    direct: [1200, 2000],
    plain: [200, 400, 600, 800],
    kamailio: [600, 800, 1200, 1600, 2000, 2500],
    before: [],
    full: [50, 75, 150, 200, 250, 400, 600, 800, 1200, 1600, 2000],
  },
  anyway: [goalRate],
  seconds: secondsFor,
  warmUp,
  holdMs: 500,
  budgetMs: 270_000,
};

export const wholePlan: Plan = {
  rounds: 3,
  rates: [50, 100, goalRate],
  ladder: {
    direct: [],
    plain: [600],
    kamailio: [400, 600, 800],
    before: [400, 600],
    full: [75, 125, 150, 200, 250, 400, 500, 600, 800],
  },
  anyway: [goalRate],
  seconds: secondsFor,
  warmUp,
  holdMs: 1000,
  budgetMs: 300_000,
  forgetMs: 34_000,
  heldCalls: 300,
  bursts: 3,
  policy: policyClimb,
};

export const quickPlan: Plan = {
  rounds: 3,
  rates: [50, 100],
  ladder: noLadder,
  anyway: [],
  seconds: () => 1,
  warmUp: { perSecond: 100, seconds: 1, slices: 1 },
  holdMs: 400,
  budgetMs: 40_000,
  forgetMs: 0,
  heldCalls: 0,
  bursts: 0,
  policy: null,
};

/** A minute or so of the comparison without media: whether it runs, not what it shows. */
export const quickPolicyClimb: Climb = {
  ...policyClimb,
  rates: [50, 100],
  ladder: { ...noLadder, full: [75, 150], kamailio: [400], plain: [200] },
  seconds: () => 1,
  warmUp: { perSecond: 50, seconds: 2, slices: 2 },
  budgetMs: 60_000,
};

/** One rate alone. */
export const planForRate = (rate: number): Plan => ({
  ...quickPlan,
  rates: [rate],
  seconds: () => Math.max(3, 300 / rate),
  warmUp,
  holdMs: 1000,
  budgetMs: 150_000,
});
