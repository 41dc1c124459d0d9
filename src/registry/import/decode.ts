import { TextDecoder } from 'node:util';
import { type ImportProblem, problem } from './problems.js';
import type { Profile } from './profile.js';

/** Thrown where a file cannot be read further. */
export class Unreadable extends Error {
  readonly problem: ImportProblem;
  constructor(found: ImportProblem) {
    super(found.code);
    this.name = 'Unreadable';
    this.problem = found;
  }
}

const linesIn = (bytes: Uint8Array): number => {
  let lines = 0;
  for (const byte of bytes) if (byte === 0x0a) lines += 1;
  return lines;
};

/** The line, from 1, up to which a chunk is sound UTF-8: found by decoding it line by line. */
const soundLines = (chunk: Buffer): number => {
  let from = 0;
  let lines = 0;
  for (;;) {
    const end = chunk.indexOf(0x0a, from);
    const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(piece);
    } catch {
      return lines;
    }
    if (end < 0) return lines;
    lines += 1;
    from = end + 1;
  }
};

const decoderOf = (
  encoding: Profile['encoding'],
  head: Buffer,
): { readonly decoder: TextDecoder; readonly skip: number } => {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  const utf8 = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
  if (encoding !== 'utf-16' && utf16) throw new Unreadable(problem('encoding-utf16', 1));
  switch (encoding) {
    case 'utf-8':
      // A text of ASCII in UTF-16 without its mark has a zero in every second place.
      if (head.subarray(0, 64).includes(0)) throw new Unreadable(problem('encoding-utf16', 1));
      return { decoder: new TextDecoder('utf-8', { fatal: true }), skip: 0 };
    case 'latin-1':
      // Whoever chose Latin-1 would otherwise read each accented letter as two others.
      if (utf8) throw new Unreadable(problem('encoding-unfit', 1));
      return { decoder: new TextDecoder('windows-1252', { fatal: true }), skip: 0 };
    case 'utf-16':
      if (!utf16) throw new Unreadable(problem('encoding-unfit', 1));
      return {
        decoder: new TextDecoder(head[0] === 0xfe ? 'utf-16be' : 'utf-16le', { fatal: true }),
        skip: 2,
      };
    default: {
      const never: never = encoding;
      return never;
    }
  }
};

/** No character stands half in one chunk and half in the next, where lines end now and then. */
async function* wholeLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let carried: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = carried.length === 0 ? chunk : Buffer.concat([carried, chunk]);
    const cut = bytes.length > MOST_CARRIED ? bytes.length : bytes.lastIndexOf(0x0a) + 1;
    carried = bytes.subarray(cut);
    if (cut > 0) yield bytes.subarray(0, cut);
  }
  if (carried.length > 0) yield carried;
}
const MOST_CARRIED = 262_144;

/**
 * The text of a file, as UTF-8 without a mark, chunk by chunk. Strict: what is not text of that encoding throws
 * Unreadable with its line, and is never turned into something like it.
 */
export async function* decoded(
  chunks: AsyncIterable<Buffer>,
  encoding: Profile['encoding'],
): AsyncGenerator<string, void, undefined> {
  let decoder: TextDecoder | null = null;
  let head: Buffer | null = Buffer.alloc(0);
  let lines = 0;
  const take = (bytes: Buffer, last: boolean): string => {
    try {
      const text = (decoder as TextDecoder).decode(bytes, { stream: !last });
      lines += linesIn(bytes);
      return text;
    } catch {
      const line = lines + 1 + (encoding === 'utf-8' ? soundLines(bytes) : 0);
      throw new Unreadable(problem(encoding === 'utf-8' ? 'encoding-not-utf8' : 'encoding-unfit', line));
    }
  };
  for await (const chunk of encoding === 'utf-8' ? wholeLines(chunks) : chunks) {
    if (head !== null) {
      head = Buffer.concat([head, chunk]);
      if (head.length < 64) continue;
    }
    const bytes: Buffer = head ?? chunk;
    if (head !== null) {
      const begun = decoderOf(encoding, head);
      decoder = begun.decoder;
      head = null;
      yield take(bytes.subarray(begun.skip), false);
    } else yield take(bytes, false);
  }
  if (head !== null) {
    const begun = decoderOf(encoding, head);
    decoder = begun.decoder;
    yield take(head.subarray(begun.skip), true);
  } else yield take(Buffer.alloc(0), true);
}
