import { escaped } from './text.js';

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly number?: boolean;
}

/** A cell: text, or HTML that is safe already. */
export type Cell = string | { readonly html: string };

const cell = (value: Cell): string => (typeof value === 'string' ? escaped(value) : value.html);

/** A table with its first column as the heads of its rows. `bad` marks rows by their index. */
export const table = (
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  bad: (row: number) => boolean = () => false,
): string => {
  const kind = (i: number): string => (columns[i]?.number === true ? ' class="n"' : '');
  const head = columns.map(({ title }, i) => `<th scope="col"${kind(i)}>${escaped(title)}</th>`).join('');
  const body = rows
    .map((row, at) => {
      const cells = row.map((value, i) =>
        i === 0 ? `<th scope="row"${kind(i)}>${cell(value)}</th>` : `<td${kind(i)}>${cell(value)}</td>`,
      );
      return `<tr${bad(at) ? ' class="bad"' : ''}>${cells.join('')}</tr>`;
    })
    .join('');
  return `<div class="scroll"><table><caption>${escaped(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
};
