/** How much one subject (a caller, a number, a phone) has used. */
export interface Used {
  /** Calls up or being set up, this one not counted. */
  readonly concurrent: number;
  /** Calls that were connected within the window for velocity. */
  readonly recent: number;
  /** Since the last connected call ended, in ms; null where none within a day did. */
  readonly idleMs: number | null;
}

export interface Usage {
  /** 'shared': counted for all controllers. 'alone': Redis is lost, and this is what this process knows. */
  readonly state: 'shared' | 'alone';
  /** Null where the call has no identity (a hotline, or a caller nobody identified). */
  readonly caller: Used | null;
  readonly number: Used;
  readonly phone: Used | null;
}

const nothing: Used = { concurrent: 0, recent: 0, idleMs: null };
export const noUsage: Usage = { state: 'shared', caller: nothing, number: nothing, phone: null };

/** How much each subject may use. Every number is "fewer than": 0 forbids all. */
export interface Limits {
  readonly concurrent: { readonly caller: number; readonly number: number; readonly phone: number };
  /** Connected calls within the window. */
  readonly recent: { readonly caller: number; readonly number: number; readonly phone: number };
  /** How long a caller waits after a call, in ms. */
  readonly coolDownMs: number;
}

export const subjects = ['caller', 'number', 'phone'] as const;
export type Subject = (typeof subjects)[number];

export type Excess =
  | { readonly limit: 'concurrent'; readonly subject: Subject }
  | { readonly limit: 'recent'; readonly subject: Subject }
  | { readonly limit: 'cool-down'; readonly subject: 'caller' };

const lower = (one: Limits, other: Limits): Limits => {
  const least = (kind: 'concurrent' | 'recent') => ({
    caller: Math.min(one[kind].caller, other[kind].caller),
    number: Math.min(one[kind].number, other[kind].number),
    phone: Math.min(one[kind].phone, other[kind].phone),
  });
  return {
    concurrent: least('concurrent'),
    recent: least('recent'),
    coolDownMs: Math.max(one.coolDownMs, other.coolDownMs),
  };
};

/**
 * The first limit this usage is at, or null. `alone` holds besides where Redis is lost: a count that only one
 * process knows is too low, so the bound must be too. A number that is none (NaN) is over every limit.
 */
export const excessOf = (usage: Usage, limits: Limits, alone: Limits): Excess | null => {
  const bound = usage.state === 'shared' ? limits : lower(limits, alone);
  for (const subject of subjects) {
    const used = usage[subject];
    if (used === null) continue;
    if (!(used.concurrent < bound.concurrent[subject])) return { limit: 'concurrent', subject };
    if (!(used.recent < bound.recent[subject])) return { limit: 'recent', subject };
  }
  const idle = usage.caller?.idleMs ?? null;
  if (idle !== null && !(idle >= bound.coolDownMs)) return { limit: 'cool-down', subject: 'caller' };
  return null;
};
