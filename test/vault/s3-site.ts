import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createS3Store,
  type S3Store,
  type S3StoreEvent,
  type S3StoreOptions,
} from '../../src/vault/s3-store.js';
import { S3Server, type S3ServerOptions } from './s3-server.js';

export const SECRET = 'a+secret/of=the/tests';
export const MIB = 2 ** 20;

export interface OpenedStore {
  readonly store: S3Store;
  readonly staging: string;
  readonly events: readonly S3StoreEvent[];
  /** Kinds of events, without those that come all the time. */
  readonly told: () => string[];
}

/** Storage services, stores on them and folders, all of which go again with `close`. */
export const s3Site = () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  let places = 0;
  const place = (): string => join(dir, `place-${++places}`);
  const closers: (() => unknown)[] = [];

  const keyFile = (secret = SECRET, id = 'AKTEST'): string => {
    const path = place();
    const key = [`aws_access_key_id = ${id}`, `aws_secret_access_key = ${secret}`];
    writeFileSync(path, `${['# of the tests', '[default]', ...key].join('\n')}\n`, { mode: 0o600 });
    return path;
  };
  const credentialsFile = keyFile();

  const serve = async (options: S3ServerOptions = {}): Promise<S3Server> => {
    const server = new S3Server(options);
    await server.listen();
    closers.push(() => server.close().catch(() => undefined));
    return server;
  };

  const openS3 = (endpoint: string, more: Partial<S3StoreOptions> = {}): OpenedStore => {
    const events: S3StoreEvent[] = [];
    const stagingDirectory = more.stagingDirectory ?? place();
    const store = createS3Store({
      endpoint,
      region: 'us-test-1',
      bucket: 'recordings',
      prefix: 'site-1/',
      credentialsFile,
      forcePathStyle: true,
      requestMs: 10_000,
      minFreeBytes: 1,
      maxStagedBytes: 100 * MIB,
      maxStagedMs: 3_600_000,
      commitMs: 60_000,
      againMs: 20,
      withinMs: 30_000,
      tell: (event) => events.push(event),
      ...more,
      stagingDirectory,
    });
    closers.push(() => store.close());
    const told = (): string[] =>
      events.map(({ type }) => type).filter((type) => type !== 'staged' && type !== 'judged');
    return { store, staging: stagingDirectory, events, told };
  };

  const close = async (): Promise<void> => {
    for (const one of closers.reverse()) await one();
    rmSync(dir, { recursive: true, force: true });
  };
  return { dir, place, keyFile, credentialsFile, serve, openS3, closers, close };
};
