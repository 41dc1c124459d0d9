import type { JSX } from 'preact';
import { api } from '../../api/client.js';
import { useApi } from '../../api/use-api.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Busy, Empty, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Facts, Num, Time } from '../../ui/value.js';
import { BackToLists, MoreRows } from './parts.js';
import type { Page, Publication, PublicationShown } from './shapes.js';
import { usePages } from './use-pages.js';
import { words as pageWords } from './words.js';

export const PublicationsTab = (): JSX.Element => {
  const words = useWords(pageWords);
  const found = usePages<Publication>('publications', (cursor, signal) =>
    api.get<Page<Publication>>(`/v1/publications?limit=50${cursor === null ? '' : `&cursor=${cursor}`}`, {
      signal,
    }),
  );
  const { publicationHeads: heads } = words;
  return (
    <div class="stack">
      <ProblemNotice problem={found.problem} onAgain={found.again} />
      <Table
        caption={words.tabs.publications}
        hideCaption
        columns={[
          {
            key: 'epoch',
            head: heads.epoch,
            rowHead: true,
            cell: ({ epoch }) => <Link to={`/lists/publication/${epoch}`}>{String(epoch)}</Link>,
          },
          { key: 'at', head: heads.at, cell: ({ at }) => <Time at={at} /> },
          { key: 'added', head: heads.added, numeric: true, cell: ({ added }) => <Num value={added} /> },
          {
            key: 'removed',
            head: heads.removed,
            numeric: true,
            cell: ({ removed }) => <Num value={removed} />,
          },
          {
            key: 'changes',
            head: heads.changes,
            numeric: true,
            cell: ({ changes }) => <Num value={changes} />,
          },
          { key: 'by', head: heads.by, cell: ({ by }) => by.join(', '), wrap: true },
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.epoch)}
        busy={found.busy}
        empty={words.noPublications}
      />
      <MoreRows
        here={found.rows.length}
        total={found.total}
        exact={found.exact}
        busy={found.busy}
        more={found.more}
      />
    </div>
  );
};

/** One publication, and what went live with it. */
export const PublicationView = ({ epoch }: { readonly epoch: string }): JSX.Element => {
  const words = useWords(pageWords);
  const { data, problem, busy, again } = useApi<PublicationShown>(
    `/v1/publications/${encodeURIComponent(epoch)}`,
  );
  return (
    <PageFrame title={words.publication(Number(epoch))}>
      <BackToLists tab="publications" />
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {busy && <Busy />}
      {data !== null && (
        <>
          <Panel title={words.epoch}>
            <Facts
              facts={[
                [words.publicationHeads.at, <Time at={data.at} />],
                [words.publicationHeads.added, <Num value={data.added} />],
                [words.publicationHeads.removed, <Num value={data.removed} />],
                [words.publicationHeads.by, data.by.join(', ')],
                [words.digest, <code class="lists-digest">{data.digest}</code>],
              ]}
            />
          </Panel>
          <Panel title={words.live2}>
            {data.changes.length === 0 && <Empty>{words.noChanges}</Empty>}
            <ul class="lists-plain">
              {data.changes.map((one) => (
                <li key={one.id}>
                  <Link to={`/lists/proposal/${one.id}`}>{one.reason}</Link>{' '}
                  <span class="soft small">{one.maker}</span>
                </li>
              ))}
            </ul>
          </Panel>
        </>
      )}
    </PageFrame>
  );
};
