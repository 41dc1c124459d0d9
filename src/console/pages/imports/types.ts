/** Imports as the API shows them. */

export type ListName = 'privileged' | 'allowed' | 'bookings' | 'blocked';

export interface ProfileShown {
  readonly name: string;
  readonly about: string;
  readonly list: ListName;
  readonly mode: 'full' | 'delta';
  readonly format: 'csv' | 'json';
}
export interface ListCounts {
  readonly standing: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  readonly unchanged: number;
}
export type GuardCode = 'share' | 'entries' | 'class-lost' | 'all-lost';
export interface ChangeCounts {
  readonly proposed: number;
  readonly waiting: number;
  readonly applied: number;
  readonly rejected: number;
  readonly withdrawn: number;
}
export type StateName =
  | 'receiving'
  | 'staging'
  | 'faulty'
  | 'staged'
  | 'compared'
  | 'applying'
  | 'applied'
  | 'undoing'
  | 'undone'
  | 'abandoned';
export type JobName = 'stage' | 'compare' | 'what-if' | 'apply' | 'approve' | 'reject' | 'undo';

export interface ImportShown {
  readonly id: string;
  readonly source: string;
  readonly profile: ProfileShown;
  readonly fileName: string;
  readonly maker: string;
  readonly madeAt: string;
  readonly state: StateName;
  readonly bytes: number;
  readonly received: number;
  readonly read: { readonly bytes: number; readonly rows: number };
  readonly errors: number;
  readonly warnings: number;
  readonly counts: {
    readonly lists: Readonly<Partial<Record<ListName, ListCounts>>>;
    readonly near: { readonly total: number };
    readonly steps: number;
  } | null;
  readonly guard: {
    readonly tripped: boolean;
    readonly why: readonly {
      readonly code: GuardCode;
      readonly list: ListName;
      readonly class: string | null;
      readonly lost: number;
      readonly of: number;
    }[];
    readonly acknowledgedBy: readonly string[];
    readonly needed: number;
  } | null;
  readonly whatIf: {
    readonly period: { readonly from: string; readonly to: string };
    readonly unavailable: string | null;
    readonly decisions: number;
    readonly replayed: number;
    readonly changed: Readonly<Record<string, number>> | null;
  } | null;
  readonly reason: string | null;
  readonly appliedBy: string | null;
  readonly undoneBy: string | null;
  readonly changes: { readonly done: ChangeCounts; readonly undone: ChangeCounts };
  readonly steps: { readonly proposed: number; readonly all: number };
  readonly job: {
    readonly what: JobName;
    readonly state: 'waiting' | 'running' | 'done' | 'failed';
    readonly done: number;
    readonly of: number | null;
    readonly code: string | null;
    readonly detail: string | null;
  } | null;
  readonly version: string;
}

export interface FaultShown {
  readonly nr: number;
  readonly line: number;
  readonly column: number | null;
  readonly field: string | null;
  readonly code: string;
  readonly detail: string;
  readonly otherLine: number | null;
  readonly fatal: boolean;
}
export interface StepShown {
  readonly nr: number;
  readonly what: 'added' | 'changed' | 'removed';
  readonly list: ListName;
  readonly key: string;
  readonly line: number | null;
  readonly needs: 'nobody' | 'one' | 'two';
  readonly change: string | null;
}
export interface NearShown {
  readonly nr: number;
  readonly line: number;
  readonly number: string;
  readonly near: string;
  readonly class: string;
  readonly why: string;
}
export interface PageOf<T> {
  readonly rows: readonly T[];
  readonly next: string | null;
}

export const isUnderWay = ({ job }: ImportShown): boolean =>
  job?.state === 'running' || job?.state === 'waiting';
