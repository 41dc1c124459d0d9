import { join } from 'node:path';
import { closeQuietly, type JournalDisk } from '../disk.js';
import { readLines } from '../lines.js';
import { segmentName, segmentNumbers } from '../row.js';
import { readEntry } from './entry.js';
import { damaged, headsDirectory, MAX_ENTRY_BYTES } from './head-log.js';

/** Where a head's line stands, and what tree it signs. */
export interface HeadPlace {
  readonly size: number;
  /** How many `key` lines come before it. */
  readonly keys: number;
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface HeadLines {
  /** In order: sizes rise. */
  readonly heads: readonly HeadPlace[];
  readonly keys: readonly string[];
  readonly lastRoot: string | undefined;
}

/** All heads of a journal, also beside a living writer; none where it has none. Signatures are not checked. Rejects with `heads-damaged`. */
export async function readHeadLines(disk: JournalDisk, directory: string): Promise<HeadLines> {
  const heads: HeadPlace[] = [];
  const keys: string[] = [];
  let lastRoot: string | undefined;
  for (const number of await headFiles(disk, directory)) {
    const file = await disk.open(join(headsDirectory(directory), segmentName(number)), 'read');
    try {
      for await (const lines of readLines(file, 0, MAX_ENTRY_BYTES)) {
        for (const line of lines) {
          // A line that is not finished is a head that is not there yet.
          if (!line.terminated) continue;
          const text = line.bytes.toString('utf8');
          const body = line.oversized ? undefined : readEntry(text)?.body;
          if (body === undefined) throw damaged(segmentName(number), undefined, 'bad-line');
          if (body.kind === 'key') keys.push(text);
          else {
            const { size } = body;
            heads.push({
              size,
              keys: keys.length,
              file: number,
              offset: line.offset,
              bytes: line.bytes.length,
            });
            lastRoot = body.root;
          }
        }
      }
    } finally {
      await closeQuietly(file);
    }
  }
  return { heads, keys, lastRoot };
}

async function headFiles(disk: JournalDisk, directory: string): Promise<readonly number[]> {
  try {
    return segmentNumbers(await disk.list(headsDirectory(directory)));
  } catch {
    return [];
  }
}

/** The line at that place, without its newline. */
export async function headLineAt(disk: JournalDisk, directory: string, place: HeadPlace): Promise<string> {
  const file = await disk.open(join(headsDirectory(directory), segmentName(place.file)), 'read');
  try {
    const bytes = Buffer.alloc(place.bytes);
    let done = 0;
    while (done < bytes.length) {
      const count = await file.read(bytes, done, bytes.length - done, place.offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.toString('utf8', 0, done);
  } finally {
    await closeQuietly(file);
  }
}
