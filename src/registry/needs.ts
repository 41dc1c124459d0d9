import { covers, type StoredTarget } from './target.js';

/** What a change needs before it is done. */
export interface Needs {
  /** Other people who must agree, besides the one who proposed it. */
  readonly approvals: 0 | 1 | 2;
  /** From the last approval until it is done, in milliseconds: time in which somebody may notice. */
  readonly delayMs: number;
}

export interface Caution {
  /** How long a change waits that takes protection away. */
  readonly removalDelayMs: number;
}

/** A privileged entry, as far as it says what is protected and when. */
export interface Protection {
  readonly target: StoredTarget;
  readonly validFrom: Date | null;
  readonly validTo: Date | null;
  readonly effectiveFrom: Date | null;
}

/** One step of a change, with what it changes. */
export type Step =
  | { readonly op: 'privileged-amend'; readonly before: Protection; readonly after: Protection }
  | { readonly op: Exclude<StepName, 'privileged-amend'> };
export type StepName =
  | 'facility-put'
  | 'unit-put'
  | 'phone-put'
  | 'caller-put'
  | 'booking-open'
  | 'booking-move'
  | 'booking-close'
  | 'allow-add'
  | 'allow-remove'
  | 'block-add'
  | 'block-remove'
  | 'privileged-add'
  | 'privileged-amend'
  | 'privileged-remove'
  | 'pending-add'
  | 'pending-settle';

const start = (time: Date | null): number => time?.getTime() ?? Number.NEGATIVE_INFINITY;
const end = (time: Date | null): number => time?.getTime() ?? Number.POSITIVE_INFINITY;

/** Whether anything that was protected at any time is so no more. */
export const narrows = (before: Protection, after: Protection): boolean =>
  !covers(after.target, before.target) ||
  start(after.validFrom) > start(before.validFrom) ||
  end(after.validTo) < end(before.validTo) ||
  effective(after) > effective(before);

/** Recordings are sealed from here on: what the law says, and where it says nothing, the beginning of the entry. */
const effective = ({ effectiveFrom, validFrom }: Protection): number => start(effectiveFrom ?? validFrom);

/**
 * What one step needs. What protects or closes is done at once, what opens needs a second person, and what takes
 * protection away needs two and time: each of the great failures was a protection that one person, or a program, could
 * take away unseen (facts: field, section 2).
 */
export const needsOf = (step: Step, caution: Caution): Needs => {
  const atOnce: Needs = { approvals: 0, delayMs: 0 };
  const second: Needs = { approvals: 1, delayMs: 0 };
  const removal: Needs = { approvals: 2, delayMs: caution.removalDelayMs };
  switch (step.op) {
    case 'privileged-add':
    case 'pending-add':
    case 'block-add':
    case 'allow-remove':
      return atOnce;
    // Where people are is what the jail's own records say; no protection hangs on it.
    case 'facility-put':
    case 'unit-put':
    case 'phone-put':
    case 'caller-put':
    case 'booking-open':
    case 'booking-move':
    case 'booking-close':
      return atOnce;
    case 'allow-add':
    case 'block-remove':
      return second;
    case 'privileged-amend':
      return narrows(step.before, step.after) ? removal : second;
    case 'privileged-remove':
    // Who settles a claim without making the number privileged lets it be recorded.
    case 'pending-settle':
      return removal;
    default: {
      const never: never = step;
      return never;
    }
  }
};

/** A change is done as a whole: it needs what its most careful step needs. */
export const needsOfAll = (steps: readonly Step[], caution: Caution): Needs =>
  steps
    .map((step) => needsOf(step, caution))
    .reduce(
      (most, one) => ({
        approvals: Math.max(one.approvals, most.approvals) as Needs['approvals'],
        delayMs: Math.max(most.delayMs, one.delayMs),
      }),
      { approvals: 0, delayMs: 0 },
    );

/** A change as far as its state is concerned. */
export interface Standing {
  readonly state: 'proposed' | 'waiting' | 'applied' | 'rejected' | 'withdrawn';
  readonly maker: string;
  readonly needs: Needs;
  /** Who agreed so far. */
  readonly approvers: readonly string[];
}

export type Verdict =
  | { readonly next: 'proposed' }
  /** Enough agreed; done when its delay is over. */
  | { readonly next: 'waiting' }
  | { readonly next: 'rejected' | 'withdrawn' };
export type Refusal = 'own-change' | 'approved-already' | 'change-over' | 'not-the-maker';

/** What becomes of a change by somebody's word. A change that waits can still be stopped: that is what the delay is for. */
export const judge = (
  change: Standing,
  who: string,
  says: 'approve' | 'reject' | 'withdraw',
): Verdict | Refusal => {
  if (change.state !== 'proposed' && change.state !== 'waiting') return 'change-over';
  switch (says) {
    case 'withdraw':
      return who === change.maker ? { next: 'withdrawn' } : 'not-the-maker';
    case 'reject':
      // The maker takes it back; a rejection is another's.
      return who === change.maker ? 'own-change' : { next: 'rejected' };
    case 'approve': {
      if (who === change.maker) return 'own-change';
      if (change.approvers.includes(who)) return 'approved-already';
      const enough = change.approvers.length + 1 >= change.needs.approvals;
      return { next: enough ? 'waiting' : 'proposed' };
    }
    default: {
      const never: never = says;
      return never;
    }
  }
};
