import { readWhole } from '../lists/commands.js';
import { type ListedNumber, listedIn, publishedNumbers } from '../lists/listed-numbers.js';
import { planOf, redisOf } from '../options.js';
import { maskedNumber } from '../review/masked.js';
import { NearIndex, nearnessTexts } from '../review/near-index.js';
import { type NearMiss, NearMisses } from '../review/near-misses.js';
import { type Period, periodText } from '../review/period.js';
import { journalEnquiry } from './enquiries.js';
import { journalRows } from './journal-rows.js';
import { listFilesAt } from './list-paths.js';
import { reportText } from './lists.js';
import { CommandError, columns } from './output.js';
import { reviewed } from './period-options.js';
import { publisherKeysOf } from './publisher-keys.js';
import { isoPeriod, type ReviewDesk } from './what-if.js';

export interface NearMissesAsked {
  /** List files, or folders of them; none: what is published. */
  readonly paths: readonly string[];
  readonly period: Period;
  readonly journals: readonly string[];
  readonly plan: string;
  readonly limit: number;
  readonly showNumbers: boolean;
  readonly by: () => string;
}

const listedNumbers = async (
  { paths, plan }: NearMissesAsked,
  desk: ReviewDesk,
): Promise<{ readonly from: string; readonly numbers: Iterable<ListedNumber> }> => {
  const { config, json, terminal } = desk;
  if (paths.length > 0) {
    const files = listFilesAt(paths);
    const { lists, report } = await readWhole(files, planOf(config, plan));
    if (!report.ok) {
      if (!json) reportText(report, files, terminal);
      throw new CommandError(
        'lists-unsound',
        'the files have faults: a number missing here would be near nothing',
        2,
      );
    }
    return { from: `${files.length} file(s)`, numbers: listedIn(lists) };
  }
  const published = await publishedNumbers({
    redis: redisOf(config),
    keyPrefix: config.lists.keyPrefix,
    publisherKeys: publisherKeysOf(config),
  });
  if (published.state === 'unusable') {
    throw new CommandError(
      'lists-unusable',
      `what is in Redis is not a genuine publication: ${published.why}; list files can be given instead`,
      2,
    );
  }
  return { from: `epoch ${published.epoch}`, numbers: published.numbers() };
};

/** `lists near-misses`: called numbers that are not private, and one slip or one line away from privileged ones. */
export const listsNearMisses = async (asked: NearMissesAsked, desk: ReviewDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  const { from, numbers } = await listedNumbers(asked, desk);
  const index = new NearIndex(numbers);
  const { size } = index;
  if (size.numbers + size.ranges === 0) {
    throw new CommandError('no-privileged-numbers', 'there is no privileged number to be near to', 2);
  }
  const finder = new NearMisses(index);
  const { period } = asked;
  const filter = { kinds: ['decision'], since: new Date(period.from), until: new Date(period.to) };
  try {
    for await (const row of journalRows(asked.journals, filter, terminal)) finder.take(row);
  } catch (error) {
    throw reviewed(error);
  }
  const { misses, ...seen } = finder.result();
  if (asked.showNumbers) {
    await journalEnquiry(config, 'numbers-shown', {
      command: 'lists near-misses',
      by: asked.by(),
      from: period.from,
      to: period.to,
      count: misses.length,
    });
  }
  const shown = misses.slice(0, asked.limit).map((miss) => masked(miss, asked.showNumbers));
  if (json) {
    const summary = { period: isoPeriod(period), privileged: size, ...seen, found: misses.length };
    terminal.out(JSON.stringify({ ...summary, misses: shown }));
    return;
  }
  terminal.out(
    columns([
      ['period', periodText(period)],
      ['privileged', `${size.numbers} numbers and ${size.ranges} ranges (${from})`],
      ['calls', `${seen.calls}; ${seen.numbers} different numbers were called that are not private`],
    ]),
  );
  if (seen.unreadable > 0) terminal.out(`note: ${seen.unreadable} decisions could not be read`);
  if (misses.length === 0) {
    terminal.out('no called number is near a privileged one');
    return;
  }
  terminal.out(
    `\n${misses.length} called number(s) are not private and near a privileged one. Most-called first; look into each:\n`,
  );
  terminal.out(missTable(shown));
  if (misses.length > shown.length) {
    terminal.out(`and ${misses.length - shown.length} more; --limit N shows N of them`);
  }
  if (!asked.showNumbers) terminal.out('\nnumbers are masked; --show-numbers prints them, and is journalled');
};

const masked = (miss: NearMiss, show: boolean): NearMiss =>
  show
    ? miss
    : {
        ...miss,
        number: maskedNumber(miss.number),
        near: miss.near.map((near) => ({ ...near, to: maskedNumber(near.to) })),
      };

const missTable = (misses: readonly NearMiss[]): string =>
  columns([
    ['called', 'callers', 'calls', 'monitored', 'last', 'near', 'class', 'why'],
    ...misses.flatMap(({ number, callers, callersMore, calls, monitored, last, near }) => {
      const [first, ...more] = near;
      const why = first === undefined ? '' : nearnessTexts[first.why];
      return [
        [
          number,
          `${callers}${callersMore ? '+' : ''}`,
          String(calls),
          String(monitored),
          last.slice(0, 16).replace('T', ' '),
          first?.to ?? '',
          first?.class ?? '',
          more.length === 0 ? why : `${why}; and near ${more.length} more`,
        ],
      ];
    }),
  ]);
