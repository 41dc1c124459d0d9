import type { Dice } from './dice.js';
import { consequences, type FaultMix, type FaultName } from './faults.js';
import { type Kind, kindFacts, type Mix } from './mix.js';

/** One call as it will be made. All times in ms; every choice follows from the seed. */
export interface CallPlan {
  readonly serial: number;
  /** The caller's identity: of no other call at the time, so it finds the call’s rows in the journal. */
  readonly as: string;
  readonly kind: Kind;
  /** What is dialled. */
  readonly number: string;
  /** From the start of the soak. */
  readonly atMs: number;
  /** How long the parties talk. */
  readonly holdMs: number;
  /** From the INVITE to the called party’s answer. */
  readonly answerMs: number;
  /** When a caller gives up who does. */
  readonly cancelMs: number;
  readonly hangsUp: 'caller' | 'called';
  /** Both parties send and hear tones, in all of the call; else a few packets, so that there is a recording. */
  readonly sounds: boolean;
  readonly tones: { readonly caller: number; readonly called: number };
}

/** A call before it is known who makes it: who is free then. */
export type PlannedCall = Omit<CallPlan, 'as'>;

export interface CallChoices {
  readonly rate: number;
  readonly holdSeconds: number;
  readonly mix: Mix;
  /** Share of the calls that are heard, 0 to 1. */
  readonly sounds: number;
  readonly numbers: Readonly<Record<Kind, readonly string[]>>;
}

/** Tones of a call: 20 Hz apart is told apart, and neighbours in time are further apart than that. */
const tonesOf = (serial: number): CallPlan['tones'] => ({
  caller: 300 + 20 * ((serial * 7) % 60),
  called: 1700 + 20 * ((serial * 11) % 60),
});

/**
 * Calls without end, in the order they are made: open loop with exponential gaps, so that nobody waits for the system
 * to be fast enough.
 */
export function* callPlans(dice: Dice, choices: CallChoices): Generator<PlannedCall, never> {
  const arrivals = dice.fork('arrivals');
  const what = dice.fork('calls');
  let atMs = 0;
  for (let serial = 1; ; serial++) {
    atMs += arrivals.exponential(1000 / choices.rate);
    const kind = what.weighted(choices.mix);
    const mean = choices.holdSeconds * 1000;
    yield {
      serial,
      kind,
      number: what.pick(choices.numbers[kind]),
      atMs,
      holdMs: Math.round(Math.min(4 * mean, Math.max(300, what.exponential(mean)))),
      answerMs: what.between(20, 800),
      cancelMs: kindFacts[kind].gives === 'early' ? what.between(0, 700) : what.between(1500, 5000),
      hangsUp: what.next() < 0.5 ? 'caller' : 'called',
      sounds: what.next() < choices.sounds,
      tones: tonesOf(serial),
    };
  }
}

export interface FaultPlan {
  readonly serial: number;
  readonly name: FaultName;
  /** From the start of the soak, in ms. */
  readonly atMs: number;
  readonly lastsMs: number;
  /** Which of several, where there are several: 0 up to, not including, 1. */
  readonly which: number;
}

/** How long before the end no fault begins any more: there must be time to heal. */
const quietEnd = (lengthMs: number): number => Math.min(15_000, 0.3 * lengthMs);

/**
 * The faults of a soak: one every so often, at an uneven moment, each as often as its weight says and all of them before
 * one comes again.
 */
export const faultPlans = (
  dice: Dice,
  mix: FaultMix,
  everyMs: number,
  lengthMs: number,
): readonly FaultPlan[] => {
  const throws = dice.fork('faults');
  const names = (Object.keys(mix) as FaultName[]).filter((name) => (mix[name] ?? 0) > 0);
  if (names.length === 0) return [];
  const plans: FaultPlan[] = [];
  let bag: FaultName[] = [];
  for (let slot = 0; ; slot++) {
    // In the middle half of its slot: neither on the beat of anything else nor two at once.
    const atMs = (slot + 0.25 + 0.5 * throws.next()) * everyMs;
    if (atMs > lengthMs - quietEnd(lengthMs)) return plans;
    if (bag.length === 0) {
      bag = throws.shuffle(
        names.flatMap((name) => Array<FaultName>(Math.max(1, Math.round(mix[name] ?? 1))).fill(name)),
      );
    }
    const name = bag.pop() as FaultName;
    const [from, to] = consequences[name].lasts;
    plans.push({
      serial: plans.length + 1,
      name,
      atMs,
      lastsMs: Math.round(1000 * (from + throws.next() * (to - from))),
      which: throws.next(),
    });
  }
};
