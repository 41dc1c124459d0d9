import { z } from 'zod';
import { MOST_COUNTED } from '../../registry/search.js';
import type { Parts } from '../parts.js';
import { mustReach, ok, type Route, route } from '../route.js';
import { callerId, cursor, cursorOf, facilityId, limit, paged, pageOf } from '../shapes.js';

const rowsOf = <T extends z.ZodType>(row: T) => z.strictObject({ rows: z.array(row) });
const facility = z.strictObject({
  id: z.string(),
  name: z.string(),
  timeZone: z.string(),
  units: z.int(),
  phones: z.int(),
  booked: z.int().describe('Callers who are booked there now.'),
});
const caller = z.strictObject({
  id: z.string(),
  language: z.string().nullable(),
  since: z.iso.datetime(),
  booking: z.string().nullable(),
  facility: z.string().nullable(),
  unit: z.string().nullable(),
});

export const placeRoutes = ({ search }: Parts): readonly Route[] => [
  route('GET /v1/facilities', {
    about: 'The facilities.',
    tag: 'places',
    answers: { 200: { json: rowsOf(facility) } },
    run: async ({ within }) => ok({ rows: await search.facilities(within) }),
  }),
  route('GET /v1/facilities/:facility/units', {
    about: 'The units of a facility.',
    tag: 'places',
    params: z.strictObject({ facility: facilityId }),
    answers: { 200: { json: rowsOf(z.strictObject({ id: z.string(), name: z.string() })) } },
    problems: ['unknown'],
    run: async ({ params, within }) => {
      mustReach(within, [params.facility]);
      return ok({ rows: await search.units(params.facility) });
    },
  }),
  route('GET /v1/facilities/:facility/phones', {
    about: 'The phones of a facility.',
    tag: 'places',
    params: z.strictObject({ facility: facilityId }),
    answers: {
      200: { json: rowsOf(z.strictObject({ id: z.string(), unit: z.string(), name: z.string() })) },
    },
    problems: ['unknown'],
    run: async ({ params, within }) => {
      mustReach(within, [params.facility]);
      return ok({ rows: await search.phones(params.facility) });
    },
  }),
  route('GET /v1/callers', {
    about: 'The callers, and where they are booked now.',
    tag: 'places',
    query: z.strictObject({ facility: facilityId.optional(), cursor, limit }),
    answers: { 200: { json: pageOf(caller) } },
    problems: ['cursor-malformed'],
    run: async ({ query, within }) => {
      const after = cursorOf(query.cursor, z.tuple([callerId]))?.[0] ?? null;
      const page = await search.callers({
        ...{ facility: query.facility, after, limit: query.limit + 1, within },
      });
      return ok(
        paged(page, query.limit, MOST_COUNTED, (row) => ({ ...row, since: row.since.toISOString() })),
      );
    },
  }),
];
