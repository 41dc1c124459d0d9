import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useApi } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Select } from '../../ui/field.js';
import { Busy, Empty, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Plot } from '../../ui/plot.js';
import { Table } from '../../ui/table.js';
import { Facts, Num, numberText } from '../../ui/value.js';
import { words as all } from './words.js';

/** `GET /v1/measures`. */
interface Measures {
  readonly delays: readonly {
    readonly measure: string;
    readonly of: string;
    readonly count: number;
    readonly p50: number | null;
    readonly p95: number | null;
    readonly p99: number | null;
  }[];
  readonly workers: readonly { readonly worker: string; readonly up: boolean; readonly starts: number }[];
  readonly trunks: readonly { readonly trunk: string; readonly up: boolean }[];
  readonly underWay: number;
  readonly setUps: { readonly underWay: number; readonly limit: number };
}

const useMeasures = () => useApi<Measures>('/v1/measures', { everyMs: 10_000 });

const measures = ['call-phase', 'list-look-up', 'journal-append', 'media-command'] as const;
type Measure = (typeof measures)[number];

export const DelaysPanel = (): JSX.Element => {
  const words = useWords(all);
  const [which, setWhich] = useState<Measure>('call-phase');
  const { data, problem, busy } = useMeasures();
  const rows = (data?.delays ?? [])
    .filter(({ measure, count }) => measure === which && count > 0)
    .toSorted((a, b) => (a.p50 ?? Number.POSITIVE_INFINITY) - (b.p50 ?? Number.POSITIVE_INFINITY));
  return (
    <Panel title={words.delays}>
      <div class="system-which">
        <Select
          label={words.which}
          value={which}
          onPick={setWhich}
          options={measures.map((one) => ({ value: one, text: words.measures[one] }))}
        />
      </div>
      <p class="soft small">{words.delaysLead}</p>
      <ProblemNotice problem={problem} />
      {busy && <Busy />}
      {data !== null && rows.length === 0 && <Empty>{words.noDelays}</Empty>}
      {rows.length > 0 && (
        <Plot
          title={words.measures[which]}
          unit="ms"
          digits={1}
          shape="points"
          log
          x={{ kind: 'named', label: words.of, names: rows.map(({ of }) => of.replaceAll('-', ' ')) }}
          series={[
            { label: words.p50, values: rows.map(({ p50 }) => p50) },
            { label: words.p95, values: rows.map(({ p95 }) => p95) },
            { label: words.p99, values: rows.map(({ p99 }) => p99) },
          ]}
        />
      )}
    </Panel>
  );
};

export const RunningPanel = (): JSX.Element => {
  const words = useWords(all);
  const of = useCell(language);
  const { data, problem, busy } = useMeasures();
  return (
    <Panel title={words.running}>
      <ProblemNotice problem={problem} />
      {busy && <Busy />}
      {data !== null && (
        <>
          <Facts
            facts={[
              [words.underWay, <Num key="calls" value={data.underWay} />],
              [
                words.settingUp,
                words.ofAtMost(numberText(data.setUps.underWay, of), numberText(data.setUps.limit, of)),
              ],
              ...(data.workers.length === 0 ? ([[words.workers, words.oneProcess]] as const) : []),
            ]}
          />
          {data.workers.length > 0 && (
            <Table
              caption={words.workers}
              rows={data.workers}
              rowKey={({ worker }) => worker}
              columns={[
                { key: 'worker', head: words.worker, cell: ({ worker }) => worker, rowHead: true },
                {
                  key: 'state',
                  head: words.state,
                  cell: ({ up }) => (
                    <Badge tone={up ? 'good' : 'bad'}>{up ? words.works : words.worksNot}</Badge>
                  ),
                },
                {
                  key: 'starts',
                  head: words.starts,
                  numeric: true,
                  cell: ({ starts }) => <Num value={starts} />,
                },
              ]}
            />
          )}
          <Table
            caption={words.trunks}
            rows={data.trunks}
            rowKey={({ trunk }) => trunk}
            empty={words.noTrunks}
            columns={[
              { key: 'trunk', head: words.trunk, cell: ({ trunk }) => trunk, rowHead: true },
              {
                key: 'state',
                head: words.state,
                cell: ({ up }) => (
                  <Badge tone={up ? 'good' : 'bad'}>{up ? words.answers : words.answersNot}</Badge>
                ),
              },
            ]}
          />
        </>
      )}
    </Panel>
  );
};
