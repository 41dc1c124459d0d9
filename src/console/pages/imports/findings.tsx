import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay, useSession } from '../../api/session.js';
import { useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Num, numberText } from '../../ui/value.js';
import type { FaultShown, ImportShown, ListCounts, ListName, NearShown, PageOf, StepShown } from './types.js';
import { words as all } from './words.js';

interface Rows<T> {
  readonly rows: readonly T[];
  readonly more: JSX.Element | null;
  readonly notice: JSX.Element;
  readonly busy: boolean;
}

/** Rows of an import that come page by page. */
const usePages = <T,>(path: string, limit: number): Rows<T> => {
  const words = useWords(all);
  const [page, setPage] = useState<PageOf<T> | null>(null);
  const { run, busy, problem } = useDoing(async (cursor: string | null) => {
    const found = await api.get<PageOf<T>>(
      `${path}?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    setPage((was) => ({
      rows: [...(cursor === null ? [] : (was?.rows ?? [])), ...found.rows],
      next: found.next,
    }));
  });
  useEffect(() => void run(null), [path]);
  const next = page?.next ?? null;
  return {
    rows: page?.rows ?? [],
    busy: busy && page === null,
    notice: <ProblemNotice problem={problem} onAgain={() => void run(null)} />,
    more:
      next === null ? null : (
        <div class="actions">
          <Button small busy={busy} onPress={() => void run(next)}>
            {words.moreRows}
          </Button>
        </div>
      ),
  };
};

export const Faults = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const { rows, more, notice, busy } = usePages<FaultShown>(`/v1/imports/${of.id}/problems`, 50);
  const title = of.errors > 0 ? words.faultsTitle : words.notesTitle;
  return (
    <Panel title={title} aside={<Num value={of.errors + of.warnings} />}>
      {notice}
      <Table
        caption={title}
        hideCaption
        busy={busy}
        rows={rows}
        rowKey={({ nr }) => String(nr)}
        columns={[
          {
            key: 'line',
            head: words.line,
            numeric: true,
            rowHead: true,
            cell: ({ line }) => <Num value={line} />,
          },
          {
            key: 'column',
            head: words.column,
            cell: ({ column, field }) =>
              column === null ? (field ?? '') : `${column}${field === null ? '' : `: ${field}`}`,
          },
          {
            key: 'what',
            head: words.what,
            cell: ({ detail, otherLine, code }) => (
              <>
                {detail} {otherLine === null ? '' : words.seeLine(otherLine)}{' '}
                <code class="small soft">{code}</code>
              </>
            ),
          },
        ]}
      />
      {more}
    </Panel>
  );
};

export const Summary = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const lists = Object.entries(of.counts?.lists ?? {}) as [ListName, ListCounts][];
  const title = of.state === 'applied' || of.state === 'undone' ? words.summaryDone : words.summary;
  const count = (key: keyof ListCounts, head: string): Column<[ListName, ListCounts]> => ({
    key,
    head,
    numeric: true,
    cell: ([, counts]) => <Num value={counts[key]} />,
  });
  return (
    <Panel title={title}>
      {of.counts?.steps === 0 ? (
        <p>{words.nothing}</p>
      ) : (
        <Table
          caption={title}
          hideCaption
          rows={lists}
          rowKey={([name]) => name}
          columns={[
            { key: 'list', head: words.list, rowHead: true, cell: ([name]) => words.lists[name] },
            count('standing', words.had),
            count('added', words.added),
            count('changed', words.changed),
            count('removed', words.removed),
            count('unchanged', words.unchanged),
          ]}
        />
      )}
    </Panel>
  );
};

/** A loss that nobody asked for is asked about: two people say that it is meant, or it is not applied. */
export const GuardNotice = ({
  of,
  onDone,
}: {
  readonly of: ImportShown;
  readonly onDone: () => void;
}): JSX.Element | null => {
  const words = useWords(all);
  const may = useMay('POST /v1/imports/:import/acknowledge');
  const me = useSession().account;
  const [open, setOpen] = useState(false);
  const { run, busy, problem } = useDoing(async () => {
    await api.post(`/v1/imports/${of.id}/acknowledge`, {}, { ifMatch: `"${of.version}"` });
    setOpen(false);
    onDone();
  });
  const { guard } = of;
  if (guard?.tripped !== true || of.state !== 'compared') return null;
  const who = guard.acknowledgedBy;
  const enough = who.length >= guard.needed;
  return (
    <Notice tone={enough ? 'warn' : 'bad'} title={words.guardTitle}>
      <ul class="imports-guard">
        {guard.why.map((one) => (
          <li key={`${one.code} ${one.list} ${one.class ?? ''}`}>
            {words.lists[one.list]}
            {one.class === null ? '' : ` (${one.class})`}: {words.lost(one.lost, one.of)}:{' '}
            {words.guard[one.code]}
          </li>
        ))}
      </ul>
      <p>{words.saidBy(who.length === 0 ? words.nobody : who.join(', '), guard.needed)}</p>
      {may && !enough && !who.includes(me) && (
        <Button small onPress={() => setOpen(true)}>
          {words.acknowledge}
        </Button>
      )}
      <Confirm
        open={open}
        title={words.acknowledge}
        tick={words.acknowledgeTick}
        word={words.acknowledge}
        danger
        busy={busy}
        problem={problem}
        onConfirm={() => void run()}
        onClose={() => setOpen(false)}
      >
        <p>{words.acknowledgeText}</p>
      </Confirm>
    </Notice>
  );
};

export const NearPanel = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const { rows, more, notice, busy } = usePages<NearShown>(`/v1/imports/${of.id}/near`, 25);
  const whys: Readonly<Record<string, string>> = words.whys;
  const total = of.counts?.near.total ?? 0;
  return (
    <Panel title={words.near} aside={<Num value={total} />}>
      <p>{words.nearText(total)}</p>
      {notice}
      <Table
        caption={words.near}
        hideCaption
        busy={busy}
        rows={rows}
        rowKey={({ nr }) => String(nr)}
        columns={[
          {
            key: 'number',
            head: words.number,
            rowHead: true,
            cell: ({ number }) => <span class="mono">{number}</span>,
          },
          { key: 'near', head: words.nearTo, cell: ({ near }) => <span class="mono">{near}</span> },
          { key: 'class', head: words.class, cell: (one) => one.class },
          { key: 'why', head: words.why, cell: ({ why }) => whys[why] ?? why },
          { key: 'line', head: words.line, numeric: true, cell: ({ line }) => <Num value={line} /> },
        ]}
      />
      {more}
    </Panel>
  );
};

const grave: ReadonlySet<string> = new Set([
  'private-recorded',
  'private-undetermined',
  'private-unprotected',
]);

export const WhatIfPanel = ({ of: { whatIf } }: { readonly of: ImportShown }): JSX.Element | null => {
  const words = useWords(all);
  const now = useCell(language);
  if (whatIf === null) return null;
  const texts: Readonly<Record<string, string>> = words.whatIfChanges;
  const rows = Object.entries(whatIf.changed ?? {}).filter(([, count]) => count > 0);
  const [replayed, decisions] = [numberText(whatIf.replayed, now), numberText(whatIf.decisions, now)];
  return (
    <Panel title={words.whatIf}>
      {whatIf.unavailable !== null ? (
        <Notice tone="warn" title={words.whatIfNot}>
          <code>{whatIf.unavailable}</code>
        </Notice>
      ) : rows.length === 0 ? (
        <p>{words.whatIfNone(replayed, decisions)}</p>
      ) : (
        <>
          <p>{words.whatIfSome(replayed, decisions)}</p>
          <Table
            caption={words.whatIf}
            hideCaption
            rows={rows}
            rowKey={([code]) => code}
            rowClass={([code]) => (grave.has(code) ? 'imports-sign-removed' : undefined)}
            columns={[
              { key: 'what', head: words.what, rowHead: true, cell: ([code]) => texts[code] ?? code },
              { key: 'calls', head: words.calls, numeric: true, cell: ([, count]) => <Num value={count} /> },
            ]}
          />
        </>
      )}
    </Panel>
  );
};

const signs = { added: '+', changed: '~', removed: '−' } as const;

export const StepsPanel = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const { rows, more, notice, busy } = usePages<StepShown>(`/v1/imports/${of.id}/steps`, 50);
  return (
    <Panel title={words.steps} aside={<Num value={of.counts?.steps ?? 0} />}>
      {notice}
      <Table
        caption={words.steps}
        hideCaption
        busy={busy}
        rows={rows}
        rowKey={({ nr }) => String(nr)}
        columns={[
          {
            key: 'what',
            head: words.what,
            cell: ({ what }) => (
              <span class={`imports-sign-${what}`}>
                <span aria-hidden="true">{signs[what]} </span>
                {words.signs[what]}
              </span>
            ),
          },
          {
            key: 'entry',
            head: words.entry,
            rowHead: true,
            wrap: true,
            cell: ({ key }) => <span class="mono">{key}</span>,
          },
          { key: 'list', head: words.list, cell: ({ list }) => words.lists[list] },
          { key: 'needs', head: words.needs, cell: ({ needs }) => words.needsWhom[needs] },
          {
            key: 'line',
            head: words.line,
            numeric: true,
            cell: ({ line }) => (line === null ? '' : <Num value={line} />),
          },
        ]}
      />
      {more}
    </Panel>
  );
};
