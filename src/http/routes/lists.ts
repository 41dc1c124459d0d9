import { z } from 'zod';
import { blockCauses, privilegedClasses } from '../../core/lists.js';
import {
  type AllowedRow,
  type BlockRow,
  MOST_COUNTED,
  type PendingRow,
  type PrivilegedRow,
} from '../../registry/search.js';
import type { Parts } from '../parts.js';
import { ok, type Route, route, someone } from '../route.js';
import {
  callerId,
  cursor,
  cursorOf,
  facilityId,
  iso,
  limit,
  paged,
  pageOf,
  uuid,
  writtenNumber,
} from '../shapes.js';

const privileged = z.strictObject({
  id: z.string(),
  form: z.enum(['number', 'range', 'prefix', 'alias']),
  value: z.string(),
  of: z.string().nullable(),
  class: z.enum(privilegedClasses),
  scope: z.string().describe('Kept as evidence. It never narrows protection.'),
  validFrom: z.iso.datetime().nullable(),
  validTo: z.iso.datetime().nullable(),
  effectiveFrom: z.iso.datetime().nullable(),
  entered: z.iso.datetime(),
  note: z.string(),
  evidence: z.string(),
  version: z.int(),
  change: z.string(),
});
const blocked = z.strictObject({
  id: z.string(),
  number: z.string(),
  cause: z.enum(blockCauses),
  note: z.string(),
  facility: z.string().nullable(),
  expires: z.iso.datetime().nullable(),
  version: z.int(),
  change: z.string(),
});
const allowed = z.strictObject({
  id: z.string(),
  caller: z.string().nullable(),
  facility: z.string().nullable(),
  bookedAt: z.string().nullable().describe('Where the caller is booked now: where the number counts.'),
  number: z.string(),
  change: z.string(),
});
const pending = z.strictObject({
  id: z.string(),
  number: z.string(),
  note: z.string(),
  facility: z.string().nullable().describe('Whose matter it is. The number is held everywhere.'),
  since: z.iso.datetime(),
  version: z.int(),
  change: z.string(),
});

const shownPrivileged = (row: PrivilegedRow): z.infer<typeof privileged> => ({
  ...row,
  validFrom: iso(row.validFrom),
  validTo: iso(row.validTo),
  effectiveFrom: iso(row.effectiveFrom),
  entered: row.entered.toISOString(),
});
const shownBlock = (row: BlockRow): z.infer<typeof blocked> => ({ ...row, expires: iso(row.expires) });
const shownAllowed = (row: AllowedRow): z.infer<typeof allowed> => ({ ...row });
const shownPending = (row: PendingRow): z.infer<typeof pending> => ({
  ...row,
  since: row.since.toISOString(),
});

/** Why an entry is about a number, in words. */
const matchTexts: Readonly<Record<string, string>> = {
  number: 'is this number',
  alias: 'is another number of the same line',
  'alias-of-it': 'is a number that leads to it',
  range: 'is a range that it lies in',
  prefix: 'is a beginning that it has',
  'main-number-of-extension': 'is its main number: its extensions are protected with it',
  extension: 'is an extension of it alone: the main number is not protected by that',
};

const after = (text: string | undefined): string | null => cursorOf(text, z.tuple([uuid]))?.[0] ?? null;

export const listRoutes = ({ search, journal, numberDigest }: Parts): readonly Route[] => [
  route('GET /v1/lists/privileged', {
    about: 'Privileged entries that stand. Reading them is written down.',
    tag: 'lists',
    query: z.strictObject({
      facility: facilityId.optional(),
      class: z.enum(privilegedClasses).optional(),
      cursor,
      limit,
    }),
    answers: { 200: { json: pageOf(privileged) } },
    problems: ['cursor-malformed', 'journal-unavailable'],
    run: async (asked) => {
      const { facility, class: of, limit: most } = asked.query;
      const page = await search.privileged({
        ...{ facility, class: of, within: asked.within },
        after: after(asked.query.cursor),
        limit: most + 1,
      });
      const shown = paged(page, most, MOST_COUNTED, shownPrivileged);
      await journal.append('http-privileged-read', {
        ...{ by: someone(asked).name, facility: facility ?? null, class: of ?? null },
        entries: shown.rows.length,
      });
      return ok(shown);
    },
  }),
  route('GET /v1/lists/allowed', {
    about: 'Numbers on the lists of callers and of facilities.',
    tag: 'lists',
    query: z.strictObject({ facility: facilityId.optional(), caller: callerId.optional(), cursor, limit }),
    answers: { 200: { json: pageOf(allowed) } },
    problems: ['cursor-malformed'],
    run: async ({ query, within }) => {
      const page = await search.allowed({
        ...query,
        within,
        after: after(query.cursor),
        limit: query.limit + 1,
      });
      return ok(paged(page, query.limit, MOST_COUNTED, shownAllowed));
    },
  }),
  route('GET /v1/lists/blocked', {
    about: 'Blocks that stand.',
    tag: 'lists',
    query: z.strictObject({
      facility: facilityId.optional(),
      cause: z.enum(blockCauses).optional(),
      cursor,
      limit,
    }),
    answers: { 200: { json: pageOf(blocked) } },
    problems: ['cursor-malformed'],
    run: async ({ query, within }) => {
      const page = await search.blocked({
        ...query,
        within,
        after: after(query.cursor),
        limit: query.limit + 1,
      });
      return ok(paged(page, query.limit, MOST_COUNTED, shownBlock));
    },
  }),
  route('GET /v1/lists/pending', {
    about: 'Numbers that somebody says are privileged, until it is settled. Nobody is recorded meanwhile.',
    tag: 'lists',
    query: z.strictObject({ cursor, limit }),
    answers: { 200: { json: pageOf(pending) } },
    problems: ['cursor-malformed', 'journal-unavailable'],
    run: async (asked) => {
      const { limit: most } = asked.query;
      const page = await search.pending({
        ...{ after: after(asked.query.cursor), limit: most + 1, within: asked.within },
      });
      const shown = paged(page, most, MOST_COUNTED, shownPending);
      // Most of them are counsels' numbers.
      await journal.append('http-privileged-read', {
        ...{ by: someone(asked).name, facility: null, class: 'pending', entries: shown.rows.length },
      });
      return ok(shown);
    },
  }),
  route('POST /v1/lists/lookup', {
    about:
      'Everything that stands about one number, and why. The number is in the body, so that no log of addresses holds it.',
    tag: 'lists',
    body: z.strictObject({ number: writtenNumber }),
    answers: {
      200: {
        json: z.strictObject({
          number: z.string().describe('As it was read: the one canonical writing.'),
          words: z.string(),
          privileged: z.array(privileged.extend({ match: z.string(), matchText: z.string() })),
          blocked: z.array(blocked),
          pending: z.array(pending),
          allowed: z.array(allowed),
        }),
      },
    },
    problems: ['number-malformed', 'journal-unavailable'],
    run: async (asked) => {
      const found = await search.number(asked.body.number, asked.within);
      await journal.append('http-number-asked', {
        ...{ by: someone(asked).name, number: await numberDigest(found.number) },
        privileged: found.privileged.length > 0 || found.elsewhere.privileged,
        what: 'lookup',
      });
      return ok({
        number: found.number,
        words: summary(found),
        privileged: found.privileged.map((row) => ({
          ...shownPrivileged(row),
          match: row.match,
          matchText: matchTexts[row.match] ?? row.match,
        })),
        blocked: found.blocked.map(shownBlock),
        pending: found.pending.map(shownPending),
        allowed: found.allowed.map(shownAllowed),
      });
    },
  }),
];

/** Of the lists alone: what a call would come to is for `explain`. */
const summary = (found: {
  readonly privileged: readonly { readonly match: string }[];
  readonly blocked: readonly unknown[];
  readonly pending: readonly unknown[];
  readonly allowed: readonly unknown[];
  readonly elsewhere: { readonly privileged: boolean; readonly pending: boolean };
}): string => {
  const protects = found.privileged.filter(({ match }) => match !== 'extension');
  if (protects.length > 0)
    return `Privileged: ${protects.length} entry(ies) protect it. Calls to it cannot be recorded.`;
  // Protection of one facility holds in all: whoever may not see the entry has to know that it is there.
  if (found.elsewhere.privileged)
    return 'Privileged: an entry of another facility protects it. Calls to it cannot be recorded.';
  if (found.pending.length > 0 || found.elsewhere.pending)
    return 'Somebody says that it is privileged: no call to it is connected until that is settled.';
  if (found.blocked.length > 0) return 'Blocked.';
  if (found.allowed.length > 0)
    return `Not privileged; on ${found.allowed.length} list(s) of callers or facilities.`;
  return 'On no list.';
};
