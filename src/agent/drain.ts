import type { Answers } from './answers.js';
import { turnAway } from './app-loss.js';
import type { Context } from './context.js';
import type { Dialog } from './dialog.js';
import type { DialogRequests } from './dialog-requests.js';

/** How often it is looked whether the last call has ended. */
const LOOK_MS = 100;
/** How long those that are hung up on have to say that they heard it. */
const HANG_UP_MS = 2000;

/** Settles once it holds, after that time, or when it is to be hurried. */
const until = (context: Context, holds: () => boolean, ms: number, hurry?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const { timers } = context;
    const end = timers.clock.now() + ms;
    const look = (): void => {
      if (holds() || hurry?.aborted === true || timers.clock.now() >= end) resolve();
      else timers.start(LOOK_MS, look);
    };
    look();
  });

const callsOf = (context: Context): readonly Dialog[] =>
  [...context.dialogs].filter(({ kind }) => kind === 'invite');

/** Whoever is up is hung up on, whoever waits is refused; applications are told of both. */
const endAll = (context: Context, answers: Answers, dialogRequests: DialogRequests): void => {
  for (const request of [...context.setups]) turnAway(context, answers, request, 'draining');
  for (const invite of [...context.invites.values()]) invite.abandon();
  for (const dialog of callsOf(context)) {
    const { accepted } = dialog;
    if (accepted !== undefined && !accepted.acked) accepted.acknowledge('', '');
    if (dialog.confirmed) dialogRequests.hangUp(dialog, 'draining', 'Shutting down');
  }
};

/**
 * Refuses new calls and OPTIONS from now on, and settles when no call is up any more. After `ms`, or when it is to be
 * hurried, those that are left are ended, and both parties of each told.
 */
export const drain = async (
  context: Context,
  answers: Answers,
  dialogRequests: DialogRequests,
  ms: number,
  hurry?: AbortSignal,
): Promise<void> => {
  context.drain.begun = true;
  await until(context, () => callsOf(context).length + context.setups.size === 0, ms, hurry);
  endAll(context, answers, dialogRequests);
  const unanswered = (): boolean =>
    [...context.clientTransactions.values()].some((transaction) => transaction.unanswered);
  await until(context, () => !unanswered(), HANG_UP_MS);
};
