/**
 * The calling side of the benchmark: one phone that makes calls at an even rate, holds each for a while and hangs up.
 * Open loop: the next call does not wait for the last one.
 */
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { createPhone, type Phone } from '../../src/phones/sip-phone.js';
import { serve } from './ask.js';
import { count, countSent, pace, type RunOrder, type RunResult, Sound } from './load.js';
import { callerId, monitoredNumber, privilegedNumber } from './numbers.js';

/** A call not answered by then has failed: longer than 64·T1 of nobody answering is of no use here. */
const answerMs = 12_000;
const byeMs = 8_000;
const lingerMs = 5_000;

interface Side {
  readonly phone: Phone;
  readonly sound: Sound;
  readonly sent: Map<string, number>;
}

let side: Side | null = null;
let calls = 0;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const open = async (): Promise<Side> => {
  if (side !== null) return side;
  const host = '127.0.1.1';
  const phone = await createPhone({
    name: 'caller',
    transport: 'udp',
    host,
    audio: 'sink',
    keepMessages: 0,
    lingerMs,
  });
  side = { phone, sound: await Sound.open(host), sent: countSent(phone) };
  return side;
};

/** What one run has seen so far. */
class Tally {
  readonly failures: Record<string, number> = {};
  readonly latenciesUs: number[] = [];
  invites = 0;
  finals = 0;
  byes = 0;

  failed(why: string): void {
    count(this.failures, why);
  }
}

const place = ({ phone, sound }: Side, order: RunOrder): Promise<OutgoingCall> => {
  const number = ++calls;
  const toPrivileged = order.privateEvery > 0 && number % order.privateEvery === 0;
  const { host, port } = order.target;
  return phone.call({
    to: `sip:${toPrivileged ? privilegedNumber : monitoredNumber}@${host}:${port}`,
    via: order.target,
    from: `<sip:${callerId(number)}@${phone.host}>`,
    sdp: sound.sdp(),
  });
};

const answered = async (side: Side, order: RunOrder, tally: Tally): Promise<OutgoingCall | null> => {
  tally.invites++;
  const call = await place(side, order);
  const answer = await call.answered({ deadlineMs: answerMs }).catch(() => null);
  tally.finals++;
  if (answer === null) {
    const status = call.final?.status ?? 0;
    tally.failed(status === 0 ? 'no answer' : String(status));
    if (call.final === undefined) await call.cancel({ deadlineMs: byeMs }).catch(() => null);
    return null;
  }
  tally.latenciesUs.push(call.times.finalUs ?? 0);
  side.sound.speak(answer.body, { ended: () => call.ending !== undefined });
  return call;
};

const hangUp = async (call: OutgoingCall, tally: Tally): Promise<void> => {
  if (call.ending !== undefined) {
    tally.failed('hung up by the far side');
    return;
  }
  tally.byes++;
  const bye = await call.hangUp({ deadlineMs: byeMs }).catch(() => null);
  if (bye === null || bye.status !== 200) tally.failed(`BYE ${bye?.status ?? 'unanswered'}`);
  // A 200 that came again means that somebody missed the ACK; it shows as an ACK too many.
};

const excess = (sent: Map<string, number>, tally: Tally): number => {
  const over = (title: string, due: number): number => Math.max(0, (sent.get(title) ?? 0) - due);
  return over('INVITE', tally.invites) + over('ACK', tally.finals) + over('BYE', tally.byes);
};

const run = async (order: RunOrder): Promise<RunResult> => {
  const side = await open();
  side.sent.clear();
  const before = { sent: side.sound.sent, received: side.sound.received };
  const began = performance.now();
  const tally = new Tally();
  const live: Promise<void>[] = [];
  const one = async (): Promise<void> => {
    const call = await answered(side, order, tally);
    if (call === null) return;
    await pause(order.holdMs);
    await hangUp(call, tally);
  };
  const behindMs = await pace(order, () =>
    live.push(one().catch((error: unknown) => tally.failed(error instanceof Error ? error.name : 'error'))),
  );
  await Promise.all(live);
  return {
    calls: tally.invites,
    answered: tally.latenciesUs.length,
    failures: tally.failures,
    retransmissions: excess(side.sent, tally),
    latenciesUs: tally.latenciesUs.sort((a, b) => a - b),
    rtp: { sent: side.sound.sent - before.sent, received: side.sound.received - before.received },
    behindMs,
    seconds: (performance.now() - began) / 1000,
  };
};

const held: { readonly call: OutgoingCall; readonly theirs: string }[] = [];
/** Media nodes give a call up in which nobody was heard for a minute. */
const soundEveryMs = 15_000;
let sounding: NodeJS.Timeout | null = null;

/** Makes more calls and keeps them up, for the memory a held call takes. Gives how many of these are up. */
const hold = async (order: RunOrder): Promise<number> => {
  const side = await open();
  const tally = new Tally();
  const rising: Promise<OutgoingCall | null>[] = [];
  await pace(order, () => rising.push(answered(side, order, tally).catch(() => null)));
  const up = (await Promise.all(rising)).filter((call) => call !== null);
  held.push(...up.map((call) => ({ call, theirs: call.final?.body ?? '' })));
  sounding ??= setInterval(() => {
    for (const { call, theirs } of held) side.sound.speak(theirs, { ended: () => call.ending !== undefined });
  }, soundEveryMs);
  return up.length;
};

/** Hangs up what `hold` made; gives how many calls did not end well. */
const release = async (): Promise<number> => {
  const tally = new Tally();
  if (sounding !== null) clearInterval(sounding);
  sounding = null;
  for (const { call } of held.splice(0)) {
    void hangUp(call, tally);
    // Spread, so that the end of the held calls is no burst.
    await pause(2);
  }
  const { phone } = await open();
  for (let waited = 0; phone.liveCalls > 0 && waited < byeMs; waited += 20) await pause(20);
  await pause(50);
  return Object.values(tally.failures).reduce((sum, one) => sum + one, 0);
};

serve({
  open: async () => (await open()).phone.address,
  run,
  hold,
  release,
  stop: async () => {
    side?.sound.close();
    await side?.phone.close({ abrupt: true });
  },
});
