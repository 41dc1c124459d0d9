import { z } from 'zod';
import { blockCauses, privilegedClasses } from '../../core/lists.js';
import { covers, type Facilities } from '../../registry/accounts/facilities.js';
import type { CallerRecord, EntryEvent, EntryHistory } from '../../registry/history.js';
import {
  type AllowedRow,
  type BlockRow,
  type CallerRow,
  MOST_COUNTED,
  type PendingRow,
  type PrivilegedRow,
} from '../../registry/search.js';
import { fieldChanges } from '../change-fields.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import type { Principal } from '../roles.js';
import { ok, type Route, route, someone } from '../route.js';
import { callerId, cursor, cursorOf, cursorText, facilityId, iso, paged, pageOf, uuid } from '../shapes.js';
import { plain } from './changes.js';

/** Of every list the same row, so that one table shows them all. */
const hit = z.strictObject({
  list: z.enum(['privileged', 'allowed', 'blocked', 'pending', 'callers']),
  id: z.string(),
  what: z.string().describe('The number, range or beginning; or the id of the caller.'),
  form: z.string().nullable(),
  of: z.string().nullable(),
  class: z.string().nullable(),
  cause: z.string().nullable(),
  caller: z.string().nullable(),
  facility: z.string().nullable(),
  note: z.string(),
  evidence: z.string().nullable(),
  from: z.iso.datetime().nullable(),
  to: z.iso.datetime().nullable(),
  version: z.int().nullable(),
  change: z.string().nullable(),
});
type Hit = z.infer<typeof hit>;

const bare: Omit<Hit, 'list' | 'id' | 'what'> = {
  ...{ form: null, of: null, class: null, cause: null, caller: null, facility: null, note: '' },
  ...{ evidence: null, from: null, to: null, version: null, change: null },
};
const hitOf = {
  privileged: (row: PrivilegedRow): Hit => ({
    ...bare,
    ...{ list: 'privileged', id: row.id, what: row.value, form: row.form, of: row.of, class: row.class },
    ...{ facility: row.scope === 'global' ? null : row.scope, note: row.note, evidence: row.evidence },
    ...{ from: iso(row.validFrom), to: iso(row.validTo), version: row.version, change: row.change },
  }),
  blocked: (row: BlockRow): Hit => ({
    ...bare,
    ...{ list: 'blocked', id: row.id, what: row.number, cause: row.cause, facility: row.facility },
    ...{ note: row.note, to: iso(row.expires), version: row.version, change: row.change },
  }),
  pending: (row: PendingRow): Hit => ({
    ...bare,
    ...{ list: 'pending', id: row.id, what: row.number, note: row.note, from: iso(row.since) },
    ...{ facility: row.facility, version: row.version, change: row.change },
  }),
  allowed: (row: AllowedRow): Hit => ({
    ...bare,
    ...{ list: 'allowed', id: row.id, what: row.number, caller: row.caller, change: row.change },
    facility: row.facility ?? row.bookedAt,
  }),
  callers: (row: CallerRow & { readonly id: string }): Hit => ({
    ...bare,
    ...{ list: 'callers', id: row.id, what: row.id, caller: row.id, facility: row.facility },
    ...{ note: row.booking ?? '', from: iso(row.since) },
  }),
} as const;

const sought = z
  .string()
  .trim()
  .max(80)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u)
  .default('');
const most = z.int().min(1).max(200).default(50);

const fieldChange = z.strictObject({
  field: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
});
const event = z.strictObject({
  change: z.string(),
  what: z.enum(['made', 'amended', 'removed']),
  maker: z.string(),
  reason: z.string(),
  approvers: z.array(z.string()),
  proposedAt: z.iso.datetime(),
  doneAt: z.iso.datetime().nullable(),
  epoch: z
    .int()
    .nullable()
    .describe('The publication it went live with, at the latest; null where that is not known.'),
  fields: z.array(fieldChange).describe('What the change made of the entry, as far as it says so.'),
});
const record = z.strictObject({
  list: z.enum(['privileged', 'blocked', 'pending', 'allowed']),
  id: z.string(),
  stands: z.boolean(),
  version: z.int().nullable(),
  fields: z.array(z.strictObject({ field: z.string(), value: z.string() })),
  raw: z.record(z.string(), z.unknown()).describe('The members as a step of a change takes them.'),
  history: z.array(event),
  open: z.array(z.strictObject({ id: z.string(), maker: z.string(), reason: z.string(), state: z.string() })),
});
const caller = z.strictObject({
  id: z.string(),
  language: z.string().nullable(),
  since: z.iso.datetime(),
  numbers: z.int(),
  bookings: z.array(
    z.strictObject({
      booking: z.string(),
      facility: z.string(),
      unit: z.string().nullable(),
      opened: z.iso.datetime(),
      closed: z.iso.datetime().nullable(),
    }),
  ),
});
const place = z.strictObject({
  id: z.string(),
  kind: z.enum(['facility', 'unit', 'phone']),
  facility: z.string(),
  unit: z.string().nullable(),
  phone: z.string().nullable(),
  name: z.string(),
});

const shownCaller = ({ bookings, since, ...one }: CallerRecord): z.infer<typeof caller> => ({
  ...one,
  since: since.toISOString(),
  bookings: bookings.map((row) => ({
    ...row,
    opened: row.opened.toISOString(),
    closed: iso(row.closed),
  })),
});

/** Looking for entries, and at one of them with all that became of it. */
export const findRoutes = ({ search, history, registry, publications, journal }: Parts): readonly Route[] => {
  const read = (who: Principal, of: string, entries: number): Promise<void> =>
    journal.append('http-privileged-read', { by: who.name, facility: null, class: of, entries });

  /** Of a change that is not theirs to see only what it did, and when. */
  const unseen = { maker: '…', reason: '…', approvers: [], fields: [] };

  const eventsOf = async (
    events: readonly EntryEvent[],
    within: Facilities,
  ): Promise<z.infer<typeof event>[]> => {
    await publications.refresh().catch(() => undefined);
    const shown: z.infer<typeof event>[] = [];
    let before: Record<string, unknown> | null = null;
    for (const { change: id, what, after } of events) {
      const change = await registry.change(id);
      const is: Record<string, unknown> | null = after === null ? null : plain(after);
      shown.push({
        ...{ change: id, what, maker: change.maker, reason: change.reason },
        approvers: [...change.approvers],
        proposedAt: change.proposedAt.toISOString(),
        doneAt: iso(change.overAt),
        epoch: publications.epochOf(id),
        fields: is === null ? [] : [...fieldChanges(before, is)],
        ...(covers(within, change.facilities) ? {} : unseen),
      });
      before = is;
    }
    return shown;
  };

  const recordOf = async (
    list: z.infer<typeof record>['list'],
    id: string,
    found: EntryHistory,
    within: Facilities,
  ): Promise<z.infer<typeof record>> => {
    const raw = plain(found.row);
    const open = [];
    for (const change of found.open) {
      const { maker, reason, state } = await registry.change(change);
      open.push({ id: change, maker, reason, state });
    }
    return {
      ...{ list, id, stands: found.stands, raw, open },
      version: typeof raw.version === 'number' ? raw.version : null,
      fields: fieldChanges(null, raw).flatMap(({ field, after }) =>
        after === null ? [] : [{ field, value: after }],
      ),
      history: await eventsOf(found.events, within),
    };
  };

  return [
    route('POST /v1/lists/search', {
      about:
        'Entries of a list that hold some digits or words, in pages. What is sought is in the body, so that no log of addresses holds it.',
      tag: 'lists',
      body: z.strictObject({
        list: hit.shape.list,
        text: sought.describe(
          'Digits of a number, or words of a note. Of allowed numbers: a whole number, or a caller.',
        ),
        class: z.enum(privilegedClasses).optional(),
        cause: z.enum(blockCauses).optional(),
        facility: facilityId.optional(),
        cursor,
        limit: most,
      }),
      answers: { 200: { json: pageOf(hit) } },
      problems: ['cursor-malformed'],
      run: async (asked) => {
        const { list, text, class: of, cause, facility, limit: bound } = asked.body;
        const who = someone(asked);
        const { within } = asked;
        const place = { limit: bound + 1, ...(text === '' ? {} : { text }), facility, within };
        const after = list === 'callers' ? null : (cursorOf(asked.body.cursor, z.tuple([uuid]))?.[0] ?? null);
        switch (list) {
          case 'privileged': {
            const page = await search.privileged({ ...place, after, class: of });
            const found = paged(page, bound, MOST_COUNTED, hitOf.privileged);
            await read(who, of ?? 'search', found.rows.length);
            return ok(found);
          }
          case 'blocked':
            return ok(
              paged(await search.blocked({ ...place, after, cause }), bound, MOST_COUNTED, hitOf.blocked),
            );
          case 'pending': {
            const found = paged(
              await search.pending({ ...place, after }),
              bound,
              MOST_COUNTED,
              hitOf.pending,
            );
            await read(who, 'pending', found.rows.length);
            return ok(found);
          }
          case 'allowed': {
            const filter = { limit: bound + 1, facility, after, within, ...ownerOrNumber(text, search) };
            return ok(paged(await search.allowed(filter), bound, MOST_COUNTED, hitOf.allowed));
          }
          case 'callers': {
            const from = cursorOf(asked.body.cursor, z.tuple([callerId]))?.[0] ?? null;
            return ok(
              paged(await search.callers({ ...place, after: from }), bound, MOST_COUNTED, hitOf.callers),
            );
          }
          default: {
            const never: never = list;
            return never;
          }
        }
      },
    }),
    route('GET /v1/lists/entries/:list/:entry', {
      about:
        'One entry with its history: who proposed and approved what, and with which publication it went live.',
      tag: 'lists',
      params: z.strictObject({ list: record.shape.list, entry: uuid }),
      answers: { 200: { json: record } },
      problems: ['unknown'],
      run: async (asked) => {
        const { within } = asked;
        const { list, entry } = asked.params;
        const found =
          list === 'allowed'
            ? await history.allowed(entry, within)
            : await history.entry(list, entry, within);
        if (found === null) throw new Problem('unknown');
        if (list === 'privileged' || list === 'pending') await read(someone(asked), `${list} entry`, 1);
        return ok(await recordOf(list, entry, found, within));
      },
    }),
    route('GET /v1/callers/:caller', {
      about: 'One caller, and where they were booked.',
      tag: 'places',
      params: z.strictObject({ caller: callerId }),
      answers: { 200: { json: caller } },
      problems: ['unknown'],
      run: async ({ params, within }) => {
        const found = await history.caller(params.caller, within);
        if (found === null) throw new Problem('unknown');
        return ok(shownCaller(found));
      },
    }),
    route('POST /v1/places/search', {
      about: 'Facilities, units and phones whose id or name holds a text.',
      tag: 'places',
      body: z.strictObject({ text: sought, cursor, limit: most }),
      answers: { 200: { json: pageOf(place) } },
      problems: ['cursor-malformed'],
      run: async (asked) => {
        const { text, limit: bound } = asked.body;
        const after = cursorOf(asked.body.cursor, z.tuple([z.string().max(200)]))?.[0] ?? null;
        const { rows, total } = await history.places({
          ...{ text, after, limit: bound + 1, within: asked.within },
        });
        const here = rows.slice(0, bound);
        const last = here.at(-1);
        return ok({
          rows: here,
          ...{ total: Math.min(total, MOST_COUNTED), totalIsExact: total <= MOST_COUNTED },
          next: rows.length > bound && last !== undefined ? cursorText([last.id]) : null,
        });
      },
    }),
  ];
};

/** What somebody looks for among allowed numbers: a number, where it can be read as one, else a caller. */
const ownerOrNumber = (
  text: string,
  search: Parts['search'],
): { readonly number?: string; readonly caller?: string } => {
  if (text === '') return {};
  const read = search.readable(text);
  return read === null ? { caller: text } : { number: read };
};
