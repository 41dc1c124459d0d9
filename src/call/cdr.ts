import type { DecisionInput, Explanation } from '../core/decide.js';
import type { Decision } from '../core/decision.js';
import { type Ending, endingRow } from '../core/ending.js';
import type { Leg } from '../core/leg.js';
import type {
  AllowEntry,
  Answer,
  BlockEntry,
  ListAnswers,
  PendingEntry,
  PrivilegedEntry,
} from '../core/lists.js';
import { type Dialled, numberKeyText } from '../core/number.js';
import type { Usage, Used } from '../core/usage.js';
import type { DialAttempt, JsonObject, MediaTotals } from './ports.js';

/**
 * The rows a call leaves in the journal. The journal is evidence and may hold numbers; logs may not (I11).
 * Calls to anonymous hotlines keep no identity of the caller (28 CFR 115.51(b), facts: field section 3).
 */

const dialledJson = (dialled: Dialled): JsonObject => {
  switch (dialled.kind) {
    case 'number':
      return { kind: 'number', number: numberKeyText(dialled.key), type: dialled.type };
    case 'hotline':
      return { kind: 'hotline', code: dialled.code, number: numberKeyText(dialled.key) };
    case 'emergency':
      return { kind: 'emergency', code: dialled.code };
    case 'service':
      return { kind: 'service', service: dialled.service };
    case 'unparseable':
      return { kind: 'unparseable', reason: dialled.reason };
    default: {
      const never: never = dialled;
      return never;
    }
  }
};

/** Whether this was a call to a hotline: connected, or tried and refused. */
const isAnonymous = (leg: Leg, decision: Decision): boolean => {
  switch (decision.verdict) {
    case 'monitored':
      return false;
    case 'private':
      return decision.class === 'hotline';
    case 'refused':
      return (
        leg.dialled.kind === 'hotline' ||
        decision.reasons.some((one) => one.code === 'privileged-lockdown' && one.detail === 'hotline')
      );
    default: {
      const never: never = decision;
      return never;
    }
  }
};

const legJson = (leg: Leg, decision: Decision | null, anonymous = false): JsonObject => {
  const { trunk, facility, unit, phone } = leg.origin;
  // Ended before anyone could know whether this is a hotline: who called is kept, and not what was dialled.
  if (decision === null) return { trunk, facility, unit, phone, caller: leg.caller, dialled: null };
  const dialled = dialledJson(leg.dialled);
  return anonymous || isAnonymous(leg, decision)
    ? { trunk, facility, dialled }
    : { trunk, facility, unit, phone, caller: leg.caller, dialled };
};

const decisionJson = (decision: Decision): JsonObject => ({
  verdict: decision.verdict,
  reasons: decision.reasons.map((reason) => ({ code: reason.code, detail: reason.detail ?? null })),
  epoch: decision.epoch === null ? null : { id: decision.epoch.id, digest: decision.epoch.digest },
  policy: decision.policy,
  ...(decision.verdict === 'private' ? { class: decision.class } : {}),
  ...(decision.verdict === 'refused' ? { ending: decision.ending } : {}),
});

/** A call as the ledger knows it before its decision, and what its CDR would say had it ended there. */
export const arrivedFact = (leg: Leg, held: 'here' | 'elsewhere'): JsonObject => ({
  at: leg.receivedAt,
  held,
  leg: legJson(leg, null),
});

type Lists = Pick<ListAnswers, 'privileged' | 'snapshot' | 'pending' | 'block' | 'allow'>;

/**
 * What an entry says, besides its id: with it a decision can be made again years later from its row alone, under
 * another policy (docs/what-if.md).
 */
const entryJson = {
  privileged: ({ id, class: of, match, validFrom, validTo }: PrivilegedEntry): JsonObject => ({
    id,
    class: of,
    match,
    validFrom,
    validTo,
  }),
  pending: ({ id, ordered }: PendingEntry): JsonObject => ({ id, ordered: ordered === true }),
  block: ({ id, cause, expires, ordered }: BlockEntry): JsonObject => ({
    id,
    cause,
    expires,
    ordered: ordered === true,
  }),
  allow: ({ id, scope }: AllowEntry): JsonObject => ({ id, scope }),
};

const answerJson = <E>(answer: Answer<E>, entry: (one: E) => JsonObject): JsonObject => {
  switch (answer.state) {
    case 'listed':
      return { state: 'listed', entries: answer.entries.map(entry) };
    case 'absent':
      return { state: 'absent' };
    case 'unknown':
      return { state: 'unknown', why: answer.why };
    default: {
      const never: never = answer;
      return never;
    }
  }
};

const listsJson = ({ privileged, snapshot, pending, block, allow }: Lists): JsonObject => ({
  privileged: answerJson(privileged, entryJson.privileged),
  snapshot: answerJson(snapshot, entryJson.privileged),
  pending: answerJson(pending, entryJson.pending),
  block: answerJson(block, entryJson.block),
  allow: answerJson(allow, entryJson.allow),
});

const usedJson = (used: Used | null): JsonObject | null => (used === null ? null : { ...used });
const usageJson = ({ state, caller, number, phone }: Usage): JsonObject => ({
  state,
  caller: usedJson(caller),
  number: usedJson(number),
  phone: usedJson(phone),
});

/** The row that must be durable before anything is connected: the decision with everything it depended on. */
export const decisionRow = (input: DecisionInput, { decision, row }: Explanation): JsonObject => ({
  callId: input.leg.callId,
  ...legJson(input.leg, decision),
  ...judgedJson(input, row, decision),
});

/** The row of a new decision about a call under way. One to a hotline stays without identity, whatever it comes to. */
export const againRow = (
  input: DecisionInput,
  current: Decision,
  { decision, row }: Explanation,
): JsonObject => ({
  callId: input.leg.callId,
  again: true,
  ...legJson(input.leg, decision, isAnonymous(input.leg, current)),
  ...judgedJson(input, row, decision),
});

/**
 * The row about another party of a call, which `input` speaks of. The call's own row says who calls, where anything
 * may: here it is not said again, and a hotline's number is not said beside a call that has a caller.
 */
export const otherRow = (
  how: string,
  leg: Leg,
  current: Decision | null,
  input: DecisionInput,
  { decision, row }: Explanation,
): JsonObject => {
  const other = input.leg;
  const hidden = isAnonymous(other, decision) && (current === null || !isAnonymous(leg, current));
  return {
    callId: leg.callId,
    other: how,
    trunk: leg.origin.trunk,
    facility: leg.origin.facility,
    dialled: hidden ? null : dialledJson(other.dialled),
    ...judgedJson(input, row, decision),
  };
};

const judgedJson = (
  { leg, answers, circumstances, now }: DecisionInput,
  row: number,
  decision: Decision,
): JsonObject => ({
  decidedAt: isoTime(now),
  claimsPrivate: leg.claimsPrivate,
  row,
  ...decisionJson(decision),
  lists: {
    heartbeatAgeMs: answers.heartbeatAgeMs === null ? null : Math.round(answers.heartbeatAgeMs),
    ...listsJson(answers),
  },
  circumstances: { ...circumstances, usage: usageJson(circumstances.usage) },
});

/** RFC 3339 in UTC, or null for what is no time: a clock that fails must not cost the row. */
export const isoTime = (ms: number): string | null => {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
};

/** Another party of the call: how it showed, what it was judged as, and what that meant for the call. */
export interface OtherNoted {
  readonly how: string;
  verdict: string;
  outcome: string | null;
}

/** What a call gathers for its CDR while it lives. Times are ms since the INVITE arrived. */
export interface CallRecord {
  decision: Decision | null;
  readonly times: Record<string, number | undefined>;
  node: string | null;
  attempts: readonly DialAttempt[];
  trunk: string | null;
  totals: MediaTotals | null;
  /** The nodes the call was on, the lobby's too, and what each replied; bounded by how often a call can move. */
  readonly nodes: string[];
  readonly replies: JsonObject[];
  /** Which rows of the journal are this call's. */
  rows: JsonObject | null;
  armed: JsonObject | null;
  spool: JsonObject | null;
  /** What was recorded before the call became private. */
  sealed: JsonObject | null;
  threeWay: JsonObject | null;
  /** The caller got a 200. */
  answered: boolean;
  /** The final response the caller's INVITE really got; null where none is known of. */
  told: number | null;
  readonly others: OtherNoted[];
  readonly conversation: {
    held: 'here' | 'elsewhere';
    /** What was said to whom and which menu keys were pressed, in order; `more` counts what went over the bound. */
    readonly course: JsonObject[];
    more: number;
  };
}

export const newRecord = (): CallRecord => ({
  decision: null,
  times: {},
  node: null,
  attempts: [],
  trunk: null,
  totals: null,
  nodes: [],
  replies: [],
  rows: null,
  armed: null,
  spool: null,
  sealed: null,
  threeWay: null,
  answered: false,
  told: null,
  others: [],
  conversation: { held: 'elsewhere', course: [], more: 0 },
});

const span = (times: CallRecord['times'], from: string, to: string): number | null => {
  const a = times[from];
  const b = times[to];
  return a === undefined || b === undefined ? null : Math.round((b - a) * 1000) / 1000;
};

/** How long the parties could hear each other: from the opening to the start of the ending, not of its clean-up. */
export const connectedMs = (record: CallRecord): number => {
  const { 'open-media': opened, ended } = record.times;
  return opened === undefined || ended === undefined ? 0 : Math.max(0, Math.round(ended - opened));
};

/**
 * Post-dial delay, split by step (RFC 6076 section 4.3 for the whole); null for a step the call did not come to. A
 * call whose conversation is held here has more of them, and what it waits for is people: `asked` is the called
 * party's, `lookUp` counts from the caller's last key.
 */
const delayJson = ({ times, conversation }: CallRecord): JsonObject => {
  const since = (to: string, ...from: readonly string[]): number | null =>
    span(times, from.find((one) => times[one] !== undefined) ?? '', to);
  const ready = {
    journal: since('journal-decision', 'look-up-and-decide'),
    ready: since('ready-recorder', 'journal-decision'),
    anchor: since('anchor', 'ready-recorder', 'journal-decision'),
  };
  if (conversation.held === 'elsewhere') {
    const answered = times.arm === undefined ? 'answer-media' : 'arm';
    return {
      lookUp: since('look-up-and-decide', 'arrived'),
      ...ready,
      ring: since('rang', 'anchor'),
      answer: since('dial', 'anchor'),
      arm: since(answered, 'dial'),
      connect: since('connect-caller', answered),
      open: since('open-media', 'connect-caller'),
    };
  }
  return {
    receive: since('receive-caller', 'arrived'),
    lookUp: since('look-up-and-decide', 'looking-up'),
    ...ready,
    greet: since('greet-caller', 'anchor'),
    ring: since('rang', 'greet-caller', 'anchor'),
    answer: since('dial', 'greet-caller', 'anchor'),
    media: since('answer-media', 'dial'),
    asked: since('asked', 'answer-media'),
    tell: since('tell', 'asked', 'answer-media'),
    arm: since('arm', 'tell'),
    open: since('open-media', 'arm', 'tell'),
  };
};

/** The CDR: one for every attempt, refusals included. `durationMs` is from the INVITE to the start of the ending. */
export const cdrRow = (leg: Leg, record: CallRecord, ending: Ending, prompts: string): JsonObject => {
  const row = endingRow(ending.code);
  const { times } = record;
  return {
    callId: leg.callId,
    ...legJson(leg, record.decision),
    ...(record.decision === null ? { verdict: 'undecided' } : decisionJson(record.decision)),
    ending: ending.code,
    detail: ending.detail ?? null,
    disposition: row.disposition,
    fault: row.fault,
    // What the caller's side got, which is not always what the ending would have told it: a CANCEL can come first.
    status: record.told ?? (record.answered ? 200 : null),
    cause: row.cause,
    arrivedAt: isoTime(leg.receivedAt),
    durationMs: Math.round(times.ended ?? 0),
    connectedMs: connectedMs(record),
    delay: delayJson(record),
    node: record.node,
    carrier: record.trunk,
    attempts: record.attempts.map((attempt) => ({ ...attempt, ms: Math.round(attempt.ms) })),
    media:
      record.totals === null
        ? null
        : { packets: { ...record.totals.packets }, lost: { ...record.totals.lost } },
    replies: [...record.replies],
    armed: record.armed,
    spool: record.spool,
    ...(record.sealed === null ? {} : { sealed: record.sealed }),
    ...(record.threeWay === null ? {} : { threeWay: record.threeWay }),
    ...(record.others.length === 0 ? {} : { otherParties: record.others.map((other) => ({ ...other })) }),
    conversation:
      record.conversation.held === 'elsewhere'
        ? { held: 'elsewhere' }
        : { held: 'here', prompts, course: [...record.conversation.course], more: record.conversation.more },
    ...(record.rows === null ? {} : { rows: record.rows }),
  };
};

const essentials = [
  'callId',
  'trunk',
  'facility',
  'verdict',
  'ending',
  'disposition',
  'fault',
  'status',
  'cause',
  'arrivedAt',
  'durationMs',
  'connectedMs',
] as const;

/** What is left of a CDR the journal will never take as it is (too large, not JSON): better than none. */
export const reducedCdr = (cdr: JsonObject, code: string): JsonObject => {
  const kept: Record<string, string | number | null> = { reduced: code };
  for (const key of essentials) {
    const value = cdr[key];
    if (typeof value === 'string') kept[key] = value.slice(0, 64);
    else kept[key] = typeof value === 'number' && Number.isFinite(value) ? value : null;
  }
  return kept;
};
