import type { AppEvent } from '../../src/call/events.js';
import type { Clock, ListQuestion } from '../../src/call/ports.js';
import {
  type CallerId,
  type FacilityId,
  parseCallerId,
  parseFacilityId,
  type WallMs,
} from '../../src/core/leg.js';
import type { BlockCause, PrivilegedClass } from '../../src/core/lists.js';
import { type NumberKey, parseNumberKeyText } from '../../src/core/number.js';
import { AllowLists, type BlockItem, type ListSet, type PrivilegedItem } from '../../src/lists/entries.js';
import { type Published, type PublishOptions, publish } from '../../src/lists/publish.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { createRedisLists, type RedisLists, type RedisListsOptions } from '../../src/lists/redis-lists.js';
import { generatePublisherKey, publisherKey } from '../../src/lists/signed.js';

const need = <T>(value: T | null): T => {
  if (value === null) throw new Error('a fixture is malformed');
  return value;
};

export const key = (text: string): NumberKey => need(parseNumberKeyText(text));
export const facility = (name: string): FacilityId => need(parseFacilityId(name));
export const caller = (name: string): CallerId => need(parseCallerId(name));
export const keys = generatePublisherKey();
export const prefix = 'test:lists:';

/** A clock that tests can move. Durations stay real. */
export class TestClock implements Clock {
  offsetMs = 0;
  wall(): WallMs {
    return (Date.now() + this.offsetMs) as WallMs;
  }
  mono(): number {
    return performance.now();
  }
}

export const privileged = (
  number: string,
  cls: PrivilegedClass = 'attorney',
  more: Partial<PrivilegedItem> = {},
): PrivilegedItem => ({
  target: { kind: 'number', key: key(number) },
  class: cls,
  scope: 'global',
  validFrom: null,
  validTo: null,
  ...more,
});

export const block = (
  number: string,
  cause: BlockCause = 'facility',
  where: string | null = null,
): BlockItem => ({
  key: key(number),
  cause,
  expires: null,
  facility: where === null ? null : facility(where),
});

/** Allow rows are `facility caller number`, with `*` for the whole facility. */
export const listSet = (parts: {
  readonly privileged?: readonly PrivilegedItem[];
  readonly block?: readonly BlockItem[];
  readonly pending?: readonly string[];
  readonly allow?: readonly string[];
}): ListSet => {
  const allow = new AllowLists();
  for (const row of parts.allow ?? []) {
    const [where = '', who = '', number = ''] = row.split(' ');
    allow.add(facility(where), who === '*' ? null : caller(who), key(number));
  }
  return {
    privileged: parts.privileged ?? [],
    block: parts.block ?? [],
    pending: (parts.pending ?? []).map((number) => ({ key: key(number) })),
    allow,
  };
};

export const question = (number: string, who = 'c1', where = 'north'): ListQuestion => ({
  key: key(number),
  caller: caller(who),
  facility: facility(where),
});

export const publishTo = (
  server: { readonly endpoint: RedisEndpoint },
  lists: ListSet,
  more: Partial<PublishOptions> = {},
): Promise<Published> =>
  publish(lists, {
    redis: server.endpoint,
    keyPrefix: prefix,
    key: publisherKey(keys.privatePem),
    approvedBy: ['a.maker'],
    normaliser: 'test-1',
    clock: new TestClock(),
    ...more,
  });

export interface Opened {
  readonly lists: RedisLists;
  readonly events: AppEvent[];
  readonly clock: TestClock;
  alarms(): readonly string[];
}

export const openLists = async (
  server: { readonly endpoint: RedisEndpoint },
  snapshotPath: string,
  more: Partial<RedisListsOptions> = {},
): Promise<Opened> => {
  const events: AppEvent[] = [];
  const clock = new TestClock();
  const lists = await createRedisLists({
    redis: server.endpoint,
    keyPrefix: prefix,
    publisherKeys: [keys.publicPem],
    snapshotPath,
    emit: (event) => events.push(event),
    clock,
    // Generous, because tests share two cores; the deadline itself has a test of its own.
    deadlineMs: 10_000,
    pollEveryMs: 50,
    ...more,
  });
  const alarms = () => events.flatMap((event) => (event.event === 'alarm' ? [event.alarm] : []));
  return { lists, events, clock, alarms };
};

/** A promise that a test settles itself. */
export const gate = (): { readonly opened: Promise<void>; open(): void } => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
};
