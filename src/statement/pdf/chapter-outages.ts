import type { Statement } from '../model.js';
import { type Outage, outageKinds } from '../outages.js';
import { alarmText, outageTexts } from '../words.js';
import { duration, number, time } from './look.js';
import { countTable, listTable } from './parts.js';
import { drawLanes, LANE_HEIGHT, type Lane, laneText } from './plots.js';
import type { Sheet } from './sheet.js';

export const listsChapter = (sheet: Sheet, { lists }: Statement): void => {
  sheet.heading('3  Changes of the lists', 180);
  sheet.text(
    'The lists of privileged, allowed and blocked numbers are published as a whole, signed and numbered. A controller that cannot prove the published lists genuine refuses every call but those to numbers known to be privileged. Who published and approved it stands in its signed manifest, and is told below in its words.',
  );
  listTable(
    sheet,
    [
      { title: 'Publication', width: 0.13 },
      { title: 'First call by it (UTC)', width: 0.19 },
      { title: 'Last call by it (UTC)', width: 0.19 },
      { title: 'Calls', width: 0.12, align: 'right' },
      { title: 'Digest of its content (SHA-256)', width: 0.37, code: true },
    ],
    lists.epochs,
    ({ epoch, from, to, calls, digest }) => [
      number(epoch),
      time(from, true),
      time(to, true),
      number(calls),
      `${digest.slice(0, 32)}…`,
    ],
    'No call of this period was decided by a publication.',
  );
  sheet.subheading('Who published and approved them');
  listTable(
    sheet,
    [
      { title: 'Publication', width: 0.12 },
      { title: 'Taken into use (UTC)', width: 0.2 },
      { title: 'Controller', width: 0.14 },
      { title: 'Published by', width: 0.13 },
      { title: 'Approved by', width: 0.17 },
      { title: 'Privileged', width: 0.11, align: 'right' },
      { title: 'Lost', width: 0.13, align: 'right' },
    ],
    lists.taken,
    ({ epoch, at, node, by, approvedBy, privileged, change, secondApproval }) => [
      number(epoch),
      time(at, true),
      node,
      by ?? 'not told',
      approvedBy?.join(', ') ?? 'not told',
      privileged === null ? 'not told' : number(privileged),
      change === null
        ? 'not told'
        : `${number(change.lost)}${secondApproval === true ? ' (two had to approve)' : ''}`,
    ],
    'No controller took a publication into use in this period.',
  );
};

const MOST_LANES = 14;

const lanesOf = ({ outages, period }: Statement): readonly Lane[] => {
  const lanes = new Map<string, { from: number; to: number }[]>();
  const ordered = [...outages.listed.rows].sort(
    (a, b) => outageKinds.indexOf(a.kind) - outageKinds.indexOf(b.kind),
  );
  for (const { kind, subject, at, to, node } of ordered) {
    const name = `${outageTexts[kind]}: ${subject ?? node}`;
    const spans = lanes.get(name) ?? [];
    spans.push({ from: Date.parse(at), to: Date.parse(to ?? period.to) });
    lanes.set(name, spans);
  }
  return [...lanes].slice(0, MOST_LANES).map(([name, spans]) => ({ name, spans }));
};

const testCalls = (sheet: Sheet, { canaries }: Statement): void => {
  sheet.subheading('Test calls');
  sheet.text(
    `Controllers made ${number(canaries.calls)} calls to themselves, which are counted nowhere else. One to a privileged number must be private and leave nothing on any disk; one to an ordinary number must leave a recording in which both are heard; one to a number on no list must be refused. Where one does not come out so, nothing is recorded in the facility until all three pass, or somebody orders otherwise.`,
  );
  for (const [facility, counts] of Object.entries(canaries.results)) {
    countTable(sheet, `Test calls of ${facility}`, counts, (name) => name, 'There was none.');
  }
  listTable(
    sheet,
    [
      { title: 'When', width: 0.24 },
      { title: 'Facility', width: 0.2 },
      { title: 'What', width: 0.36 },
      { title: 'Controller and row', width: 0.2 },
    ],
    canaries.listed,
    ({ at, facility, kind, outcome, code, node, seq }) => [
      time(at, true),
      facility,
      `${kind}: ${outcome} (${code})`,
      `${node} ${seq}`,
    ],
    Object.keys(canaries.results).length === 0 ? 'No test call was made.' : 'Every test call passed.',
  );
};

export const outagesChapter = (sheet: Sheet, statement: Statement): void => {
  const { outages, period, alarms, attestation } = statement;
  sheet.heading('4  Outages and alarms', 230);
  sheet.text(
    'While a part is out of order, calls that need it are refused: none is connected undecided, and none is connected unrecorded that must be recorded. Times are added up over the controllers: a media server that two of them found down counts twice.',
  );
  const lanes = lanesOf(statement);
  if (lanes.length > 0) {
    sheet.figure(
      `Timeline of outages. ${lanes.map(laneText).join('; ')}.`,
      lanes.length * LANE_HEIGHT + 20,
      drawLanes(lanes, { from: Date.parse(period.from), to: Date.parse(period.to) }),
    );
  }
  sheet.table(
    [
      { title: 'What was out of order', width: 0.5 },
      { title: 'Times', width: 0.2, align: 'right' },
      { title: 'Altogether, in the period', width: 0.3, align: 'right' },
    ],
    outageKinds.map((kind) => {
      const { count = 0, ms = 0 } = outages.totals[kind] ?? {};
      return [outageTexts[kind], number(count), count === 0 ? '–' : duration(ms)];
    }),
  );
  restarts(sheet, statement);
  sheet.subheading('Each outage');
  listTable(sheet, outageColumns, outages.listed, outageRow(period.from), 'There was none.');
  testCalls(sheet, statement);
  sheet.subheading('Alarms');
  countTable(sheet, 'Alarm', alarms, (code) => `${alarmText(code)} (${code})`, 'There was none.');
  sheet.subheading('Looks at the media servers');
  attestations(sheet, attestation);
};

const restarts = (sheet: Sheet, { outages, starts }: Statement): void => {
  const { clean, unclean, first } = outages.starts;
  sheet.text(
    `Controllers were started ${number(clean + unclean + first)} times: ${number(clean)} after an orderly stop, ${number(unclean)} after a crash or a power cut, ${number(first)} for the first time. ` +
      `Unfinished last lines cut off after a crash: ${number(outages.repairs)}. Rows the journal could not take while its disk failed: ${number(outages.refusedRows)}.`,
  );
  sheet.subheading('Programs and policies in force');
  listTable(
    sheet,
    [
      { title: 'Started (UTC)', width: 0.22 },
      { title: 'Controller', width: 0.2 },
      { title: 'Version', width: 0.14 },
      { title: 'Policy', width: 0.2, code: true },
      { title: 'Configuration (SHA-256)', width: 0.24, code: true },
    ],
    starts,
    ({ at, before, node, version, policy, configuration }) => [
      `${time(at, true)}${before ? ' (before the period)' : ''}`,
      node,
      version ?? '–',
      policy ?? '–',
      configuration === null ? '–' : `${configuration.slice(0, 16)}…`,
    ],
    'The journals tell of no start.',
  );
};

const outageColumns = [
  { title: 'From (UTC)', width: 0.18 },
  { title: 'For', width: 0.12, align: 'right' },
  { title: 'What', width: 0.26 },
  { title: 'Part', width: 0.16 },
  { title: 'Why', width: 0.16 },
  { title: 'Controller', width: 0.12 },
] as const;

const outageRow =
  (from: string) =>
  ({ at, to, kind, subject, why, node }: Outage): readonly string[] => [
    `${time(at, true)}${at < from ? ' (before the period)' : ''}`,
    to === null ? 'past the end' : duration(Date.parse(to) - Date.parse(at)),
    outageTexts[kind],
    subject ?? '',
    why,
    node,
  ];

const attestations = (sheet: Sheet, counts: Statement['attestation']): void => {
  const names = Object.keys(counts).sort();
  if (names.length === 0) {
    sheet.text('No call was on one, and nothing changed in what was seen of them during the period.');
    return;
  }
  sheet.text(
    'A row is written when what is seen of a media server changes, and at the first look after calls have left it.',
  );
  sheet.table(
    [
      { title: 'Media server', width: 0.4 },
      { title: 'Attested', width: 0.2, align: 'right' },
      { title: 'Failed', width: 0.2, align: 'right' },
      { title: 'Not seen', width: 0.2, align: 'right' },
    ],
    names.map((name) => {
      const { attested = 0, failed = 0, unseen = 0 } = counts[name] ?? {};
      return [name, number(attested), number(failed), number(unseen)];
    }),
  );
};
