import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../call/ports.js';
import type { Config } from '../config/schema.js';
import type { WallMs } from '../core/leg.js';
import type { DialPlan } from '../core/number.js';
import {
  BadRowsError,
  type CheckReport,
  checkLists,
  diffLists,
  publishLists,
  showLists,
} from '../lists/commands.js';
import type { ListFile } from '../lists/files.js';
import { startHeartbeat } from '../lists/heartbeat.js';
import type { PublishOptions } from '../lists/publish.js';
import { PublishError } from '../lists/publish-error.js';
import { generatePublisherKey, publisherKey } from '../lists/signed.js';
import { planOf, redisOf } from '../options.js';
import { CommandError, columns, progress, type Terminal } from './output.js';

const clock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

export interface ListOptions {
  readonly config: Config;
  readonly plan: string;
  readonly json: boolean;
  readonly terminal: Terminal;
}

const planFor = (options: ListOptions): DialPlan => planOf(options.config, options.plan);

export const reportText = (report: CheckReport, files: readonly ListFile[], terminal: Terminal): void => {
  for (const problem of report.read.problems) {
    terminal.out(
      `${problem.file}:${problem.line}:${problem.column ?? 0}: ${problem.severity}: ${problem.message}${problem.text === null ? '' : ` (${problem.text.reveal()})`} [${problem.code}]`,
    );
  }
  const { counts } = report;
  const classes = Object.entries(counts.classes).filter(([, count]) => count > 0);
  terminal.out(
    columns([
      ['files', String(files.length)],
      [
        'privileged',
        `${counts.privileged}${classes.length === 0 ? '' : ` (${classes.map(([name, count]) => `${name} ${count}`).join(', ')})`}`,
      ],
      ['block', String(counts.block)],
      ['pending', String(counts.pending)],
      ['allow', `${counts.allow} numbers on ${counts.callers} lists`],
    ]),
  );
};

const read = (paths: readonly string[]): readonly ListFile[] => paths.map((path) => ({ path }));

/** `lists check`: reads the files as a publication would and says every fault with its place. */
export const listsCheck = async (paths: readonly string[], options: ListOptions): Promise<void> => {
  const files = read(paths);
  const report = await checkLists(files, planFor(options));
  if (options.json) options.terminal.out(JSON.stringify(report));
  else reportText(report, files, options.terminal);
  if (!report.ok) throw new CommandError('lists-unsound', 'the files cannot be published', 2);
  if (!options.json) options.terminal.out('sound: these files can be published');
};

export interface PublishArguments {
  readonly key: string;
  /** Whose account publishes; what is only looked at has nobody's. */
  readonly by?: string;
  readonly approvedBy: readonly string[];
  readonly state: string | undefined;
  readonly repair: boolean;
}

const publishing = (
  options: ListOptions,
  given: PublishArguments,
): PublishOptions & { readonly plan: DialPlan } => {
  if (!existsSync(given.key))
    throw new CommandError(
      'key-missing',
      `there is no publisher key ${given.key}; make one with: sallyport lists keygen ${given.key}`,
    );
  return {
    redis: redisOf(options.config),
    keyPrefix: options.config.lists.keyPrefix,
    key: publisherKey(readFileSync(given.key, 'utf8')),
    ...(given.by === undefined ? {} : { by: given.by }),
    approvedBy: given.approvedBy,
    normaliser: '',
    clock,
    plan: planFor(options),
    ...(given.state === undefined ? {} : { statePath: given.state }),
    ...(given.repair ? { repair: true } : {}),
  };
};

const explained = (error: unknown, options: ListOptions, files: readonly ListFile[]): unknown => {
  if (error instanceof BadRowsError && !options.json) reportText(error.report, files, options.terminal);
  if (error instanceof PublishError) {
    const more =
      error.code === 'shrink-refused' || error.code === 'no-privileged'
        ? '; a second person approves it with a second --approved-by'
        : '';
    return new CommandError(
      error.code,
      `nothing was published, the old epoch stays: ${error.message}${more}`,
      2,
    );
  }
  return error;
};

export const listsPublish = async (
  paths: readonly string[],
  given: PublishArguments,
  options: ListOptions,
): Promise<void> => {
  const files = read(paths);
  const bar = progress(options.terminal, 'fields written');
  try {
    const { report, published } = await publishLists(files, {
      ...publishing(options, given),
      onProgress: (p) => bar.at(p.written, null),
    });
    bar.end();
    const { manifest, diff } = published;
    if (options.json) {
      options.terminal.out(
        JSON.stringify({
          epoch: manifest.epoch,
          digest: manifest.digest,
          counts: report.counts,
          written: published.written,
          ms: Math.round(published.ms),
        }),
      );
      return;
    }
    reportText(report, files, options.terminal);
    options.terminal.out(
      `published epoch ${manifest.epoch} (${manifest.digest.slice(0, 16)}…): ${published.written} fields written, ${diff.parts.privileged.added} privileged added, ${diff.parts.privileged.removed} removed`,
    );
  } catch (error) {
    bar.end();
    throw explained(error, options, files);
  }
};

export const listsDiff = async (
  paths: readonly string[],
  given: PublishArguments,
  options: ListOptions,
): Promise<void> => {
  const files = read(paths);
  try {
    const preview = await diffLists(files, publishing(options, given));
    if (options.json) {
      options.terminal.out(JSON.stringify(preview));
      return;
    }
    options.terminal.out(
      columns([
        ['list', 'added', 'removed', 'changed'],
        ...Object.entries(preview.diff.parts).map(([part, diff]) => [
          part,
          String(diff.added),
          String(diff.removed),
          String(diff.changed),
        ]),
        ['allow', String(preview.allow.added), String(preview.allow.removed), '-'],
      ]),
    );
    for (const row of preview.diff.rows)
      options.terminal.out(`${row.change.padEnd(8)} ${row.part.padEnd(11)} ${row.number}  ${row.what}`);
    if (preview.shrink !== null)
      options.terminal.out(`the shrink guard will ask for a second approval: ${preview.shrink}`);
  } catch (error) {
    throw explained(error, options, files);
  }
};

export const listsShow = async (options: ListOptions): Promise<void> => {
  const { config, terminal } = options;
  const shown = await showLists({
    redis: redisOf(config),
    keyPrefix: config.lists.keyPrefix,
    publisherKeys: config.lists.publisherKeys.map((file) => readFileSync(file, 'utf8')),
    maxListAgeMs: config.lists.maxAgeSeconds * 1000,
    clock,
  });
  if (options.json) terminal.out(JSON.stringify(shown));
  else if (shown.state === 'genuine') {
    const classes = Object.entries(shown.classes).filter(([, count]) => count > 0);
    terminal.out(
      columns([
        ['epoch', String(shown.epoch)],
        ['digest', shown.digest],
        ['published', new Date(shown.publishedAt).toISOString()],
        ['published by', shown.by ?? 'not told'],
        ['approved by', shown.approvedBy.join(', ')],
        [
          'privileged',
          `${shown.privileged} (${classes.map(([name, count]) => `${name} ${count}`).join(', ')})`,
        ],
        ['block', String(shown.block)],
        ['pending', String(shown.pending)],
        ['allow', `${shown.allow} numbers on ${shown.callers} lists`],
        [
          'heartbeat',
          shown.heartbeatAgeMs === null
            ? 'none: controllers refuse ordinary calls'
            : `${(shown.heartbeatAgeMs / 1000).toFixed(1)} s old`,
        ],
      ]),
    );
  }
  if (shown.state !== 'genuine')
    throw new CommandError(
      'lists-unusable',
      `what is in Redis is not a genuine publication: ${shown.why}`,
      2,
    );
};

/** `lists heartbeat`: says every few seconds, signed, that the publication is genuine, until it is stopped. */
export const listsHeartbeat = async (
  key: string,
  everySeconds: number,
  options: ListOptions,
): Promise<void> => {
  if (!existsSync(key)) throw new CommandError('key-missing', `there is no publisher key ${key}`);
  let last = '';
  const beating = await startHeartbeat({
    redis: redisOf(options.config),
    keyPrefix: options.config.lists.keyPrefix,
    key: publisherKey(readFileSync(key, 'utf8')),
    clock,
    everyMs: everySeconds * 1000,
    onBeat: (outcome) => {
      if (outcome === last) return;
      last = outcome;
      options.terminal.err(outcome === 'beat' ? 'heartbeat: beating' : `heartbeat: refused: ${outcome}`);
    },
  });
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await beating.stop();
};

export const listsKeygen = async (file: string, terminal: Terminal): Promise<void> => {
  const publicFile = file.replace(/(\.pem)?$/, '.pub.pem');
  if (existsSync(file) || existsSync(publicFile))
    throw new CommandError('key-exists', `${file} or ${publicFile} is there already and is not overwritten`);
  const { privatePem, publicPem } = generatePublisherKey();
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, privatePem, { mode: 0o600, flag: 'wx' });
  await writeFile(publicFile, publicPem, { flag: 'wx' });
  terminal.out(
    `private key  ${file}  (stays with the publisher)\npublic key   ${publicFile}  (goes under lists.publisherKeys of each controller)`,
  );
};
