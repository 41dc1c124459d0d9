import type { JSX } from 'preact';
import { useApi } from '../../api/use-api.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Ago, Num } from '../../ui/value.js';
import { NodeState, type PoolNode } from '../now/around.js';
import { words as all } from './words.js';

/** `GET /v1/nodes`: as the journals know them. */
interface SeenNode {
  readonly name: string;
  readonly journal: string;
  readonly pool: string | null;
  readonly state: string | null;
  readonly attested: { readonly at: string; readonly verdict: string } | null;
}

/** Both views of a node: what the journals proved of it, and what the controller says now, where it answers. */
interface Both {
  readonly name: string;
  readonly pool: string;
  readonly seen: SeenNode | null;
  readonly now: PoolNode | null;
}

const joined = (seen: readonly SeenNode[], now: readonly PoolNode[]): readonly Both[] => {
  const names = [...new Set([...seen.map(({ name }) => name), ...now.map(({ name }) => name)])].sort();
  return names.map((name) => {
    const there = seen.find((one) => one.name === name) ?? null;
    const here = now.find((one) => one.name === name) ?? null;
    return { name, pool: here?.pool ?? there?.pool ?? '', seen: there, now: here };
  });
};

/** What the look at a node came to; whatever is none of the words known here is no good news. */
const toneOf = (verdict: string): 'good' | 'warn' | 'bad' =>
  verdict === 'attested' ? 'good' : verdict === 'unseen' ? 'warn' : 'bad';

export const NodesPanel = (): JSX.Element => {
  const words = useWords(all);
  const seen = useApi<{ readonly rows: readonly SeenNode[] }>('/v1/nodes', { everyMs: 5000 });
  const now = useApi<{ readonly rows: readonly PoolNode[] }>('/v1/pools', { everyMs: 5000 });
  return (
    <Panel title={words.nodes}>
      <ProblemNotice problem={seen.problem ?? now.problem} />
      <Table
        caption={words.nodes}
        hideCaption
        busy={seen.busy}
        rows={joined(seen.data?.rows ?? [], now.data?.rows ?? [])}
        rowKey={({ name }) => name}
        empty={words.noNodes}
        columns={[
          { key: 'node', head: words.node, cell: ({ name }) => name, rowHead: true, sort: ({ name }) => name },
          {
            key: 'pool',
            head: words.pool,
            cell: ({ pool }) => (pool === 'recorded' || pool === 'private' ? words.pools[pool] : pool),
            sort: ({ pool }) => pool,
          },
          {
            key: 'state',
            head: words.state,
            cell: ({ now: node, seen: known }) =>
              node === null ? <Badge tone="warn">{known?.state ?? '–'}</Badge> : <NodeState node={node} />,
          },
          {
            key: 'attested',
            head: words.attested,
            cell: ({ seen: known }) => {
              const last = known?.attested ?? null;
              return last === null ? (
                words.never
              ) : (
                <>
                  <Badge tone={toneOf(last.verdict)}>{last.verdict}</Badge>{' '}
                  <span class="soft small">
                    <Ago at={last.at} />
                  </span>
                </>
              );
            },
          },
          {
            key: 'calls',
            head: words.calls,
            numeric: true,
            cell: ({ now: node }) => (node === null ? '–' : <Num value={node.calls} />),
          },
          {
            key: 'weight',
            head: words.weight,
            numeric: true,
            cell: ({ now: node }) => (node === null ? '–' : <Num value={node.weight} digits={2} />),
          },
        ]}
      />
    </Panel>
  );
};
