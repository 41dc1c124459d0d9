import type { CallView } from '../call/controller.js';
import type { ControlOutcome, FarControl } from './control.js';
import type { ControlCommand } from './control-request.js';

/** A command that changes something, as opposed to one that only looks. */
export type Order = Exclude<
  ControlCommand,
  { command: 'calls' | 'follow' | 'orders' | 'canaries' | 'nodes' }
>;

/** The outcome of an order, with the call's whole id where it was about a call. */
export type OrderOutcome = ControlOutcome & { readonly callId: string | null };

/** Carries one order out. Rejects only where `control` does. */
export const carryOut = async (control: FarControl, order: Order): Promise<OrderOutcome> => {
  if (order.command === 'callers')
    return noCall(await control.noteCallers(order.change, order.by, order.why));
  if (order.command === 'canary-run') return noCall(await control.runCanaries(order.facility));
  if (order.command === 'code-call') {
    const { number, code, language } = order;
    const outcome = await control.codeCall({ number, code, language }, order.by);
    return { ...outcome, callId: outcome.callId ?? null };
  }
  const { by, why } = order;
  switch (order.command) {
    case 'end':
      return onCall(control, order.call, (call) => control.end(call.callId, by, why, order.block));
    case 'listen':
      return onCall(control, order.call, (call) => {
        const deaf = unhearable(call);
        return deaf ?? control.listen(call.callId, order.to, by, why);
      });
    case 'lockdown':
      return noCall(await control.lockdown(order.place, order.state, by, why));
    case 'suspend':
      return noCall(await control.suspend(order.caller, order.state, by, why));
    case 'review':
      return noCall(await control.review(order.number, order.verdict, by, why));
    case 'drain':
      return noCall(await control.drainNode(order.node, order.state, by, why));
    case 'canary-clear':
      return noCall(await control.clearCanary(order.facility, by, why));
    default: {
      const never: never = order;
      return never;
    }
  }
};

const noCall = (outcome: ControlOutcome): OrderOutcome => ({ ...outcome, callId: null });

const refusal = (code: string, message: string): ControlOutcome => ({ ok: false, code, message });

/** Finds the one call whose id begins so, and does the work: in this turn where the calls are ours to look at. */
const onCall = (
  control: FarControl,
  prefix: string,
  work: (call: CallView) => ControlOutcome | Promise<ControlOutcome>,
): Promise<OrderOutcome> => {
  const calls = control.calls();
  return calls instanceof Promise
    ? calls.then((all) => onOne(all, prefix, work))
    : onOne(calls, prefix, work);
};

/** With two calls that begin so nobody can know which was meant, and neither is touched. */
const onOne = async (
  calls: readonly CallView[],
  prefix: string,
  work: (call: CallView) => ControlOutcome | Promise<ControlOutcome>,
): Promise<OrderOutcome> => {
  const [call, another] = calls.filter((one) => one.callId.startsWith(prefix));
  if (call === undefined) return noCall(refusal('call-not-found', 'no call under way has this id'));
  if (another !== undefined)
    return noCall(
      refusal('call-ambiguous', 'more than one call under way begins like this; give more of the id'),
    );
  return { ...(await work(call)), callId: call.callId };
};

/**
 * Why this call cannot be listened to, or null. Only what is known to be monitored may be: whatever else a verdict
 * says, also one of a later version, refuses.
 */
const unhearable = ({ verdict }: CallView): ControlOutcome | null => {
  switch (verdict) {
    case 'monitored':
      return null;
    case 'private':
      return refusal(
        'call-private',
        'this call is private: no role can listen to a private call, the function does not exist for it',
      );
    case 'undecided':
      return refusal(
        'call-undecided',
        'this call is not decided yet; a call can be listened to once it is monitored',
      );
    default:
      return refusal('call-not-monitored', 'only a monitored call can be listened to');
  }
};
