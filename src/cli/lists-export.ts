import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportLists } from '../lists/export.js';
import { redisOf } from '../options.js';
import type { ListOptions } from './lists.js';
import { CommandError, columns } from './output.js';
import { publisherKeysOf } from './publisher-keys.js';

/**
 * `lists export`: what is published, as list files in a new folder, readable by their owner alone. Two sides of a
 * hand-over compare the fingerprint: it depends on the entries and on nothing else. Writes all files or says why not.
 */
export const listsExport = async (folder: string, options: ListOptions): Promise<void> => {
  const { config, terminal, json } = options;
  if (existsSync(folder)) {
    throw new CommandError('export-exists', `${folder} is there already and is not written over`, 2);
  }
  const exported = await exportLists({
    redis: redisOf(config),
    keyPrefix: config.lists.keyPrefix,
    publisherKeys: publisherKeysOf(config),
  });
  if (exported.state === 'unusable') {
    throw new CommandError(
      'lists-unusable',
      `what is in Redis is not a genuine publication: ${exported.why}; nothing was written`,
      2,
    );
  }
  const { epoch, digest, fingerprint, files } = exported;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [kind, lines] of Object.entries(files)) {
    await writeFile(join(folder, `${kind}.csv`), `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  }
  const counts = Object.fromEntries(Object.entries(files).map(([kind, lines]) => [kind, lines.length - 1]));
  if (json) terminal.out(JSON.stringify({ folder, epoch, digest, fingerprint, counts }));
  else {
    terminal.out(
      columns([
        ['epoch', String(epoch)],
        ['digest', digest],
        ['fingerprint', `${fingerprint}  (the same wherever these entries are published)`],
        ...Object.entries(counts).map(([kind, count]) => [kind, String(count)]),
      ]),
    );
  }
};
