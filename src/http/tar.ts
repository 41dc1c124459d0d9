/** A plain file's header in a tar (POSIX ustar). Names are at most 100 bytes of ASCII, sizes below 8 GiB. */
export const tarHeader = (name: string, bytes: number, seconds: number): Buffer => {
  if (!/^[\x21-\x7e]{1,100}$/.test(name) || bytes < 0 || bytes >= 8 ** 11)
    throw new RangeError('not a file that a tar of ours can hold');
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void => {
    header.write(
      `${Math.floor(value)
        .toString(8)
        .padStart(width - 1, '0')}\0`,
      at,
      'latin1',
    );
  };
  header.write(name, 0, 'latin1');
  octal(0o400, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(bytes, 124, 12);
  octal(seconds, 136, 12);
  header.write('        0', 148, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
};

/** What fills a file up to a whole block. */
export const tarPadding = (bytes: number): Buffer => Buffer.alloc((512 - (bytes % 512)) % 512);
export const tarEnd = Buffer.alloc(1024);
