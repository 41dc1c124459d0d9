import type { CallerId, CallId, FacilityId, Origin, TrunkId, WallMs } from '../core/leg.js';
import { parseCallerId, parseCallId, parseFacilityId, parseTrunkId } from '../core/leg.js';
import type {
  AllowEntry,
  BlockEntry,
  EpochRef,
  PendingEntry,
  PrivilegedEntry,
  UnknownWhy,
} from '../core/lists.js';
import { type Dialled, parseNumberKeyText } from '../core/number.js';
import type { Circumstances } from '../core/policy.js';
import type { Usage, Used } from '../core/usage.js';

/** A row of a journal, as far as a review needs one. */
export interface Row {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Why a past decision cannot be made again. What a row does not hold is never guessed: such a decision is counted
 * under one of these.
 */
export const notReplayableTexts = {
  'row-unreadable': 'the row is not one of a decision as this version writes or wrote them',
  'number-hidden': 'a hotline was another party of the call: its number was not kept',
  'caller-not-kept': 'calls to a hotline keep no caller, and the answer depends on who called',
  'place-not-kept': 'the row names no unit and phone, and the answer depends on their hours',
  'call-not-seen': 'the answer depends on who called, and the row of the call itself lies outside the period',
  'claim-not-kept': 'written before claims of a private call were kept, and the answer depends on it',
  'time-not-kept': 'written before the time of the decision was kept, and the answer depends on it',
  'order-or-list': 'written before it was kept whether a block or review was ordered on the spot or listed',
  'entries-not-kept': 'written before rows held what the entries said, and the answer depends on it',
  'lockdown-masked': 'there was a lockdown, and whether by order or by configuration is not known',
  'suspension-masked': 'the caller was suspended, and whether by order or by configuration is not known',
} as const;
export type NotReplayable = keyof typeof notReplayableTexts;

/** Thrown where the decision asks for what the row does not hold. Never leaves this folder. */
export class Missing extends Error {
  readonly why: NotReplayable;
  constructor(why: NotReplayable) {
    super(why);
    this.why = why;
  }
}

/** A part of a decision's input that the row may hold or not. */
export type Kept<T> =
  | { readonly kept: true; readonly value: T }
  | { readonly kept: false; readonly why: NotReplayable };

export const kept = <T>(value: T): Kept<T> => ({ kept: true, value });
export const notKept = (why: NotReplayable): Kept<never> => ({ kept: false, why });

/** What the row holds of one answer. `entries` is null where it was written before entries were kept. */
export type PastAnswer<E> =
  | { readonly state: 'listed'; readonly entries: readonly E[] | null }
  | { readonly state: 'absent' }
  | { readonly state: 'unknown'; readonly why: UnknownWhy };

export interface PastLists {
  readonly epoch: EpochRef | null;
  readonly heartbeatAgeMs: number | null;
  readonly privileged: PastAnswer<PrivilegedEntry>;
  readonly snapshot: PastAnswer<PrivilegedEntry>;
  readonly pending: PastAnswer<PendingEntry>;
  readonly block: PastAnswer<BlockEntry>;
  readonly allow: PastAnswer<AllowEntry>;
}

/** What a decision came to: of the past, or made again. */
export interface Verdict {
  readonly verdict: 'monitored' | 'private' | 'refused';
  /** The privileged class, also of a refusal that speaks of a privileged number. */
  readonly class: string | null;
  /** The code of the row of the table that decided. */
  readonly reason: string;
  /** The number was found privileged and in force, whatever came of it. */
  readonly protected: boolean;
}

export interface PastDecision {
  readonly callId: CallId;
  readonly at: string;
  /** 'dialled': the call's own; 'again': while it was under way; else how another party came in. */
  readonly leg: string;
  readonly trunk: TrunkId;
  readonly facility: FacilityId;
  readonly place: Kept<Pick<Origin, 'unit' | 'phone'>>;
  readonly caller: Kept<CallerId | null>;
  readonly dialled: Dialled;
  readonly claimsPrivate: Kept<boolean>;
  readonly decidedAt: Kept<WallMs>;
  readonly was: Verdict;
  readonly policy: string;
  readonly lists: PastLists;
  readonly circumstances: Circumstances;
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unreadable = (): never => {
  throw new Missing('row-unreadable');
};
const text = (value: unknown): string => (typeof value === 'string' ? value : unreadable());
const textOrNull = (value: unknown): string | null => (value === null ? null : text(value));
const count = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : unreadable();
const countOrNull = (value: unknown): number | null => (value === null ? null : count(value));
const object = (value: unknown): Json => (isObject(value) ? value : unreadable());
const given = <T>(value: T | null): T => value ?? unreadable();

const dialledOf = (value: unknown): Dialled => {
  if (value === null) throw new Missing('number-hidden');
  const body = object(value);
  const key = (): NonNullable<ReturnType<typeof parseNumberKeyText>> =>
    given(parseNumberKeyText(text(body.number)));
  switch (body.kind) {
    case 'number':
      return { kind: 'number', key: key(), type: text(body.type), region: null } as Dialled;
    case 'hotline':
      return { kind: 'hotline', code: text(body.code), key: key() };
    case 'emergency':
      return { kind: 'emergency', code: text(body.code) };
    case 'service':
      return { kind: 'service', code: '', service: text(body.service) } as Dialled;
    case 'unparseable':
      return { kind: 'unparseable', reason: text(body.reason), message: '' } as Dialled;
    default:
      return unreadable();
  }
};

const answerOf = <E>(value: unknown): PastAnswer<E> => {
  const body = object(value);
  switch (body.state) {
    case 'absent':
      return { state: 'absent' };
    case 'unknown':
      return { state: 'unknown', why: text(body.why) as UnknownWhy };
    case 'listed': {
      const entries = Array.isArray(body.entries) && body.entries.length > 0 ? body.entries : unreadable();
      return { state: 'listed', entries: entries.every(isObject) ? (entries as readonly E[]) : null };
    }
    default:
      return unreadable();
  }
};

const listsOf = (value: unknown, epoch: unknown): PastLists => {
  const body = object(value);
  return {
    epoch: epoch === null ? null : (object(epoch) as unknown as EpochRef),
    heartbeatAgeMs: countOrNull(body.heartbeatAgeMs),
    privileged: answerOf(body.privileged),
    snapshot: answerOf(body.snapshot),
    pending: answerOf(body.pending),
    block: answerOf(body.block),
    allow: answerOf(body.allow),
  };
};

const usedOf = (value: unknown): Used => {
  const body = object(value);
  return {
    concurrent: count(body.concurrent),
    recent: count(body.recent),
    idleMs: countOrNull(body.idleMs),
  };
};

const usageOf = (value: unknown): Usage => {
  const body = object(value);
  const state = body.state === 'shared' || body.state === 'alone' ? body.state : unreadable();
  const maybe = (used: unknown): Used | null => (used === null ? null : usedOf(used));
  return { state, caller: maybe(body.caller), number: usedOf(body.number), phone: maybe(body.phone) };
};

const oneOf = <T extends string>(value: unknown, ...all: readonly T[]): T =>
  all.find((one) => one === value) ?? unreadable();

const circumstancesOf = (value: unknown): Circumstances => {
  const body = object(value);
  return {
    lockdown: oneOf(body.lockdown, 'off', 'on', 'unknown'),
    schedule: oneOf(body.schedule, 'open', 'closed', 'unknown'),
    suspended: typeof body.suspended === 'boolean' ? body.suspended : unreadable(),
    // Written before there were test calls: nothing could disarm then.
    recording: body.recording === undefined ? 'armed' : oneOf(body.recording, 'armed', 'disarmed'),
    usage: usageOf(body.usage),
    text: body.text === true,
  };
};

const verdictOf = (body: Json): Verdict => {
  const verdict = oneOf(body.verdict, 'monitored', 'private', 'refused');
  const reasons = (Array.isArray(body.reasons) ? body.reasons : unreadable()).map((one: unknown) => {
    const { code, detail } = object(one);
    return { code: text(code), detail: textOrNull(detail ?? null) };
  });
  const privileged = reasons.find(({ code }) => code.startsWith('privileged-'));
  return {
    verdict,
    class: verdict === 'private' ? text(body.class) : (privileged?.detail ?? null),
    reason: given(reasons[0] ?? null).code,
    protected: privileged !== undefined,
  };
};

/** Rows written before claims were kept: what came to a later row of the table was no claim. */
const claimOf = (body: Json, was: Verdict): Kept<boolean> => {
  if (typeof body.claimsPrivate === 'boolean') return kept(body.claimsPrivate);
  if (was.reason === 'private-claim-unlisted') return kept(true);
  return count(body.row) > 5 ? kept(false) : notKept('claim-not-kept');
};

const timeOf = (value: unknown): Kept<WallMs> => {
  if (value === undefined) return notKept('time-not-kept');
  // The clock had failed: then nothing the lists said was used either.
  const at = value === null ? Number.NaN : Date.parse(text(value));
  return kept(at as WallMs);
};

const legOf = (body: Json): string =>
  body.other === undefined ? (body.again === true ? 'again' : 'dialled') : text(body.other);

/** Reads the row of a decision. Throws Missing where it is not one, or its number was not kept. */
const read = ({ at, body }: Row): PastDecision => {
  const leg = legOf(body);
  const was = verdictOf(body);
  // A call to a hotline keeps nobody; another party's row leaves the caller to the row of the call.
  const hidden = notKept(leg === 'dialled' || leg === 'again' ? 'caller-not-kept' : 'call-not-seen');
  return {
    callId: given(parseCallId(text(body.callId))),
    at,
    leg,
    trunk: given(parseTrunkId(text(body.trunk))),
    facility: given(parseFacilityId(text(body.facility))),
    place:
      body.unit === undefined
        ? leg === 'dialled' || leg === 'again'
          ? notKept('place-not-kept')
          : hidden
        : kept({ unit: textOrNull(body.unit), phone: textOrNull(body.phone) }),
    caller:
      body.caller === undefined
        ? hidden
        : kept(body.caller === null ? null : given(parseCallerId(text(body.caller)))),
    dialled: dialledOf(body.dialled),
    claimsPrivate: claimOf(body, was),
    decidedAt: timeOf(body.decidedAt),
    was,
    policy: text(body.policy),
    lists: listsOf(body.lists, body.epoch),
    circumstances: circumstancesOf(body.circumstances),
  };
};

/** What a row of kind 'decision' says, or why nothing can be made of it. Never throws. */
export const pastDecision = (row: Row): PastDecision | NotReplayable => {
  try {
    return read(row);
  } catch (error) {
    if (error instanceof Missing) return error.why;
    throw error;
  }
};

/** What the call's own row knows and the row of another party of it does not. */
export type Asker = Pick<PastDecision, 'caller' | 'place'>;

export const askedBy = (past: PastDecision, asker: Asker): PastDecision => ({
  ...past,
  caller: past.caller.kept ? past.caller : asker.caller,
  place: past.place.kept ? past.place : asker.place,
});
