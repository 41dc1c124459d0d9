import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricsOf, unreadyBecause } from './controller-process.js';
import type { Dice } from './dice.js';
import { consequences, type FaultName } from './faults.js';
import { askRedis } from './redis-look.js';
import type { FaultPlan } from './schedule.js';
import type { Stage } from './stage.js';

/** One fault as it went. Times are wall time in ms. */
export interface FaultRecord {
  readonly plan: FaultPlan;
  readonly target: string;
  readonly startedAt: number;
  mendedAt: number | null;
  /** When everything was well again; null where it never was within its time. */
  healedAt: number | null;
  /** Judged as under this fault until then. */
  windowTo: number | null;
  /** Why it could not be done, or what was in the way of healing. */
  note: string | null;
  /** Calls in its window that did not come out as planned, by what came of them. */
  readonly cost: Map<string, number>;
}

const share = 0.25;

const targetOf = ({ name, which }: FaultPlan): string => {
  const number = which < 0.5 ? 1 : 2;
  if (name.startsWith('recorded')) return `recorded-${number}`;
  if (name.startsWith('private')) return `private-${number}`;
  return name === 'spool-full' ? 'recorded-1' : (name.split('-')[0] ?? name);
};

/** Fills the disk a folder lies on to the last byte; gives what empties it again. Only for the soak's own small disk. */
const fillDisk = (dir: string): (() => void) => {
  const file = join(dir, 'soak-filler');
  const { bavail, bsize } = statfsSync(dir);
  let left = bavail * bsize + (8 << 20);
  for (const block of [1 << 20, 4096, 512]) {
    try {
      for (; left > 0; left -= block) writeFileSync(file, Buffer.alloc(block, 1), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  return () => rmSync(file, { force: true });
};

type Mend = () => Promise<void> | void;

/** Breaks what the plan says and gives what mends it. Throws where it cannot be done here. */
const breakIt = async (stage: Stage, name: FaultName, target: string, dice: Dice): Promise<Mend> => {
  switch (name) {
    case 'controller-killed':
      await stage.killController();
      return () => stage.restartController();
    case 'controller-frozen': {
      const { controller } = stage;
      controller.freeze();
      return () => controller.thaw();
    }
    case 'recorded-killed':
    case 'private-killed':
      await stage.killNode(target);
      return () => stage.restartNode(target);
    case 'recorded-frozen':
    case 'private-frozen': {
      const node = stage.node(target);
      node.freeze();
      return () => node.thaw();
    }
    case 'redis-killed':
      await stage.killRedis();
      return async () => {
        await stage.restartRedis();
        await stage.republish();
      };
    case 'redis-frozen': {
      const { redis } = stage;
      redis.freeze();
      return () => redis.thaw();
    }
    case 'lists-flushed':
      await askRedis(stage.redis, ['FLUSHALL']);
      return () => stage.republish();
    case 'lists-stale':
      await stage.stopPublisher();
      return () => stage.startPublisher();
    case 'spool-full': {
      if (stage.smallSpool === null) throw new Error('this process may not mount a small disk');
      return fillDisk(stage.smallSpool);
    }
    case 'ng-loss':
      if (stage.relays.length === 0) throw new Error('there are no relays to lose anything');
      for (const relay of stage.relays) relay.lose({ share, seed: dice.between(0, 2 ** 31) });
      return () => {
        for (const relay of stage.relays) relay.lose({ share: 0, seed: 0 });
      };
    default: {
      const never: never = name;
      return never;
    }
  }
};

/** What is not well yet, as the controller and its metrics say; null where all is. */
const unwell = async (stage: Stage): Promise<string | null> => {
  const why = await unreadyBecause(stage.httpPort);
  if (why !== null) return why;
  const metrics = await metricsOf(stage.httpPort);
  if (metrics === null) return 'its metrics cannot be read';
  const down = [...metrics].filter(
    ([name, value]) => name.startsWith('sallyport_media_node_up{') && value !== 1,
  );
  return down.length === 0 ? null : `down: ${down.map(([name]) => name.slice(24)).join(', ')}`;
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Carries one fault out: breaks, waits, mends, and waits until all is well. Settles with the record, whatever comes;
 * `stop` shortens the waiting, and it is mended all the same.
 */
export const inject = async (
  stage: Stage,
  plan: FaultPlan,
  dice: Dice,
  stop: Promise<unknown>,
  began: (record: FaultRecord) => void,
): Promise<FaultRecord> => {
  const { healsWithin, aftermath } = consequences[plan.name];
  const record: FaultRecord = {
    plan,
    target: targetOf(plan),
    startedAt: Date.now(),
    mendedAt: null,
    healedAt: null,
    windowTo: null,
    note: null,
    cost: new Map(),
  };
  began(record);
  try {
    const mend = await breakIt(stage, plan.name, record.target, dice);
    await Promise.race([pause(plan.lastsMs), stop]);
    await mend();
  } catch (error) {
    record.note = error instanceof Error ? error.message : String(error);
    record.windowTo = Date.now();
    return record;
  }
  record.mendedAt = Date.now();
  const end = performance.now() + healsWithin * 1000;
  // Looked at twice: what a node was before the fault may still be told in the first moment after it.
  for (let well = 0; well < 3; ) {
    await pause(300);
    const why = await unwell(stage);
    well = why === null ? well + 1 : 0;
    if (why !== null && performance.now() > end) {
      record.note = why;
      record.windowTo = Date.now();
      return record;
    }
  }
  record.healedAt = Date.now();
  record.windowTo = record.healedAt + aftermath * 1000;
  return record;
};

/** Could it be done at all? Else it was skipped, with a word. */
export const wasDone = (record: FaultRecord): boolean => record.mendedAt !== null || record.windowTo === null;
