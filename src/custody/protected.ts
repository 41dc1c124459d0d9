import type { PrivilegedEntry } from '../core/lists.js';
import { type NumberKey, parseNumberKeyText } from '../core/number.js';
import { digitsOf } from '../lists/layout.js';
import type { PrivilegedIndex } from '../lists/privileged-index.js';
import type { CustodyCall } from './call-fold.js';
import { CustodyError } from './codes.js';

/**
 * Whether an entry protects a call that was recorded. It does from the earlier of two times on: that from which it is
 * in force, and that at which it was entered, which the call's own decision tells, for it names every entry of the
 * number that stood in the lists. An entry without a beginning protects always. A call counts as long as it lasted.
 */
const protectsCall = ({ id, validFrom, validTo }: PrivilegedEntry, call: CustodyCall): boolean => {
  const { began, ended, listed } = call;
  const begun = validFrom === null || validFrom <= (ended ?? began) || listed.includes(id);
  return begun && (validTo === null || began < validTo);
};

const find = (index: PrivilegedIndex, { e164, extension }: NumberKey): readonly PrivilegedEntry[] => {
  const digits = digitsOf(e164);
  if (digits === null) return [];
  // Protection holds in every facility: which one is asked about makes no difference.
  const found = index.find({ digits, extension, facility: '' });
  if (found === null) throw new CustodyError('lists-unread', 'a row of the lists cannot be read');
  return found;
};

/**
 * The entries that make a recorded call privileged, by the matching of call time; none where it is not. Throws
 * CustodyError `lists-unread` where a row cannot be read, for that is no "no".
 */
export const protectedBy = (index: PrivilegedIndex, call: CustodyCall): readonly PrivilegedEntry[] => {
  const entries = new Map<string, PrivilegedEntry>();
  for (const text of call.numbers) {
    const key = parseNumberKeyText(text);
    if (key === null) continue;
    for (const entry of find(index, key)) if (protectsCall(entry, call)) entries.set(entry.id, entry);
  }
  return [...entries.values()];
};
