import { isPrintable, maxByLength } from '../api/control-request.js';
import type { Config } from '../config/schema.js';
import { RetentionError, retentionTexts } from '../custody/retention/codes.js';
import { type Problems, planOf } from '../custody/retention/plan.js';
import {
  openLedger,
  permitOf,
  type RoundOrder,
  type RoundParts,
  type RoundReport,
  retentionRound,
} from '../custody/retention/round.js';
import { DAY_MS, HOUR_MS, type RetentionRules } from '../custody/retention/rules.js';
import { alarmOf, readStatus } from '../custody/retention/status.js';
import type { Problem } from '../custody/retention/walk.js';
import { storeOf } from '../open-vault.js';
import { journalsOf } from '../workers/worker-config.js';
import { exitCodes } from './control-client.js';
import { custodyJournalDir, withCustodyJournal } from './custody-journal.js';
import { toldRetention } from './holds.js';
import { CommandError, columns, type Terminal } from './output.js';

export interface RetentionDesk {
  readonly config: Config;
  /** Journals of all controllers whose recordings lie in this vault. */
  readonly journals: readonly string[];
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** What a round works with, as the configuration says; null where nothing expires. */
export const roundPartsOf = (config: Config, journals?: readonly string[]): RoundParts | null => {
  const rules: RetentionRules | undefined = config.recording.retention;
  if (rules === undefined) return null;
  return {
    store: storeOf(config),
    rules,
    journals: journals ?? [...journalsOf(config), ...config.custody.journals],
    custody: {
      dir: custodyJournalDir(config),
      withJournal: (use) => withCustodyJournal(config, use),
    },
    clock: { wall: () => Date.now(), mono: () => performance.now() },
  };
};

/** One round as the process of custody runs it; null where nothing is configured to expire. */
export const runRetention = async (
  config: Config,
  by: string,
  journals?: readonly string[],
): Promise<RoundReport | null> => {
  const parts = roundPartsOf(config, journals);
  return parts === null ? null : retentionRound(parts, { by });
};

/** What a start and a check of the configuration say about expiry. */
export const retentionText = ({ recording: { retention } }: Config): string => {
  if (retention === undefined)
    return 'keeps    every recording for ever: no recording.retention is configured';
  const kept = Object.entries(retention.keepDays).map(
    ([of, keep]) => `${of} ${keep === 'forever' ? 'for ever' : `${keep} days`}`,
  );
  const own = Object.keys(retention.facilities);
  return `keeps    ${kept.join(', ')}${own.length === 0 ? '' : `; otherwise in ${own.join(', ')}`}`;
};

const partsOf = ({ config, journals }: RetentionDesk): RoundParts => {
  const parts = roundPartsOf(config, journals);
  if (parts !== null) return parts;
  throw new CommandError(
    'retention-unconfigured',
    'the configuration has no recording.retention: every recording is kept for ever',
    exitCodes.usage,
  );
};

const iso = (at: number): string => new Date(at).toISOString();
const MAX_SHOWN = 50;

const problemLines = (problems: readonly Problem[], more: number): string[] => [
  ...problems.map(({ name, code }) => `problem   ${name} [${code}]`),
  ...(more > 0 ? [`problem   and ${more} more`] : []),
];

const outcomeTexts = {
  complete: 'complete: nothing due is left',
  partial: 'NOT complete: see what is left',
  refused: 'REFUSED: nothing was removed',
} as const;

const countLines = ({ counts }: RoundReport, dryRun: boolean): string[][] => [
  ['recordings', `${counts.all} in the vault; manifests read of days old enough: ${counts.lookedAt}`],
  ['due', String(counts.due)],
  ['held', `${counts.held}${counts.unknown === 0 ? '' : `, and ${counts.unknown} that may be`}`],
  dryRun
    ? ['would go', String(counts.due)]
    : [
        'removed',
        `${counts.removed}${counts.finished === 0 ? '' : `, ${counts.finished} of them begun before`}`,
      ],
  ['left', dryRun ? '-' : String(counts.left)],
];

/** `retention run`: one round. Exit code 1 where it was not complete. */
export const retentionRun = async (order: RoundOrder, desk: RetentionDesk): Promise<void> => {
  const { terminal, json } = desk;
  if (!isPrintable(order.by, maxByLength)) {
    throw new CommandError(
      'by-invalid',
      `say who you are, in 1 to ${maxByLength} characters`,
      exitCodes.usage,
    );
  }
  const report = await retentionRound(partsOf(desk), order).catch(toldRetention);
  const dryRun = order.dryRun === true;
  if (json) terminal.out(JSON.stringify({ ...report, dryRun, due: report.due.map(viewOf) }));
  else {
    const rows = [
      ['round', dryRun ? 'dry run: nothing is written and nothing removed' : outcomeTexts[report.outcome]],
      ...(report.clock === 'unsure' ? [] : countLines(report, dryRun)),
      [
        'complete',
        report.completeUntil === null ? 'no round ever was' : `until ${iso(report.completeUntil)}`,
      ],
    ];
    terminal.out(columns(rows));
    if (dryRun) terminal.out(dueLines(report).join('\n'));
  }
  for (const line of problemLines(report.problems, report.moreProblems)) terminal.err(line);
  if (report.code !== null) throw new CommandError(report.code, adviceOf(report), exitCodes.refused);
  if (report.outcome !== 'complete') {
    throw new CommandError(
      'retention-incomplete',
      `${report.counts.problems} problem(s), ${report.counts.left} recording(s) left; the next round tries again`,
      exitCodes.refused,
    );
  }
};

const viewOf = ({ callId, facility, class: of, rule, days, dueAt }: RoundReport['due'][number]) => ({
  callId,
  facility,
  class: of,
  rule,
  days,
  dueAt: new Date(dueAt).toISOString(),
});

const dueLines = ({ due, counts }: RoundReport): string[] => {
  if (due.length === 0) return [];
  const rows = due.slice(0, MAX_SHOWN).map((one) => {
    const { callId, facility, class: of, rule, days, dueAt } = viewOf(one);
    return [callId, facility, of, `${rule} = ${days} days`, dueAt];
  });
  const lines = [columns([['call', 'facility', 'class', 'rule', 'due since'], ...rows])];
  return counts.due > rows.length ? [...lines, `and ${counts.due - rows.length} more`] : lines;
};

/** What to do about a refusal. */
const adviceOf = ({ code, counts }: RoundReport): string => {
  if (code === 'retention-guard') {
    return `${counts.due} of ${counts.all} recordings are due: look with --dry-run; --confirm-count ${counts.due} removes them`;
  }
  return code === null ? '' : retentionTexts[code].replaceAll('`', '');
};

/**
 * `retention status`: what is due, held and overdue, and when a round was last complete. Exit code 1 where anything is
 * overdue by more than `overdueHours`. Nothing is changed.
 */
export const retentionStatus = async (desk: RetentionDesk): Promise<void> => {
  const { terminal, json } = desk;
  const parts = partsOf(desk);
  const { rules, custody } = parts;
  const now = parts.clock.wall();
  const status = await readStatus(custody.dir);
  const ledger = await openLedger(custody.dir).catch(toldRetention);
  // A clock that went back must not hide what is overdue.
  const at = Math.max(now, ledger.acceptedRound?.at ?? now);
  const plan = await planOf(parts, ledger, at);
  const { code } = await permitOf(parts, {}, ledger, now);
  const late = at - rules.overdueHours * HOUR_MS;
  const overdue =
    [...plan.due, ...plan.unknown].filter(({ dueAt }) => dueAt < late).length +
    ledger.pending.filter(({ dueAt }) => Date.parse(dueAt) < late).length;
  const alarm = alarmOf(status, now, rules.overdueHours) ?? (overdue > 0 ? 'recordings-overdue' : null);
  const last = ledger.completeUntil;
  const view = {
    recordings: plan.all,
    due: plan.dueCount,
    held: plan.held,
    mayBeHeld: plan.unknown.length,
    begun: ledger.pending.length,
    overdue,
    holds: ledger.holds.length,
    lastComplete: last === null ? null : new Date(last).toISOString(),
    daysSince: last === null ? null : Math.floor((at - last) / DAY_MS),
    wouldRefuse: code,
    alarm,
    problems: plan.problems.listed,
  };
  if (json) terminal.out(JSON.stringify(view));
  else terminal.out(columns(statusRows(view, plan.problems)));
  for (const line of problemLines(plan.problems.listed, plan.problems.count - plan.problems.listed.length)) {
    terminal.err(line);
  }
  if (alarm !== null) throw new CommandError(alarm, new RetentionError(alarm).message, exitCodes.refused);
};

interface StatusView {
  readonly recordings: number;
  readonly due: number;
  readonly held: number;
  readonly mayBeHeld: number;
  readonly begun: number;
  readonly overdue: number;
  readonly holds: number;
  readonly lastComplete: string | null;
  readonly daysSince: number | null;
  readonly wouldRefuse: keyof typeof retentionTexts | null;
}

const statusRows = (view: StatusView, problems: Problems): string[][] => [
  ['recordings', String(view.recordings)],
  ['due', `${view.due}${view.begun === 0 ? '' : `, and ${view.begun} whose removal was begun`}`],
  ['held', `${view.held}${view.mayBeHeld === 0 ? '' : `, and ${view.mayBeHeld} that may be`}`],
  ['holds', `${view.holds} in force`],
  ['overdue', String(view.overdue)],
  [
    'complete',
    view.lastComplete === null
      ? 'no round ever was'
      : `last round at ${view.lastComplete}, ${view.daysSince} day(s) ago`,
  ],
  ...(view.wouldRefuse === null
    ? []
    : [['next round', `would refuse [${view.wouldRefuse}]: ${retentionTexts[view.wouldRefuse]}`]]),
  ...(problems.count === 0 ? [] : [['problems', String(problems.count)]]),
];
