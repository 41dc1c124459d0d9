import { isUtf8 } from 'node:buffer';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublicKey } from './ask.js';
import { atOnce } from './at-once.js';
import { type CountersignedHead, readCountersignature } from './countersignature.js';
import { LineReader } from './lines.js';
import type { Report } from './report.js';
import { MAX_SIGNED_LINE } from './signed.js';

/** A countersignature where it was found. */
export interface Countersigned extends CountersignedHead {
  readonly key: string;
  readonly file: string;
  readonly line: number;
}

const MAX_COUNTERSIGNATURES = 1_000_000;

/** The files in a journal's `countersigned` directory. */
export async function countersignedFiles(journal: string): Promise<string[]> {
  const directory = join(journal, 'countersigned');
  try {
    return (await readdir(directory))
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** Reads the countersignatures of these files, smallest tree first. Those that do not hold are told and left out. */
export async function readCountersigned(
  files: readonly string[],
  known: readonly PublicKey[],
  report: Report,
): Promise<Countersigned[]> {
  const found: Countersigned[] = [];
  const strangers = new Set<string>();
  for (const path of files) {
    const file = path.split('/').slice(-2).join('/');
    let line = 0;
    for await (const bytes of linesOf(path, file, report)) {
      line += 1;
      const one =
        bytes.length <= MAX_SIGNED_LINE && isUtf8(bytes)
          ? atOnce(readCountersignature(bytes.toString('utf8')))
          : undefined;
      if (one === undefined || found.length >= MAX_COUNTERSIGNATURES) {
        report.add('countersignature-invalid', { file, line }, 'the line is no countersignature that holds');
        continue;
      }
      if (!known.some((key) => key.text === one.public) && !strangers.has(one.key)) {
        strangers.add(one.key);
        report.add('countersigner-unknown', { file, line }, `nothing says whose key ${one.key} is`);
      }
      const { at, journal, number, size, root, head, key } = one;
      found.push({ at, journal, number, size, root, head, key, file, line });
    }
  }
  return found.sort((a, b) => a.size - b.size);
}

async function* linesOf(path: string, name: string, report: Report): AsyncGenerator<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const reader = new LineReader(file, MAX_SIGNED_LINE);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) yield* lines;
      if (reader.rest > 0)
        report.add('countersignature-invalid', { file: name }, 'the last line has no newline');
    } finally {
      await file.close();
    }
  } catch {
    report.add('countersignature-invalid', { file: name }, 'the file cannot be read');
  }
}
