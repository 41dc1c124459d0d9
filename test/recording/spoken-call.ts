import type { SpokenRecordedAnchor } from '../../src/call/talk.js';
import type { CallId } from '../../src/core/leg.js';
import { answerCommand } from '../../src/media/commands.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { monitoredDecision, newCallId } from '../media/decisions.js';
import type { RtpPhone } from '../media/rtp-phone.js';
import { cleanups, type House, phone } from './house.js';

/**
 * A call on a real node that is answered first and recorded later, by NG commands of our own: what the node says to
 * `start recording` and whether it names a file is the node's.
 */
export interface SpokenCall {
  readonly id: CallId;
  readonly decision: ReturnType<typeof monitoredDecision>;
  readonly anchor: SpokenRecordedAnchor;
  readonly caller: RtpPhone;
  readonly called: RtpPhone;
  /** Sends one command about this call to the node. */
  tell(command: string, more?: Record<string, string>): Promise<Record<string, unknown>>;
}

const portIn = (sdp: string): number => Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);

const never = (): never => {
  throw new Error('not part of a recording');
};

export const answered = async (
  house: House,
  change: Partial<SpokenRecordedAnchor> = {},
): Promise<SpokenCall> => {
  const id = newCallId();
  const decision = monitoredDecision(id);
  const [caller, called] = [await phone(440), await phone(1000)];
  const ng = new NgSocket({ node: house.node.name, emit: () => undefined, ...house.node.ng });
  cleanups.push(() => ng.close());
  const tell = (command: string, more: Record<string, string> = {}) =>
    ng.ask({ command, 'call-id': id, ...more });
  const own = await house.media.anchorRecorded(id, decision, caller.sdp());
  const answer = called.sdp({ formats: '0 101' });
  const { sdp } = await ng.ask(answerCommand(id, 'called', answer, '127.0.0.1'));
  const answerForCaller = String(sdp);
  await ng.ask({ command: 'unblock media', 'call-id': id, flags: ['all'] });
  caller.talkTo(answerForCaller);
  called.talkTo(own.offerForCalled);
  const anchor: SpokenRecordedAnchor = {
    callId: id,
    node: own.node,
    pool: 'recorded',
    offerForCalled: own.offerForCalled,
    open: () => Promise.resolve(),
    shut: never,
    reoffer: never,
    reanswer: never,
    restore: never,
    answerAndRecord: never,
    answer: never,
    receive: never,
    readdress: never,
    listen: never,
    say: never,
    hush: never,
    onKey: never,
    packets: () => own.packets(),
    release: () => own.release(),
    onLost: (lost) => own.onLost(lost),
    sources: () => ({ caller: [`127.0.0.1 ${caller.port}`], called: [`127.0.0.1 ${called.port}`] }),
    record: async () => {
      await tell('start recording');
      return {
        answerForCaller,
        path: null,
        nodePid: house.node.pid,
        ports: { caller: portIn(answerForCaller), called: portIn(own.offerForCalled) },
      };
    },
    stopRecording: async () => {
      await tell('stop recording');
    },
    ...change,
  };
  return { id, decision, anchor, caller, called, tell };
};
