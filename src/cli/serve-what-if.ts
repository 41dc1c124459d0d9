import { Worker } from 'node:worker_threads';
import type { Config } from '../config/schema.js';
import type { Leg } from '../core/leg.js';
import { type DialPlan, numberKeyText, parseNumberKeyText } from '../core/number.js';
import { PartError } from '../http/ports.js';
import type { WhatIfCall, WhatIfFound, WhatIfNear, WhatIfPort } from '../http/what-if-desk.js';
import { TooManyRows } from '../lists/entries.js';
import { hypothetical } from '../lists/hypothetical.js';
import { policyOf, surroundingsOf } from '../options.js';
import { RegistryError } from '../registry/errors.js';
import type { Op } from '../registry/read-ops.js';
import type { Registry } from '../registry/registry.js';
import { giveRelevant, MOST_RELEVANT, type Relevant, readRelevant } from '../registry/relevant.js';
import type { RegistrySearch } from '../registry/search.js';
import type { StoredTarget } from '../registry/target.js';
import { listsBuilder } from '../registry-lists.js';
import { changeOf, changes } from '../review/change.js';
import { maskedNumber } from '../review/masked.js';
import type { Listed } from '../review/near-index.js';
import type { NearMiss } from '../review/near-misses.js';
import { type PastDecision, pastDecision, type Row, type Verdict } from '../review/past-decision.js';
import { type Candidate, type Configured, replay } from '../review/replay.js';
import type { Touch } from '../review/touched.js';
import type { ScanAsked, ScanTold } from '../what-if-messages.js';
import { callJournalsOf } from './serve-journals.js';

/** Most calls that are made again for one look, and most of them that are shown. */
const MOST_CALLS = 10_000;
const MOST_SHOWN = 100;
const MOST_NEAR = 50;

interface End {
  readonly connectedMs: number;
  readonly recording: boolean;
}
interface Scanned {
  readonly calls: readonly Row[];
  readonly ends: ReadonlyMap<string, End>;
  readonly done: Extract<ScanTold, { told: 'done' }>;
}

/** Reads the journals in a thread of its own: a year of calls is seconds of reading, and nobody's request waits for it. */
const scanned = (asked: ScanAsked, progress: (rows: number) => void, stop: AbortSignal): Promise<Scanned> =>
  new Promise((resolve, reject) => {
    const calls: Row[] = [];
    const ends = new Map<string, End>();
    const worker = new Worker(new URL('../what-if-thread.js', import.meta.url), { workerData: asked });
    const end = (outcome: () => void): void => {
      stop.removeEventListener('abort', aborted);
      void worker.terminate();
      outcome();
    };
    const aborted = (): void => end(() => reject(new PartError('cancelled', 'it was stopped')));
    stop.addEventListener('abort', aborted);
    worker.on('error', (error) => end(() => reject(error)));
    worker.on('exit', () => end(() => reject(new PartError('failed', 'the thread that looks back ended'))));
    worker.on('message', (told: ScanTold) => {
      switch (told.told) {
        case 'rows':
          return progress(told.rows);
        case 'call':
          calls.push(told.row);
          return;
        case 'end':
          ends.set(told.callId, { connectedMs: told.connectedMs, recording: told.recording });
          return;
        case 'done':
          return end(() => resolve({ calls, ends, done: told }));
        case 'failed':
          return end(() => reject(new PartError(told.code, 'the journals cannot be read')));
        default: {
          const never: never = told;
          return never;
        }
      }
    });
    if (stop.aborted) aborted();
  });

interface Standing {
  readonly form: StoredTarget['form'];
  readonly value: string;
  readonly of: string | null;
}

const addTarget = (
  touch: { numbers: string[]; ranges: { from: string; to: string }[]; prefixes: string[] },
  { form, value, of }: Standing,
): void => {
  switch (form) {
    case 'number':
    case 'alias':
      touch.numbers.push(value);
      if (of !== null) touch.numbers.push(of);
      return;
    case 'range': {
      const [from = '', to = ''] = value.split('-');
      touch.ranges.push({ from, to });
      return;
    }
    case 'prefix':
      touch.prefixes.push(value.replace('*', ''));
      return;
    default: {
      form satisfies never;
    }
  }
};

/** What some steps have to do with: of entries they alter, both what those cover now and what they would cover. */
const touchOf = async (ops: readonly Op[], search: RegistrySearch): Promise<Touch> => {
  const touch = {
    numbers: [] as string[],
    ranges: [] as { from: string; to: string }[],
    prefixes: [] as string[],
    callers: [] as string[],
  };
  for (const op of ops) {
    if ('target' in op) addTarget(touch, op.target);
    if ('number' in op) touch.numbers.push(op.number);
    if (op.op === 'booking-open' || op.op === 'booking-move' || op.op === 'booking-close')
      touch.callers.push(op.caller);
    if (!('entry' in op)) continue;
    const list = op.op === 'block-remove' ? 'block' : op.op === 'pending-settle' ? 'pending' : 'privileged';
    const entry = (await search.entry(list, op.entry, 'all')) as Partial<
      Standing & { number: string }
    > | null;
    if (entry === null) continue;
    if (entry.number !== undefined) touch.numbers.push(entry.number);
    else addTarget(touch, entry as Standing);
  }
  return touch;
};

/** What is to be protected: what is called and near to it may have been meant too. */
const toBeNear = (ops: readonly Op[]): readonly Listed[] =>
  ops.flatMap((op): Listed[] => {
    if (op.op !== 'privileged-add' && op.op !== 'privileged-amend') return [];
    const { target, class: of } = op;
    if (target.form === 'range') {
      const [from = '', to = ''] = target.value.split('-');
      return [{ kind: 'range', from: from.slice(1), to: to.slice(1), class: of }];
    }
    if (target.form === 'prefix') return [{ kind: 'prefix', digits: target.value.slice(1, -1), class: of }];
    const key = parseNumberKeyText(target.value);
    return key === null
      ? []
      : [{ kind: 'number', digits: key.e164.slice(1), extension: key.extension, class: of }];
  });

const configured = (config: Config): Configured => {
  const surroundings = surroundingsOf(config);
  return { policy: policyOf(config), around: (asker, now) => surroundings.of(asker as Leg, now) };
};

const candidateOf = (found: Relevant, plan: DialPlan, present: Configured): Candidate => {
  if (found.privileged.length >= MOST_RELEVANT || found.allowed.length >= MOST_RELEVANT)
    throw new PartError('too-many-entries', 'more entries than are looked at stand about these numbers');
  const { reader, lists } = listsBuilder(plan);
  giveRelevant(found, reader);
  return { ...present, present, lists: hypothetical(lists) };
};

const nearShown = ({ number, near, calls, monitored, callers, last }: NearMiss): WhatIfNear => ({
  ...{ number, masked: maskedNumber(number), calls, monitored, callers, last },
  why: near[0]?.why ?? 'one-digit-different',
  to: near[0]?.to ?? '',
});

const text = ({ verdict, class: of }: Verdict): string => (of === null ? verdict : `${verdict} ${of}`);

/** The calls that would have gone otherwise, counted and shown; pure. */
const compared = ({ calls, ends, done }: Scanned, today: Candidate, with_: Candidate): WhatIfFound => {
  const counts: Record<string, number> = Object.fromEntries(changes.map((change) => [change, 0]));
  const notReplayable: Record<string, number> = {};
  const shown: WhatIfCall[] = [];
  let [same, connectedMs, recordings] = [0, 0, 0];
  const cannot = (why: string): void => {
    notReplayable[why] = (notReplayable[why] ?? 0) + 1;
  };
  const take = (past: PastDecision): void => {
    const [before, after] = [replay(past, today), replay(past, with_)];
    if (!before.replayable || !after.replayable) {
      cannot(!before.replayable ? before.why : after.replayable ? 'row-unreadable' : after.why);
      return;
    }
    const change = changeOf(before.now, after.now);
    if (change === null) {
      same += 1;
      return;
    }
    const end = ends.get(past.callId);
    counts[change] = (counts[change] ?? 0) + 1;
    connectedMs += end?.connectedMs ?? 0;
    if (end?.recording === true) recordings += 1;
    const { dialled } = past;
    shown.push({
      ...{ callId: past.callId, at: past.at, facility: past.facility, change },
      number: dialled.kind === 'number' || dialled.kind === 'hotline' ? numberKeyText(dialled.key) : '',
      ...{ happened: text(past.was), today: text(before.now), would: text(after.now) },
      reason: after.now.reason,
      connectedMs: end?.connectedMs ?? null,
      recording: end?.recording ?? null,
    });
  };
  for (const row of calls) {
    const past = pastDecision(row);
    if (typeof past === 'string') cannot(past);
    else take(past);
  }
  const grave = (one: WhatIfCall): number => (changes as readonly string[]).indexOf(one.change);
  shown.sort((one, other) => grave(one) - grave(other) || (one.at < other.at ? 1 : -1));
  return {
    ...{ decisions: done.decisions, touched: done.touched, truncated: done.touched > calls.length },
    ...{ counts, connectedMs, recordings, same, notReplayable },
    calls: shown.slice(0, MOST_SHOWN),
    near: done.near.map(nearShown),
    nearTotal: done.nearTotal,
  };
};

/** Looks back at past calls as they would have gone with some changes done; see http/what-if-desk.ts. */
export const whatIfPort = (
  config: Config,
  {
    registry,
    search,
    plan,
  }: { readonly registry: Registry; readonly search: RegistrySearch; readonly plan: DialPlan },
): WhatIfPort => ({
  run: async ({ ops, period }, progress, stop) => {
    try {
      const touch = await touchOf(ops, search);
      const asked = { journals: callJournalsOf(config), ...period, touch, near: toBeNear(ops) };
      const found = await scanned({ ...asked, most: MOST_CALLS, mostNear: MOST_NEAR }, progress, stop);
      const numbers = found.calls.flatMap(({ body }) => {
        const { number } = (body.dialled ?? {}) as { readonly number?: unknown };
        return typeof number === 'string' ? [number] : [];
      });
      const { before, after } = await registry.asIf(ops, (trx) => readRelevant(trx, numbers));
      const present = configured(config);
      return compared(found, candidateOf(before, plan, present), candidateOf(after, plan, present));
    } catch (error) {
      if (error instanceof RegistryError) throw new PartError(error.code, 'the change cannot be done');
      if (error instanceof TooManyRows) throw new PartError('too-many-entries', error.message);
      throw error;
    }
  },
});
