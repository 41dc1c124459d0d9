import { z } from 'zod';
import { holds } from '../../registry/accounts/facilities.js';
import type { Parts } from '../parts.js';
import { PartError } from '../ports.js';
import { Problem } from '../problems.js';
import { mustReach, ok, type Route, route, someone } from '../route.js';
import { callerId, facilityId, writtenNumber } from '../shapes.js';

const explained = z.strictObject({
  number: z.string(),
  verdict: z.enum(['monitored', 'private', 'refused']),
  verdictText: z.string(),
  class: z.string().nullable(),
  ending: z.string().nullable(),
  row: z.int().describe('Of the decision table: the one that decides.'),
  reasons: z.array(z.strictObject({ code: z.string(), detail: z.string().nullable(), words: z.string() })),
  epoch: z.strictObject({ id: z.int(), digest: z.string() }).nullable(),
  heartbeatAgeMs: z.number().nullable(),
  policy: z.string(),
  rows: z.array(
    z.strictObject({
      order: z.int(),
      question: z.string(),
      outcome: z.string(),
      said: z.enum(['no', 'decides', 'not-asked']),
    }),
  ),
  lists: z
    .array(
      z.strictObject({
        list: z.enum(['privileged', 'snapshot', 'pending', 'block', 'allow']),
        state: z.enum(['listed', 'absent', 'unknown']),
        why: z.string().nullable(),
        entries: z.array(
          z.strictObject({
            id: z.string().describe('Digest of the row: evidence names it so.'),
            class: z.string().nullable(),
            match: z.string().nullable().describe('How it came to match.'),
            scope: z.string().nullable(),
            cause: z.string().nullable(),
          }),
        ),
      }),
    )
    .describe('What each list said, with the entries that matched.'),
});

const wouldBe = {
  monitored: 'It would be connected and recorded, and both would be told.',
  private: 'It would be connected on a node that cannot record.',
  refused: 'It would not be connected.',
} as const;

export const explainRoutes = ({ explainer, journal, numberDigest }: Parts): readonly Route[] => [
  route('POST /v1/explain', {
    about:
      'How a call would be decided now, row by row of the decision table, from what is published: not from what is only in the registry.',
    tag: 'lists',
    body: z.strictObject({ number: writtenNumber, caller: callerId, facility: facilityId }),
    answers: { 200: { json: explained } },
    problems: ['unknown', 'op-refused', 'part-unavailable', 'journal-unavailable'],
    run: async (asked) => {
      const { body, within } = asked;
      mustReach(within, [body.facility]);
      const answer = await explainer.explain(body).catch((error: unknown) => {
        if (!(error instanceof PartError)) throw error;
        if (error.unreachable) throw new Problem('part-unavailable', error.code);
        throw new Problem('op-refused', `${error.code}: ${error.message}`);
      });
      await journal.append('http-number-asked', {
        ...{ by: someone(asked).name, number: await numberDigest(answer.number) },
        ...{ privileged: answer.verdict === 'private', what: 'explain' },
      });
      // What is of another facility decides here too, and its entry is not shown.
      const lists = answer.lists.map(({ entries, ...list }) => ({
        ...list,
        entries: entries.filter(({ scope }) => scope === null || scope === 'global' || holds(within, scope)),
      }));
      return ok({ ...answer, lists, verdictText: wouldBe[answer.verdict] });
    },
  }),
];
