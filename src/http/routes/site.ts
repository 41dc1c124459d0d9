import { z } from 'zod';
import type { OrderView } from '../../api/control.js';
import { type AlarmCode, alarmTexts } from '../../call/events.js';
import type { Locked as LockedPlace } from '../../call/talk.js';
import { type Facilities, holds } from '../../registry/accounts/facilities.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { learnsOfPrivateCalls } from '../roles.js';
import { mustReach, ok, person, type Route, route, someone } from '../route.js';
import { cursor, cursorOf, cursorText, facilityId, limit, pageOf, placeName, words } from '../shapes.js';
import { wordsOf } from '../shown-call.js';
import { TwoStep } from '../two-step.js';

const place = z.discriminatedUnion('level', [
  z.strictObject({ level: z.literal('global') }),
  z.strictObject({ level: z.literal('facility'), facility: facilityId }),
  z.strictObject({ level: z.literal('unit'), facility: facilityId, unit: placeName }),
  z.strictObject({ level: z.literal('phone'), facility: facilityId, phone: placeName }),
]);
/** The same in an answer: ids as they are. */
const placeShown = z.discriminatedUnion('level', [
  z.strictObject({ level: z.literal('global') }),
  z.strictObject({ level: z.literal('facility'), facility: z.string() }),
  z.strictObject({ level: z.literal('unit'), facility: z.string(), unit: z.string() }),
  z.strictObject({ level: z.literal('phone'), facility: z.string(), phone: z.string() }),
]);
const placeText = (where: LockedPlace): string => {
  switch (where.level) {
    case 'global':
      return 'every phone of every facility';
    case 'facility':
      return `every phone of ${where.facility}`;
    case 'unit':
      return `every phone of unit ${where.unit} of ${where.facility}`;
    case 'phone':
      return `phone ${where.phone} of ${where.facility}`;
    default: {
      const never: never = where;
      return never;
    }
  }
};
interface Lockdown {
  readonly place: LockedPlace;
  readonly state: 'on' | 'off';
  readonly why: string;
}
const CONFIRM_MS = 60_000;
const anything = z.record(z.string(), z.unknown());
const rowsOf = <T extends z.ZodType>(row: T) => z.strictObject({ rows: z.array(row) });
const plain = (value: object): Record<string, unknown> =>
  JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

/** Whether phones of theirs are in it: an order for all is for theirs too. */
const isHere = (where: LockedPlace, within: Facilities): boolean =>
  where.level === 'global' || holds(within, where.facility);
/** Throws Problem `not-allowed` for all at once, and `unknown` for a facility of others. */
const mayLock = (where: LockedPlace, within: Facilities): void => {
  if (where.level !== 'global') mustReach(within, [where.facility]);
  else if (within !== 'all')
    throw new Problem('not-allowed', 'all of it is locked by accounts of all facilities');
};

const lockdownRoutes = ({ controller, history, journal, mono }: Parts): readonly Route[] => {
  /** Numbers that are held are counted over all facilities; who is suspended is of theirs or not. */
  const isTheirs = async (order: OrderView, within: Facilities): Promise<boolean> => {
    if (within === 'all') return true;
    if (order.kind === 'lockdown') return isHere(order.place, within);
    return order.kind === 'suspension' && (await history.caller(order.caller, within)) !== null;
  };
  const asked = new TwoStep<Lockdown>(CONFIRM_MS, mono);
  return [
    route('GET /v1/orders', {
      about: 'What operators and callers ordered that stands: lockdowns, suspensions, held numbers (masked).',
      tag: 'site',
      answers: { 200: { json: rowsOf(anything) } },
      problems: ['controller-unreachable'],
      run: async ({ within }) => {
        const orders = await controller.orders().catch(partProblem);
        const rows = [];
        for (const order of orders) if (await isTheirs(order, within)) rows.push(plain(order));
        return ok({ rows });
      },
    }),
    route('GET /v1/lockdown', {
      about: 'Where phones are locked now. Who ordered it and why is told with the other orders.',
      tag: 'site',
      answers: {
        200: {
          json: rowsOf(z.strictObject({ place: placeShown, placeText: z.string(), since: z.string() })),
        },
      },
      problems: ['controller-unreachable'],
      run: async ({ within }) => {
        const orders = await controller.orders().catch(partProblem);
        return ok({
          rows: orders.flatMap((order) =>
            order.kind === 'lockdown' && isHere(order.place, within)
              ? [{ place: { ...order.place }, placeText: placeText(order.place), since: order.since }]
              : [],
          ),
        });
      },
    }),
    route('POST /v1/lockdown', {
      about: 'Lock phones, or open them again: the first of two steps. Nothing happens yet.',
      tag: 'site',
      body: z.strictObject({ place, state: z.enum(['on', 'off']), why: words(200) }),
      answers: {
        200: {
          json: z.strictObject({
            confirm: z.string(),
            seconds: z.int().describe('How long it may be confirmed.'),
            words: z.string(),
          }),
        },
      },
      problems: ['unknown', 'busy'],
      run: async (request) => {
        const { session } = person(request);
        const { body } = request;
        mayLock(body.place, request.within);
        const confirm = asked.ask(session, body);
        const what =
          body.state === 'on'
            ? `No call will be connected from ${placeText(body.place)}, and calls under way there end, but for private ones as the policy says.`
            : `Calls can be made again from ${placeText(body.place)}.`;
        return ok({ confirm, seconds: CONFIRM_MS / 1000, words: what });
      },
    }),
    route('POST /v1/lockdown/confirm', {
      about: 'The second step: it is done.',
      tag: 'site',
      body: z.strictObject({ confirm: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
      answers: { 200: { json: z.strictObject({ note: z.string().nullable(), words: z.string() }) } },
      problems: [
        ...(['unknown', 'confirmation-unknown', 'controller-refused'] as const),
        ...(['controller-unreachable', 'controller-uncertain', 'journal-unavailable'] as const),
      ],
      run: async (request) => {
        const who = person(request);
        const order = asked.confirm(who.session, request.body.confirm);
        mayLock(order.place, request.within);
        const { level, ...where } = order.place;
        await journal.append('http-order', {
          ...{ by: who.name, order: 'lockdown', state: order.state, level },
          place: Object.values(where).join('/'),
        });
        const note = await controller
          .lockdown(order.place, order.state, who.name, order.why)
          .catch(partProblem);
        return ok({ note, words: `Lockdown ${order.state}: ${placeText(order.place)}.` });
      },
    }),
  ];
};

const controllerState = (
  said: Awaited<ReturnType<Parts['controller']['ready']>>,
  within: Facilities,
): { readonly ok: boolean; readonly why: string } => {
  if (said === null) return { ok: false, why: 'controller-unreachable' };
  return within === 'all' || said.ready
    ? { ok: true, why: 'ok' }
    : { ok: false, why: 'controller-not-ready' };
};

const stateRoutes = ({ controller, search, log }: Parts): readonly Route[] => [
  route('GET /v1/health', {
    about: 'Whether this process turns, and nothing else.',
    tag: 'site',
    answers: { 200: { json: z.strictObject({ live: z.literal(true) }) } },
    run: async () => ok({ live: true }),
  }),
  route('GET /v1/status', {
    about: 'Whether the parts answer, and why not.',
    tag: 'site',
    answers: {
      200: {
        json: z.strictObject({
          ready: z.boolean(),
          checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), why: z.string() })),
        }),
      },
    },
    run: async (asked) => {
      const { within } = asked;
      const registry = await search.ping().then(
        () => ({ name: 'registry', ok: true, why: 'ok' }),
        () => ({ name: 'registry', ok: false, why: 'registry-unreachable' }),
      );
      const said = await controller.ready();
      const checks = [
        registry,
        // What each part of the controller is called is of the whole system: to others it is one part.
        { name: 'controller', ...controllerState(said, within) },
        ...(within === 'all' ? (said?.checks ?? []) : []).map(({ name, ok: fine, why }) => ({
          name: `controller.${name}`,
          ok: fine,
          why,
        })),
      ];
      // Why a part is not ready may count calls.
      const all = learnsOfPrivateCalls(someone(asked));
      return ok({
        ready: checks.every((one) => one.ok),
        checks: all ? checks : checks.map((one) => ({ ...one, why: one.ok ? 'ok' : 'not-ok' })),
      });
    },
  }),
  route('GET /v1/nodes', {
    about: 'The media nodes, as the journals know them.',
    tag: 'site',
    answers: {
      200: {
        json: rowsOf(
          z.strictObject({
            name: z.string(),
            journal: z.string(),
            pool: z.string().nullable(),
            state: z.string().nullable(),
            at: z.iso.datetime(),
            attested: z.strictObject({ at: z.iso.datetime(), verdict: z.string() }).nullable(),
          }),
        ),
      },
    },
    problems: ['part-unavailable'],
    run: async () => {
      await log.refresh().catch(partProblem);
      return ok({ rows: log.nodes });
    },
  }),
  route('GET /v1/alarms', {
    about: 'Alarms, the newest first.',
    tag: 'site',
    query: z.strictObject({ cursor, limit }),
    answers: {
      200: {
        json: pageOf(
          z.strictObject({
            at: z.iso.datetime(),
            node: z.string(),
            seq: z.int(),
            alarm: z.string(),
            words: z.string(),
            callId: z.string().nullable(),
            detail: z.string(),
          }),
        ),
      },
    },
    problems: ['cursor-malformed', 'part-unavailable'],
    run: async ({ query, within }) => {
      await log.refresh().catch(partProblem);
      const place = cursorOf(query.cursor, z.tuple([z.iso.datetime(), z.int()]));
      // Those of no call, or of one that is not known, are of the whole system.
      const all = log.alarms.filter(({ facility }) => holds(within, facility)).toReversed();
      const from =
        place === null
          ? 0
          : all.findIndex(({ at, seq }) => at < place[0] || (at === place[0] && seq < place[1]));
      const here = from < 0 ? [] : all.slice(from, from + query.limit);
      const last = here.at(-1);
      return ok({
        rows: here.map(({ journal: _journal, facility: _facility, ...one }) => ({
          ...one,
          words: alarmText(one.alarm),
        })),
        total: all.length,
        totalIsExact: true,
        next: last !== undefined && from + query.limit < all.length ? cursorText([last.at, last.seq]) : null,
      });
    },
  }),
  route('GET /v1/canaries', {
    about: 'What test calls have shown, by facility.',
    tag: 'site',
    answers: { 200: { json: rowsOf(anything) } },
    problems: ['controller-unreachable'],
    run: async ({ within }) => {
      const all = await controller.canaries().catch(partProblem);
      return ok({ rows: all.filter(({ facility }) => holds(within, facility)).map(plain) });
    },
  }),
];

const watchRoutes = ({ custody, journals }: Parts): readonly Route[] => [
  route('GET /v1/custody', {
    about: 'What custody says of its rounds over the recordings.',
    tag: 'site',
    answers: {
      200: {
        json: z.strictObject({
          status: z
            .strictObject({
              at: z.iso.datetime(),
              round: z.string().nullable(),
              epoch: z.int().nullable(),
              last: z.record(
                z.string(),
                z.strictObject({ at: z.iso.datetime(), found: z.record(z.string(), z.number()) }),
              ),
              alarms: z.record(z.string(), z.number()),
            })
            .nullable()
            .describe('Null where it says nothing, or the configuration names no file for it.'),
        }),
      },
    },
    run: async () => ok({ status: await custody.status() }),
  }),
  route('GET /v1/journals', {
    about: 'The journals and their last signed heads.',
    tag: 'site',
    answers: {
      200: {
        json: rowsOf(
          z.strictObject({
            journal: z.string(),
            part: z.string(),
            head: z
              .strictObject({ size: z.int(), root: z.string(), at: z.string(), key: z.string() })
              .nullable(),
            problem: z.string().nullable(),
          }),
        ),
      },
    },
    run: async () => ok({ rows: await journals.heads() }),
  }),
];

const alarmText = (code: string): string =>
  Object.hasOwn(alarmTexts, code) ? alarmTexts[code as AlarmCode] : wordsOf(code);

export const siteRoutes = (parts: Parts): readonly Route[] => [
  ...stateRoutes(parts),
  ...lockdownRoutes(parts),
  ...watchRoutes(parts),
];
