import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Ago, Facts, Num, Time } from '../../ui/value.js';
import { DelaysPanel, RunningPanel } from './measures.js';
import { NodesPanel } from './nodes.js';
import './page.css';
import { words as all } from './words.js';

interface Status {
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly why: string }[];
}

const ChecksPanel = (): JSX.Element => {
  const words = useWords(all);
  const { data, problem, busy } = useApi<Status>('/v1/status', { everyMs: 5000 });
  return (
    <Panel title={words.checks}>
      <ProblemNotice problem={problem} />
      <Table
        caption={words.checks}
        hideCaption
        busy={busy}
        rows={data?.checks ?? []}
        rowKey={({ name }) => name}
        columns={[
          {
            key: 'part',
            head: words.part,
            cell: ({ name }) => name.replace(/^controller\./, '').replaceAll('-', ' '),
            rowHead: true,
          },
          {
            key: 'state',
            head: words.state,
            cell: ({ ok }) => (
              <Badge tone={ok ? 'good' : 'bad'}>{ok ? words.works : words.worksNot}</Badge>
            ),
          },
          { key: 'why', head: words.why, cell: ({ why }) => why },
        ]}
      />
    </Panel>
  );
};

interface Canary {
  readonly facility: string;
  readonly recording: 'armed' | 'disarmed';
  readonly why: string | null;
  readonly passedAt: string | null;
  readonly nextAt: string | null;
  readonly last: readonly { readonly kind: string; readonly outcome: 'passed' | 'failed' | 'unknown' }[];
}

const outcomeTones = { passed: 'good', failed: 'bad', unknown: 'warn' } as const;

const CanariesPanel = (): JSX.Element => {
  const words = useWords(all);
  const { data, problem, busy } = useApi<{ readonly rows: readonly Canary[] }>('/v1/canaries', {
    everyMs: 15_000,
  });
  return (
    <Panel title={words.canaries}>
      <p class="soft small">{words.canariesLead}</p>
      <ProblemNotice problem={problem} />
      <Table
        caption={words.canaries}
        hideCaption
        busy={busy}
        rows={data?.rows ?? []}
        rowKey={({ facility }) => facility}
        empty={words.noCanaries}
        columns={[
          { key: 'facility', head: words.facility, cell: ({ facility }) => facility, rowHead: true },
          {
            key: 'recording',
            head: words.recording,
            cell: ({ recording, why }) => (
              <>
                <Badge tone={recording === 'armed' ? 'good' : 'bad'}>{words[recording]}</Badge>
                {why !== null && <span class="small"> {why}</span>}
              </>
            ),
          },
          {
            key: 'passed',
            head: words.lastPassed,
            cell: ({ passedAt }) => (passedAt === null ? words.never : <Ago at={passedAt} />),
          },
          {
            key: 'outcomes',
            head: words.outcomes,
            cell: ({ last }) => (
              <span class="actions">
                {last.map(({ kind, outcome }) => (
                  <Badge key={kind} tone={outcomeTones[outcome]}>
                    {kind}
                  </Badge>
                ))}
              </span>
            ),
          },
        ]}
      />
    </Panel>
  );
};

interface JournalHead {
  readonly journal: string;
  readonly part: string;
  readonly head: {
    readonly size: number;
    readonly root: string;
    readonly at: string;
    readonly key: string;
  } | null;
  readonly problem: string | null;
}

const JournalsPanel = (): JSX.Element => {
  const words = useWords(all);
  const { data, problem, busy } = useApi<{ readonly rows: readonly JournalHead[] }>('/v1/journals', {
    everyMs: 15_000,
  });
  return (
    <Panel title={words.journals}>
      <p class="soft small">{words.journalsLead}</p>
      <ProblemNotice problem={problem} />
      <Table
        caption={words.journals}
        hideCaption
        busy={busy}
        rows={data?.rows ?? []}
        rowKey={({ part, journal }) => `${part} ${journal}`}
        empty={words.noJournals}
        columns={[
          { key: 'journal', head: words.journal, cell: ({ part }) => part, rowHead: true },
          {
            key: 'rows',
            head: words.rows,
            numeric: true,
            cell: ({ head }) => (head === null ? '–' : <Num value={head.size} />),
          },
          {
            key: 'signed',
            head: words.signed,
            cell: ({ head, problem: trouble }) =>
              head === null ? (
                <Badge tone="warn">{trouble ?? words.noHead}</Badge>
              ) : (
                <Time at={head.at} />
              ),
          },
          {
            key: 'root',
            head: words.root,
            wrap: true,
            cell: ({ head }) => (head === null ? '–' : <code title={head.root}>{head.root.slice(0, 16)}</code>),
          },
          {
            key: 'key',
            head: words.key,
            wrap: true,
            cell: ({ head }) => (head === null ? '–' : <code>{head.key.slice(0, 16)}</code>),
          },
        ]}
      />
    </Panel>
  );
};

interface Custody {
  readonly status: {
    readonly at: string;
    readonly round: string | null;
    readonly last: Readonly<
      Record<string, { readonly at: string; readonly found: Readonly<Record<string, number>> }>
    >;
  } | null;
}

const CustodyPanel = (): JSX.Element => {
  const words = useWords(all);
  const { data, problem } = useApi<Custody>('/v1/custody', { everyMs: 15_000 });
  const status = data?.status ?? null;
  return (
    <Panel title={words.custody}>
      <ProblemNotice problem={problem} />
      {data !== null && status === null && <Notice>{words.custodyNone}</Notice>}
      {status !== null && (
        <>
          <Facts facts={[[words.custodySays, <Ago key="at" at={status.at} />]]} />
          <Table
            caption={words.custody}
            hideCaption
            rows={Object.entries(status.last)}
            rowKey={([round]) => round}
            columns={[
              { key: 'round', head: words.round, cell: ([round]) => round, rowHead: true },
              { key: 'at', head: words.signed, cell: ([, { at }]) => <Ago at={at} /> },
              {
                key: 'found',
                head: words.found,
                cell: ([, { found }]) => {
                  const some = Object.entries(found).filter(([, count]) => count > 0);
                  return some.length === 0
                    ? words.nothingFound
                    : some.map(([what, count]) => `${what} ${count}`).join(', ');
                },
              },
            ]}
          />
        </>
      )}
    </Panel>
  );
};

const SystemPage = (): JSX.Element => {
  const words = useWords(all);
  const seesJournals = useMay('GET /v1/journals');
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <div class="columns">
        <ChecksPanel />
        <RunningPanel />
      </div>
      <NodesPanel />
      <DelaysPanel />
      <CanariesPanel />
      {seesJournals && <JournalsPanel />}
      <CustodyPanel />
    </PageFrame>
  );
};

export default SystemPage;
