import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { WallMs } from '../core/leg.js';
import { disarmedAs, type FacilityState, freshState } from './arming.js';

const FORMAT = 'sallyport-canaries-1';
const MAX_BYTES = 4 * 1024 * 1024;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTime = (value: unknown): value is WallMs => typeof value === 'number' && Number.isFinite(value);

const isState = (value: unknown): value is FacilityState =>
  isRecord(value) &&
  (value.recording === 'armed' || value.recording === 'disarmed') &&
  (value.why === null || (typeof value.why === 'string' && value.why.length <= 400)) &&
  isTime(value.since) &&
  isTime(value.countedFrom) &&
  (value.passedAt === null || isTime(value.passedAt)) &&
  Number.isSafeInteger(value.missed);

/**
 * The state of each facility as it was kept. A facility that is not in the file is new; a file that is there and cannot
 * be read disarms all of them, for it may have said so.
 */
export const readStates = async (
  path: string,
  facilities: readonly string[],
  now: WallMs,
): Promise<ReadonlyMap<string, FacilityState>> => {
  const all = (make: (facility: string) => FacilityState): ReadonlyMap<string, FacilityState> =>
    new Map(facilities.map((facility) => [facility, make(facility)]));
  let kept: unknown;
  try {
    const text = await readFile(path, 'utf8');
    kept = text.length > MAX_BYTES ? null : JSON.parse(text);
  } catch (error) {
    const isNew = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return all(() => (isNew ? freshState(now) : disarmedAs('state-unreadable', now)));
  }
  const states =
    isRecord(kept) && kept.format === FORMAT && isRecord(kept.facilities) ? kept.facilities : null;
  return all((facility) => {
    if (states === null) return disarmedAs('state-unreadable', now);
    if (!Object.hasOwn(states, facility)) return freshState(now);
    const state = states[facility];
    return isState(state) ? state : disarmedAs('state-unreadable', now);
  });
};

/** Replaces the file: after a crash either the old or the new one is there, whole. */
export const writeStates = async (
  path: string,
  states: ReadonlyMap<string, FacilityState>,
): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.tmp`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(
      `${JSON.stringify({ format: FORMAT, facilities: Object.fromEntries(states) }, null, 2)}\n`,
    );
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};
