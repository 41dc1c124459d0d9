import { z } from 'zod';
import type { Facilities } from '../../registry/accounts/facilities.js';
import { RegistryError } from '../../registry/errors.js';
import {
  type CallFilter,
  callSorts,
  type FoundCall,
  MOST_COUNTED,
} from '../../registry/investigation/call-query.js';
import { flags, flagTexts } from '../../registry/investigation/flags.js';
import { linksOf } from '../../registry/investigation/links.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { learnsOfPrivateCalls } from '../roles.js';
import { ok, person, type Route, route, someone } from '../route.js';
import {
  accountName,
  callerId,
  callId,
  cursor,
  cursorOf,
  cursorText,
  facilityId,
  limit,
  moment,
  pageOf,
  placeName,
  words,
  writtenNumber,
} from '../shapes.js';
import { endingText } from '../shown-call.js';

/** Why somebody looks: it is written down before anything is shown. */
const why = words(200).min(3).describe('Why: a case, an order, a matter. It is written down with who.');
const flag = z.enum(flags);
const seconds = z.number().min(0).max(1_000_000);

const call = z.strictObject({
  callId: z.string(),
  node: z.string(),
  began: z.iso.datetime(),
  ended: z.iso.datetime(),
  facility: z.string(),
  unit: z.string().nullable(),
  phone: z.string().nullable(),
  caller: z.string().nullable(),
  numbers: z.array(z.string()).describe('The number that was dialled, then those of other parties.'),
  ending: z.string(),
  endingText: z.string(),
  disposition: z.string(),
  connectedMs: z.int(),
  threeWay: z.int().describe('0 to 100: how much what was heard speaks for a third party.'),
  recording: z.string().nullable(),
  flags: z.array(flag),
  notes: z.int(),
});
const shown = ({ began, ended, numbers, flags: set, ...rest }: FoundCall): z.infer<typeof call> => ({
  ...rest,
  began: began.toISOString(),
  ended: ended.toISOString(),
  numbers: [...numbers],
  flags: [...set],
  endingText: endingText(rest.ending),
});

const filter = z.strictObject({
  why,
  caller: callerId.optional().describe('A caller’s permanent id.'),
  booking: words(40).optional().describe('A booking: its person’s calls while it was open.'),
  number: writtenNumber.optional().describe('A number, or what several begin with: `+1 212 555*`.'),
  extensions: z.boolean().default(false).describe('The number’s extensions too.'),
  since: moment.optional(),
  until: moment.optional(),
  facility: facilityId.optional(),
  unit: placeName.optional(),
  phone: placeName.optional(),
  leastSeconds: seconds.optional().describe('How long both could hear each other.'),
  mostSeconds: seconds.optional(),
  flags: z.array(flag).max(flags.length).optional(),
  leastThreeWay: z.int().min(0).max(100).optional(),
  notes: words(200).optional().describe('Words that stand in a note.'),
  noted: z.boolean().optional(),
  sort: z.enum(callSorts).default('newest'),
  cursor,
  limit: z.int().min(1).max(200).default(50),
});
type Filter = z.output<typeof filter>;

const ordered = (low: number | undefined, high: number | undefined, field: string): void => {
  if (low !== undefined && high !== undefined && low > high)
    throw new Problem('request-malformed', `/${field}: lies before where it begins`);
};
const dateOf = (text: string | undefined): Date | undefined =>
  text === undefined ? undefined : new Date(text);

/** A number that cannot be read is told as the field it is, and never repeated. */
export const numberIn = (read: () => string): string => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'number-malformed') throw error;
    throw new Problem('number-malformed', `/number: ${error.message.replace(/^[a-z-]+: /, '')}`);
  }
};

const filterOf = (asked: Filter, { search }: Pick<Parts, 'search'>, within: Facilities): CallFilter => {
  const { number, extensions, since, until } = asked;
  ordered(dateOf(since)?.getTime(), dateOf(until)?.getTime(), 'until');
  ordered(asked.leastSeconds, asked.mostSeconds, 'mostSeconds');
  const { caller, booking, facility, unit, phone, leastSeconds, mostSeconds, leastThreeWay, notes, noted } =
    asked;
  const read = (text: string): NonNullable<CallFilter['number']> => {
    if (text.trim().endsWith('*'))
      return { form: 'prefix', text: numberIn(() => search.prefix(text.trim())) };
    return { form: extensions ? 'line' : 'number', text: numberIn(() => search.canonical(text)) };
  };
  return {
    ...{ caller, booking, facility, unit, phone, leastSeconds, mostSeconds, leastThreeWay, notes, noted },
    flags: asked.flags,
    within,
    since: dateOf(since),
    until: dateOf(until),
    number: number === undefined ? undefined : read(number),
  };
};

/** What was asked, as it is written down: the number as a digest under a key of this host. */
const askedText = async (asked: Filter, found: CallFilter, parts: Parts): Promise<string> => {
  const { why: _why, cursor: _cursor, number: _number, ...rest } = asked;
  const number = found.number === undefined ? {} : { number: await parts.numberDigest(found.number.text) };
  return JSON.stringify({ ...rest, ...number });
};

const place = z.tuple([
  z.union([z.iso.datetime(), z.int().min(0).max(2_147_483_647)]),
  z.string().regex(/^c[a-z2-7]{26}$/),
]);

const callsRoute = (parts: Parts): Route =>
  route('POST /v1/search/calls', {
    about:
      'Past monitored calls. Calls that were, became or proved private are not among them, nor in any count.',
    tag: 'search',
    body: filter,
    answers: {
      200: {
        json: pageOf(call).extend({
          asOf: z.iso.datetime().nullable().describe('The journals were read up to then; null: not yet.'),
        }),
      },
    },
    problems: ['cursor-malformed', 'number-malformed', 'search-too-broad', 'part-unavailable'],
    run: async (asked) => {
      const { body } = asked;
      const { query, index } = parts.investigation;
      const wanted = filterOf(body, parts, asked.within);
      const after = cursorOf(body.cursor, place);
      // A place of another order is no place of this one.
      if (
        after !== null &&
        (typeof after[0] === 'string') !== (body.sort === 'newest' || body.sort === 'oldest')
      )
        throw new Problem('cursor-malformed');
      await parts.journal.append('http-search', {
        ...{
          by: person(asked).name,
          why: body.why,
          what: 'calls',
          asked: await askedText(body, wanted, parts),
        },
      });
      const found = await query.find(wanted, body.sort, after, body.limit).catch(partProblem);
      return ok({
        rows: found.rows.map(shown),
        total: Math.min(found.total, MOST_COUNTED),
        totalIsExact: found.total <= MOST_COUNTED,
        next: found.next === null ? null : cursorText(found.next),
        asOf: index.caughtUpAt(),
      });
    },
  });

const note = z.strictObject({
  id: z.string(),
  author: z.string(),
  at: z.iso.datetime(),
  text: z.string(),
  corrects: z.string().nullable(),
});

const callRoutesOf = ({ investigation, journal }: Parts): readonly Route[] => {
  const { query, notes } = investigation;
  const params = z.strictObject({ call: callId });
  /** Nothing can be said of a call of another facility. Who acts for all is told by the note itself. */
  const found = async (id: string, within: Facilities): Promise<void> => {
    if (within === 'all') return;
    if ((await query.one(id, within).catch(partProblem)) === null) throw new Problem('unknown');
  };
  return [
    route('POST /v1/search/calls/:call', {
      about:
        'One past monitored call with what was noted about it. Who reads it, and why, is written down first.',
      tag: 'search',
      params,
      body: z.strictObject({ why }),
      answers: {
        200: {
          json: z.strictObject({
            call,
            notes: z.array(note),
            marks: z.array(
              z.strictObject({
                flag,
                flagText: z.string(),
                state: z.enum(['set', 'cleared']),
                who: z.string(),
                at: z.iso.datetime(),
                why: z.string(),
              }),
            ),
          }),
        },
      },
      problems: ['unknown', 'search-too-broad', 'part-unavailable'],
      run: async (asked) => {
        const { call: id } = asked.params;
        await journal.append('http-search-read', { by: person(asked).name, why: asked.body.why, callId: id });
        const one = await query.one(id, asked.within).catch(partProblem);
        if (one === null) throw new Problem('unknown');
        const said = await notes.of(id);
        return ok({
          call: shown(one),
          notes: said.notes.map((each) => ({ ...each, at: each.at.toISOString() })),
          marks: said.marks.map((each) => ({
            ...each,
            at: each.at.toISOString(),
            flagText: flagTexts[each.flag] ?? each.flag,
          })),
        });
      },
    }),
    route('POST /v1/search/calls/:call/notes', {
      about: 'Note something about a call. Nothing is edited: a correction is a further note.',
      tag: 'search',
      params,
      body: z.strictObject({
        text: words(2000),
        corrects: z
          .string()
          .regex(/^[1-9]\d{0,15}$/)
          .nullable()
          .default(null),
      }),
      answers: { 201: { json: note } },
      problems: ['unknown', 'op-refused', 'part-unavailable'],
      run: async (asked) => {
        const said = { ...asked.body, author: person(asked).name };
        await found(asked.params.call, asked.within);
        const made = await notes.add(asked.params.call, said).catch(partProblem);
        return { status: 201, body: { ...made, at: made.at.toISOString() } };
      },
    }),
    route('POST /v1/search/calls/:call/flags', {
      about: 'Set a flag of a call, or take one off: each is a further word, with who, when and why.',
      tag: 'search',
      params,
      body: z.strictObject({ flag, state: z.enum(['set', 'cleared']), why }),
      answers: { 204: 'nothing' },
      problems: ['unknown', 'op-refused', 'part-unavailable'],
      run: async (asked) => {
        const said = { ...asked.body, who: person(asked).name };
        await found(asked.params.call, asked.within);
        await notes.mark(asked.params.call, said).catch(partProblem);
        return { status: 204 };
      },
    }),
  ];
};

const link = z.strictObject({
  caller: z.string(),
  number: z.string(),
  calls: z.int(),
  connectedMs: z.number(),
  first: z.iso.datetime(),
  last: z.iso.datetime(),
});

const linksRoute = (parts: Parts): Route =>
  route('POST /v1/search/links', {
    about:
      'Who calls which numbers, two steps at most: a caller’s numbers and who else calls them, or a number’s callers and what else they call. What may not be found is in no count.',
    tag: 'search',
    body: z
      .strictObject({
        why,
        caller: callerId.optional(),
        number: writtenNumber.optional(),
        since: moment.optional(),
        until: moment.optional(),
        sort: z.enum(['calls', 'last', 'longest']).default('calls'),
      })
      .refine(({ caller, number }) => (caller === undefined) !== (number === undefined), {
        message: 'a caller or a number, and not both',
        path: ['caller'],
      }),
    answers: {
      200: {
        json: z.strictObject({
          of: z.strictObject({ kind: z.enum(['caller', 'number']), value: z.string() }),
          links: z.array(link),
          further: z.array(link),
          more: z.boolean(),
        }),
      },
    },
    problems: ['number-malformed', 'search-too-broad', 'part-unavailable'],
    run: async (asked) => {
      const { body } = asked;
      ordered(dateOf(body.since)?.getTime(), dateOf(body.until)?.getTime(), 'until');
      const of =
        body.caller === undefined
          ? { kind: 'number' as const, value: numberIn(() => parts.search.canonical(body.number ?? '')) }
          : { kind: 'caller' as const, value: body.caller as string };
      const value = of.kind === 'number' ? await parts.numberDigest(of.value) : of.value;
      await parts.journal.append('http-search', {
        ...{ by: person(asked).name, why: body.why, what: 'links' },
        asked: JSON.stringify({ [of.kind]: value, since: body.since, until: body.until, sort: body.sort }),
      });
      const view = await linksOf(parts.investigation.query, {
        of,
        since: dateOf(body.since) ?? null,
        until: dateOf(body.until) ?? null,
        sort: body.sort,
        within: asked.within,
      }).catch(partProblem);
      const plain = (one: (typeof view.links)[number]) => ({
        ...one,
        first: one.first.toISOString(),
        last: one.last.toISOString(),
      });
      return ok({ of, links: view.links.map(plain), further: view.further.map(plain), more: view.more });
    },
  });

const logPlace = z.tuple([z.iso.datetime(), z.string().max(500), z.int().min(0)]);

const aboutRoutes = ({ investigation, journal }: Parts): readonly Route[] => [
  route('GET /v1/search/state', {
    about: 'How far the journals are in the index.',
    tag: 'search',
    answers: {
      200: {
        json: z.strictObject({
          calls: z.int().nullable().describe('About so many calls are in it; null for investigators.'),
          journals: z.array(
            z.strictObject({
              journal: z.string(),
              part: z.enum(['calls', 'custody', 'access']),
              seq: z
                .int()
                .nullable()
                .describe('Null for investigators: a count of rows tells of private calls.'),
              newest: z.iso.datetime().nullable(),
              caughtUpAt: z.iso
                .datetime()
                .nullable()
                .describe('When it was read to its end last; null where that failed, or was not yet.'),
            }),
          ),
          flags: z.array(z.strictObject({ flag, words: z.string() })),
        }),
      },
    },
    run: async (asked) => {
      const { calls, journals } = await investigation.index.state(asked.within);
      const all = learnsOfPrivateCalls(someone(asked));
      return ok({
        calls: all ? calls : null,
        journals: journals.map((one) => (all ? one : { ...one, seq: null, newest: null })),
        flags: flags.map((one) => ({ flag: one, words: flagTexts[one] })),
      });
    },
  }),
  route('GET /v1/search/log', {
    about: 'Who searched, read and exported, and why; the newest first.',
    tag: 'search',
    query: z.strictObject({ who: accountName.optional(), cursor, limit }),
    answers: {
      200: {
        json: z.strictObject({
          rows: z.array(
            z.strictObject({
              at: z.iso.datetime(),
              kind: z.string(),
              who: z.string(),
              why: z.string().nullable(),
              body: z.record(z.string(), z.unknown()),
              journal: z.string(),
              seq: z.int(),
            }),
          ),
          next: z.string().nullable(),
        }),
      },
    },
    problems: ['cursor-malformed', 'part-unavailable'],
    run: async (asked) => {
      const { who, limit: most } = asked.query;
      const after = cursorOf(asked.query.cursor, logPlace);
      await journal.append('http-search-log-read', { by: person(asked).name, of: who ?? null });
      await investigation.index.follow().catch(partProblem);
      const rows = await investigation.searches.page({ who: who ?? null, after, limit: most + 1 });
      const here = rows
        .slice(0, most)
        .map((row) => ({ ...row, at: row.at.toISOString(), body: { ...row.body } }));
      const last = here.at(-1);
      return ok({
        rows: here,
        next: rows.length > most && last !== undefined ? cursorText([last.at, last.journal, last.seq]) : null,
      });
    },
  }),
];

/** What investigators search: monitored calls, what is noted about them, and who calls whom. */
export const searchRoutes = (parts: Parts): readonly Route[] => [
  ...aboutRoutes(parts),
  callsRoute(parts),
  ...callRoutesOf(parts),
  linksRoute(parts),
];
