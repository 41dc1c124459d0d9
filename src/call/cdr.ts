import type { Decision } from '../core/decision.js';
import { type Ending, endingRow } from '../core/ending.js';
import type { Leg } from '../core/leg.js';
import type { ListAnswers } from '../core/lists.js';
import { type Dialled, numberKeyText } from '../core/number.js';
import type { Circumstances } from '../core/policy.js';
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

const isAnonymous = (decision: Decision | null): boolean =>
  decision?.verdict === 'private' && decision.class === 'hotline';

const legJson = (leg: Leg, decision: Decision | null): JsonObject =>
  isAnonymous(decision)
    ? { trunk: leg.origin.trunk, facility: leg.origin.facility, dialled: dialledJson(leg.dialled) }
    : {
        trunk: leg.origin.trunk,
        facility: leg.origin.facility,
        unit: leg.origin.unit,
        phone: leg.origin.phone,
        caller: leg.caller,
        dialled: dialledJson(leg.dialled),
      };

const decisionJson = (decision: Decision): JsonObject => ({
  verdict: decision.verdict,
  reasons: decision.reasons.map((reason) => ({ code: reason.code, detail: reason.detail ?? null })),
  epoch: decision.epoch === null ? null : { id: decision.epoch.id, digest: decision.epoch.digest },
  policy: decision.policy,
  ...(decision.verdict === 'private' ? { class: decision.class } : {}),
  ...(decision.verdict === 'refused' ? { ending: decision.ending } : {}),
});

const answerJson = (
  answer: ListAnswers[keyof Pick<ListAnswers, 'privileged' | 'snapshot' | 'pending' | 'block' | 'allow'>],
): JsonObject => {
  switch (answer.state) {
    case 'listed':
      return { state: 'listed', entries: answer.entries.map((entry) => entry.id) };
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

/** The row that must be durable before anything is connected: the decision with everything it depended on. */
export const decisionRow = (
  leg: Leg,
  row: number,
  decision: Decision,
  answers: ListAnswers,
  circumstances: Circumstances,
): JsonObject => ({
  callId: leg.callId,
  ...legJson(leg, decision),
  row,
  ...decisionJson(decision),
  lists: {
    heartbeatAgeMs: answers.heartbeatAgeMs === null ? null : Math.round(answers.heartbeatAgeMs),
    privileged: answerJson(answers.privileged),
    snapshot: answerJson(answers.snapshot),
    pending: answerJson(answers.pending),
    block: answerJson(answers.block),
    allow: answerJson(answers.allow),
  },
  circumstances: { ...circumstances },
});

/** What a call gathers for its CDR while it lives. Times are ms since the INVITE arrived. */
export interface CallRecord {
  readonly leg: Leg;
  decision: Decision | null;
  readonly times: Record<string, number>;
  node: string | null;
  attempts: readonly DialAttempt[];
  trunk: string | null;
  totals: MediaTotals | null;
  armed: JsonObject | null;
  spool: JsonObject | null;
}

export const newRecord = (leg: Leg): CallRecord => ({
  leg,
  decision: null,
  times: {},
  node: null,
  attempts: [],
  trunk: null,
  totals: null,
  armed: null,
  spool: null,
});

const span = (times: Record<string, number>, from: string, to: string): number | null => {
  const a = times[from];
  const b = times[to];
  return a === undefined || b === undefined ? null : Math.round((b - a) * 1000) / 1000;
};

/** The CDR: one for every attempt, refusals included. */
export const cdrRow = (record: CallRecord, ending: Ending, endedMs: number): JsonObject => {
  const row = endingRow(ending.code);
  const { times } = record;
  const connected = times['open-media'];
  return {
    callId: record.leg.callId,
    ...legJson(record.leg, record.decision),
    ...(record.decision === null ? { verdict: 'undecided' } : decisionJson(record.decision)),
    ending: ending.code,
    detail: ending.detail ?? null,
    disposition: row.disposition,
    fault: row.fault,
    // The final response the caller's side got: a call that was up was answered, however it ended.
    status: connected === undefined ? row.status : 200,
    cause: row.cause,
    arrivedAt: new Date(record.leg.receivedAt).toISOString(),
    durationMs: Math.round(endedMs),
    connectedMs: connected === undefined ? 0 : Math.round(endedMs - connected),
    // Post-dial delay, split by step (RFC 6076 section 4.3 for the whole).
    delay: {
      lookUp: span(times, 'arrived', 'look-up-and-decide'),
      journal: span(times, 'look-up-and-decide', 'journal-decision'),
      ready: span(times, 'journal-decision', 'ready-recorder'),
      anchor: span(
        times,
        times['ready-recorder'] === undefined ? 'journal-decision' : 'ready-recorder',
        'anchor',
      ),
      ring: span(times, 'anchor', 'rang'),
      answer: span(times, 'anchor', 'dial'),
      arm: span(times, 'dial', record.decision?.verdict === 'monitored' ? 'arm' : 'answer-media'),
      connect: span(
        times,
        record.decision?.verdict === 'monitored' ? 'arm' : 'answer-media',
        'connect-caller',
      ),
      open: span(times, 'connect-caller', 'open-media'),
    },
    node: record.node,
    carrier: record.trunk,
    attempts: record.attempts.map((attempt) => ({ ...attempt, ms: Math.round(attempt.ms) })),
    media:
      record.totals === null
        ? null
        : { packets: { ...record.totals.packets }, lost: { ...record.totals.lost } },
    armed: record.armed,
    spool: record.spool,
  };
};
