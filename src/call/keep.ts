import type { CallEvent } from '../core/call.js';
import type { NumberKey } from '../core/number.js';
import { alarm, failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { JsonObject } from './ports.js';
import type { Order } from './talk.js';

/**
 * What a person said by key that is to hold beyond the call. It is in the journal and in force in this process before
 * the call's CDR is written; where it cannot be kept, staff are told, for somebody asked for protection.
 */
export const keepAnswer = (run: CallRun, answer: 'protected' | 'blocked'): void => {
  const order = (key: NumberKey): Order =>
    answer === 'protected'
      ? { kind: 'pending', key, cause: 'called-claim' }
      : { kind: 'block', key, cause: 'called-party' };
  keep(run, 'answer', { answer }, 'called', order);
};

/** The caller's claim was not taken back: the number is refused until somebody has reviewed it. */
export const keepClaim = (run: CallRun): void => {
  const { claims, clock } = run.parts;
  const holds = claims.take(run.leg.caller, clock.mono());
  if (!holds) alarm(run, 'claims-too-many', run.leg.origin.facility);
  // Over the bound the claim is written down and this call refused; the number is not held up for all others.
  keep(run, 'claim', { outcome: holds ? 'stands' : 'over-bound' }, 'caller', (key) =>
    holds ? { kind: 'pending', key, cause: 'caller-claim' } : null,
  );
};

/** Taken back knowingly, and that is evidence before anything is recorded. */
export const withdrawClaim = async (run: CallRun): Promise<CallEvent> => {
  try {
    const row = { callId: run.callId, outcome: 'withdrawn' };
    await withDeadline('withdraw-claim', run.parts.bounds.journalMs, run.parts.journal.append('claim', row));
    run.leg = { ...run.leg, claimsPrivate: false };
    return { type: 'claim-withdrawn' };
  } catch (error) {
    return { type: 'journal-failed', detail: failed(run, 'withdraw-claim', error) };
  }
};

const keep = (
  run: CallRun,
  kind: 'answer' | 'claim',
  body: JsonObject,
  by: 'caller' | 'called',
  orderFor: (key: NumberKey) => Order | null,
): void => {
  const { journal, orders, bounds } = run.parts;
  const { dialled } = run.leg;
  const bounded = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await withDeadline(`keep-${kind}`, bounds.journalMs, work());
    } catch (error) {
      failed(run, kind === 'claim' ? 'keep-claim' : 'keep-answer', error);
      alarm(run, 'order-unkept', codeOf(error));
    }
  };
  // In force at once, whatever the journal does: the next call may be on its way.
  if (dialled.kind === 'number' || dialled.kind === 'hotline') {
    const order = orderFor(dialled.key);
    if (order !== null) {
      const given = { order, state: 'on', by, why: `${kind} by key`, callId: run.callId } as const;
      run.keep(bounded(() => orders.give(given)));
    }
  }
  run.keep(bounded(() => journal.append(kind, { callId: run.callId, ...body })));
};
