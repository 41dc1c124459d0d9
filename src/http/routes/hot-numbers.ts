import { z } from 'zod';
import { facilitiesText } from '../../registry/accounts/facilities.js';
import type { HotNumber } from '../../registry/investigation/hot-numbers.js';
import { SESSION_COOKIE } from '../cookies.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { ok, person, type Route, route } from '../route.js';
import { moment, uuid, words, writtenNumber } from '../shapes.js';
import { numberIn } from './search.js';

const hot = z.strictObject({
  id: z.string(),
  number: z.string(),
  reason: z.string(),
  state: z.enum(['proposed', 'watched', 'expired', 'ended']),
  proposedBy: z.string(),
  proposedAt: z.iso.datetime(),
  expires: z.iso.datetime(),
  approvedBy: z.string().nullable(),
  approvedAt: z.iso.datetime().nullable(),
  endedBy: z.string().nullable(),
  endedAt: z.iso.datetime().nullable(),
  endedWhy: z.string().nullable(),
});
const MOST_DAYS = 366;
const DAY_MS = 86_400_000;

export const hotNumberRoutes = (parts: Parts): readonly Route[] => {
  const { investigation, journal, search, numberDigest, signIn, wall } = parts;
  const { hot: numbers, gate, alerts } = investigation;
  const stateOf = ({ endedAt, expires, approvedBy }: HotNumber): z.infer<typeof hot>['state'] => {
    if (endedAt !== null) return 'ended';
    if (expires.getTime() <= wall()) return 'expired';
    return approvedBy === null ? 'proposed' : 'watched';
  };
  const shown = (one: HotNumber): z.infer<typeof hot> => ({
    ...one,
    state: stateOf(one),
    proposedAt: one.proposedAt.toISOString(),
    expires: one.expires.toISOString(),
    approvedAt: one.approvedAt?.toISOString() ?? null,
    endedAt: one.endedAt?.toISOString() ?? null,
  });
  return [
    route('GET /v1/search/hot-numbers', {
      about: 'Numbers that are watched, or proposed to be.',
      tag: 'search',
      answers: { 200: { json: z.strictObject({ rows: z.array(hot) }) } },
      run: async ({ within }) => ok({ rows: (await numbers.list(within)).map(shown) }),
    }),
    route('POST /v1/search/hot-numbers', {
      about:
        'Propose to be told when a monitored call is connected with a number. Another person must agree. A number that no monitored call can reach is refused, whatever the reason.',
      tag: 'search',
      body: z.strictObject({ number: writtenNumber, reason: words(500).min(3), expires: moment }),
      answers: { 201: { json: hot } },
      problems: ['number-malformed', 'number-not-watchable', 'op-refused', 'part-unavailable'],
      run: async (asked) => {
        const { number, reason, expires } = asked.body;
        const by = person(asked).name;
        const { within } = asked;
        const canonical = numberIn(() => search.canonical(number));
        const until = new Date(expires);
        if (until.getTime() <= wall() || until.getTime() > wall() + MOST_DAYS * DAY_MS)
          throw new Problem('request-malformed', '/expires: lies ahead, by a year at most');
        const [listed] = await gate.listed([canonical], '');
        if (listed === 'unknown') throw new Problem('part-unavailable', 'lists-unknown');
        const refused = async (): Promise<never> => {
          // Whoever tries numbers one after the other leaves a trace of it.
          await journal.append('http-hot-number-refused', {
            ...{ by, why: reason, number: await numberDigest(canonical) },
          });
          throw new Problem('number-not-watchable');
        };
        if (listed !== 'free') return await refused();
        try {
          return {
            status: 201,
            body: shown(
              await numbers.propose({
                ...{ number: canonical, reason, expires: until, by, facilities: within },
              }),
            ),
          };
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'number-not-watchable')
            return await refused();
          throw error;
        }
      },
    }),
    route('POST /v1/search/hot-numbers/:hot/approve', {
      about: 'Agree to a proposal of somebody else: from now on its number is watched.',
      tag: 'search',
      params: z.strictObject({ hot: uuid }),
      body: z.strictObject({}),
      answers: { 200: { json: hot } },
      problems: ['unknown', 'own-change', 'number-not-watchable', 'op-refused'],
      run: async (asked) =>
        ok(shown(await numbers.approve(asked.params.hot, person(asked).name, asked.within))),
    }),
    route('POST /v1/search/hot-numbers/:hot/end', {
      about: 'End the watch of a number, or take a proposal back.',
      tag: 'search',
      params: z.strictObject({ hot: uuid }),
      body: z.strictObject({ why: words(500).min(3) }),
      answers: { 204: 'nothing' },
      problems: ['unknown', 'op-refused'],
      run: async (asked) => {
        await numbers.end(asked.params.hot, person(asked).name, asked.body.why, asked.within);
        return { status: 204 };
      },
    }),
    route('GET /v1/search/alerts', {
      about: 'Monitored calls that were connected with a watched number, the newest first.',
      tag: 'search',
      answers: {
        200: {
          json: z.strictObject({
            rows: z.array(
              z.strictObject({
                hot: z.string(),
                callId: z.string(),
                at: z.iso.datetime(),
                facility: z.string(),
                caller: z.string().nullable(),
                number: z.string(),
              }),
            ),
          }),
        },
      },
      run: async ({ within }) => ok({ rows: await numbers.alerts(100, within) }),
    }),
    route('GET /v1/search/alerts/live', {
      about: 'The same as they happen: server-sent events `alert`, without the number, with a heartbeat.',
      tag: 'search',
      answers: { 200: { bytes: ['text/event-stream'] } },
      problems: ['too-many-watchers'],
      run: async (asked) => {
        const { request, reply, within } = asked;
        alerts.admit();
        const token = request.cookies[SESSION_COOKIE];
        reply.hijack();
        for (const [name, value] of Object.entries(reply.getHeaders()))
          if (value !== undefined) reply.raw.setHeader(name, value as string);
        reply.raw.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        });
        alerts.watch(
          reply.raw,
          async () => {
            const now = token === undefined ? null : await signIn.session(token, false);
            return now !== null && facilitiesText(now.who.facilities) === facilitiesText(within);
          },
          within,
        );
        return null;
      },
    }),
  ];
};
