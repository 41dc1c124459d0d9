import { countedAs, type DecisionInput, type Explanation, explain, explainAgain } from '../core/decide.js';
import type { CallerId, FacilityId, Leg, Origin, WallMs } from '../core/leg.js';
import type {
  AllowEntry,
  Answer,
  BlockEntry,
  EntryId,
  ListAnswers,
  PendingEntry,
  PrivilegedEntry,
} from '../core/lists.js';
import type { NumberKey } from '../core/number.js';
import type { Circumstances, Policy } from '../core/policy.js';
import type { ReasonCode } from '../core/reason.js';
import { noUsage } from '../core/usage.js';
import {
  type Kept,
  Missing,
  type NotReplayable,
  type PastAnswer,
  type PastDecision,
  type Verdict,
} from './past-decision.js';

/** What lists that are not published would say: listed or absent, for files that were read whole cannot be unknown. */
export interface CandidateAnswers {
  readonly privileged: Answer<PrivilegedEntry>;
  readonly pending: Answer<PendingEntry>;
  readonly block: Answer<BlockEntry>;
  readonly allow: Answer<AllowEntry>;
}

export type CandidateLists = (question: {
  readonly key: NumberKey;
  readonly caller: CallerId | null;
  readonly facility: FacilityId;
}) => CandidateAnswers;

/** What a configuration alone says of a place and a caller at a time: no orders. */
export type Around = (
  asker: { readonly origin: Origin; readonly caller: CallerId | null },
  now: WallMs,
) => Pick<Circumstances, 'lockdown' | 'schedule' | 'suspended'>;

export interface Configured {
  readonly policy: Policy;
  readonly around: Around;
}

/** What past decisions are made again under. */
export interface Candidate extends Configured {
  /** Null: what the lists said then. */
  readonly lists: CandidateLists | null;
  /** The configuration of today: it tells what of a past lockdown was configured, where it was in force then. */
  readonly present: Configured;
}

export type Replayed =
  | {
      readonly replayable: true;
      readonly now: Verdict;
      /** False where the counts of such calls were not asked then: a limit might have refused it besides. */
      readonly limitsAsked: boolean;
      /** The number is on the candidate's privileged list, and not in force at the time of the call. */
      readonly listedNotInForce: boolean;
    }
  | {
      readonly replayable: false;
      readonly why: NotReplayable;
      /** Whether the number is privileged under the candidate; null where not even that can be said. */
      readonly protected: boolean | null;
    };

const take = <T>(part: Kept<T>): T => {
  if (!part.kept) throw new Missing(part.why);
  return part.value;
};

const nowhere: Origin = { trunk: '', facility: '', unit: null, phone: null } as unknown as Origin;

/** The leg as the row has it. Asking for what was not kept throws: the very same table decides what it needs. */
const legOf = (past: PastDecision, now: WallMs): Leg => {
  const { trunk, facility } = past;
  return {
    callId: past.callId,
    get origin() {
      return { trunk, facility, ...take(past.place) };
    },
    get caller() {
      return take(past.caller);
    },
    dialled: past.dialled,
    get claimsPrivate() {
      return take(past.claimsPrivate);
    },
    receivedAt: now,
  };
};

/**
 * The circumstances under the candidate's configuration. Hours follow from the time alone; an order that stood then
 * stands in the replay too, so where a lockdown or a suspension was on, it must be known not to have come from the
 * configuration of that time.
 */
const circumstancesOf = (past: PastDecision, candidate: Candidate, now: WallMs): Circumstances => {
  const then = past.circumstances;
  if (past.policy === candidate.policy.version) return then;
  const { trunk, facility } = past;
  const { present } = candidate;
  const known = past.policy === present.policy.version ? present : null;
  const at = (configured: Configured, caller: CallerId | null, place = nowhere) =>
    configured.around({ origin: { ...place, trunk, facility }, caller }, now);
  return {
    get lockdown() {
      const configured = at(candidate, null).lockdown;
      if (configured !== 'off' || then.lockdown !== 'on')
        return configured === 'off' ? then.lockdown : configured;
      if (known === null || at(known, null).lockdown !== 'off') throw new Missing('lockdown-masked');
      return 'on';
    },
    get schedule() {
      // The clock could not be trusted then: other hours would not have helped.
      if (then.schedule === 'unknown') return 'unknown';
      return at(candidate, null, { ...nowhere, ...take(past.place) }).schedule;
    },
    // Shown by calls of that time, and no configuration's to choose.
    recording: then.recording,
    get suspended() {
      const caller = take(past.caller);
      if (at(candidate, caller).suspended) return true;
      if (!then.suspended) return false;
      if (known === null || at(known, caller).suspended) throw new Missing('suspension-masked');
      return true;
    },
    usage: then.usage,
    text: then.text,
  };
};

const listedOrAbsent = <E>(entries: readonly E[]): Answer<E> => {
  const [first, ...rest] = entries;
  return first === undefined ? { state: 'absent' } : { state: 'listed', entries: [first, ...rest] };
};

/** The answer of the row itself. Entries it does not hold throw when they are looked at. */
const asThen = <E>(answer: PastAnswer<E>): Answer<E> => {
  if (answer.state !== 'listed') return answer;
  if (answer.entries !== null) return listedOrAbsent(answer.entries);
  return {
    state: 'listed',
    get entries(): never {
      throw new Missing('entries-not-kept');
    },
  };
};

/**
 * What the candidate's list says together with what was ordered on the spot and is in no list. Two answers where the
 * row does not say which of the two an entry was: with an order like `order`, and without.
 */
const withOrders = <E extends { readonly ordered?: boolean }>(
  then: PastAnswer<E>,
  now: Answer<E>,
  order: E,
): readonly Answer<E>[] => {
  if (then.state === 'unknown') return [then];
  if (then.state === 'absent') return [now];
  const listed = now.state === 'listed' ? now.entries : [];
  if (then.entries === null) return [now, listedOrAbsent([...listed, order])];
  return [listedOrAbsent([...listed, ...then.entries.filter((one) => one.ordered === true)])];
};

// Orders on numbers never expire (order-book.ts).
const someOrder = { id: '' as EntryId, cause: 'called-party', expires: null, ordered: true } as const;
const someEntry: AllowEntry = { id: '' as EntryId, scope: 'caller' };

interface Lists {
  /** Every answer the lists can have given: one, or more where the row leaves that open. */
  readonly ways: readonly ListAnswers[];
  /** Why there is more than one. */
  readonly open: NotReplayable;
}

const listsOf = (past: PastDecision, candidate: Candidate): Lists => {
  const { epoch, heartbeatAgeMs, ...then } = past.lists;
  const { dialled, facility } = past;
  const as = { epoch, heartbeatAgeMs };
  const own = {
    ...as,
    privileged: asThen(then.privileged),
    snapshot: asThen(then.snapshot),
    pending: asThen(then.pending),
    block: asThen(then.block),
    allow: asThen(then.allow),
  };
  if (candidate.lists === null || (dialled.kind !== 'number' && dialled.kind !== 'hotline')) {
    return { ways: [own], open: 'entries-not-kept' };
  }
  const caller = past.caller.kept ? past.caller.value : null;
  const said = candidate.lists({ key: dialled.key, caller, facility });
  // A list that could not be asked then could not have been asked with other content either.
  const unless = <E>(answer: PastAnswer<unknown>, now: Answer<E>): Answer<E> =>
    answer.state === 'unknown' ? answer : now;
  const allows: readonly Answer<AllowEntry>[] =
    past.caller.kept || then.allow.state === 'unknown'
      ? [unless(then.allow, said.allow)]
      : [{ state: 'absent' }, { state: 'listed', entries: [someEntry] }];
  const ways: ListAnswers[] = [];
  for (const allow of allows) {
    for (const pending of withOrders(then.pending, said.pending, someOrder)) {
      for (const block of withOrders(then.block, said.block, someOrder)) {
        const privileged = unless(then.privileged, said.privileged);
        const snapshot = unless(then.snapshot, said.privileged);
        ways.push({ ...as, privileged, snapshot, pending, block, allow });
      }
    }
  }
  return { ways, open: past.caller.kept ? 'order-or-list' : 'caller-not-kept' };
};

const verdictOf = ({ decision }: Explanation): Verdict => {
  const privileged = decision.reasons.find(({ code }) => code.startsWith('privileged-'));
  return {
    verdict: decision.verdict,
    class: decision.verdict === 'private' ? decision.class : (privileged?.detail ?? null),
    reason: decision.reasons[0].code,
    protected: privileged !== undefined,
  };
};

export const sameVerdict = (a: Verdict, b: Verdict): boolean =>
  a.verdict === b.verdict && a.class === b.class && a.reason === b.reason;

/** Which counts a call was entered in: those of private calls, of monitored ones, or of nobody (hotlines). */
type Counted = 'monitored' | 'private' | 'hotline';
const countedThen = ({ was }: PastDecision): Counted =>
  !was.protected ? 'monitored' : was.class === 'hotline' ? 'hotline' : 'private';
const countedNow = (answers: ListAnswers, now: WallMs, decided: Verdict): Counted => {
  if (countedAs(answers, now) === 'monitored') return 'monitored';
  return decided.class === 'hotline' ? 'hotline' : 'private';
};

const once = (
  past: PastDecision,
  candidate: Candidate,
  answers: ListAnswers,
  now: WallMs,
): { readonly now: Verdict; readonly limitsAsked: boolean } => {
  const circumstances = circumstancesOf(past, candidate, now);
  const input: DecisionInput = {
    leg: legOf(past, now),
    trunkEnabled: true,
    answers,
    circumstances,
    policy: candidate.policy,
    now,
  };
  const table = past.leg === 'again' ? explainAgain : explain;
  const first = verdictOf(table(input));
  // Only a new call was counted, so only its counts can be the wrong ones.
  if (past.leg !== 'dialled' || countedNow(answers, now, first) === countedThen(past)) {
    return { now: first, limitsAsked: true };
  }
  const unlimited = Object.create(circumstances, { usage: { value: noUsage } }) as Circumstances;
  const unlimitedly = verdictOf(table({ ...input, circumstances: unlimited }));
  // What is refused before any limit is asked is refused whatever the counts are.
  const settled = unlimitedly.verdict === 'refused' && !limitReasons.has(unlimitedly.reason);
  return { now: unlimitedly, limitsAsked: settled };
};

const limitReasons: ReadonlySet<string> = new Set([
  'too-many-calls',
  'too-often',
  'cool-down',
] satisfies ReasonCode[]);

/** A row is written within the deadline of the journal, at most ten seconds, after its decision. */
const maxWriteMs = 10_000;
const minute = 60_000;

/**
 * When the decision was made. Where the row does not say, every moment at which something can have begun or ended
 * in the seconds before the row was written: between two of these nothing differs. Hours change with the minute.
 */
const timesOf = ({ decidedAt, at }: PastDecision, ways: readonly ListAnswers[]): readonly WallMs[] => {
  if (decidedAt.kept) return [decidedAt.value];
  const last = Date.parse(at);
  const first = last - maxWriteMs;
  const turns = ways.flatMap(({ privileged, snapshot, block }) => [
    ...[privileged, snapshot].flatMap(entriesOf).flatMap(({ validFrom, validTo }) => [validFrom, validTo]),
    ...entriesOf(block).map(({ expires }) => expires),
  ]);
  const within = [...turns, Math.floor(last / minute) * minute].filter(
    (turn) => turn !== null && first < turn && turn < last,
  );
  return [...new Set([first, ...within, last])] as WallMs[];
};

/** None where the row does not hold them: looking at these throws in the decision too. */
const entriesOf = <E>(answer: Answer<E>): readonly E[] => {
  try {
    return answer.state === 'listed' ? answer.entries : [];
  } catch {
    return [];
  }
};

/** In force at every time the decision can have been made; null where that differs, or cannot be told. */
const protectedBy = (ways: readonly ListAnswers[], times: readonly WallMs[]): boolean | null => {
  try {
    const found = new Set(ways.flatMap((way) => times.map((now) => countedAs(way, now) === 'private')));
    return found.size === 1 ? found.has(true) : null;
  } catch (error) {
    if (error instanceof Missing) return null;
    throw error;
  }
};

/**
 * Makes a past decision again under the candidate, with the function that decides calls. Where the row leaves
 * something open, every way it can have been is tried, and the answer counts only if all agree. Pure.
 */
export const replay = (past: PastDecision, candidate: Candidate): Replayed => {
  const { ways, open } = listsOf(past, candidate);
  const times = timesOf(past, ways);
  try {
    let found: ReturnType<typeof once> | null = null;
    for (const now of times) {
      for (const way of ways) {
        const next = once(past, candidate, way, now);
        if (found !== null && !sameVerdict(found.now, next.now)) {
          throw new Missing(times.length > 1 && ways.length === 1 ? 'time-not-kept' : open);
        }
        found ??= next;
      }
    }
    if (found === null) throw new Missing('row-unreadable');
    const listed = candidate.lists !== null && ways.some((way) => way.privileged.state === 'listed');
    return { replayable: true, ...found, listedNotInForce: listed && !found.now.protected };
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    return { replayable: false, why: error.why, protected: protectedBy(ways, times) };
  }
};
