import type { Lists } from '../call/ports.js';
import type { Config } from '../config/schema.js';
import { decisionTable, type Explanation, explain } from '../core/decide.js';
import { endingRow } from '../core/ending.js';
import {
  type CallId,
  type FacilityId,
  type Leg,
  parseCallerId,
  type TrunkId,
  type WallMs,
} from '../core/leg.js';
import { allUnknown, type ListAnswers } from '../core/lists.js';
import { numberKeyText, parseDialled } from '../core/number.js';
import { reasonTexts } from '../core/reason.js';
import { noUsage } from '../core/usage.js';
import { planOf, policyOf, type Standing, surroundingsOf } from '../options.js';
import { CommandError, columns } from './output.js';

export interface ExplainQuestion {
  readonly number: string;
  readonly caller: string;
  /** Name of a facility trunk; the first of the configuration where none is given. */
  readonly trunk: string | undefined;
}

export interface Explained extends Explanation {
  readonly leg: Leg;
  readonly answers: ListAnswers;
}

/** Decides as a call would be decided now, without a call: the same lists, plan, policy and table. */
export const explainNumber = async (
  config: Config,
  lists: Lists,
  question: ExplainQuestion,
  orders?: Standing,
): Promise<Explained> => {
  const trunk =
    question.trunk === undefined
      ? config.trunks.facilities[0]
      : config.trunks.facilities.find((one) => one.name === question.trunk);
  if (trunk === undefined)
    throw new CommandError('trunk-unknown', `there is no facility trunk ${question.trunk ?? ''}`);
  const caller = parseCallerId(question.caller);
  if (caller === null)
    throw new CommandError(
      'caller-invalid',
      'a caller is 1-64 characters of letters, digits, dot, hyphen, underscore',
    );
  const now = Date.now() as WallMs;
  const leg: Leg = {
    callId: 'caaaaaaaaaaaaaaaaaaaaaaaaaa' as CallId,
    origin: { trunk: trunk.name as TrunkId, facility: trunk.facility as FacilityId, unit: null, phone: null },
    caller,
    // People write numbers with spaces; a phone cannot dial one.
    dialled: parseDialled(question.number.replaceAll(' ', ''), planOf(config, trunk.dialPlan)),
    claimsPrivate: false,
    receivedAt: now,
  };
  const answers =
    leg.dialled.kind === 'number' || leg.dialled.kind === 'hotline'
      ? await lists.lookUp({ key: leg.dialled.key, caller, facility: leg.origin.facility })
      : allUnknown('unreachable', { state: 'unknown', why: 'unreachable' });
  const around = surroundingsOf(config, orders).of(leg, now);
  const explanation = explain({
    leg,
    trunkEnabled: true,
    answers,
    circumstances: { ...around, usage: noUsage },
    policy: policyOf(config),
    now,
  });
  return { ...explanation, leg, answers };
};

const dialledText = (leg: Leg): string => {
  const { dialled } = leg;
  switch (dialled.kind) {
    case 'number':
      return `${numberKeyText(dialled.key)} (${dialled.type}${dialled.region === null ? '' : `, ${dialled.region}`})`;
    case 'hotline':
      return `${numberKeyText(dialled.key)} (speed dial ${dialled.code})`;
    case 'emergency':
      return `emergency number ${dialled.code}`;
    case 'service':
      return `service code ${dialled.code} (${dialled.service})`;
    case 'unparseable':
      return `not a number this site can read: ${dialled.message}`;
    default: {
      const never: never = dialled;
      return never;
    }
  }
};

/** The table with the rows that were passed, the one that decided, and those never asked. */
export const explainedText = (explained: Explained): string => {
  const { decision, row, leg, answers } = explained;
  const lists =
    answers.epoch === null
      ? 'lists    no epoch could be read'
      : `lists    epoch ${answers.epoch.id}, heartbeat ${((answers.heartbeatAgeMs ?? 0) / 1000).toFixed(1)} s old`;
  const rows = decisionTable.map((one) => [
    one.order === row ? '=>' : one.order < row ? 'no' : ' .',
    String(one.order),
    one.question,
    one.order === row ? decision.verdict.toUpperCase() : '',
  ]);
  const ending =
    decision.verdict === 'refused'
      ? `\nending   ${decision.ending}: the caller's side gets ${endingRow(decision.ending).status} ${endingRow(decision.ending).phrase}`
      : '';
  const why = decision.reasons
    .map(
      (reason) =>
        `         ${reason.code}${reason.detail === undefined ? '' : ` (${reason.detail})`}: ${reasonTexts[reason.code]}`,
    )
    .join('\n');
  return [
    `dialled  ${dialledText(leg)}`,
    lists,
    '',
    columns(rows),
    '',
    `decision ${decision.verdict.toUpperCase()}${decision.verdict === 'private' ? ` (${decision.class})` : ''}`,
    `because`,
    why + ending,
  ].join('\n');
};

export const tableText = (): string =>
  columns([
    ['order', 'question', 'outcome'],
    ...decisionTable.map((row) => [String(row.order), row.question, row.outcome]),
  ]);
