import { CommandError, type Terminal } from './output.js';

/** Where a secret is read from: standard input, or a test's. */
export interface SecretInput extends AsyncIterable<Uint8Array | string> {
  readonly isTTY?: boolean;
  readonly setRawMode?: (raw: boolean) => unknown;
}

/** More than any secret asked for here. */
const maxCharacters = 256;

/**
 * Reads one line that must not be seen: neither in the arguments, which every account of the machine can read, nor on
 * the screen. At a terminal it is asked for twice, without an echo. Rejects with CommandError.
 */
export const readSecret = async (
  label: string,
  input: SecretInput,
  { err }: Pick<Terminal, 'err'>,
): Promise<string> => {
  const atTerminal = input.isTTY === true;
  const lines: string[] = [''];
  if (atTerminal) {
    input.setRawMode?.(true);
    err(`${label}, which is not shown:`);
  }
  try {
    for await (const chunk of input) {
      const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      // A terminal's key for the end of a line is a carriage return; in a file that is part of it.
      for (const character of text.replaceAll('\r', atTerminal ? '\n' : '')) {
        typed(character, lines);
        if (atTerminal && lines.length === 2 && character === '\n') err(`${label} again:`);
      }
      if (lines.join('').length > maxCharacters)
        throw new CommandError('secret-long', 'too much was given', 2);
      if (atTerminal && lines.length === 3) break;
    }
  } finally {
    if (atTerminal) input.setRawMode?.(false);
  }
  const [first = '', again, ...more] = lines;
  if (atTerminal && again !== first) {
    throw new CommandError('secret-differs', `the ${label} was not the same both times`, 2);
  }
  if (!atTerminal && [again ?? '', ...more].some((line) => line !== '')) {
    throw new CommandError('secret-lines', `give the ${label} alone, on one line of standard input`, 2);
  }
  if (first === '') throw new CommandError('secret-missing', `give the ${label} on standard input`, 2);
  return first;
};

/** One character, as a terminal without its own line editing sends it. */
const typed = (character: string, lines: string[]): void => {
  const at = lines.length - 1;
  switch (character) {
    case '\n':
      lines.push('');
      return;
    case '\u0003':
    case '\u0004':
      throw new CommandError('cancelled', 'nothing was changed', 130);
    case '\b':
    case '\u007f':
      lines[at] = (lines[at] ?? '').slice(0, -1);
      return;
    default:
      lines[at] = `${lines[at] ?? ''}${character}`;
  }
};
