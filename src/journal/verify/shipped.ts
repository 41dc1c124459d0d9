import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NUMBERED_FILE } from './canonical.js';
import type { Report } from './report.js';

const CHUNK = 1024 * 1024;

/**
 * Compares what was shipped with what is here, byte for byte: each shipped segment with the segment, and each shipped
 * file of heads with the beginning of ours. `root` holds a folder for each journal: the node's name, a hyphen and
 * the first 16 digits of the hash of row 1.
 */
export async function compareShipped(
  root: string,
  directory: string,
  journal: { readonly node: string; readonly firstHash: string },
  report: Report,
): Promise<void> {
  const own = `${journal.node}-${journal.firstHash.slice(0, 16)}`;
  let folders: string[];
  try {
    folders = (await readdir(root)).sort();
  } catch {
    report.add('shipped-unreadable', { file: root }, 'the folder of copies cannot be read');
    return;
  }
  const others = folders.filter((name) => name !== own && name.slice(0, -17) === journal.node);
  for (const name of others) {
    report.add(
      'shipped-other-journal',
      { file: name },
      'another journal of this node was shipped; where is it?',
    );
  }
  if (!folders.includes(own)) {
    report.add(
      'shipped-missing',
      { file: own },
      'nothing was shipped of a journal that begins as this one does',
    );
    return;
  }
  const heads = await compareFolder(join(root, own, 'heads'), join(directory, 'heads'), 'heads/', report);
  if (heads === 0) report.add('shipped-missing', { file: `${own}/heads` }, 'no head was shipped');
  await compareFolder(join(root, own), directory, '', report);
}

/** Resolves to how many files were compared. */
async function compareFolder(theirs: string, ours: string, label: string, report: Report): Promise<number> {
  let names: string[];
  try {
    names = (await readdir(theirs)).filter((name) => NUMBERED_FILE.test(name)).sort();
  } catch {
    report.add('shipped-unreadable', { file: theirs }, 'the folder of copies cannot be read');
    return 0;
  }
  const here = new Set(await readdir(ours).catch(() => []));
  for (const name of names) {
    const file = `${label}${name}`;
    if (!here.has(name)) {
      report.add('shipped-ahead', { file }, 'this file was shipped and is not here');
      continue;
    }
    const result = await compareFiles(join(theirs, name), join(ours, name)).catch(() => undefined);
    // Heads are shipped again and again as their file grows; a segment only once, when it is complete.
    if (result === undefined) report.add('shipped-unreadable', { file }, 'the two cannot be compared');
    else if (result === 'differs') report.add('shipped-differs', { file }, 'the copy has other bytes');
    else if (result === 'theirs-longer') {
      report.add('shipped-ahead', { file }, 'the copy goes on where ours ends: ours was cut or put back');
    } else if (result === 'ours-longer') {
      const code = label === '' ? 'shipped-differs' : 'shipped-behind';
      report.add(code, { file }, 'ours goes on where the copy ends');
    }
  }
  return names.length;
}

type Comparison = 'equal' | 'differs' | 'theirs-longer' | 'ours-longer';

async function compareFiles(theirPath: string, ourPath: string): Promise<Comparison> {
  const theirs = await open(theirPath, 'r');
  try {
    const ours = await open(ourPath, 'r');
    try {
      for (;;) {
        const [a, b] = await Promise.all([readChunk(theirs), readChunk(ours)]);
        const common = Math.min(a.length, b.length);
        if (!a.subarray(0, common).equals(b.subarray(0, common))) return 'differs';
        if (a.length !== b.length) return a.length > b.length ? 'theirs-longer' : 'ours-longer';
        if (a.length === 0) return 'equal';
      }
    } finally {
      await ours.close();
    }
  } finally {
    await theirs.close();
  }
}

/** Full except at the end of the file. */
async function readChunk(file: FileHandle): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  let done = 0;
  while (done < CHUNK) {
    const { bytesRead } = await file.read(chunk, done, CHUNK - done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return chunk.subarray(0, done);
}
