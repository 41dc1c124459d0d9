import type { JSX } from 'preact';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { reasonWords } from '../../codes/reason-words.js';
import { Notice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Plot } from '../../ui/plot.js';
import { Table } from '../../ui/table.js';
import { numberText } from '../../ui/value.js';
import { uiWords } from '../../ui/words.js';
import { endingWords } from '../calls/ending-words.js';
import { plainWords } from '../calls/shapes.js';
import { callWords } from '../calls/words.js';
import { CountList } from './counts.js';
import { callsOf, momentText, type Statement, sumOf, together } from './shapes.js';
import { statementWords } from './words.js';

const verdicts = ['monitored', 'private', 'refused', 'undecided'] as const;

/** A day of UTC, whatever the browser’s own time is: buckets begin at midnight there. */
const dayText = (at: string, of: string, unit: string): string =>
  new Intl.DateTimeFormat(of, {
    timeZone: 'UTC',
    month: 'short',
    ...(unit === 'month' ? { year: 'numeric' } : { day: 'numeric' }),
  }).format(new Date(at));

/** Neighbours together, so that there are at most so many: names of more find no room below a plot. */
const grouped = <T,>(rows: readonly T[], most: number): readonly (readonly T[])[] => {
  const size = Math.max(1, Math.ceil(rows.length / most));
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, at) =>
    rows.slice(at * size, (at + 1) * size),
  );
};

const OverTime = ({ statement }: { readonly statement: Statement }): JSX.Element => {
  const words = useWords(statementWords);
  const ui = useWords(uiWords);
  const of = useCell(language);
  const { unit, rows } = statement.calls.buckets;
  const groups = grouped(rows, innerWidth < 640 ? 6 : 12);
  const each = groups[0]?.length ?? 1;
  return (
    <Plot
      title={`${words.overTime}, ${each === 1 ? words.units[unit] : words.several[unit](each)}`}
      x={{
        kind: 'named',
        label: words.when,
        names: groups.map(([first]) => dayText(first?.from ?? '', of, unit)),
      }}
      series={(['monitored', 'private', 'refused'] as const).map((verdict) => ({
        of: verdict,
        label: ui.verdict[verdict],
        values: groups.map((group) => group.reduce((sum, { counts }) => sum + (counts[verdict] ?? 0), 0)),
      }))}
    />
  );
};

/** What a statement says, for people: the numbers that are asked about first. The rest is in the JSON and the PDF. */
export const Preview = ({ statement }: { readonly statement: Statement }): JSX.Element => {
  const words = useWords(statementWords);
  const ui = useWords(uiWords);
  const of = useCell(language);
  const classes: Readonly<Record<string, string>> = useWords(callWords).classes;
  const { calls, privateCalls, monitoredCalls, incidents, alarms, controllers, notKept } = statement;
  const totals = callsOf(calls.byVerdict);
  const shown = verdicts.filter((verdict) => verdict !== 'undecided' || (totals[verdict] ?? 0) > 0);
  return (
    <Panel
      title={words.previewOf}
      aside={
        <span class="soft">
          {momentText(statement.period.from)} – {momentText(statement.period.to)}
        </span>
      }
    >
      <Notice tone="note">{words.unsigned}</Notice>
      <dl class="tiles">
        {shown.map((verdict) => (
          <div key={verdict} class={`tile tile-${verdict}`}>
            <dt>{ui.verdict[verdict]}</dt>
            <dd class="num">{numberText(totals[verdict] ?? 0, of)}</dd>
          </div>
        ))}
        <div class={`tile${sumOf(incidents.counts) > 0 ? ' tile-bad' : ''}`}>
          <dt>{words.incidents}</dt>
          <dd class="num">{numberText(sumOf(incidents.counts), of)}</dd>
        </div>
      </dl>
      <OverTime statement={statement} />
      {calls.underWayAtEnd > 0 && <p class="soft">{words.under(numberText(calls.underWayAtEnd, of))}</p>}
      <div class="columns">
        <CountList
          title={words.reasons}
          counts={calls.reasons.refused ?? {}}
          nameOf={(code) => reasonWords(code, plainWords(code), of)}
        />
        <CountList
          title={words.endings}
          counts={together(calls.endings)}
          nameOf={(code) => endingWords(code, of)}
        />
        <CountList
          title={words.classes}
          counts={callsOf(privateCalls.byClass)}
          nameOf={(name) => classes[name] ?? name}
        />
        <CountList title={words.absence} counts={together(privateCalls.absence)} />
        <CountList title={words.recordings} counts={monitoredCalls.recordings} />
        <CountList title={words.withoutRecording} counts={monitoredCalls.withoutRecording} />
        <CountList title={words.incidents} counts={incidents.counts} />
        <CountList title={words.alarms} counts={alarms} />
      </div>
      <Table
        caption={words.journals}
        rows={controllers}
        rowKey={({ node }) => node}
        columns={[
          { key: 'node', head: words.node, rowHead: true, cell: ({ node }) => node },
          { key: 'rows', head: words.rows, numeric: true, cell: ({ rows }) => numberText(rows, of) },
          {
            key: 'last',
            head: words.last,
            wrap: true,
            cell: ({ last }) =>
              last === null ? (
                '–'
              ) : (
                <span>
                  {last.seq} · <code class="small">{last.hash}</code>
                </span>
              ),
          },
        ]}
      />
      <details>
        <summary>{words.notKept}</summary>
        <ul class="plain-list" lang="en">
          {notKept.map(({ what, where }) => (
            <li key={what}>
              {what}: {where}
            </li>
          ))}
        </ul>
      </details>
    </Panel>
  );
};
