import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { go, Link } from '../../app/place.js';
import { type Language, language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Duration, numberText, Time } from '../../ui/value.js';
import type { RecordingPage, RecordingShown } from './shapes.js';
import { recordingWords } from './words.js';

type Words = (typeof recordingWords)['en'];

export const sizeText = (bytes: number, of: Language): string =>
  bytes < 1_000_000 ? `${numberText(bytes / 1000, of, 0)} kB` : `${numberText(bytes / 1_000_000, of, 1)} MB`;

/** In what state a recording is, in a word or two. */
export const RecordingState = ({ one }: { readonly one: RecordingShown }): JSX.Element => {
  const words = useWords(recordingWords);
  return (
    <span class="actions">
      {one.sealed !== null && (
        <Badge tone="warn" icon="lock">
          {words.sealed}
        </Badge>
      )}
      {one.canary && <Badge tone="note">{words.test}</Badge>}
      <Badge tone={one.complete ? 'good' : 'warn'}>{one.complete ? words.complete : words.incomplete}</Badge>
    </span>
  );
};

const columnsOf = (words: Words, of: Language): readonly Column<RecordingShown>[] => [
  {
    key: 'received',
    head: words.received,
    rowHead: true,
    cell: ({ callId, receivedAt }) => (
      <Link to={`/recordings/${callId}`}>
        <Time at={receivedAt} />
      </Link>
    ),
  },
  { key: 'facility', head: words.facility, cell: ({ facility }) => facility },
  {
    key: 'length',
    head: words.length,
    numeric: true,
    sort: ({ seconds }) => seconds,
    cell: ({ seconds }) => <Duration ms={seconds * 1000} />,
  },
  {
    key: 'size',
    head: words.size,
    numeric: true,
    cell: ({ files }) =>
      sizeText(
        files.reduce((sum, { bytes }) => sum + bytes, 0),
        of,
      ),
  },
  { key: 'keys', head: words.opensWith, wrap: true, cell: ({ keys }) => keys.map(({ id }) => id).join(', ') },
  { key: 'state', head: words.state, cell: (one) => <RecordingState one={one} /> },
];

type State = 'all' | 'ordinary' | 'sealed';

/** The recordings that this person may see. */
export const RecordingList = (): JSX.Element => {
  const words = useWords(recordingWords);
  const of = useCell(language);
  const seesSealed = useMay('GET /v1/calls/:call/evidence');
  const [facility, setFacility] = useState('');
  const [state, setState] = useState<State>('all');
  const [callId, setCallId] = useState('');
  const [page, setPage] = useState<RecordingPage | null>(null);
  const facilities = useApi<{ readonly rows: readonly { readonly id: string; readonly name: string }[] }>(
    '/v1/facilities',
  );
  const asking = useDoing(async (before: RecordingPage | null) => {
    const query = new URLSearchParams({ limit: '50' });
    if (facility !== '') query.set('facility', facility);
    if (state !== 'all') query.set('sealed', state === 'sealed' ? 'yes' : 'no');
    if (before !== null) query.set('cursor', before.next ?? '');
    const next = await api.get<RecordingPage>(`/v1/recordings?${query}`);
    setPage(before === null ? next : { ...next, rows: [...before.rows, ...next.rows] });
  });
  const { run } = asking;
  useEffect(() => void run(null), [run, facility, state]);
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <Panel title={words.results}>
        <form
          class="form-row"
          onSubmit={(event) => {
            event.preventDefault();
            if (callId.trim() !== '') go(`/recordings/${encodeURIComponent(callId.trim())}`);
          }}
        >
          <Select
            label={words.facility}
            value={facility}
            options={[
              { value: '', text: words.any },
              ...(facilities.data?.rows ?? []).map(({ id, name }) => ({ value: id, text: name })),
            ]}
            onPick={setFacility}
          />
          {seesSealed && (
            <Select
              label={words.state}
              value={state}
              options={(['all', 'ordinary', 'sealed'] as const).map((value) => ({
                value,
                text: words.states[value],
              }))}
              onPick={setState}
            />
          )}
          <TextField label={words.callId} value={callId} mono maxLength={40} onText={setCallId} />
          <Button type="submit">{words.look}</Button>
        </form>
        {seesSealed && <p class="soft small">{words.callIdHint}</p>}
        <ProblemNotice problem={asking.problem} onAgain={() => void run(null)} />
        {page === null && asking.busy && <Busy />}
        {page !== null && (
          <Table
            caption={words.results}
            hideCaption
            columns={columnsOf(words, of)}
            rows={page.rows}
            rowKey={({ callId: id, manifestSha256 }) => `${id} ${manifestSha256}`}
            empty={words.none}
          />
        )}
        {page !== null && page.unreadable > 0 && (
          <Notice tone="warn">{words.unreadable(page.unreadable)}</Notice>
        )}
        {page !== null && page.next !== null && (
          <div>
            <Button busy={asking.busy} onPress={() => void run(page)}>
              {words.showMore}
            </Button>
          </div>
        )}
      </Panel>
    </PageFrame>
  );
};
