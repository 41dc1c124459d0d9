import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { AppEvent } from '../../src/call/events.js';
import { explainNumber } from '../../src/cli/explain.js';
import { listsKeygen, listsPublish } from '../../src/cli/lists.js';
import { listsExport } from '../../src/cli/lists-export.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { Decision } from '../../src/core/decision.js';
import type { WallMs } from '../../src/core/leg.js';
import { createRedisLists, type RedisLists } from '../../src/lists/redis-lists.js';
import { listsOptionsOf } from '../../src/open-parts.js';
import { fromRoot } from '../../src/root.js';
import { inProcess, type Run } from '../cli/terminal.js';
import { RedisServer } from '../lists/redis-server.js';
import type { Scope } from './named.js';

/** Rows of list files, without their headers: what an operator would write. */
export interface Rows {
  readonly privileged?: readonly string[];
  readonly allow?: readonly string[];
  readonly block?: readonly string[];
  readonly pending?: readonly string[];
}

const headers = {
  privileged: 'number,range,prefix,alias,of,class,scope',
  allow: 'caller,facility,number',
  block: 'number,cause,note',
  pending: 'number,note',
} as const;

/** An attorney's row as most are. */
export const attorney = (number: string, scope = 'global'): string => `${number},,,,,attorney,${scope}`;
/** A number on the list of what the whole facility may call, so that it would be recorded if nothing else said no. */
export const allowed = (number: string, facility = 'north'): string => `*,${facility},${number}`;
export const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;

export interface Asked {
  readonly caller?: string;
  readonly trunk?: string;
}

/** A controller's eyes on the lists: what it would decide now. */
export class Eyes {
  readonly lists: RedisLists;
  readonly events: readonly AppEvent[];
  readonly #config: Config;

  constructor(lists: RedisLists, events: readonly AppEvent[], config: Config) {
    this.lists = lists;
    this.events = events;
    this.#config = config;
  }

  async decided(dialled: string, { caller = '4711', trunk }: Asked = {}): Promise<Decision> {
    return (await explainNumber(this.#config, this.lists, { number: dialled, caller, trunk })).decision;
  }

  /** The verdict and its first reason: `private privileged-listed`. */
  async says(dialled: string, asked: Asked = {}): Promise<string> {
    const { verdict, reasons } = await this.decided(dialled, asked);
    return `${verdict} ${reasons[0].code}`;
  }

  async isPrivate(dialled: string, asked: Asked = {}): Promise<void> {
    assert.equal((await this.decided(dialled, asked)).verdict, 'private', `${dialled} is private`);
  }

  alarmed(code: string): boolean {
    return this.events.some((event) => event.event === 'alarm' && event.alarm === code);
  }
}

/**
 * A publisher, a Redis and the configuration of a site of two facilities; no media and no calls. It is talked to as an
 * operator would: list files, `lists publish`, `explain`.
 */
export class FieldHouse {
  readonly dir: string;
  readonly server: RedisServer;
  readonly config: Config;
  readonly redis: Redis;
  readonly key: string;
  readonly #scope: Scope;
  #folders = 0;

  private constructor(parts: {
    dir: string;
    server: RedisServer;
    config: Config;
    key: string;
    scope: Scope;
  }) {
    this.dir = parts.dir;
    this.server = parts.server;
    this.config = parts.config;
    this.key = parts.key;
    this.redis = parts.server.client();
    this.#scope = parts.scope;
    parts.scope.teardown(() => this.redis.disconnect());
  }

  static async open(scope: Scope): Promise<FieldHouse> {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-field-'));
    scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
    const server = await RedisServer.start();
    scope.teardown(() => server.stop());
    const key = join(dir, 'publisher.pem');
    await inProcess((terminal) => listsKeygen(key, terminal));
    const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
    const [trunk] = own.trunks.facilities;
    const [north] = Object.values(own.facilities);
    assert.ok(trunk !== undefined && north !== undefined);
    const config: Config = {
      ...own,
      facilities: { north, south: north },
      trunks: {
        ...own.trunks,
        facilities: [trunk, { ...trunk, name: 'south-pbx', facility: 'south', addresses: ['127.0.0.9'] }],
      },
      lists: {
        ...own.lists,
        redis: { ...own.lists.redis, ...server.endpoint },
        publisherKeys: [join(dir, 'publisher.pub.pem')],
        snapshot: join(dir, 'snapshot.json'),
        // Tests share the machine: the deadline itself has tests of its own.
        deadlineMs: 1000,
      },
    };
    return new FieldHouse({ dir, server, config, key, scope });
  }

  /** List files in a folder of their own. */
  files(rows: Rows): readonly string[] {
    const folder = join(this.dir, `lists-${this.#folders++}`);
    mkdirSync(folder);
    return Object.entries(rows).map(([kind, lines]) => {
      const file = join(folder, `${kind}.csv`);
      writeFileSync(file, [headers[kind as keyof Rows], ...lines, ''].join('\n'));
      return file;
    });
  }

  /** `sallyport lists publish`, as it comes out for whoever typed it. */
  publish(
    files: readonly string[],
    more: { approvedBy?: readonly string[]; state?: string; key?: string; config?: Config } = {},
  ): Promise<Run> {
    const { approvedBy = ['alice'], state, key = this.key, config = this.config } = more;
    return inProcess((terminal) =>
      listsPublish(
        files,
        { key, approvedBy, state, repair: false },
        { config, plan: 'default', json: true, terminal },
      ),
    );
  }

  async published(rows: Rows, more: Parameters<FieldHouse['publish']>[1] = {}): Promise<void> {
    const run = await this.publish(this.files(rows), more);
    if (run.code !== 0) throw new Error(`not published: ${run.err}`);
  }

  /** `sallyport lists export`. Rejects with what the operator is told. */
  async exported(folder: string): Promise<{
    readonly fingerprint: string;
    readonly counts: Readonly<Record<string, number>>;
  }> {
    const { config } = this;
    const run = await inProcess((terminal) =>
      listsExport(folder, { config, plan: 'default', json: true, terminal }),
    );
    if (run.code !== 0) throw new Error(run.err);
    return JSON.parse(run.out);
  }

  /** A controller that looks at the lists. `restless`: it looks at Redis by itself, as in a running system. */
  async eyes(more: { restless?: boolean; aheadMs?: () => number; config?: Config } = {}): Promise<Eyes> {
    const events: AppEvent[] = [];
    const ahead = more.aheadMs ?? (() => 0);
    const clock = { wall: () => (Date.now() + ahead()) as WallMs, mono: () => performance.now() };
    const config = more.config ?? this.config;
    const lists = await createRedisLists({
      ...listsOptionsOf(config, clock),
      emit: (event) => events.push(event),
      // Where it does not look by itself, the first call after a mishap meets it: there is no luck in the test.
      pollEveryMs: more.restless === true ? 50 : 3_600_000,
    });
    this.#scope.teardown(() => lists.close());
    return new Eyes(lists, events, config);
  }

  /** Everything in Redis, to be put back as an old backup would be. */
  async image(): Promise<ReadonlyMap<string, Buffer>> {
    const image = new Map<string, Buffer>();
    for (const key of await this.redis.keys('*')) {
      const dump = await this.redis.dumpBuffer(key);
      if (dump !== null) image.set(key, dump);
    }
    return image;
  }

  async restore(image: ReadonlyMap<string, Buffer>): Promise<void> {
    await this.redis.flushall();
    for (const [key, dump] of image) await this.redis.restore(key, 0, dump);
  }
}
