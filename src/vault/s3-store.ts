import { VaultError, type VaultErrorCode } from './errors.js';
import { Bucket, type BucketOptions } from './s3-bucket.js';
import { Delivery, PROBE_FOLDER } from './s3-delivery.js';
import { isOfTheService } from './s3-errors.js';
import { Health } from './s3-health.js';
import { Outbox, stemOf } from './s3-outbox.js';
import { checkListed, checkName, type Staged, type Store } from './store.js';

export interface S3StoreOptions extends BucketOptions {
  /** What comes before every name: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Where encrypted files lie until they are delivered. Its own; nobody else writes there. */
  readonly stagingDirectory: string;
  readonly minFreeBytes: number;
  /** So much may wait for the service, for so long, until no further recording is begun. */
  readonly maxStagedBytes: number;
  readonly maxStagedMs: number;
  /** How long a commit waits for the service before it leaves the delivery to later. */
  readonly commitMs: number;
  readonly partBytes?: number;
  /** Within which `judge` answers. */
  readonly withinMs?: number;
  /** How often the service is asked whether it would take a recording, and how soon after a failure. */
  readonly checkMs?: number;
  readonly againMs?: number;
  readonly tell?: (event: S3StoreEvent) => void;
}

export type S3StoreEvent =
  /** Recordings wait on this host: told once, until there are none. */
  | { readonly type: 'behind'; readonly code: string }
  | { readonly type: 'caught-up' }
  /** Whether the service would take a recording: told when that changes. */
  | { readonly type: 'judged'; readonly code: VaultErrorCode | null }
  /** The service holds another object under a recording's name; ours was put aside. */
  | { readonly type: 'conflict' }
  | {
      readonly type: 'staged';
      readonly recordings: number;
      readonly bytes: number;
      readonly seconds: number;
    };

export interface S3Store extends Store {
  /** Begins to deliver what waits, also of earlier runs. */
  start(): void;
  /** Ends the requests under way. What waits is delivered by the next run. */
  close(): Promise<void>;
  /** Delivers all that waits now; resolves to how many recordings still do. */
  deliver(): Promise<number>;
}

const PART_BYTES = 8 * 2 ** 20;
const MAX_NAMES = 1_000_000;
const CHECK_MS = 30_000;
const WITHIN_MS = 1000;
const AGAIN_MS = 5000;
const MAX_AGAIN_MS = 60_000;
/** After a failure the service is left alone for so long by those who can do without it. */
const ALONE_MS = 2000;

class BucketStore implements S3Store {
  readonly #options: S3StoreOptions;
  readonly #bucket: Bucket;
  readonly #outbox: Outbox;
  readonly #delivery: Delivery;
  readonly #health: Health;
  /** What the last delivery failed with, while it has not succeeded since. */
  #trouble: VaultErrorCode | null = null;
  #behind = false;
  #waits: { bytes: number; oldest: number | null } = { bytes: 0, oldest: null };
  #round: Promise<number> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #againMs: number;
  #aloneUntil = 0;
  #state: 'still' | 'delivering' | 'closed' = 'still';

  constructor(options: S3StoreOptions) {
    const { prefix, stagingDirectory, minFreeBytes, endpoint, bucket, partBytes = PART_BYTES } = options;
    this.#options = options;
    this.#againMs = options.againMs ?? AGAIN_MS;
    this.#bucket = new Bucket(options);
    const store = [endpoint, bucket, prefix].join('\n');
    this.#outbox = new Outbox({ dir: stagingDirectory, minFreeBytes, store });
    this.#delivery = new Delivery({ bucket: this.#bucket, outbox: this.#outbox, prefix, partBytes });
    this.#health = new Health({
      delivery: this.#delivery,
      outbox: this.#outbox,
      believedMs: options.maxStagedMs,
      withinMs: options.withinMs ?? WITHIN_MS,
      checkMs: options.checkMs ?? CHECK_MS,
      againMs: options.againMs ?? AGAIN_MS,
      judged: (code) => options.tell?.({ type: 'judged', code }),
      well: () => {
        this.#aloneUntil = 0;
        // What waits need not wait for its turn.
        if (this.#behind) this.#next(0);
      },
    });
  }

  async stage(name: string, mode: number): Promise<Staged> {
    return this.#outbox.store.stage(name, mode);
  }

  async commit(staged: readonly Staged[]): Promise<void> {
    // Durable on this host first: from here on nothing the service does loses it.
    await this.#outbox.store.commit(staged);
    const stems = [...new Set(staged.map(({ name }) => stemOf(name)))];
    const going = Promise.all(stems.map((stem) => this.#committed(stem)));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.#isAlone ? 0 : this.#options.commitMs);
    });
    const outcome = await Promise.race([going, late]);
    clearTimeout(timer);
    if (outcome === 'late') {
      // Whoever asked was told that it is kept; ours cannot be taken back any more.
      void going.then(async (done) => {
        for (const [i, one] of done.entries()) if (one === 'conflict') await this.#aside(stems[i] ?? '');
      });
      return;
    }
    if (!outcome.includes('conflict')) return;
    for (const stem of stems) await this.#outbox.forget(stem);
    throw new VaultError('recording-exists');
  }

  async has(name: string): Promise<boolean> {
    if (await this.#outbox.store.has(name)) return true;
    try {
      return (await this.#asked(() => this.#bucket.describe(this.#key(name)))) !== null;
    } catch (error) {
      // What was delivered within the last days is known without the service.
      if (isOfTheService(error) && (await this.#outbox.delivered.has(name))) return true;
      throw error;
    }
  }

  writtenAt(name: string): Promise<number | null> {
    return this.#outbox.store.writtenAt(name);
  }

  async remove(name: string): Promise<void> {
    await this.#outbox.store.remove(name);
    await this.#outbox.delivered.remove(name);
    await this.#asked(async () => {
      if ((await this.#bucket.describe(this.#key(name))) !== null) await this.#bucket.remove(this.#key(name));
    });
  }

  async *read(name: string): AsyncGenerator<Buffer, void, undefined> {
    if (await this.#outbox.store.has(name)) {
      yield* this.#outbox.store.read(name);
      return;
    }
    let begun = false;
    try {
      for await (const bytes of this.#bucket.read(this.#key(name))) {
        begun = true;
        yield bytes;
      }
    } catch (error) {
      if (begun || !isOfTheService(error) || !(await this.#outbox.delivered.has(name))) throw error;
      yield* this.#outbox.delivered.read(name);
    }
  }

  async list(folder: string, part = ''): Promise<string[]> {
    const names = new Set(await this.#outbox.store.list(folder, part));
    const prefix = this.#folderKey(folder);
    // An id of a call begins the names of its files; what it does not begin is looked for among all of them.
    const beginning = /^c[a-z2-7]{26}$/.test(part) ? part : '';
    for await (const { keys } of this.#pages(prefix + beginning)) {
      for (const key of keys) {
        const name = key.slice(prefix.length);
        if (name !== '' && name.includes(part)) names.add(name);
      }
      if (names.size > MAX_NAMES) throw new VaultError('vault-too-many');
    }
    return [...names].sort();
  }

  async folders(folder: string): Promise<string[]> {
    const names = new Set(await this.#outbox.store.folders(folder));
    const prefix = this.#folderKey(folder);
    for await (const { folders } of this.#pages(prefix)) {
      for (const one of folders) names.add(one.slice(prefix.length, -1));
      if (names.size > MAX_NAMES) throw new VaultError('vault-too-many');
    }
    names.delete(PROBE_FOLDER);
    names.delete('');
    return [...names].sort();
  }

  locate(name: string): string {
    return `s3://${this.#options.bucket}/${this.#options.prefix}${name}`;
  }

  async judge(): Promise<VaultErrorCode | null> {
    const local = await this.#outbox.store.judge();
    if (local !== null) return local;
    const code = await this.#health.judge();
    if (code !== null) return code;
    if (this.#trouble !== null && this.#trouble !== 'store-unreachable') return this.#trouble;
    const { bytes, oldest } = this.#waits;
    const tooLong = oldest !== null && Date.now() - oldest > this.#options.maxStagedMs;
    return bytes > this.#options.maxStagedBytes || tooLong ? 'store-behind' : null;
  }

  start(): void {
    if (this.#state !== 'still') return;
    this.#state = 'delivering';
    void this.#outbox.tidy();
    this.#next(0);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#bucket.close();
    await this.#health.close();
    await this.#round?.catch(() => undefined);
  }

  deliver(): Promise<number> {
    this.#round ??= this.#deliverAll().finally(() => {
      this.#round = null;
    });
    return this.#round;
  }

  /** One commit's part of the way; a failure leaves it to the rounds. */
  async #committed(stem: string): Promise<'delivered' | 'conflict' | 'staged'> {
    // What waits already goes first, in rounds: a call's end does not queue behind a service that is down.
    if (this.#behind && this.#state === 'delivering') return 'staged';
    try {
      await this.#health.seenSafe();
      let done = await this.#delivery.deliver(stem);
      // A delivery that was under way may have looked before this commit.
      if (done === 'delivered' && (await this.#outbox.group(stem)).length > 0)
        done = await this.#delivery.deliver(stem);
      this.#answered();
      return done;
    } catch (error) {
      this.#failed(error);
      this.#next(this.#againMs);
      return 'staged';
    }
  }

  async #deliverAll(): Promise<number> {
    const { ready, bytes } = await this.#outbox.groups();
    this.#count(ready, bytes);
    const left = (await this.#mayDeliver(ready.length)) ? [...ready] : [];
    const work = async (): Promise<void> => {
      for (let group = left.shift(); group !== undefined && this.#state !== 'closed'; group = left.shift()) {
        try {
          const done = await this.#delivery.deliver(group.stem);
          if (done === 'conflict') await this.#aside(group.stem);
          this.#answered();
        } catch (error) {
          this.#failed(error);
          // One file that cannot be read is no reason to hold up all others.
          if (!isOfTheService(error)) continue;
          left.length = 0;
          throw error;
        }
      }
    };
    const done = await Promise.allSettled([work(), work()]);
    const after = await this.#outbox.groups();
    this.#count(after.ready, after.bytes);
    if (done.every(({ status }) => status === 'fulfilled') && after.ready.length === 0) {
      this.#trouble = null;
      if (this.#behind) this.#options.tell?.({ type: 'caught-up' });
      this.#behind = false;
    }
    return after.ready.length;
  }

  async #mayDeliver(count: number): Promise<boolean> {
    if (count === 0) return false;
    return this.#health.seenSafe().then(
      () => true,
      (error: unknown) => {
        this.#failed(error);
        return false;
      },
    );
  }

  #count(ready: readonly { readonly since: number }[], bytes: number): void {
    const oldest = ready[0]?.since ?? null;
    this.#waits = { bytes, oldest };
    const seconds = oldest === null ? 0 : Math.max(0, (Date.now() - oldest) / 1000);
    this.#options.tell?.({ type: 'staged', recordings: ready.length, bytes, seconds });
  }

  /** The next round: soon after a commit that was left, ever later while the service does not answer. */
  #next(ms: number): void {
    if (this.#state !== 'delivering') return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.deliver().then(
        (left) => {
          const { againMs = AGAIN_MS, checkMs = CHECK_MS } = this.#options;
          this.#againMs = left === 0 ? againMs : Math.min(this.#againMs * 2, MAX_AGAIN_MS);
          this.#next(left === 0 ? checkMs : this.#againMs * (0.5 + Math.random()));
        },
        (error: unknown) => {
          this.#failed(error);
          this.#next(this.#againMs);
        },
      );
    }, ms);
    this.#timer.unref();
  }

  #answered(): void {
    this.#aloneUntil = 0;
    this.#trouble = null;
    this.#health.answered();
  }

  #failed(error: unknown): void {
    const code = error instanceof VaultError ? error.code : 'staged-unreadable';
    // A file of ours that cannot be read says nothing of the service; it waits, until that is too long.
    if (isOfTheService(error)) this.#trouble = error.code;
    if (code === 'store-unreachable') this.#aloneUntil = performance.now() + ALONE_MS;
    if (!this.#behind && this.#state !== 'closed') this.#options.tell?.({ type: 'behind', code });
    this.#behind = true;
  }

  async #aside(stem: string): Promise<void> {
    try {
      await this.#outbox.aside(await this.#outbox.group(stem));
      this.#options.tell?.({ type: 'conflict' });
    } catch (error) {
      this.#failed(error);
    }
  }

  get #isAlone(): boolean {
    const down = this.#trouble === 'store-unreachable' || this.#health.isUnreachable;
    return performance.now() < this.#aloneUntil || (down && this.#state === 'delivering');
  }

  /** Asks the service, unless it has just failed to answer: a call's end does not wait for it again and again. */
  async #asked<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#isAlone) throw new VaultError('store-unreachable');
    try {
      return await work();
    } catch (error) {
      if (error instanceof VaultError && error.code === 'store-unreachable')
        this.#aloneUntil = performance.now() + ALONE_MS;
      throw error;
    }
  }

  async *#pages(prefix: string): AsyncGenerator<{ keys: readonly string[]; folders: readonly string[] }> {
    if (this.#isAlone) throw new VaultError('store-unreachable');
    yield* this.#bucket.list(prefix);
  }

  #key(name: string): string {
    checkListed(name);
    return this.#options.prefix + name;
  }

  #folderKey(folder: string): string {
    if (folder !== '') checkName(folder);
    return folder === '' ? this.#options.prefix : `${this.#options.prefix}${folder}/`;
  }
}

/** A bucket of a storage service that speaks S3, with a folder on this host for what it has not taken yet. */
export const createS3Store = (options: S3StoreOptions): S3Store => new BucketStore(options);
