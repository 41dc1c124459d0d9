import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Time } from '../../ui/value.js';
import type { LogRow } from './shapes.js';
import { words } from './words.js';

interface Page {
  readonly rows: readonly LogRow[];
  readonly next: string | null;
}

/** Who searched for what, for whoever watches over the searchers. */
export const LogView = (): JSX.Element => {
  const w = useWords(words);
  const first = useApi<Page>('/v1/search/log');
  const [more, setMore] = useState<Page | null>(null);
  const rows = [...(first.data?.rows ?? []), ...(more?.rows ?? [])];
  const next = more === null ? (first.data?.next ?? null) : more.next;
  const further = useDoing(async (cursor: string) => {
    const page = await api.get<Page>(`/v1/search/log?cursor=${cursor}`);
    setMore((was) => ({ rows: [...(was?.rows ?? []), ...page.rows], next: page.next }));
  });
  const kindText = (kind: string): string => (w.log.kinds as Readonly<Record<string, string>>)[kind] ?? kind;
  const about = ({ body }: LogRow): string => {
    const { asked, callId, export: bundle, what } = body;
    return [what, asked, callId, bundle].filter((one) => typeof one === 'string' && one !== '').join(' ');
  };
  return (
    <Panel title={w.tabs.log}>
      <ProblemNotice problem={first.problem ?? further.problem} onAgain={() => void first.again()} />
      <Table
        caption={w.log.caption}
        hideCaption
        busy={first.busy}
        rows={rows}
        rowKey={(row) => `${row.journal} ${row.seq}`}
        empty={w.log.none}
        columns={[
          { key: 'when', head: w.col.when, rowHead: true, cell: (row) => <Time at={row.at} /> },
          { key: 'who', head: w.col.who, cell: (row) => row.who },
          { key: 'what', head: w.col.what, cell: (row) => kindText(row.kind) },
          { key: 'why', head: w.col.why, cell: (row) => row.why ?? '–', wrap: true },
          {
            key: 'about',
            head: w.col.reason,
            cell: (row) => <code class="small">{about(row)}</code>,
            wrap: true,
          },
        ]}
      />
      {next !== null && (
        <div class="actions search-more">
          <Button busy={further.busy} onPress={() => void further.run(next)}>
            {w.olderPage}
          </Button>
        </div>
      )}
    </Panel>
  );
};
