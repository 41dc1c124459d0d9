import type { Config } from '../config/schema.js';
import type { Leg } from '../core/leg.js';
import { canonicalJson } from '../journal/canonical.js';
import type { CheckReport } from '../lists/commands.js';
import { readWhole } from '../lists/commands.js';
import { TooManyRows } from '../lists/entries.js';
import { hypothetical } from '../lists/hypothetical.js';
import { planOf, policyOf, surroundingsOf } from '../options.js';
import { type Change, changes, changeTexts } from '../review/change.js';
import { maskedNumber } from '../review/masked.js';
import { notReplayableTexts } from '../review/past-decision.js';
import { type Period, periodText } from '../review/period.js';
import type { CandidateLists, Configured } from '../review/replay.js';
import { type ChangedCall, type Group, WhatIf, type WhatIfResult } from '../review/what-if.js';
import { journalEnquiry } from './enquiries.js';
import { journalRows } from './journal-rows.js';
import { listFilesAt } from './list-paths.js';
import { reportText } from './lists.js';
import { CommandError, columns, type Terminal } from './output.js';

export interface WhatIfAsked {
  /** List files, or folders of them; none: the lists say what they said then. */
  readonly paths: readonly string[];
  /** The configuration whose policy, hours and lockdowns are tried; absent: that of today. */
  readonly policy: Config | undefined;
  readonly period: Period;
  readonly journals: readonly string[];
  readonly plan: string;
  /** Prints every call that would come out differently, as it is found. */
  readonly calls: boolean;
  readonly showNumbers: boolean;
  readonly by: () => string;
}

export interface ReviewDesk {
  readonly config: Config;
  readonly json: boolean;
  readonly terminal: Terminal;
}

export const whatIfExits = { recorded: 3, unprotected: 4 } as const;

/** A CDR comes at most so long after its decision: the longest call, and its clean-up. */
const lateMs = 24 * 3_600_000;

export const configured = (config: Config): Configured => {
  const surroundings = surroundingsOf(config);
  return { policy: policyOf(config), around: (asker, now) => surroundings.of(asker as Leg, now) };
};

const candidateLists = async (
  asked: WhatIfAsked,
  desk: ReviewDesk,
): Promise<{ readonly lists: CandidateLists; readonly report: CheckReport } | null> => {
  if (asked.paths.length === 0) return null;
  const files = listFilesAt(asked.paths);
  const { lists, report } = await readWhole(files, planOf(desk.config, asked.plan));
  if (!report.ok) {
    if (!desk.json) reportText(report, files, desk.terminal);
    throw new CommandError('lists-unsound', 'these files could not be published, so nothing was replayed', 2);
  }
  try {
    return { lists: hypothetical(lists), report };
  } catch (error) {
    if (error instanceof TooManyRows) throw new CommandError('lists-unsound', error.message, 2);
    throw error;
  }
};

/**
 * `lists what-if`: makes past decisions again under lists that are not published, or under another policy. Writes
 * nothing. Exit code 3 where a private call would be recorded, or might be; 4 where one would only lose its protection.
 */
export const listsWhatIf = async (asked: WhatIfAsked, desk: ReviewDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  if (asked.paths.length === 0 && asked.policy === undefined) {
    throw new CommandError('usage', 'give list files or a folder of them, or --policy FILE, or both', 2);
  }
  const present = configured(config);
  const other = asked.policy === undefined ? present : configured(asked.policy);
  const candidate = await candidateLists(asked, desk);
  if (asked.showNumbers && asked.calls) {
    const { from, to } = asked.period;
    await journalEnquiry(config, 'numbers-shown', { command: 'lists what-if', by: asked.by(), from, to });
  }
  const whatIf = new WhatIf({ ...other, present, lists: candidate?.lists ?? null });
  await replayRows(whatIf, asked, desk);
  const result = whatIf.result();
  if (json) {
    terminal.out(
      JSON.stringify({
        period: isoPeriod(asked.period),
        lists: candidate === null ? null : candidate.report.counts,
        policy: other.policy.version,
        ...result,
      }),
    );
  } else {
    const lines = [
      ...headText(asked, desk, result, candidate?.report ?? null, other.policy.version),
      ...changesText(result),
      ...restText(result, candidate?.report ?? null),
    ];
    terminal.out(lines.join('\n'));
  }
  conclude(result, desk, candidate !== null);
};

export const isoPeriod = ({ from, to }: Period): { readonly from: string; readonly to: string } => ({
  from: new Date(from).toISOString(),
  to: new Date(to).toISOString(),
});

export const replayRows = async (
  whatIf: WhatIf,
  asked: Pick<WhatIfAsked, 'period' | 'journals' | 'calls' | 'showNumbers'>,
  { json, terminal }: Pick<ReviewDesk, 'json' | 'terminal'>,
): Promise<void> => {
  const { from, to } = asked.period;
  const end = new Date(to).toISOString();
  const latest = new Date(to + lateMs).toISOString();
  for (const dir of asked.journals) {
    const filter = { kinds: ['decision', 'cdr'], since: new Date(from) };
    for await (const row of journalRows([dir], filter, terminal)) {
      if (row.at >= end) {
        if (whatIf.waiting === 0 || row.at >= latest) break;
        whatIf.takeLate(row);
        continue;
      }
      const changed = whatIf.take(row);
      if (changed !== null && asked.calls) terminal.out(callText(changed, asked.showNumbers, json));
    }
  }
};

const callText = (call: ChangedCall, showNumbers: boolean, json: boolean): string => {
  const { number, was, now } = call;
  const shown = number === null || showNumbers ? number : maskedNumber(number);
  if (json) return JSON.stringify({ ...call, number: shown });
  const came = now === null ? 'not known' : `${now.verdict}: ${now.reason}`;
  return `${call.at}  ${call.callId}  ${call.facility}  ${shown ?? '-'}  ${was.verdict}: ${was.reason} -> ${came}  [${call.change}]`;
};

const headText = (
  asked: WhatIfAsked,
  { config }: ReviewDesk,
  result: WhatIfResult,
  report: CheckReport | null,
  version: string,
): readonly string[] => {
  const cannot = Object.values(result.notReplayable).reduce((sum, count) => sum + count, 0);
  const lists =
    report === null
      ? 'as they answered then'
      : `${report.read.files.length} file(s): ${report.counts.privileged} privileged, ${report.counts.block} block, ${report.counts.pending} pending, ${report.counts.allow} allow`;
  const which = asked.policy === undefined ? 'of the configuration of today' : 'of the file given';
  const others =
    result.otherPolicy === 0 ? '' : `; ${result.otherPolicy} of the decisions were made under another one`;
  const rows = [
    ['period', periodText(asked.period)],
    [
      'decisions',
      `${result.decisions}: ${result.replayed} made again, ${cannot} not replayable, ${result.unchanged} came out the same`,
    ],
    ['lists', lists],
    ['policy', `${version} ${which}${others}`],
  ];
  const plans = (one: Config): string => canonicalJson(JSON.parse(JSON.stringify(one.dialPlans)));
  if (asked.policy !== undefined && plans(asked.policy) !== plans(config)) {
    rows.push(['dial plan', 'differs in the file given; what was dialled stays what it was read as then']);
  }
  return [columns(rows)];
};

const groupTable = (groups: readonly Group[], { groups: all, otherPolicy }: WhatIfResult): string => {
  const some = (test: (group: Group) => boolean): boolean => all.some(test);
  const legs = some(({ leg }) => leg !== 'dialled');
  const becauses = otherPolicy > 0;
  const head = [
    '  facility',
    'class',
    'then',
    'now',
    'decisions',
    'connected',
    'minutes',
    'recordings',
    'last',
  ];
  const rows = groups.map((group) => [
    `  ${group.facility}`,
    group.class,
    group.was,
    group.now,
    String(group.decisions),
    String(group.connected),
    (group.connectedMs / 60_000).toFixed(1),
    String(group.recordings),
    group.last,
    ...(legs ? [group.leg] : []),
    ...(becauses ? [group.because] : []),
  ]);
  return columns([[...head, ...(legs ? ['leg'] : []), ...(becauses ? ['because of'] : [])], ...rows]);
};

/** Groups printed of one change; --json has them all. */
const maxGroupsShown = 40;

const changesText = (result: WhatIfResult): readonly string[] =>
  changes.flatMap((change) => {
    const count = result.changed[change];
    if (count === 0) return [];
    const groups = result.groups.filter((group) => group.change === change);
    const more = groups.length - maxGroupsShown;
    return [
      '',
      `${count} ${changeTexts[change]} [${change}]`,
      groupTable(groups.slice(0, maxGroupsShown), result),
      ...(more > 0 ? [`  and ${more} more groups; --json prints them all`] : []),
    ];
  });

const restText = (result: WhatIfResult, report: CheckReport | null): readonly string[] => {
  const lines: string[] = [];
  const reasons = Object.entries(result.notReplayable).sort((a, b) => b[1] - a[1]);
  if (reasons.length > 0) {
    const rows = reasons.map(([why, count]) => [
      `  ${count}`,
      why,
      notReplayableTexts[why as keyof typeof notReplayableTexts],
    ]);
    lines.push('', 'not replayable', columns(rows));
    if (result.notReplayableProtected > 0) {
      lines.push(`  (${result.notReplayableProtected} of these were private and their numbers still are)`);
    }
  }
  const unasked = result.groups.reduce((sum, group) => sum + group.limitsNotAsked, 0);
  const note = (count: number, text: string): void => {
    if (count > 0) lines.push(`note: ${count} ${text}`);
  };
  lines.push('');
  note(
    unasked,
    'of the calls above went from private to monitored or back, which are counted apart: a limit on calls might have refused them besides',
  );
  note(
    result.listedNotInForce,
    'monitored call(s) were to numbers that this list has, but protects only before or after the time of the call',
  );
  note(result.withoutCdr, 'of the calls above have no CDR here: whether they were connected is not known');
  if (report !== null && report.counts.allow === 0) {
    lines.push(
      'note: these files hold no allow list: published like this, nobody may call an ordinary number',
    );
  }
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
};

/** What it comes to, as the exit code. A replay that saw nothing is no proof of anything. */
const conclude = (result: WhatIfResult, { json, terminal }: ReviewDesk, lists: boolean): void => {
  const of = (change: Change): number => result.changed[change];
  const recorded = of('private-recorded');
  const maybe = of('private-undetermined');
  const lost = of('private-unprotected');
  const what = lists ? 'these lists' : 'this policy';
  if (recorded + maybe > 0) {
    throw new CommandError(
      'private-calls-recorded',
      `under ${what} ${recorded} private call(s) would have been recorded${maybe > 0 ? `, and of ${maybe} it cannot be told` : ''}`,
      whatIfExits.recorded,
    );
  }
  if (lost > 0) {
    throw new CommandError(
      'private-calls-unprotected',
      `under ${what} ${lost} private call(s) would have been to numbers that are no longer privileged`,
      whatIfExits.unprotected,
    );
  }
  if (result.replayed === 0) {
    const none =
      result.decisions === 0 ? 'there is no decision in this period' : 'no decision could be replayed';
    throw new CommandError('nothing-replayed', `${none}: this proves nothing`);
  }
  if (!json) terminal.out(`no private call would be recorded, and none loses its protection, under ${what}`);
};
