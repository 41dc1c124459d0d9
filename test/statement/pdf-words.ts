/**
 * The words a PDF of ours shows, in the order they are drawn: hexadecimal strings of Windows-1252 in uncompressed
 * streams. Runs with kerning between them are one word; a test that must not miss a number reads it as it looks.
 */
export const wordsOf = (pdf: Buffer): string => {
  const text = pdf.toString('latin1');
  const lines: string[] = [];
  for (const [, shown = ''] of text.matchAll(/\[([^\]]*)\] TJ/g)) {
    const hex = [...shown.matchAll(/<([0-9a-f]*)>/g)].map((match) => match[1] ?? '').join('');
    lines.push(new TextDecoder('windows-1252').decode(Buffer.from(hex, 'hex')));
  }
  return lines.join('\n');
};
