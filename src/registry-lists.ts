import type { CallerId, FacilityId, WallMs } from './core/leg.js';
import {
  type DialPlan,
  type NumberKey,
  parseListedPrefix,
  parseListedRange,
  parseNumberKeyText,
} from './core/number.js';
import {
  AllowLists,
  type BlockItem,
  type ListSet,
  type PendingItem,
  type PrivilegedItem,
  type Target,
} from './lists/entries.js';
import { wholeFacility } from './lists/layout.js';
import type { Base } from './lists/publish.js';
import type { ChangedItem, ListDelta } from './lists/publish-delta.js';
import { Proof } from './lists/publish-proof.js';
import type { Database } from './registry/database.js';
import {
  type Blocked,
  type Changed,
  type Entry,
  type Reader,
  readStanding,
  type StandingWhole,
} from './registry/publication.js';
import type { StoredTarget } from './registry/target.js';

/** What stands in the registry, as lists that can be published. */
export interface RegistryLists {
  readonly lists: ListSet;
  readonly standing: StandingWhole;
}

const keyOf = (text: string): NumberKey => {
  const key = parseNumberKeyText(text);
  // The registry writes canonical numbers alone: another hand was at this row, and a list must not silently lack it.
  if (key === null) throw new TypeError('the registry holds a number that is not in its canonical writing');
  return key;
};

const targetOf = ({ form, value, of }: StoredTarget, plan: DialPlan): Target => {
  switch (form) {
    case 'number':
      return { kind: 'number', key: keyOf(value) };
    case 'alias':
      return { kind: 'alias', key: keyOf(value), of: keyOf(of) };
    case 'range': {
      const read = parseListedRange(value, plan);
      if (read.kind === 'range') return { kind: 'range', range: read.range };
      throw new TypeError('the registry holds a range that is none');
    }
    case 'prefix': {
      const read = parseListedPrefix(value, plan);
      if (read.kind === 'prefix') return { kind: 'prefix', prefix: read.prefix };
      throw new TypeError('the registry holds a prefix that is none');
    }
    default: {
      const never: never = form;
      return never;
    }
  }
};

const wall = (time: Date | null): WallMs | null => (time === null ? null : (time.getTime() as WallMs));

/**
 * From when it protects: an entry whose law is older than itself finds the recordings made in between. A time of the law
 * that lies ahead takes nothing from an entry that protects already.
 */
const from = (row: Entry): WallMs | null => {
  const { valid_from: valid, effective_from: effective, entered } = row;
  if (effective === null) return wall(valid);
  if (valid === null) return effective > entered ? null : wall(effective);
  return Math.min(valid.getTime(), effective.getTime()) as WallMs;
};

const privilegedOf = (row: Entry, plan: DialPlan): PrivilegedItem => ({
  target: targetOf(row as StoredTarget, plan),
  class: row.class,
  scope: row.scope,
  validFrom: from(row),
  validTo: wall(row.valid_to),
});

const blockOf = ({ number, cause, facility, expires }: Blocked): BlockItem => ({
  key: keyOf(number),
  cause,
  expires: wall(expires),
  facility: facility as FacilityId | null,
});

/** Lists that grow row by row, out of what the registry holds. */
export const listsBuilder = (plan: DialPlan): { readonly reader: Reader; readonly lists: ListSet } => {
  const privileged: PrivilegedItem[] = [];
  const block: BlockItem[] = [];
  const pending: PendingItem[] = [];
  const allow = new AllowLists();
  const reader: Reader = {
    privileged: (row) => void privileged.push(privilegedOf(row, plan)),
    block: (row) => void block.push(blockOf(row)),
    pending: (number) => void pending.push({ key: keyOf(number) }),
    allowed: (facility, caller, number) => {
      allow.add(facility as FacilityId, caller as CallerId | null, keyOf(number));
    },
  };
  return { reader, lists: { privileged, block, pending, allow } };
};

/**
 * Reads the registry into lists. An entry that says since when the law protects it begins then, and one that says
 * nothing protects always. Rejects with RegistryError. For `how` see {@link readStanding}.
 */
export const listsOf = async (
  db: Database,
  since: number,
  plan: DialPlan,
  how: Parameters<typeof readStanding>[3],
  read: typeof readStanding = readStanding,
): Promise<RegistryLists> => {
  const { reader, lists } = listsBuilder(plan);
  const standing = await read(db, since, reader, how);
  return { lists, standing };
};

/**
 * Whether what is published is what stands in the registry now; null where something changed since, so that it is not said.
 * Each allow list is forgotten once it is looked at: twenty million numbers take no memory here. Rejects with RegistryError,
 * and with what `goOn` throws, which is asked with each row.
 */
export const provedBy = async (
  db: Database,
  base: Base,
  plan: DialPlan,
  how: { readonly blocksAfter: Date; readonly onMoment: () => void; readonly goOn: () => void },
): Promise<boolean | null> => {
  const { reader, lists } = listsBuilder(plan);
  const proof = new Proof(base);
  let owner = '';
  let own = new AllowLists();
  const close = (): void => proof.list(owner, own.fields(owner));
  const onMoment = (touched: number): void => {
    how.onMoment();
    // It could not be said of what is published: the rest need not be read.
    if (touched > 0) throw new Overtaken();
  };
  const allowed: Reader['allowed'] = (facility, caller, number) => {
    how.goOn();
    const of = `${facility}:${caller ?? wholeFacility}`;
    if (of !== owner) {
      close();
      owner = of;
      own = new AllowLists();
    }
    own.add(facility as FacilityId, caller as CallerId | null, keyOf(number));
  };
  try {
    const { blocksAfter } = how;
    await readStanding(db, 0, { ...reader, allowed }, { forget: false, blocksAfter, onMoment });
  } catch (error) {
    if (error instanceof Overtaken) return null;
    throw error;
  }
  close();
  return await proof.same(lists);
};
/** Somebody changed something that is not published yet. */
class Overtaken extends Error {}

/** What changed in the registry, as a change of what is published. */
export const deltaOf = ({ entries, lists }: Changed, plan: DialPlan): ListDelta => {
  const items: ChangedItem[] = [];
  for (const touched of entries)
    for (const [row, stands] of [
      [touched.before, false],
      [touched.after, true],
    ] as const) {
      if (row === null) continue;
      if (typeof row === 'string') items.push({ part: 'pending', item: { key: keyOf(row) }, stands });
      else if ('cause' in row) items.push({ part: 'block', item: blockOf(row), stands });
      else items.push({ part: 'privileged', item: privilegedOf(row, plan), stands });
    }
  const changed = lists.map(({ facility, caller, numbers }) => {
    const own = new AllowLists();
    for (const number of numbers) own.add(facility as FacilityId, caller as CallerId | null, keyOf(number));
    const owner = `${facility}:${caller ?? wholeFacility}`;
    return [owner, own.fields(owner)] as const;
  });
  return { items, lists: new Map(changed) };
};
