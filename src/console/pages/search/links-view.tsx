import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Duration, Num, Time } from '../../ui/value.js';
import { keptWhy, type LinkStart, linkStart } from './kept.js';
import { LinkGraph } from './link-graph.js';
import type { LinkRow, LinkView } from './shapes.js';
import { words } from './words.js';

const sorts = ['calls', 'last', 'longest'] as const;

/** Who calls which numbers: two tables, and a drawing of the same beside them. */
export const LinksView = (): JSX.Element => {
  const w = useWords(words);
  const why = useCell(keptWhy());
  const start = useCell(linkStart);
  const [kind, setKind] = useState<LinkStart['kind']>(start?.kind ?? 'caller');
  const [value, setValue] = useState(start?.value ?? '');
  const [sort, setSort] = useState<(typeof sorts)[number]>('calls');
  const [view, setView] = useState<LinkView | null>(null);
  const look = useDoing(async (from: LinkStart, by: string) =>
    setView(
      await api.post<LinkView>('/v1/search/links', { why: why.trim(), [from.kind]: from.value, sort: by }),
    ),
  );
  const said = why.trim().length >= 3;
  // Each look is written down: one for each start with a reason, and none while a reason is typed.
  useEffect(() => {
    if (start === null) return;
    setKind(start.kind);
    setValue(start.value);
    if (said) void look.run(start, sort);
  }, [start]);
  return (
    <div class="stack">
      <form
        class="form-row"
        onSubmit={(event) => {
          event.preventDefault();
          if (value.trim() === '' || !said) return;
          // The same start again is a new object, and so a new look.
          linkStart.set({ kind, value: value.trim() });
        }}
      >
        <Select
          label={w.link.of}
          value={kind}
          options={[
            { value: 'caller', text: w.link.caller },
            { value: 'number', text: w.link.number },
          ]}
          onPick={setKind}
        />
        <TextField
          label={w.link.value}
          value={value}
          maxLength={80}
          mono
          autocomplete="off"
          onText={setValue}
        />
        <Select
          label={w.link.sort}
          value={sort}
          options={sorts.map((one) => ({ value: one, text: w.link.sorts[one] }))}
          onPick={setSort}
        />
        <Button kind="main" type="submit" busy={look.busy} disabled={value.trim() === ''}>
          {w.link.show}
        </Button>
      </form>
      {!said && <Notice tone="warn">{w.whyMissing}</Notice>}
      <ProblemNotice problem={look.problem} />
      {view === null && look.busy && <Busy />}
      {view !== null && <Shown view={view} />}
    </div>
  );
};

const Shown = ({ view }: { readonly view: LinkView }): JSX.Element => {
  const w = useWords(words);
  const { kind, value } = view.of;
  const other = kind === 'caller' ? 'number' : 'caller';
  return (
    <div class="search-links">
      <div class="stack">
        <Panel title={kind === 'caller' ? w.link.directCaller(value) : w.link.directNumber(value)}>
          <Links rows={view.links} show={[other]} />
          {view.more && <Notice>{w.link.more}</Notice>}
        </Panel>
        <Panel title={kind === 'caller' ? w.link.furtherCaller : w.link.furtherNumber}>
          <Links rows={view.further} show={['caller', 'number']} />
        </Panel>
      </div>
      {view.links.length > 0 && (
        <Panel title={w.link.graph}>
          <LinkGraph view={view} />
        </Panel>
      )}
    </div>
  );
};

const Links = ({
  rows,
  show,
}: {
  readonly rows: readonly LinkRow[];
  readonly show: readonly LinkStart['kind'][];
}): JSX.Element => {
  const w = useWords(words);
  return (
    <Table
      caption={w.tabs.links}
      hideCaption
      rows={rows}
      rowKey={(row) => `${row.caller} ${row.number}`}
      empty={w.link.none}
      columns={[
        ...show.map((kind, at) => ({
          key: kind,
          head: w.col[kind],
          rowHead: at === 0,
          cell: (row: LinkRow) => (
            <button
              type="button"
              class="search-follow mono"
              title={w.link.follow(row[kind])}
              onClick={() => linkStart.set({ kind, value: row[kind] })}
            >
              {row[kind]}
            </button>
          ),
          sort: (row: LinkRow) => row[kind],
        })),
        {
          key: 'calls',
          head: w.col.calls,
          numeric: true,
          cell: (row) => <Num value={row.calls} />,
          sort: (row) => row.calls,
        },
        {
          key: 'length',
          head: w.col.length,
          numeric: true,
          cell: (row) => <Duration ms={row.connectedMs} />,
          sort: (row) => row.connectedMs,
        },
        {
          key: 'last',
          head: w.col.last,
          cell: (row) => <Time at={row.last} show="day" />,
          sort: (row) => row.last,
        },
      ]}
    />
  );
};
