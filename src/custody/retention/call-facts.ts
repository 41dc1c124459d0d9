import { readNode } from '../../statement/read-node.js';

/** Who called, and which numbers: all that any decision of the call, or of another party of it, names. */
export interface CallFacts {
  readonly callers: readonly string[];
  readonly numbers: readonly string[];
}

/** Beyond it a call names more than any hold can need, and is held for being out of bounds. */
const MAX_NAMED = 64;
/** Past every row there is. */
const END_OF_TIME = '9990-01-01T00:00:00.000Z';

const with_ = (list: readonly string[], one: unknown): readonly string[] =>
  typeof one !== 'string' || one === '' || list.includes(one) || list.length >= MAX_NAMED
    ? list
    : [...list, one];

/**
 * What the controllers' journals know of these calls. Every row of every journal is proved on the way; a call that no
 * journal knows is not in the answer. Rejects with StatementError where a journal cannot be read and proved.
 */
export const callFactsOf = async (
  journals: readonly string[],
  calls: ReadonlySet<string>,
): Promise<ReadonlyMap<string, CallFacts>> => {
  const facts = new Map<string, CallFacts>();
  for (const dir of journals) {
    await readNode(dir, END_OF_TIME, {
      wants: (kind) => kind === 'decision',
      take: ({ kind, body }) => {
        if (kind !== 'decision' || typeof body.callId !== 'string' || !calls.has(body.callId)) return;
        const known = facts.get(body.callId) ?? { callers: [], numbers: [] };
        const dialled = body.dialled as { readonly number?: unknown } | null | undefined;
        facts.set(body.callId, {
          callers: with_(known.callers, body.caller),
          numbers: with_(known.numbers, dialled?.number),
        });
      },
    });
  }
  return facts;
};
