import { readProved } from './proved-rows.js';

/** Who called, and which numbers: all that any decision of the call, or of another party of it, names. */
export interface CallFacts {
  readonly callers: readonly string[];
  readonly numbers: readonly string[];
}

/** More than any call can name: parties of a call are bounded. */
const MAX_NAMED = 64;

const joined = (list: readonly string[], one: unknown): readonly string[] =>
  typeof one !== 'string' || one === '' || list.includes(one) || list.length >= MAX_NAMED
    ? list
    : [...list, one];

/**
 * What the controllers' journals know of these calls. Every row of every journal is proved on the way; a call that no
 * journal knows is not in the answer. Rejects with UnprovedError where a journal cannot be read and proved.
 */
export const callFactsOf = async (
  journals: readonly string[],
  calls: ReadonlySet<string>,
): Promise<ReadonlyMap<string, CallFacts>> => {
  const facts = new Map<string, CallFacts>();
  for (const dir of journals) {
    await readProved(
      dir,
      (kind) => kind === 'decision',
      ({ kind, body }) => {
        if (kind !== 'decision' || typeof body.callId !== 'string' || !calls.has(body.callId)) return;
        const known = facts.get(body.callId) ?? { callers: [], numbers: [] };
        const dialled = body.dialled as { readonly number?: unknown } | null | undefined;
        facts.set(body.callId, {
          callers: joined(known.callers, body.caller),
          numbers: joined(known.numbers, dialled?.number),
        });
      },
    );
  }
  return facts;
};
