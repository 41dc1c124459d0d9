import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { useApi } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { alarmWords } from '../../codes/alarm-words.js';
import { Badge } from '../../ui/badge.js';
import { Busy, Empty, Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Ago, Facts, Num, numberText } from '../../ui/value.js';
import { words as all } from './words.js';

const EVERY_MS = 3_000;

/** `GET /v1/pools`. */
export interface PoolNode {
  readonly name: string;
  readonly pool: 'private' | 'recorded';
  readonly up: boolean;
  readonly attested: boolean;
  readonly drained: boolean;
  readonly weight: number;
  readonly calls: number;
}

export const NodeState = ({ node }: { readonly node: PoolNode }): JSX.Element => {
  const words = useWords(all);
  if (!node.attested) return <Badge tone="bad">{words.unattested}</Badge>;
  if (!node.up) return <Badge tone="bad">{words.down}</Badge>;
  if (node.drained) return <Badge tone="warn">{words.drained}</Badge>;
  return <Badge tone="good">{words.up}</Badge>;
};

export const PoolsPanel = (): JSX.Element => {
  const words = useWords(all);
  const { data, problem, busy } = useApi<{ readonly rows: readonly PoolNode[] }>('/v1/pools', {
    everyMs: EVERY_MS,
  });
  return (
    <Panel title={words.pools}>
      <ProblemNotice problem={problem} />
      {problem === null && (
        <Table
          caption={words.pools}
          hideCaption
          busy={busy}
          rows={data?.rows ?? []}
          rowKey={({ name }) => name}
          empty={words.poolsNone}
          columns={[
            { key: 'node', head: words.node, cell: ({ name }) => name, rowHead: true },
            { key: 'pool', head: words.of, cell: ({ pool }) => words.pool[pool] },
            { key: 'state', head: words.state, cell: (node) => <NodeState node={node} /> },
            { key: 'calls', head: words.callsOn, numeric: true, cell: ({ calls }) => <Num value={calls} /> },
          ]}
        />
      )}
    </Panel>
  );
};

interface ListsState {
  readonly armed: boolean;
  readonly why: string;
  readonly epoch: { readonly id: number; readonly digest: string } | null;
  readonly heartbeatAgeMs: number | null;
}

export const ListsPanel = ({ armedThere }: { readonly armedThere: boolean | null }): JSX.Element => {
  const words = useWords(all);
  const of = useCell(language);
  const { data, problem, busy } = useApi<ListsState>('/v1/lists/state', { everyMs: EVERY_MS });
  // The controller's own word counts first; what this host sees besides may be newer or older by a moment.
  const armed = data !== null && data.armed && armedThere !== false;
  return (
    <Panel
      title={words.lists}
      aside={
        data !== null && (
          <Badge tone={armed ? 'good' : 'bad'}>{armed ? words.armed : words.disarmed}</Badge>
        )
      }
    >
      <ProblemNotice problem={problem} />
      {busy && <Busy />}
      {data !== null && !armed && (
        <Notice tone="bad">
          {words.disarmedText} {!data.armed && <code>{data.why}</code>}
        </Notice>
      )}
      {data !== null && (
        <Facts
          facts={[
            [words.epoch, data.epoch === null ? '–' : <Num value={data.epoch.id} />],
            [
              words.heartbeat,
              data.heartbeatAgeMs === null
                ? words.noHeartbeat
                : words.heartbeatText(numberText(data.heartbeatAgeMs / 1000, of, 1)),
            ],
            [words.digest, <code key="digest">{data.epoch?.digest.slice(0, 16) ?? '–'}</code>],
          ]}
        />
      )}
    </Panel>
  );
};

interface Alarm {
  readonly at: string;
  readonly node: string;
  readonly seq: number;
  readonly alarm: string;
  readonly words: string;
  readonly callId: string | null;
}

const RECENT_MS = 15 * 60_000;

export const AlarmsPanel = ({ turn }: { readonly turn: number }): JSX.Element => {
  const words = useWords(all);
  const of = useCell(language);
  const { data, problem, busy, again } = useApi<{ readonly rows: readonly Alarm[] }>('/v1/alarms?limit=8', {
    everyMs: 10_000,
  });
  useEffect(() => {
    if (turn > 0) void again();
  }, [turn, again]);
  const rows = data?.rows ?? [];
  return (
    <Panel title={words.alarms}>
      <ProblemNotice problem={problem} />
      {busy && <Busy />}
      {data !== null && rows.length === 0 && <Empty>{words.noAlarms}</Empty>}
      {rows.length > 0 && (
        <ul class="now-alarms">
          {rows.map(({ at, node, seq, alarm, words: english }) => (
            <li key={`${node} ${seq}`}>
              <Badge tone={Date.now() - new Date(at).getTime() < RECENT_MS ? 'bad' : 'plain'} icon="warn">
                {alarm}
              </Badge>
              <span>{alarmWords(alarm, english, of)}</span>
              <span class="soft small">
                <Ago at={at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
};
