import type { Test } from 'tap';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import type { Site } from './site.js';

/** A call both parties are in. */
export interface Conversation {
  readonly call: OutgoingCall;
  readonly other: IncomingCall;
  readonly callId: string;
}

/** Calls the number; settles when the caller has its answer and the call is up. The carrier must answer. */
export const converse = async (site: Site, dialled: string, deadlineMs = 5000): Promise<Conversation> => {
  const before = site.callIds().length;
  const incoming = site.called.incoming.length;
  const call = await site.call(dialled);
  await call.answered({ deadlineMs });
  const other = await site.called.incomingCall({ nth: incoming + 1, deadlineMs });
  const callId = site.callIds()[before] ?? '';
  await site.event('call-phase', (event) => event.callId === callId && event.phase === 'connected');
  return { call, other, callId };
};

/** Proves that both parties hear each other now. */
export const bothHear = async (
  t: Test,
  { call, other }: Conversation,
  when: string,
  forMs = 300,
): Promise<void> => {
  await Promise.all([call.audio.untilHears(1000, { forMs }), other.audio.untilHears(440, { forMs })]);
  t.pass(`both hear each other ${when}`);
};

/** Proves that neither hears anything for so long. */
export const neitherHears = async (
  t: Test,
  { call, other }: Conversation,
  when: string,
  forMs = 400,
): Promise<void> => {
  await Promise.all([call.audio.untilSilent({ forMs }), other.audio.untilSilent({ forMs })]);
  t.pass(`neither hears anything ${when}`);
};

/** The caller hangs up; settles with the CDR. */
export const hangUp = async (site: Site, { call, callId }: Conversation) => {
  await call.hangUp();
  await site.event('call-ended', (event) => event.callId === callId);
  return site.cdr(callId);
};
