/**
 * One line of CSV (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe before it, numbers in
 * international form too: a cell that somebody else chose the text of must do nothing when it is opened. The JSON beside it
 * has every value as it is.
 */
export const csvLine = (cells: readonly (string | number | null)[]): string =>
  `${cells
    .map((cell) => {
      if (cell === null) return '';
      if (typeof cell === 'number') return String(cell);
      const safe = /^[\s\u200b\ufeff]*[=+\-@|%\t\r]/.test(cell) ? `'${cell}` : cell;
      return `"${safe.replaceAll('"', '""')}"`;
    })
    .join(',')}\r\n`;
