import { heardMs, toneLevel } from '../phones/goertzel.js';
import type { IncomingCall } from '../phones/incoming-call.js';
import type { OutgoingCall } from '../phones/outgoing-call.js';
import type { PhoneCall } from '../phones/phone-call.js';
import type { SoakBounds } from './bounds.js';
import { kindFacts } from './mix.js';
import { callHeader, type Line, type Phones } from './phones.js';
import type { CallPlan } from './schedule.js';
import type { Seen, SeenEnd, SeenSound } from './seen.js';

/** A second of sound. */
const LEAST_SAMPLES = 8000;

interface Underway {
  readonly phones: Phones;
  readonly plan: CallPlan;
  readonly out: OutgoingCall;
  readonly mishaps: string[];
  readonly bounds: SoakBounds;
}

/** Settles at the time, or earlier where one of these settles; leaves no timer behind. */
const within = async (ms: number, ...others: readonly Promise<unknown>[]): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([pause, ...others]).catch(() => undefined);
  clearTimeout(timer);
};

const statusText = (status: number | undefined): string =>
  status === undefined || status === 0 ? 'not answered' : String(status);

/** Waits for the called party's half: its phone has answered before the caller can have been. */
const incomingOf = (phones: Phones, plan: CallPlan): IncomingCall | undefined => phones.incoming(plan).at(-1);

const holdAndResume = async ({ out, mishaps, bounds }: Underway, ms: number): Promise<void> => {
  for (const step of ['hold', 'resume'] as const) {
    if (out.ending !== undefined) return;
    const answer = await out[step]({ deadlineMs: bounds.end }).catch(() => null);
    if (answer?.status !== 200 && out.ending === undefined)
      mishaps.push(`${step}: ${statusText(answer?.status)}`);
    if (step === 'hold') await within(ms, out.ended({ deadlineMs: ms + 1000 }));
  }
};

/** The conversation, until somebody ends it. Gives how long it lasted. */
const talk = async (call: Underway): Promise<number> => {
  const { phones, plan, out, mishaps, bounds } = call;
  const began = performance.now();
  const incoming = incomingOf(phones, plan);
  const over = (ms: number): Promise<unknown>[] => [
    out.ended({ deadlineMs: ms }),
    ...(incoming === undefined ? [] : [incoming.ended({ deadlineMs: ms })]),
  ];
  if (kindFacts[plan.kind].holds) {
    await within(plan.holdMs / 2, ...over(plan.holdMs + 1000));
    await holdAndResume(call, Math.min(plan.holdMs / 4, 5000));
    await within(plan.holdMs / 2, ...over(plan.holdMs + 1000));
  } else {
    await within(plan.holdMs, ...over(plan.holdMs + 1000));
  }
  const lasted = performance.now() - began;
  const first: PhoneCall = plan.hangsUp === 'called' && incoming !== undefined ? incoming : out;
  if (out.ending === undefined && (incoming === undefined || incoming.ending === undefined)) {
    const bye = await first.hangUp({ deadlineMs: bounds.end }).catch(() => null);
    if (bye?.status !== 200) mishaps.push(`BYE: ${statusText(bye?.status)}`);
  }
  return lasted;
};

/** What each party heard, before its phone lets go of it. */
const soundOf = (call: Underway, connected: boolean): SeenSound => {
  const { phones, plan, out } = call;
  const incoming = incomingOf(phones, plan);
  const atCaller = out.audio.samples();
  const atCalled = incoming?.audio.samples() ?? new Int16Array();
  const purity = (samples: Int16Array, hz: number): number => {
    // Edges of what is cut or lost are no tone: in little sound they are most of it.
    const loud = samples.reduce((count, one) => count + (Math.abs(one) >= 64 ? 1 : 0), 0);
    return loud < LEAST_SAMPLES ? 1 : toneLevel(samples, hz);
  };
  const { firstArrivalUs } = out.audio.counters;
  const finalUs = out.times.finalUs;
  const answeredUs = finalUs === undefined ? undefined : call.out.invitedAtUs + finalUs;
  return {
    callerHeardMs: heardMs(atCaller, plan.tones.called),
    calledHeardMs: heardMs(atCalled, plan.tones.caller),
    callerPurity: purity(atCaller, plan.tones.called),
    calledPurity: purity(atCalled, plan.tones.caller),
    unconnected: connected
      ? 0
      : out.audio.counters.received +
        phones.incoming(plan).reduce((sum, one) => sum + one.audio.counters.received, 0),
    earlyMs:
      firstArrivalUs === undefined || answeredUs === undefined
        ? 0
        : Math.max(0, (answeredUs - firstArrivalUs) / 1000),
  };
};

const setUp = async ({ plan, out, mishaps, bounds }: Underway): Promise<boolean> => {
  const { gives } = kindFacts[plan.kind];
  const answered = out.answered({ deadlineMs: bounds.answer }).then(
    () => true,
    () => false,
  );
  if (gives !== 'never') {
    await within(plan.cancelMs, answered);
    if (out.final === undefined) {
      const final = await out.cancel({ deadlineMs: bounds.answer }).catch(() => null);
      if (final === null) mishaps.push('CANCEL: not answered');
    }
  }
  return answered;
};

/** Both phones are done with the call, or have waited in vain to be told. */
const told = async ({ phones, plan, out, mishaps, bounds }: Underway): Promise<void> => {
  const wait = async (call: PhoneCall, who: string): Promise<void> => {
    if (call.ending !== undefined) return;
    await call.ended({ deadlineMs: bounds.end }).catch(() => undefined);
    if (call.ending !== undefined) return;
    mishaps.push(`${who} was never told`);
    await call.giveUp();
    // A phone that rang waits for its final response for ever: its user hangs up.
    call.end({ by: 'us', how: 'timeout' });
  };
  await Promise.all([
    wait(out, 'the caller'),
    ...phones.incoming(plan).map((one) => wait(one, 'the called party')),
  ]);
};

const endOf = (call: PhoneCall): SeenEnd | null =>
  call.ending === undefined ? null : { by: call.ending.by, how: call.ending.how };

/** Makes one call as it was planned and gives what both phones saw of it. Rejects only where no INVITE could be sent. */
export const placeCall = async (
  phones: Phones,
  plan: CallPlan,
  to: { readonly host: string; readonly port: number },
  bounds: SoakBounds,
): Promise<Seen> => {
  const line: Line = plan.sounds ? 'sounding' : 'quiet';
  const { caller, sounds } = phones.at(line);
  phones.expect(plan);
  const placedAt = Date.now();
  try {
    const out = await caller.call({
      to: `sip:${plan.number}@${to.host}:${to.port}`,
      via: to,
      from: `<sip:${plan.as}@${caller.host}>`,
      headers: { [callHeader]: plan.as },
      tone: plan.tones.caller,
      ...(sounds === null ? {} : { sdp: sounds.caller.sdp() }),
    });
    const call: Underway = { phones, plan, out, mishaps: [], bounds };
    const connected = await setUp(call);
    const setupMs = connected ? (out.times.finalUs ?? 0) / 1000 : null;
    if (connected && sounds !== null) {
      const over = (): boolean => out.ending !== undefined;
      sounds.caller.speak(out.final?.body ?? '', over);
      sounds.called.speak(incomingOf(phones, plan)?.invite.request.body ?? '', over);
    }
    const talkedMs = connected ? await talk(call) : 0;
    const sound = plan.sounds ? soundOf(call, connected) : null;
    await told(call);
    const halves = phones.incoming(plan);
    const half = halves.at(-1);
    return {
      plan,
      placedAt,
      overAt: Date.now(),
      status: out.final?.status ?? 0,
      unanswered: out.ending?.how === 'timeout',
      progressed: out.progress.some(({ status }) => status > 100) || (out.final?.status ?? 0) === 200,
      setupMs,
      talkedMs,
      caller: endOf(out),
      called: half === undefined ? null : { answered: half.established, end: endOf(half) },
      legs: halves.length,
      sound,
      mishaps: call.mishaps,
      flow:
        call.mishaps.length > 0 || !kindFacts[plan.kind].statuses.includes(out.final?.status ?? 0)
          ? out.flow
          : [],
    };
  } finally {
    phones.forget(plan);
  }
};
