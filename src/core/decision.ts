import type { NonEmpty } from './brand.js';
import type { EndingCode } from './ending.js';
import type { EpochRef, PrivilegedClass } from './lists.js';
import type { NumberKey } from './number.js';
import type { PolicyVersion } from './policy.js';
import type { Reason } from './reason.js';

// Decisions are made by decide() alone: the mark is not exported by this folder's users, so neither a literal nor a
// spread of another decision type-checks as a Monitored elsewhere. It names the verdict, for a spread carries the mark
// of what was spread: `{ ...aPrivate, verdict: 'monitored' }` bears that of a private call.
declare const decided: unique symbol;

interface Decided<V extends string> {
  readonly [decided]: V;
  readonly verdict: V;
  readonly reasons: NonEmpty<Reason>;
  readonly epoch: EpochRef | null;
  readonly policy: PolicyVersion;
}

/** The call may be connected, and only with a recording proved to run. */
export interface Monitored extends Decided<'monitored'> {
  readonly key: NumberKey;
}

/** The call may be connected, and only on a media node that cannot record. */
export interface Private extends Decided<'private'> {
  readonly key: NumberKey;
  /** 'code-call': a call of our own that tells a code, to a number that need not be privileged. */
  readonly class: PrivilegedClass | 'code-call';
}

/** The call is not connected. `ending` names the row of the endings table that tells the caller. */
export interface Refused extends Decided<'refused'> {
  readonly ending: EndingCode;
  /** True where staff must be told at once (an emergency number was dialled). */
  readonly alarm: boolean;
}

export type Connectable = Monitored | Private;
export type Decision = Connectable | Refused;
export type Verdict = Decision['verdict'];

type Unmarked<D> = D extends Decided<string> ? Omit<D, typeof decided> : never;

/**
 * The privileged class a refusal speaks of: the number is privileged, and something else forbids the call. Null for
 * every other decision.
 */
export const privilegedIn = (decision: Decision): string | null => {
  if (decision.verdict !== 'refused') return null;
  return decision.reasons.find(({ code }) => code.startsWith('privileged-'))?.detail ?? null;
};

/** Marks a decision as made. For decide.ts only: the architecture test refuses any other caller. */
export const asDecided = <D extends Decision>(plain: Unmarked<D>): D => Object.freeze(plain) as unknown as D;
