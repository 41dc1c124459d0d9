import type { Clock } from '../call/ports.js';
import { type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import { type DialPlan, NORMALISER_VERSION } from '../core/number.js';
import type { ListSet } from './entries.js';
import { type ListFile, type ReadLists, readListFiles } from './files.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import { countOf, heartbeatSchema, type Manifest } from './manifest.js';
import { type Preview, type Published, type PublishOptions, preview, publish } from './publish.js';
import { PublishError } from './publish-error.js';
import { approvers } from './publish-manifest.js';
import { Connection, type RedisEndpoint, RedisError } from './redis.js';
import { openText, trustedKeys } from './signed.js';
import { verifyRedis } from './verify.js';

/**
 * What an operator can do with lists. Everything returns data and prints nothing; the command line decides what to
 * show. Numbers in problems and differences are for the operator's terminal, never for a log.
 */

export interface CheckReport {
  readonly ok: boolean;
  readonly read: Omit<ReadLists, 'lists'>;
  readonly counts: {
    readonly privileged: number;
    readonly classes: Readonly<Record<PrivilegedClass, number>>;
    readonly block: number;
    readonly pending: number;
    readonly allow: number;
    readonly callers: number;
  };
}

const reportOf = ({ lists, ...read }: ReadLists): CheckReport => {
  const classes = Object.fromEntries(privilegedClasses.map((cls) => [cls, 0])) as Record<
    PrivilegedClass,
    number
  >;
  for (const item of lists.privileged) classes[item.class] += 1;
  return {
    ok: read.errors === 0,
    read,
    counts: {
      privileged: lists.privileged.length,
      classes,
      block: lists.block.length,
      pending: lists.pending.length,
      allow: lists.allow.entries,
      callers: lists.allow.owners,
    },
  };
};

/** Reads list files and says everything that is wrong with them. */
export const checkLists = async (files: readonly ListFile[], plan: DialPlan): Promise<CheckReport> =>
  reportOf(await readListFiles(files, { plan }));

/** Reads list files for whoever wants to ask them something. What they hold is of use only where the report is ok. */
export const readWhole = async (
  files: readonly ListFile[],
  plan: DialPlan,
): Promise<{ readonly lists: ListSet; readonly report: CheckReport }> => {
  const read = await readListFiles(files, { plan });
  return { lists: read.lists, report: reportOf(read) };
};

export type PublishFilesOptions = Omit<PublishOptions, 'normaliser'> & { readonly plan: DialPlan };

const soundLists = async (files: readonly ListFile[], plan: DialPlan): Promise<ReadLists> => {
  const read = await readListFiles(files, { plan });
  if (read.errors === 0) return read;
  throw new BadRowsError(reportOf(read));
};

/** Some row is at fault, so nothing at all was published. */
export class BadRowsError extends PublishError {
  readonly report: CheckReport;
  constructor(report: CheckReport) {
    super('bad-rows', `${report.read.errors} errors in the list files`);
    this.name = 'BadRowsError';
    this.report = report;
  }
}

/** Publishes list files as the next epoch. Throws PublishError; BadRowsError with the report where a row is bad. */
export const publishLists = async (
  files: readonly ListFile[],
  options: PublishFilesOptions,
): Promise<{ readonly report: CheckReport; readonly published: Published }> => {
  const { plan, ...rest } = options;
  const read = await soundLists(files, plan);
  // A controller that is armed before there is an attorney's number on the list records the first attorney's call.
  if (read.lists.privileged.length === 0 && approvers(options.approvedBy).length < 2) {
    throw new PublishError(
      'no-privileged',
      'no number is privileged; two different people must approve that',
    );
  }
  const published = await publish(read.lists, { ...rest, normaliser: NORMALISER_VERSION });
  return { report: reportOf(read), published };
};

/** What publishing these files would change. Writes nothing. Throws PublishError. */
export const diffLists = async (
  files: readonly ListFile[],
  options: PublishFilesOptions,
): Promise<Preview> => {
  const { plan, ...rest } = options;
  const read = await soundLists(files, plan);
  return preview(read.lists, { ...rest, normaliser: NORMALISER_VERSION });
};

export interface ShowOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly publisherKeys: readonly string[];
  readonly maxListAgeMs?: number;
  readonly clock: Clock;
}

export type Shown =
  | {
      readonly state: 'genuine';
      readonly epoch: number;
      readonly digest: string;
      readonly publishedAt: number;
      /** Null in publications of versions that did not keep it. */
      readonly by: string | null;
      readonly approvedBy: readonly string[];
      readonly normaliser: string;
      readonly privileged: number;
      readonly classes: Readonly<Record<PrivilegedClass, number>>;
      readonly block: number;
      readonly pending: number;
      readonly allow: number;
      readonly callers: number;
      /** Age of the heartbeat in ms; null where there is none that is genuine. */
      readonly heartbeatAgeMs: number | null;
      /** Whether a controller would serve this now. */
      readonly fresh: boolean;
    }
  | { readonly state: 'unusable'; readonly why: string };

const heartbeatAge = async (
  connection: Connection,
  key: string,
  manifest: Manifest,
  options: ShowOptions,
): Promise<number | null> => {
  const text = await connection.string(key, 8192);
  if (text === null) return null;
  const opened = openText(trustedKeys(options.publisherKeys), 'heartbeat', text, heartbeatSchema);
  if (opened.state !== 'genuine' || opened.body.epoch !== manifest.epoch) return null;
  return options.clock.wall() - opened.body.at;
};

interface Verified {
  readonly manifest: Manifest;
  /** Age of the heartbeat in ms, of a Cluster the oldest of any shard; null where one has none that is genuine. */
  readonly age: number | null;
}

/** Every shard verified: the publication they all hold, or why it is none. */
const showAll = async (
  connection: Connection,
  spaces: KeySpaces,
  options: ShowOptions,
): Promise<Verified | string> => {
  const trusted = trustedKeys(options.publisherKeys);
  const shown: Verified[] = [];
  for (const keys of spaces.lists) {
    const result = await verifyRedis(connection, keys, trusted, () => false);
    if (result.state === 'moved') return 'being-published';
    if (result.state === 'mismatch') return result.why;
    const { manifest } = result.epoch;
    shown.push({ manifest, age: await heartbeatAge(connection, keys.heartbeat, manifest, options) });
  }
  const [first, ...rest] = shown;
  if (first === undefined) return 'no-epoch';
  if (rest.some(({ manifest }) => manifest.epoch !== first.manifest.epoch)) return 'shards-differ';
  const ages = shown.map(({ age }) => age ?? Number.POSITIVE_INFINITY);
  const oldest = Math.max(...ages);
  return { manifest: first.manifest, age: Number.isFinite(oldest) ? oldest : null };
};

/** The publication in Redis, verified whole as a controller would. Never rejects on account of Redis. */
export const showLists = async (options: ShowOptions): Promise<Shown> => {
  const connection = new Connection(options.redis, 5_000);
  try {
    await connection.open();
    const all = await showAll(connection, keySpaces(options.redis, options.keyPrefix), options);
    if (typeof all === 'string') return { state: 'unusable', why: all };
    const { manifest, age } = all;
    const classes = Object.fromEntries(
      privilegedClasses.map((cls) => [cls, countOf(manifest, cls)]),
    ) as Record<PrivilegedClass, number>;
    return {
      state: 'genuine',
      epoch: manifest.epoch,
      digest: manifest.digest,
      publishedAt: manifest.publishedAt,
      by: manifest.by ?? null,
      approvedBy: manifest.approvedBy,
      normaliser: manifest.normaliser,
      privileged: Object.values(classes).reduce((total, count) => total + count, 0),
      classes,
      block: manifest.parts.block.entries,
      pending: manifest.parts.pending.entries,
      allow: manifest.allow.entries,
      callers: manifest.allow.callers,
      heartbeatAgeMs: age,
      fresh: age !== null && age <= (options.maxListAgeMs ?? 60_000),
    };
  } catch (error) {
    if (error instanceof RedisError) return { state: 'unusable', why: error.code };
    throw error;
  } finally {
    connection.close();
  }
};
