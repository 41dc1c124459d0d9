import { type Answers, cancelText } from './answers.js';
import type { AppConnection } from './app-connection.js';
import { type Context, sendEvent } from './context.js';
import type { DialogRequests } from './dialog-requests.js';
import { retryAfter } from './refusals.js';
import type { ServerRequest } from './server-request.js';

/** Refuses an INVITE that an application was asked about, and tells the application that its caller is gone. */
export function turnAway(
  context: Context,
  answers: Answers,
  request: ServerRequest,
  why: 'app-silent' | 'draining',
): void {
  const { app, flow, txnId, dialog } = request;
  const id = dialog?.id ?? '';
  if (answers.finish(request, 503, why, retryAfter()))
    sendEvent(context, app, 'network', flow, txnId, id, cancelText(request));
}

/**
 * An application's connection is gone. Nothing of it stays unanswered: requests that wait for it are refused, its
 * own INVITEs are cancelled, an answer it did not acknowledge is acknowledged and hung up. Its dialogs stay, without an
 * owner, so that another connection can end them by their ids (design page, section 9: "both legs told").
 */
export function appLost(
  context: Context,
  answers: Answers,
  dialogRequests: DialogRequests,
  app: AppConnection,
): void {
  context.door.heard();
  for (const request of [...app.requests]) {
    // Who hangs up is not told that it did not work.
    if (request.method === 'BYE') answers.finish(request, 200, 'app-lost');
    else answers.finish(request, 503, 'app-lost', retryAfter());
  }
  for (const invite of [...app.invites]) invite.abandon();
  const { dialogs, timers, limits } = context;
  for (const dialog of [...app.dialogs]) {
    dialogs.assign(dialog, undefined);
    const { accepted } = dialog;
    if (accepted !== undefined && !accepted.acked) {
      accepted.acknowledge('', '');
      dialogRequests.hangUp(dialog, 'app-lost', 'Application lost');
    } else if (dialog.kind === 'invite') {
      timers.stop(dialog.expiry);
      dialog.expiry = timers.start(limits.orphanDialogMs, () => {
        dialog.expiry = undefined;
        if (dialog.owner === undefined) dialogRequests.hangUp(dialog, 'orphan', 'Application lost');
      });
    }
  }
}

/**
 * An application is there and says nothing: stopped, or stuck. The callers it keeps waiting try elsewhere, and should it
 * wake it is told that they are gone. What is up stays up: media needs nobody who speaks.
 */
export function appSilent(context: Context, answers: Answers, app: AppConnection): void {
  for (const request of [...app.requests]) {
    // One that has a dialog was answered in part, so somebody has looked at it.
    if (request.method !== 'INVITE' || request.dialog !== undefined) continue;
    turnAway(context, answers, request, 'app-silent');
  }
}
