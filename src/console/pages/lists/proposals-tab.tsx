import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Select } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { type Column, Table } from '../../ui/table.js';
import { Ago, Time } from '../../ui/value.js';
import { Countdown, EffectBadge, MoreRows, StateBadge, wordFor } from './parts.js';
import type { Page, ProposalRow } from './shapes.js';
import { usePages } from './use-pages.js';
import { words as pageWords } from './words.js';

/** What a change is about, in a few words that lead to it. */
export const ChangeLink = ({
  row,
}: {
  readonly row: Pick<ProposalRow, 'id' | 'reason' | 'subjects' | 'steps'>;
}): JSX.Element => {
  const words = useWords(pageWords);
  const [first] = row.subjects;
  return (
    <div class="lists-change">
      <Link to={`/lists/proposal/${row.id}`}>
        {first === undefined ? row.reason : `${wordFor(words.ops, first.op)}: ${first.subject}`}
      </Link>
      {row.steps > 1 && <span class="soft small">{words.andMore(row.steps - 1)}</span>}
      <span class="soft small">{row.reason}</span>
    </div>
  );
};

export const ProposalsTab = (): JSX.Element => {
  const words = useWords(pageWords);
  const [state, setState] = useState<'open' | 'over'>('open');
  const found = usePages<ProposalRow>(state, (cursor, signal) =>
    api.get<Page<ProposalRow>>(
      `/v1/proposals?state=${state}&limit=50${cursor === null ? '' : `&cursor=${cursor}`}`,
      { signal },
    ),
  );
  const { columns: heads } = words;
  const columns: readonly Column<ProposalRow>[] = [
    { key: 'change', head: heads.change, rowHead: true, cell: (row) => <ChangeLink row={row} />, wrap: true },
    { key: 'effect', head: heads.effect, cell: (row) => <EffectBadge effect={row.gravest} /> },
    { key: 'by', head: heads.by, cell: (row) => row.maker },
    {
      key: 'age',
      head: state === 'open' ? heads.age : heads.when,
      cell: (row) =>
        state === 'open' || row.overAt === null ? <Ago at={row.proposedAt} /> : <Time at={row.overAt} />,
    },
    {
      key: 'state',
      head: heads.state,
      cell: (row) => (
        <div class="lists-change">
          <StateBadge state={row.state} />
          {row.state === 'proposed' && (
            <span class="soft small">{words.agreed(row.approvers.length, row.needs.approvals)}</span>
          )}
          {row.state === 'waiting' && row.dueAt !== null && (
            <span class="small">
              {words.due} <Countdown until={row.dueAt} />
            </span>
          )}
        </div>
      ),
    },
    ...(state === 'open'
      ? [
          {
            key: 'yours',
            head: heads.yours,
            cell: (row: ProposalRow) => (row.state === 'proposed' ? wordFor(words.you, row.may.approve) : ''),
          },
        ]
      : []),
  ];
  return (
    <div class="stack">
      <div class="form-row lists-look">
        <Select
          label={words.which}
          value={state}
          options={[
            { value: 'open', text: words.open },
            { value: 'over', text: words.over },
          ]}
          onPick={setState}
        />
      </div>
      <ProblemNotice problem={found.problem} onAgain={found.again} />
      <Table
        caption={words.tabs.proposals}
        hideCaption
        columns={columns}
        rows={found.rows}
        rowKey={(row) => row.id}
        busy={found.busy}
        empty={state === 'open' ? words.noOpen : words.noOver}
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
