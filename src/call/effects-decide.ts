import type { CallEvent } from '../core/call.js';
import { countedAs, type DecisionInput, explain, isHotline } from '../core/decide.js';
import type { Decision } from '../core/decision.js';
import type { Leg, WallMs } from '../core/leg.js';
import { allUnknown, type ListAnswers } from '../core/lists.js';
import type { NumberKey } from '../core/number.js';
import { noUsage, type Usage } from '../core/usage.js';
import { alarm, failed, noteDown, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { decisionRow } from './cdr.js';
import { codeOf, withDeadline } from './deadline.js';
import type { JsonObject, ListQuestion } from './ports.js';
import type { Place } from './talk.js';

export const lookUpAndDecide = async (run: CallRun): Promise<CallEvent> => {
  const { parts, leg } = run;
  const { times } = run.record;
  times['looking-up'] = run.elapsed();
  // Of an earlier look: what was decided then is decided anew.
  times['look-up-and-decide'] = times['journal-decision'] = undefined;
  // Asked for a second time, once the caller is known: the place taken for nobody is given back first, or this call
  // would find itself in its own way.
  await leavePlace(run);
  const { asked, entered } = await askEntering(run, leg);
  const now = parts.clock.wall();
  const answers = withoutClock(asked, now);
  const usage = await takePlace(run, answers, now, entered);
  if (parts.lists.silent === true) parts.stoodStill(run.callId);
  const circumstances = { ...parts.surroundings.of(leg, now), usage };
  const input: DecisionInput = { leg, trunkEnabled: true, answers, circumstances, policy: parts.policy, now };
  const explanation = explain(input);
  const { decision, row } = explanation;
  run.record.times['look-up-and-decide'] = run.elapsed();
  run.evidence = decisionRow(input, explanation);
  emitDecided(run, decision, row);
  if (decision.verdict === 'refused' && decision.alarm) alarm(run, 'emergency-dialled', leg.origin.facility);
  return { type: 'decided', decision };
};

export const emitDecided = (run: CallRun, decision: Decision, row: number): void =>
  run.parts.emit({
    event: 'call-decided',
    callId: run.callId,
    verdict: decision.verdict,
    reason: decision.reasons[0].code,
    row,
    epoch: decision.epoch?.id ?? null,
  });

/**
 * What the table is asked about a leg of a call that has its place in the counts already: they are of new calls.
 * `ms` bounds the lists' answer.
 */
export const inputOf = async (run: CallRun, leg: Leg, ms?: number): Promise<DecisionInput> => {
  const { clock, policy, surroundings } = run.parts;
  const asked = await askLists(run, leg, ms);
  const now = clock.wall();
  const circumstances = { ...surroundings.of(leg, now), usage: noUsage };
  return { leg, trunkEnabled: true, answers: withoutClock(asked, now), circumstances, policy, now };
};

/** Without a time nobody can say which entries are in force: nothing the lists said may be used (design I4). */
const withoutClock = (answers: ListAnswers, now: WallMs): ListAnswers =>
  Number.isFinite(now) ? answers : allUnknown('clock', { state: 'unknown', why: 'clock' });

/** How a call is counted, as far as it depends on the lists. */
interface Counted {
  readonly kind: 'monitored' | 'private';
  /** Nobody's: of a hotline. */
  readonly nobodys: boolean;
}

const countedBy = (leg: Leg, answers: ListAnswers, now: WallMs): Counted => ({
  kind: countedAs(answers, now),
  nobodys: isHotline(answers, now) || leg.dialled.kind === 'hotline',
});

/** A place that was taken with the look-up, and as what. */
interface Entered extends Counted {
  readonly place: Place;
}

/**
 * Asks the lists about the call's leg, and for its place in the counts along with them where both can be asked at once:
 * by what is known without Redis the call is counted as it will be, or else the place is given back and asked for anew.
 */
const askEntering = async (
  run: CallRun,
  leg: Leg,
): Promise<{ readonly asked: ListAnswers; readonly entered: Entered | null }> => {
  const { lists, counters, clock, bounds } = run.parts;
  const { dialled } = leg;
  if ((dialled.kind !== 'number' && dialled.kind !== 'hotline') || lists.lookUpEntering === undefined)
    return { asked: await askLists(run, leg), entered: null };
  let counted: Counted | null = null;
  const both = lists.lookUpEntering(questionOf(leg, dialled.key), (foreseen) => {
    const now = clock.wall();
    if (run.isOver || !Number.isFinite(now)) return null;
    const as = countedBy(leg, foreseen, now);
    counted = as;
    const trace = (what: JsonObject): void => noteDown(run, 'place', what);
    return counters.entering?.(as.nobodys ? nobodys(leg) : leg, dialled.key, as.kind, trace) ?? null;
  });
  const whole = both.then(async ({ answers, place }): Promise<Answered> => ({ answers, place: await place }));
  const give = ({ place }: Answered): void => {
    if (place !== null) void givenBack(run, place);
  };
  try {
    const { answers, place } = await withDeadline('look-up-and-decide', bounds.lookUpMs, whole, give);
    const as = counted as Counted | null;
    return { asked: answers, entered: place === null || as === null ? null : { ...as, place } };
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
    return { asked: allUnknown('unreachable', unreachable), entered: null };
  }
};

interface Answered {
  readonly answers: ListAnswers;
  readonly place: Place | null;
}

/** Takes this call's place in the counts before it is decided, so that two calls cannot both be the last allowed. */
const takePlace = async (
  run: CallRun,
  answers: ListAnswers,
  now: WallMs,
  entered: Entered | null,
): Promise<Usage> => {
  const { leg, parts } = run;
  const { dialled } = leg;
  const { kind, nobodys: isNobodys } = countedBy(leg, answers, now);
  const fits = entered !== null && entered.kind === kind && entered.nobodys === isNobodys;
  if (entered !== null && (run.isOver || !fits)) await givenBack(run, entered.place);
  if (run.isOver || (dialled.kind !== 'number' && dialled.kind !== 'hotline')) return noUsage;
  const give = (place: Place): void => void givenBack(run, place);
  if (fits) {
    run.place = entered.place;
    return entered.place.usage;
  }
  const counted = isNobodys ? nobodys(leg) : leg;
  const entering = parts.counters.enter(counted, dialled.key, kind, (trace) => noteDown(run, 'place', trace));
  const asked = withDeadline('look-up-and-decide', parts.bounds.lookUpMs, entering, give);
  const place = await (kind === 'private' ? asked.catch(uncounted(run)) : asked);
  // A place that comes when the call has ended would be taken for ever.
  if (place !== null && run.state.phase === 'ended') give(place);
  else run.place = place;
  return place?.usage ?? noUsage;
};

/** A private call is not refused because nobody could be asked how many there are: it goes without a place. */
const uncounted =
  (run: CallRun) =>
  (error: unknown): null => {
    failed(run, 'look-up-and-decide', error);
    return null;
  };

/** A hotline counts nobody: what the caller did, and from which phone, must not be found in any store. */
const nobodys = (leg: Leg): Leg => ({
  ...leg,
  caller: null,
  origin: { ...leg.origin, unit: null, phone: null },
});

/** Gives the call's place back, once. Never rejects, and not waited for longer than a look-up may take. */
export const leavePlace = async (run: CallRun): Promise<void> => {
  const { place } = run;
  run.place = null;
  if (place !== null) await givenBack(run, place);
};

const givenBack = async (run: CallRun, place: Place): Promise<void> => {
  try {
    await withDeadline('look-up-and-decide', run.parts.bounds.lookUpMs, place.leave());
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
  }
};

/** Asks the lists about a leg; what is no number needs no list, for an earlier row of the table refuses it. */
const askLists = async (run: CallRun, leg: Leg, ms = run.parts.bounds.lookUpMs): Promise<ListAnswers> => {
  if (leg.dialled.kind !== 'number' && leg.dialled.kind !== 'hotline')
    return allUnknown('unreachable', unreachable);
  const question = questionOf(leg, leg.dialled.key);
  try {
    return await withDeadline('look-up-and-decide', ms, run.parts.lists.lookUp(question));
  } catch (error) {
    failed(run, 'look-up-and-decide', error);
    return allUnknown('unreachable', unreachable);
  }
};

const unreachable = { state: 'unknown', why: 'unreachable' } as const;

const questionOf = ({ caller, origin }: Leg, key: NumberKey): ListQuestion => ({
  key,
  caller,
  facility: origin.facility,
});

/** The decision as the call took it on: from now on it is the call's, and its row must be durable. */
export const journalDecision = async (run: CallRun, decision: Decision): Promise<CallEvent> => {
  const { evidence, parts } = run;
  run.evidence = null;
  run.record.decision = decision;
  try {
    if (evidence === null) return { type: 'journal-failed', detail: 'no-evidence' };
    const append = parts.journal.append('decision', evidence);
    // The row of a call that becomes private is no part of the delay before it was up.
    if (run.becoming !== null) await withDeadline('journal-decision', parts.bounds.journalMs, append);
    else
      noteDown(run, 'decided', {
        seq: (await timed(run, 'journal-decision', parts.bounds.journalMs, append)).seq,
      });
    return { type: 'decision-journalled' };
  } catch (error) {
    alarm(run, 'journal-unhealthy', codeOf(error));
    return { type: 'journal-failed', detail: failed(run, 'journal-decision', error) };
  }
};

export const readyRecorder = async (run: CallRun): Promise<CallEvent> => {
  try {
    const ready = run.parts.recorder.ready(run.leg);
    const answer = await timed(run, 'ready-recorder', run.parts.bounds.readyMs, ready);
    if (answer.ready) return { type: 'recorder-ready' };
    alarm(run, 'spool-unusable', answer.code);
    return { type: 'recorder-unready', detail: answer.code };
  } catch (error) {
    return { type: 'recorder-unready', detail: failed(run, 'ready-recorder', error) };
  }
};
