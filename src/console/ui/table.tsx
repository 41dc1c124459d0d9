import type { ComponentChildren, JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { useCell } from '../app/cell.js';
import { language } from '../app/settings.js';
import { useWords } from '../app/words.js';
import { Icon } from './icon.js';
import { Busy, Empty } from './notice.js';
import { uiWords } from './words.js';

export interface Column<Row> {
  readonly key: string;
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** What rows are put in order by; without it the column is not sortable. Null comes last. */
  readonly sort?: (row: Row) => string | number | null;
  /** Numbers and amounts: to the right, in digits of one width. */
  readonly numeric?: boolean;
  /** The cell that names its row. */
  readonly rowHead?: boolean;
  /** May break anywhere: digests, addresses. */
  readonly wrap?: boolean;
}

interface TableProps<Row> {
  /** What the table is; read by everybody, or with `hideCaption` by screen readers alone. */
  readonly caption: string;
  readonly hideCaption?: boolean;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  /** What stands in the place of no rows. */
  readonly empty?: ComponentChildren;
  readonly busy?: boolean;
  readonly sortedBy?: { readonly key: string; readonly up: boolean };
  /** A class for a row. */
  readonly rowClass?: (row: Row) => string | undefined;
}

const compare = (a: string | number | null, b: string | number | null, by: Intl.Collator): number => {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return by.compare(String(a), String(b));
};

/**
 * A table that is sorted by its heads and, where there is little room, stands as one block a row with the heads beside
 * the cells. Its roles are written out: a table that is laid out as blocks is none to screen readers otherwise.
 */
export const Table = <Row,>({
  caption,
  hideCaption = false,
  columns,
  rows,
  rowKey,
  empty,
  busy = false,
  sortedBy,
  rowClass,
}: TableProps<Row>): JSX.Element => {
  const words = useWords(uiWords);
  const now = useCell(language);
  const [sorting, setSorting] = useState(sortedBy ?? null);
  const sorted = useMemo(() => {
    const sort = columns.find(({ key }) => key === sorting?.key)?.sort;
    if (sort === undefined || sorting === null) return rows;
    const by = new Intl.Collator(now, { numeric: true, sensitivity: 'base' });
    return rows.toSorted((a, b) => {
      const [x, y] = [sort(a), sort(b)];
      if (x === null || y === null) return compare(x, y, by);
      return sorting.up ? compare(x, y, by) : compare(y, x, by);
    });
  }, [rows, columns, sorting, now]);
  const turn = (key: string): void =>
    setSorting((was) => (was?.key === key ? { key, up: !was.up } : { key, up: true }));
  return (
    <div class="table-frame">
      <table role="table" class="table">
        <caption class={hideCaption ? 'heard-only' : undefined}>{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ key, head, sort, numeric }) => {
              const here = sorting?.key === key ? (sorting.up ? 'ascending' : 'descending') : undefined;
              return (
                <th
                  key={key}
                  role="columnheader"
                  scope="col"
                  class={numeric === true ? 'numeric' : undefined}
                  aria-sort={here}
                >
                  {sort === undefined ? (
                    head
                  ) : (
                    <button type="button" class="sort" title={words.sortBy(head)} onClick={() => turn(key)}>
                      <span>{head}</span>
                      <Icon name={here === undefined ? 'both' : here === 'ascending' ? 'up' : 'down'} />
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {sorted.map((row) => (
            <tr role="row" key={rowKey(row)} class={rowClass?.(row)}>
              {columns.map(({ key, head, cell, numeric, rowHead, wrap }) => {
                const classes = [numeric === true ? 'numeric' : '', wrap === true ? 'wrap' : '']
                  .join(' ')
                  .trim();
                const common = { class: classes === '' ? undefined : classes, 'data-head': head };
                return rowHead === true ? (
                  <th key={key} role="rowheader" scope="row" {...common}>
                    {cell(row)}
                  </th>
                ) : (
                  <td key={key} role="cell" {...common}>
                    {cell(row)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {busy && rows.length === 0 && <Busy />}
      {!busy && rows.length === 0 && <Empty>{empty}</Empty>}
    </div>
  );
};
