import type { PrivilegedClass } from '../core/lists.js';
import {
  AllowLists,
  type BlockItem,
  compileIndex,
  type ListSet,
  type PendingItem,
  type PrivilegedItem,
  targetText,
} from './entries.js';
import { keyName, type PrivilegedDraft } from './file-rows.js';
import { digitsOf } from './layout.js';
import { PrivilegedIndex } from './privileged-index.js';
import type { Place, Problems } from './problems.js';

/** An entry with where it stood, for what can be said only when all files are read. */
export interface Placed<T> {
  readonly item: T;
  readonly place: Place;
  readonly column: number | null;
}

const where = (place: Place): string => `First: line ${place.line} of ${place.file}.`;

/** The identity under which two privileged rows speak of the same number. */
const identity = ({ target }: { readonly target: PrivilegedDraft['target'] }): string =>
  target.kind === 'number' || target.kind === 'alias' ? `n:${keyName(target.key)}` : targetText(target);

/**
 * Gives aliases the class of the number they stand for, and finds rows that contradict or repeat each other. A
 * number may stand there twice under one class with different scopes or validities.
 */
export const settlePrivileged = (
  drafts: readonly PrivilegedDraft[],
  problems: Problems,
): readonly PrivilegedItem[] => {
  const listed = new Map<string, PrivilegedClass>();
  for (const draft of drafts) {
    if (draft.target.kind === 'number' && draft.class !== null) {
      listed.set(keyName(draft.target.key), draft.class);
    }
  }
  const first = new Map<string, { readonly class: PrivilegedClass; readonly place: Place }>();
  const rows = new Map<string, Place>();
  const items: PrivilegedItem[] = [];
  for (const draft of drafts) {
    const { place, column, target, scope, validFrom, validTo } = draft;
    let cls = draft.class;
    if (target.kind === 'alias') {
      const own = listed.get(keyName(target.of));
      if (own === undefined) {
        problems.add('alias-target-missing', place, column, null);
        continue;
      }
      if (cls !== null && cls !== own) problems.add('alias-class-differs', place, column, cls);
      cls = own;
    }
    if (cls === null) continue;
    const item = { target, class: cls, scope, validFrom, validTo };
    const same = first.get(identity(item));
    if (same === undefined) first.set(identity(item), { class: cls, place });
    else if (same.class !== cls) problems.add('conflicting-class', place, column, cls, where(same.place));
    const row = [targetText(target), cls, scope, validFrom, validTo].join('|');
    const twin = rows.get(row);
    if (twin !== undefined) problems.add('duplicate', place, column, null, where(twin));
    else {
      rows.set(row, place);
      items.push(item);
    }
  }
  return items;
};

export const settleBlock = (
  placed: readonly Placed<BlockItem>[],
  problems: Problems,
): readonly BlockItem[] => {
  const first = new Map<string, Placed<BlockItem>>();
  for (const one of placed) {
    const identityOfBlock = `${keyName(one.item.key)} ${one.item.facility ?? ''}`;
    const same = first.get(identityOfBlock);
    if (same === undefined) first.set(identityOfBlock, one);
    else if (same.item.cause !== one.item.cause) {
      problems.add('conflicting-cause', one.place, one.column, one.item.cause, where(same.place));
    } else problems.add('duplicate', one.place, one.column, null, where(same.place));
  }
  return [...first.values()].map(({ item }) => item);
};

export const settlePending = (
  placed: readonly Placed<PendingItem>[],
  problems: Problems,
): readonly PendingItem[] => {
  const first = new Map<string, Placed<PendingItem>>();
  for (const one of placed) {
    const same = first.get(keyName(one.item.key));
    if (same === undefined) first.set(keyName(one.item.key), one);
    else problems.add('duplicate', one.place, one.column, null, where(same.place));
  }
  return [...first.values()].map(({ item }) => item);
};

/** Warns of numbers that are privileged and blocked, or privileged and waiting for review: by the matching rules. */
export const checkAgainstPrivileged = (
  privileged: ListSet['privileged'],
  block: readonly Placed<BlockItem>[],
  pending: readonly Placed<PendingItem>[],
  problems: Problems,
): void => {
  if (privileged.length === 0 || block.length + pending.length === 0) return;
  const lists = { privileged, block: [], pending: [], allow: new AllowLists() };
  const index = new PrivilegedIndex();
  for (const [digits, bodies] of compileIndex(lists, '')) index.add(digits, bodies);
  const isPrivileged = ({ key }: PendingItem): boolean => {
    const digits = digitsOf(key.e164);
    if (digits === null) return false;
    return (index.find({ digits, extension: key.extension, facility: '' }) ?? []).length > 0;
  };
  for (const { item, place, column } of block) {
    if (isPrivileged(item)) problems.add('privileged-and-blocked', place, column, keyName(item.key));
  }
  for (const { item, place, column } of pending) {
    if (isPrivileged(item)) problems.add('privileged-and-pending', place, column, keyName(item.key));
  }
};
