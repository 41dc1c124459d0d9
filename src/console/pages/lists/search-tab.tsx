import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { cell, useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { type Column, Table } from '../../ui/table.js';
import { Time } from '../../ui/value.js';
import { FieldValue, MoreRows, NumberText, wordFor } from './parts.js';
import { type Hit, type ListName, type Lookup, listNames, type Page, type PlaceHit } from './shapes.js';
import { usePages } from './use-pages.js';
import { words as pageWords } from './words.js';

interface Sought {
  readonly list: ListName;
  readonly text: string;
  readonly kind: string;
}

/** What was sought last: it stays while one looks at an entry and comes back. Never in the address: it may be a number. */
const sought = cell<Sought>({ list: 'privileged', text: '', kind: '' });
const LIMIT = 50;

/** Something that can be asked about as a number: then it is said what stands about it, on every list. */
const numberLike = (text: string): boolean =>
  text.replace(/\D/g, '').length >= 7 &&
  /^[\d\s()+.;=a-z*-]+$/i.test(text) &&
  !/[a-df-su-wyz]{3}/i.test(text);

export const setSought = (list: ListName, text: string): void => sought.set({ list, text, kind: '' });

export const SearchTab = (): JSX.Element => {
  const words = useWords(pageWords);
  const now = useCell(sought);
  const [text, setText] = useState(now.text);
  const kinds: Readonly<Record<string, string>> | null =
    now.list === 'privileged' ? words.classes : now.list === 'blocked' ? words.causes : null;
  return (
    <div class="stack">
      <form
        class="form-row lists-search"
        onSubmit={(event) => {
          event.preventDefault();
          sought.set({ ...now, text: text.trim() });
        }}
      >
        <Select
          label={words.list}
          value={now.list}
          options={listNames.map((value) => ({ value, text: words.lists[value] }))}
          onPick={(list) => sought.set({ list, text: text.trim(), kind: '' })}
        />
        <TextField
          label={words.sought}
          hint={words.soughtHint[now.list]}
          type="search"
          maxLength={80}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onText={setText}
        />
        {kinds !== null && (
          <Select
            label={now.list === 'blocked' ? words.heads.cause : words.heads.class}
            value={now.kind}
            options={[
              { value: '', text: words.any },
              ...Object.entries(kinds).map(([value, named]) => ({ value, text: named })),
            ]}
            onPick={(kind) => sought.set({ ...now, kind })}
          />
        )}
        <Button type="submit" kind="main" icon="search">
          {words.find}
        </Button>
      </form>
      {now.list !== 'places' && now.list !== 'callers' && numberLike(now.text) && <About number={now.text} />}
      {now.list === 'places' ? <Places text={now.text} /> : <Hits of={{ ...now, list: now.list }} />}
    </div>
  );
};

/** What stands about a number on every list: the first thing people want to know, and no list of hits says it. */
const About = ({ number }: { readonly number: string }): JSX.Element | null => {
  const words = useWords(pageWords);
  const { rows, problem } = usePages<Lookup>(`about ${number}`, async (_cursor, signal) => {
    const found = await api.post<Lookup>('/v1/lists/lookup', { number }, { signal });
    return { rows: [found], total: 1, totalIsExact: true, next: null };
  });
  const [found] = rows;
  // What cannot be read as a number was no question about one: the list below answers it.
  if (problem?.code === 'number-malformed') return null;
  if (found === undefined) return problem === null ? null : <ProblemNotice problem={problem} />;
  const protects = found.privileged.filter(({ match }) => match !== 'extension');
  const [tone, text] =
    protects.length > 0
      ? (['good', words.standing.protected] as const)
      : found.pending.length > 0
        ? (['warn', words.standing.claimed] as const)
        : found.blocked.length > 0
          ? (['note', words.standing.blocked] as const)
          : found.allowed.length > 0
            ? (['note', words.standing.allowed(found.allowed.length)] as const)
            : (['plain', words.standing.nothing] as const);
  return (
    <Notice tone={tone} title={words.about(found.number)} loud>
      <p>{text}</p>
      {found.privileged.length > 0 && (
        <ul class="lists-plain">
          {found.privileged.map((one) => (
            <li key={one.id}>
              <Link to={`/lists/entry/privileged/${one.id}`}>
                <NumberText text={one.value} />
              </Link>{' '}
              {wordFor(words.classes, one.class)} · {wordFor(words.matches, one.match)}
            </li>
          ))}
        </ul>
      )}
    </Notice>
  );
};

const hitLink = (row: Hit): string =>
  row.list === 'callers'
    ? `/lists/caller/${encodeURIComponent(row.id)}`
    : `/lists/entry/${row.list}/${row.id}`;

const Hits = ({
  of,
}: {
  readonly of: { readonly list: Hit['list']; readonly text: string; readonly kind: string };
}): JSX.Element => {
  const words = useWords(pageWords);
  const { list, text, kind } = of;
  const found = usePages<Hit>(JSON.stringify(of), (cursor, signal) => {
    const filter = kind === '' ? {} : list === 'blocked' ? { cause: kind } : { class: kind };
    const place = cursor === null ? {} : { cursor };
    return api.post<Page<Hit>>(
      '/v1/lists/search',
      { list, text, limit: LIMIT, ...filter, ...place },
      { signal },
    );
  });
  const { heads } = words;
  const what: Column<Hit> = {
    key: 'what',
    head: list === 'callers' ? heads.caller : heads.what,
    rowHead: true,
    cell: (row) => (
      <Link to={hitLink(row)}>
        <NumberText text={row.what} />
      </Link>
    ),
  };
  const facility: Column<Hit> = {
    key: 'facility',
    head: heads.facility,
    cell: (row) => row.facility ?? (list === 'callers' ? words.none : words.everywhere),
  };
  const note: Column<Hit> = { key: 'note', head: heads.note, cell: (row) => row.note, wrap: true };
  const until: Column<Hit> = {
    key: 'until',
    head: heads.until,
    cell: (row) => (row.to === null ? words.always : <Time at={row.to} show="day" />),
  };
  const columns: Readonly<Record<Hit['list'], readonly Column<Hit>[]>> = {
    privileged: [
      what,
      { key: 'class', head: heads.class, cell: (row) => <FieldValue field="class" value={row.class} /> },
      { key: 'evidence', head: heads.evidence, cell: (row) => row.evidence, wrap: true },
      note,
      until,
    ],
    allowed: [
      what,
      {
        key: 'owner',
        head: heads.owner,
        cell: (row) =>
          row.caller === null ? (
            words.wholeFacility(row.facility ?? '')
          ) : (
            <Link to={`/lists/caller/${encodeURIComponent(row.caller)}`}>{row.caller}</Link>
          ),
      },
      { ...facility, cell: (row) => row.facility ?? words.none },
    ],
    blocked: [
      what,
      { key: 'cause', head: heads.cause, cell: (row) => <FieldValue field="cause" value={row.cause} /> },
      facility,
      note,
      until,
    ],
    pending: [
      what,
      note,
      { key: 'since', head: heads.since, cell: (row) => (row.from === null ? '' : <Time at={row.from} />) },
    ],
    callers: [
      what,
      facility,
      { key: 'booking', head: heads.booking, cell: (row) => (row.note === '' ? words.none : row.note) },
      {
        key: 'since',
        head: heads.since,
        cell: (row) => (row.from === null ? '' : <Time at={row.from} show="day" />),
      },
    ],
  };
  return (
    <div class="stack">
      <ProblemNotice problem={found.problem} onAgain={found.again} />
      <Table
        caption={words.lists[list]}
        hideCaption
        columns={columns[list]}
        rows={found.rows}
        rowKey={(row) => row.id}
        busy={found.busy}
        empty={words.noHits}
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

const Places = ({ text }: { readonly text: string }): JSX.Element => {
  const words = useWords(pageWords);
  const found = usePages<PlaceHit>(`places ${text}`, (cursor, signal) =>
    api.post<Page<PlaceHit>>(
      '/v1/places/search',
      { text, limit: LIMIT, ...(cursor === null ? {} : { cursor }) },
      { signal },
    ),
  );
  const { heads } = words;
  return (
    <div class="stack">
      <ProblemNotice problem={found.problem} onAgain={found.again} />
      <Table
        caption={words.lists.places}
        hideCaption
        columns={[
          {
            key: 'id',
            head: heads.place,
            rowHead: true,
            cell: ({ facility, unit, phone }) =>
              [facility, unit, phone].filter((one) => one !== null).join(' / '),
          },
          { key: 'name', head: heads.name, cell: ({ name }) => name, wrap: true },
          { key: 'kind', head: heads.kind, cell: ({ kind }) => words.kinds[kind] },
        ]}
        rows={found.rows}
        rowKey={(row) => `${row.kind} ${row.id}`}
        busy={found.busy}
        empty={words.noHits}
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
