import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { Ear } from './talk.js';

/** A supervisor's phone that rings. */
export interface RingingPhone {
  answer(): Promise<string>;
  hangUp(): Promise<void>;
  onGone(gone: () => void): void;
}

export type ListenOutcome =
  | { readonly state: 'listening' }
  | { readonly state: 'refused'; readonly code: string };

/** Supervisors on one call at once. */
const maxEars = 4;

/**
 * Lets a supervisor's phone hear a monitored call that is up. It takes the anchor of a recorded call and nothing else:
 * for a private call there is nothing to pass here. `ring` gets the offer for the phone.
 */
export const listenIn = async (
  run: CallRun,
  ring: (offer: string) => RingingPhone,
): Promise<ListenOutcome> => {
  const refused = (code: string): ListenOutcome => ({ state: 'refused', code });
  const { state } = run;
  if (state.phase !== 'connected') return refused('call-not-up');
  const { decision } = state;
  if (decision.verdict !== 'monitored' || run.recorded === null) return refused('call-private');
  if (run.ears.size >= maxEars) return refused('too-many-listeners');
  let ear: Ear | null = null;
  let phone: RingingPhone | null = null;
  let over = false;
  const end = async (): Promise<void> => {
    over = true;
    run.ears.delete(end);
    // A phone that does not answer its BYE keeps nobody waiting: without the ear it hears nothing.
    void phone?.hangUp().catch(() => undefined);
    await ear?.end();
  };
  run.ears.add(end);
  try {
    ear = await withDeadline('anchor', run.parts.bounds.anchorMs, run.recorded.listen(decision), (late) => {
      void late.end();
    });
    if (over) throw new Error('the call is over');
    phone = ring(ear.offer);
    phone.onGone(() => void end());
    const answer = await phone.answer();
    if (over) throw new Error('the call is over');
    await withDeadline('anchor', run.parts.bounds.anchorMs, ear.answer(answer));
    return { state: 'listening' };
  } catch (error) {
    const code = over ? 'call-over' : codeOf(error);
    await end();
    return refused(code);
  }
};

/** Nobody listens any more: before a call becomes private, and when it ends. */
export const endEars = async (run: CallRun): Promise<void> => {
  await Promise.allSettled([...run.ears].map((end) => end()));
};
