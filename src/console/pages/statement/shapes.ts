/** What the API answers about statements, and what of `statement.json` is shown (docs/statement.md). */

export interface Job {
  readonly id: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly period: { readonly from: string; readonly to: string };
  readonly facility: string | null;
  readonly by: string | null;
  readonly askedAt: string | null;
  readonly preview: boolean;
  /** Rows of journals read so far. */
  readonly rows: number;
  readonly code: string | null;
  readonly digests: Readonly<Record<string, string>>;
}

export interface Jobs {
  readonly rows: readonly Job[];
  readonly keyId: string | null;
}

export type Counts = Readonly<Record<string, number>>;
export type CountsOf = Readonly<Record<string, Counts>>;

export interface Statement {
  readonly period: { readonly from: string; readonly to: string };
  readonly facility: string | null;
  readonly version: string;
  readonly controllers: readonly {
    readonly node: string;
    readonly rows: number;
    readonly first: Place | null;
    readonly last: Place | null;
  }[];
  readonly calls: {
    readonly byVerdict: CountsOf;
    readonly byFacility: CountsOf;
    readonly reasons: CountsOf;
    readonly endings: CountsOf;
    readonly buckets: {
      readonly unit: 'day' | 'week' | 'month';
      readonly rows: readonly { readonly from: string; readonly counts: Counts }[];
    };
    readonly underWayAtEnd: number;
    readonly withoutRecord: Counts;
  };
  readonly privateCalls: { readonly byClass: CountsOf; readonly absence: CountsOf };
  readonly monitoredCalls: { readonly recordings: Counts; readonly withoutRecording: Counts };
  readonly incidents: { readonly counts: Counts };
  readonly alarms: Counts;
  readonly notKept: readonly { readonly what: string; readonly where: string }[];
}

interface Place {
  readonly seq: number;
  readonly hash: string;
  readonly at: string;
}

export const sumOf = (counts: Counts): number => Object.values(counts).reduce((sum, one) => sum + one, 0);

/** Counts of several things as one. */
export const together = (counts: CountsOf): Counts => {
  const all: Record<string, number> = {};
  for (const one of Object.values(counts))
    for (const [name, count] of Object.entries(one)) all[name] = (all[name] ?? 0) + count;
  return all;
};

/** `calls` of each: byVerdict and byClass count connected ones and their time beside it. */
export const callsOf = (counts: CountsOf): Counts =>
  Object.fromEntries(Object.entries(counts).map(([name, one]) => [name, one.calls ?? 0]));

/** A moment of UTC as statements have it: `2026-01-01`, and its time where that is not midnight. */
export const momentText = (at: string): string => {
  const [day = '', time = ''] = at.split('T');
  return time.startsWith('00:00:00') ? day : `${day} ${time.slice(0, 5)} UTC`;
};
