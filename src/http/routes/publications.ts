import { z } from 'zod';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import type { SeenPublication } from '../publication-log.js';
import { ok, type Route, route } from '../route.js';
import { cursor, cursorOf, cursorText, limit, pageOf } from '../shapes.js';

const publication = z.strictObject({
  epoch: z.int(),
  at: z.iso.datetime(),
  digest: z.string(),
  by: z.array(z.string()).describe('Who proposed or approved what is new in it.'),
  added: z.int().describe('Privileged entries.'),
  removed: z.int(),
  changes: z.int(),
});
const withChanges = publication.omit({ changes: true }).extend({
  changes: z.array(z.strictObject({ id: z.string(), maker: z.string(), reason: z.string(), steps: z.int() })),
  changesMore: z.boolean(),
});

const MOST_SHOWN = 100;

const shown = ({
  changes,
  changesMore: _more,
  by,
  ...one
}: SeenPublication): z.infer<typeof publication> => ({
  ...one,
  by: [...by],
  changes: changes.length,
});

export const publicationRoutes = ({ publications, registry }: Parts): readonly Route[] => [
  route('GET /v1/publications', {
    about: 'What the registry published, the newest first, as its journal tells it.',
    tag: 'lists',
    query: z.strictObject({ cursor, limit }),
    answers: { 200: { json: pageOf(publication) } },
    problems: ['cursor-malformed', 'part-unavailable'],
    run: async ({ query }) => {
      await publications.refresh().catch(partProblem);
      const before = cursorOf(query.cursor, z.tuple([z.int()]))?.[0] ?? null;
      const rows = publications.list(before, query.limit + 1);
      const here = rows.slice(0, query.limit);
      const last = here.at(-1);
      return ok({
        rows: here.map(shown),
        ...{ total: publications.total, totalIsExact: true },
        next: rows.length > query.limit && last !== undefined ? cursorText([last.epoch]) : null,
      });
    },
  }),
  route('GET /v1/publications/:epoch', {
    about: 'One publication, and the changes that went live with it at the latest.',
    tag: 'lists',
    params: z.strictObject({ epoch: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
    answers: { 200: { json: withChanges } },
    problems: ['unknown', 'part-unavailable'],
    run: async ({ params }) => {
      await publications.refresh().catch(partProblem);
      const found = publications.find(params.epoch);
      if (found === null) throw new Problem('unknown');
      const changes = [];
      for (const id of found.changes.slice(0, MOST_SHOWN)) {
        const { maker, reason, ops } = await registry.change(id);
        changes.push({ id, maker, reason, steps: ops.length });
      }
      const changesMore = found.changesMore || found.changes.length > MOST_SHOWN;
      return ok({ ...shown(found), changes, changesMore });
    },
  }),
];
