import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { type Language, language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Verdict } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Duration, numberText, Time } from '../../ui/value.js';
import { endingWords } from './ending-words.js';
import { askedOf, type Filters, FiltersPanel, searched } from './filters.js';
import { type Found, type PastCall, plainWords } from './shapes.js';
import { callWords } from './words.js';

type Words = (typeof callWords)['en'];

/** The number of a call, or that it is not for these eyes. */
export const NumberCalled = ({ call }: { readonly call: PastCall }): JSX.Element => {
  const words = useWords(callWords);
  if (call.number === null) return <span class="soft">{plainWords(call.dialled)}</span>;
  if (!call.numberShown) return <span class="soft">{words.hidden}</span>;
  return <span class="num">{call.number}</span>;
};

const columnsOf = (words: Words, of: Language): readonly Column<PastCall>[] => [
  {
    key: 'ended',
    head: words.ended,
    rowHead: true,
    cell: ({ callId, endedAt }) => (
      <Link to={`/calls/${callId}`}>
        <Time at={endedAt} />
      </Link>
    ),
  },
  { key: 'verdict', head: words.verdict, cell: ({ verdict }) => <Verdict verdict={verdict} /> },
  { key: 'number', head: words.number, cell: (call) => <NumberCalled call={call} /> },
  {
    key: 'caller',
    head: words.caller,
    cell: ({ caller }) => caller ?? <span class="soft">{words.nobody}</span>,
  },
  { key: 'facility', head: words.facility, cell: ({ facility }) => facility },
  { key: 'ending', head: words.how, cell: ({ ending }) => endingWords(ending, of) },
  {
    key: 'talked',
    head: words.talked,
    numeric: true,
    cell: ({ connectedMs }) => (connectedMs > 0 ? <Duration ms={connectedMs} /> : '–'),
  },
];

/** Past calls, as they are searched for. */
export const CallList = (): JSX.Element => {
  const words = useWords(callWords);
  const of = useCell(language);
  const [found, setFound] = useState<Found | null>(null);
  // The time that `the last hour` is counted from: pages of one search must be of one search.
  const asked = useRef<Readonly<Record<string, unknown>>>({});
  const first = useDoing(async (filters: Filters) => {
    searched.set(filters);
    asked.current = askedOf(filters, Date.now());
    setFound(await api.post<Found>('/v1/calls/search', asked.current));
  });
  const next = useDoing(async (before: Found) => {
    const page = await api.post<Found>('/v1/calls/search', { ...asked.current, cursor: before.next });
    setFound({ ...page, rows: [...before.rows, ...page.rows] });
  });
  const { run } = first;
  useEffect(() => void run(searched.get()), [run]);
  const all = found === null ? '' : numberText(found.total, of);
  return (
    <PageFrame
      title={words.title}
      lead={words.lead}
      actions={
        <Link to="/calls/verify" class="button">
          {words.verifyFile}
        </Link>
      }
    >
      <FiltersPanel busy={first.busy} onSearch={(filters) => void run(filters)} />
      <Panel
        title={words.results}
        aside={
          found !== null && (
            <span class="soft" role="status">
              {words.counted(found.rows.length, found.totalIsExact ? all : words.atLeast(all))}
            </span>
          )
        }
      >
        <ProblemNotice problem={first.problem} />
        {found === null && first.busy && <Busy />}
        {found !== null && (
          <Table
            caption={words.results}
            hideCaption
            columns={columnsOf(words, of)}
            rows={found.rows}
            rowKey={({ callId, endedAt }) => `${callId} ${endedAt}`}
            empty={
              <span>
                {words.none} {words.noneHint}
              </span>
            }
          />
        )}
        <ProblemNotice problem={next.problem} />
        {found !== null && found.next !== null && (
          <div>
            <Button busy={next.busy} onPress={() => void next.run(found)}>
              {words.showMore}
            </Button>
          </div>
        )}
        {found !== null && found.oldest !== null && (
          <Notice tone="note">
            {words.oldest} <Time at={found.oldest} />
          </Notice>
        )}
      </Panel>
    </PageFrame>
  );
};
