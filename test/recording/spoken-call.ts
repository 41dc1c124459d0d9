import type { SpokenRecordedAnchor } from '../../src/call/talk.js';
import type { CallId } from '../../src/core/leg.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { legOf, monitoredDecision, newCallId } from '../media/decisions.js';
import { type RtpPhone, until } from '../media/rtp-phone.js';
import { cleanups, type House, phone } from './house.js';

/** A call on a real node that is answered first and recorded later. */
export interface SpokenCall {
  readonly id: CallId;
  readonly decision: ReturnType<typeof monitoredDecision>;
  readonly anchor: SpokenRecordedAnchor;
  readonly caller: RtpPhone;
  readonly called: RtpPhone;
  /** Sends one command about this call to the node, behind the media house's back. */
  tell(command: string): Promise<unknown>;
}

export const answered = async (
  house: House,
  change: Partial<SpokenRecordedAnchor> = {},
): Promise<SpokenCall> => {
  const id = newCallId();
  const decision = monitoredDecision(id);
  await house.recorder.ready(legOf(id));
  const [caller, called] = [await phone(440), await phone(1000)];
  const ng = new NgSocket({ node: house.node.name, emit: () => undefined, ...house.node.ng });
  cleanups.push(() => ng.close());
  // What the call before was told behind its back keeps the node out of use until it is attested anew.
  await until('a node that may be used', () => house.media.status().ready.recorded);
  const own = await house.media.anchorRecorded(id, decision, caller.sdp());
  const answerForCaller = await own.answer(decision, called.sdp({ formats: '0 101' }));
  await own.open();
  caller.talkTo(answerForCaller);
  called.talkTo(own.offerForCalled);
  // Its methods find its private parts only on itself.
  const anchor = new Proxy(own, {
    get: (target, name) => {
      const value: unknown = Reflect.get(change, name) ?? Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const tell = (command: string) => ng.ask({ command, 'call-id': id });
  return { id, decision, anchor, caller, called, tell };
};

/** The same anchor, on a node that names no file. */
export const withoutPath = (anchor: SpokenRecordedAnchor): SpokenRecordedAnchor =>
  new Proxy(anchor, {
    get: (target, name) =>
      name === 'record'
        ? async (...[decision]: Parameters<SpokenRecordedAnchor['record']>) => ({
            ...(await target.record(decision)),
            path: null,
          })
        : Reflect.get(target, name, target),
  });
