import type { ListQuestion } from '../call/ports.js';
import type {
  AllowEntry,
  Answer,
  BlockEntry,
  EntryId,
  PendingEntry,
  PrivilegedEntry,
} from '../core/lists.js';
import { compileIndex, type ListSet } from './entries.js';
import { allowField, digitsOf, wholeFacility } from './layout.js';
import { type FoundRow, listedOrAbsent, matchBlock, matchPending, matchPrivileged } from './match.js';
import { parseBody } from './rows.js';

/** What a list set would answer if it were published. */
export interface HypotheticalAnswers {
  readonly privileged: Answer<PrivilegedEntry>;
  readonly pending: Answer<PendingEntry>;
  readonly block: Answer<BlockEntry>;
  readonly allow: Answer<AllowEntry>;
}

/** The ids of a set nobody published name nothing. */
const salt = 'hypothetical';
const nobodys = '' as EntryId;

/**
 * Answers from list files as Redis would after a publication of them: the same index, the same rows, the same rules
 * of matching. Canaries are left out: nobody can dial one. Throws as compileIndex does.
 */
export const hypothetical = (lists: ListSet): ((question: ListQuestion) => HypotheticalAnswers) => {
  const index = compileIndex(lists, salt);
  return ({ key, caller, facility }) => {
    const digits = digitsOf(key.e164);
    if (digits === null) throw new RangeError('not an E.164 number');
    const { extension } = key;
    const asked = { digits, extension, facility };
    const found: FoundRow[] = [];
    for (let at = 1; at <= digits.length; at++) {
      for (const body of index.get(digits.slice(0, at)) ?? []) {
        const row = parseBody(body);
        if (row === null) throw new RangeError('a row this process wrote cannot be read');
        found.push({ at, row });
      }
    }
    const fields = extension === null ? [digits] : [digits, allowField(digits, extension)];
    const allow: AllowEntry[] = [];
    for (const owner of new Set([caller ?? wholeFacility, wholeFacility])) {
      for (const field of fields) {
        if (!lists.allow.has(`${facility}:${owner}`, field)) continue;
        allow.push({ id: nobodys, scope: owner === wholeFacility ? 'facility' : 'caller' });
      }
    }
    return {
      privileged: listedOrAbsent(matchPrivileged(found, asked)),
      pending: listedOrAbsent(matchPending(found, asked)),
      block: listedOrAbsent(matchBlock(found, asked)),
      allow: listedOrAbsent(allow),
    };
  };
};
