import type { WallMs } from '../core/leg.js';
import { inForce, type ListAnswers } from '../core/lists.js';
import type { Row } from './past-decision.js';

/**
 * What somebody may be told about their own number. Deliberately no more: not the class, not who called or how often,
 * nothing of any other number.
 */
export interface Protection {
  readonly answer: 'protected' | 'not-protected' | 'unknown';
  /** Why it is unknown; null otherwise. */
  readonly why: string | null;
  readonly since: Since | null;
  /** A protection that is entered and begins later. */
  readonly begins: WallMs | null;
  readonly last: LastDecision | null;
}

/**
 * 'entry': the beginning that was entered. 'calls': the entry has none, and every decision from this one on was
 * private; it may have been protected for longer.
 */
export interface Since {
  readonly by: 'entry' | 'calls';
  readonly at: WallMs;
}

export interface LastDecision {
  readonly at: string;
  readonly verdict: string;
}

/** What the journal knows of calls to one number: the last decision, and since when all were private. */
export class DecisionsOn {
  readonly #number: string;
  #last: LastDecision | null = null;
  #privateSince: string | null = null;

  /** `number` as numberKeyText writes it. */
  constructor(number: string) {
    this.#number = number;
  }

  take({ kind, at, body }: Row): void {
    if (kind !== 'decision' || body.other !== undefined || typeof body.verdict !== 'string') return;
    const dialled = body.dialled as { readonly number?: unknown } | null | undefined;
    if (dialled?.number !== this.#number) return;
    this.#last = { at, verdict: body.verdict };
    if (body.verdict === 'private') this.#privateSince ??= at;
    // A limit or a lockdown refuses a privileged number too; only a recording says that it was none.
    else if (body.verdict === 'monitored') this.#privateSince = null;
  }

  get last(): LastDecision | null {
    return this.#last;
  }

  get privateSince(): string | null {
    return this.#privateSince;
  }
}

/** The answer for one number, as the next call to it would be decided at that time. Unknown is never "no". */
export const protectionOf = (
  { privileged, snapshot }: Pick<ListAnswers, 'privileged' | 'snapshot'>,
  now: WallMs,
  decisions: Pick<DecisionsOn, 'last' | 'privateSince'>,
): Protection => {
  const entries = [privileged, snapshot].flatMap((answer) =>
    answer.state === 'listed' ? answer.entries : [],
  );
  const base = { why: null, since: null, begins: null, last: decisions.last };
  const standing = entries.filter((entry) => inForce(entry, now));
  if (standing.length > 0) {
    const begun = standing.map(({ validFrom }) => validFrom);
    const entered = begun.includes(null) ? null : (Math.min(...begun.map(Number)) as WallMs);
    const { privateSince } = decisions;
    const since: Since | null =
      entered !== null
        ? { by: 'entry', at: entered }
        : privateSince === null
          ? null
          : { by: 'calls', at: Date.parse(privateSince) as WallMs };
    return { ...base, answer: 'protected', since };
  }
  for (const answer of [privileged, snapshot]) {
    if (answer.state === 'unknown') return { ...base, answer: 'unknown', why: answer.why };
  }
  if (!Number.isFinite(now)) return { ...base, answer: 'unknown', why: 'clock' };
  const later = entries.flatMap(({ validFrom }) =>
    validFrom !== null && validFrom > now ? [validFrom] : [],
  );
  return {
    ...base,
    answer: 'not-protected',
    begins: later.length === 0 ? null : (Math.min(...later) as WallMs),
  };
};
