import type { CallerId, FacilityId, WallMs } from '../core/leg.js';
import type { BlockCause, PrivilegedClass } from '../core/lists.js';
import type { NumberKey, NumberPrefix, NumberRange } from '../core/number.js';
import { allowField, digitsOf, entryId, wholeFacility } from './layout.js';
import type { Canary } from './manifest.js';
import { rangePrefixes } from './ranges.js';
import { formatBody, maxRowsPerNumber, type Row } from './rows.js';
import { globalScope } from './shapes.js';

/** What a privileged entry covers. An alias is a number that stands for another listed number. */
export type Target =
  | { readonly kind: 'number'; readonly key: NumberKey }
  | { readonly kind: 'range'; readonly range: NumberRange }
  | { readonly kind: 'prefix'; readonly prefix: NumberPrefix }
  | { readonly kind: 'alias'; readonly key: NumberKey; readonly of: NumberKey };

export interface PrivilegedItem {
  readonly target: Target;
  readonly class: PrivilegedClass;
  /** 'global' or a facility. Kept as evidence; protection is never narrowed by it. */
  readonly scope: string;
  readonly validFrom: WallMs | null;
  readonly validTo: WallMs | null;
}

export interface BlockItem {
  readonly key: NumberKey;
  readonly cause: BlockCause;
  readonly expires: WallMs | null;
  readonly facility: FacilityId | null;
}

export interface PendingItem {
  readonly key: NumberKey;
}

const longList = 256;

const digits = (e164: string): string => {
  const found = digitsOf(e164);
  if (found === null) throw new RangeError('not an E.164 number');
  return found;
};

/**
 * Who may call whom. Twenty million numbers fit: a number without an extension is kept as a double, which has room
 * for 15 digits, in one array for each caller.
 */
export class AllowLists {
  readonly #plain = new Map<string, number[]>();
  readonly #extended = new Map<string, string[]>();
  /** Only of long lists, where looking through the array for a duplicate would take too long. */
  readonly #long = new Map<string, Set<number | string>>();
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }

  /** `caller` is null for the list of the whole facility. False where the number is on that list already. */
  add(facility: FacilityId, caller: CallerId | null, key: NumberKey): boolean {
    const owner = `${facility}:${caller ?? wholeFacility}`;
    const added =
      key.extension === null
        ? this.#put(this.#plain, owner, Number(digits(key.e164)))
        : this.#put(this.#extended, owner, allowField(digits(key.e164), key.extension));
    if (added) this.#entries += 1;
    return added;
  }

  #put<T extends number | string>(lists: Map<string, T[]>, owner: string, value: T): boolean {
    const list = lists.get(owner) ?? [];
    if (list.length === 0) lists.set(owner, list);
    // Once there is a set, it holds all of the owner's numbers, with and without extensions.
    const known = this.#long.get(owner);
    if (known === undefined && list.length < longList) {
      if (list.includes(value)) return false;
      list.push(value);
      return true;
    }
    const set = known ?? new Set<number | string>([...this.#of(owner)]);
    this.#long.set(owner, set);
    if (set.has(value)) return false;
    set.add(value);
    list.push(value);
    return true;
  }

  #of(owner: string): readonly (number | string)[] {
    return [...(this.#plain.get(owner) ?? []), ...(this.#extended.get(owner) ?? [])];
  }

  /** Number of owners: callers, and facilities with a list of their own. */
  get owners(): number {
    let only = 0;
    for (const owner of this.#extended.keys()) if (!this.#plain.has(owner)) only += 1;
    return this.#plain.size + only;
  }

  /** `facility:caller` of every list, sorted. */
  sortedOwners(): readonly string[] {
    return [...new Set([...this.#plain.keys(), ...this.#extended.keys()])].sort();
  }

  /** Whether a field (a number, with its extension where it has one) is on the list of that owner. */
  has(owner: string, field: string): boolean {
    const value = field.includes(';') ? field : Number(field);
    const long = this.#long.get(owner);
    if (long !== undefined) return long.has(value);
    const list: readonly (number | string)[] | undefined =
      typeof value === 'string' ? this.#extended.get(owner) : this.#plain.get(owner);
    return list?.includes(value) === true;
  }

  /** How many numbers one list has. */
  count(owner: string): number {
    return (this.#plain.get(owner)?.length ?? 0) + (this.#extended.get(owner)?.length ?? 0);
  }

  /** The fields of one list, sorted. */
  fields(owner: string): readonly string[] {
    return this.#of(owner).map(String).sort();
  }
}

/** Everything a publication is made of. */
export interface ListSet {
  readonly privileged: readonly PrivilegedItem[];
  readonly block: readonly BlockItem[];
  readonly pending: readonly PendingItem[];
  readonly allow: AllowLists;
}

/** Rows by the digits they lie under. */
export type IndexRows = Map<string, string[]>;

export class TooManyRows extends Error {}

/** A range that covers nothing: it would protect nobody and nobody would notice. */
export class EmptyRange extends Error {}

const put = (rows: IndexRows, at: string, row: Row): void => {
  const body = formatBody(row);
  const there = rows.get(at);
  if (there === undefined) rows.set(at, [body]);
  else if (there.length >= maxRowsPerNumber) throw new TooManyRows('too many entries of one number');
  else if (!there.includes(body)) there.push(body);
};

const keyText = (key: NumberKey): string => allowField(digits(key.e164), key.extension);

/** What an entry covers, as text: the part of its identity that a change of class or validity leaves alone. */
export const targetText = (target: Target): string => {
  switch (target.kind) {
    case 'number':
      return `n:${keyText(target.key)}`;
    case 'range':
      return `r:${digits(target.range.from)}-${digits(target.range.to)}`;
    case 'prefix':
      return `p:${digits(target.prefix)}`;
    case 'alias':
      return `a:${keyText(target.key)}=${keyText(target.of)}`;
    default: {
      const never: never = target;
      return never;
    }
  }
};

/** Where an entry lies in the index: a number under all its digits, a range under the prefixes that make it up. */
const placesOf = (target: Target): readonly string[] => {
  switch (target.kind) {
    case 'number':
    case 'alias':
      return [digits(target.key.e164)];
    case 'prefix':
      return [digits(target.prefix)];
    case 'range':
      return rangePrefixes(digits(target.range.from), digits(target.range.to));
    default: {
      const never: never = target;
      return never;
    }
  }
};

const putPrivileged = (rows: IndexRows, item: PrivilegedItem, salt: string): void => {
  const { target, scope, validFrom, validTo } = item;
  const content = ['privileged', targetText(target), item.class, scope, validFrom, validTo].join('|');
  const keyed = target.kind === 'number' || target.kind === 'alias';
  const row = {
    part: 'privileged',
    id: entryId(salt, content),
    class: item.class,
    how: target.kind,
    length: target.kind === 'range' ? digits(target.range.from).length : null,
    extension: keyed ? target.key.extension : null,
    validFrom,
    validTo,
    scope,
  } as const;
  const places = placesOf(target);
  if (places.length === 0) throw new EmptyRange('a range whose ends do not make one');
  for (const place of places) put(rows, place, row);
};

/** Adds the canaries of a publication to its index. */
export const addCanaries = (rows: IndexRows, canaries: readonly Canary[], salt: string): void => {
  for (const { class: cls, digits: canary } of canaries) {
    put(rows, canary, {
      part: 'privileged',
      id: entryId(salt, `canary|${canary}|${cls}`),
      class: cls,
      how: 'number',
      length: null,
      extension: null,
      validFrom: null,
      validTo: null,
      scope: globalScope,
    });
  }
};

/**
 * The index of a publication, without canaries. Throws TooManyRows where one number has more entries than a reader
 * accepts, and EmptyRange.
 */
export const compileIndex = (lists: ListSet, salt: string): IndexRows => {
  const rows: IndexRows = new Map();
  for (const item of lists.privileged) putPrivileged(rows, item, salt);
  for (const { key, cause, expires, facility } of lists.block) {
    const id = entryId(salt, ['block', keyText(key), cause, expires, facility].join('|'));
    put(rows, digits(key.e164), { part: 'block', id, cause, extension: key.extension, expires, facility });
  }
  for (const { key } of lists.pending) {
    const id = entryId(salt, `pending|${keyText(key)}`);
    put(rows, digits(key.e164), { part: 'pending', id, extension: key.extension });
  }
  return rows;
};
