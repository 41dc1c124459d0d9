import { z } from 'zod';
import { isCanaryTrunk } from '../../core/leg.js';
import { privilegedClasses } from '../../core/lists.js';
import { type Facilities, facilitiesText, holds } from '../../registry/accounts/facilities.js';
import { type PastCall, pastCall } from '../call-log.js';
import { SESSION_COOKIE } from '../cookies.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { PartError, type ShownRow } from '../ports.js';
import { Problem } from '../problems.js';
import { type Principal, seesNumber } from '../roles.js';
import { mustReach, ok, type Route, route, someone } from '../route.js';
import {
  callerId,
  callId,
  cursor,
  cursorOf,
  cursorText,
  facilityId,
  moment,
  pageOf,
  writtenNumber,
} from '../shapes.js';
import { endingText, shownBody, shownCall, verdictText } from '../shown-call.js';

const past = z.strictObject({
  callId: z.string(),
  node: z.string(),
  endedAt: z.iso.datetime(),
  arrivedAt: z.iso.datetime().nullable(),
  facility: z.string(),
  trunk: z.string(),
  unit: z.string().nullable(),
  phone: z.string().nullable(),
  caller: z.string().nullable(),
  dialled: z.string(),
  number: z.string().nullable().describe('… where who asks may not see it.'),
  numberShown: z.boolean(),
  verdict: z.string(),
  verdictText: z.string(),
  class: z.string().nullable(),
  reasons: z.array(z.strictObject({ code: z.string(), words: z.string() })),
  ending: z.string(),
  endingText: z.string(),
  disposition: z.string(),
  fault: z.string(),
  durationMs: z.int(),
  connectedMs: z.int(),
  recording: z.string().nullable(),
});
const live = z.strictObject({
  callId: z.string(),
  trunk: z.string(),
  facility: z.string(),
  phase: z.string(),
  verdict: z.string(),
  verdictText: z.string(),
  elapsedMs: z.int(),
});
const search = z.strictObject({
  since: moment.optional(),
  until: moment.optional(),
  facility: facilityId.optional(),
  caller: callerId.optional(),
  number: writtenNumber.optional(),
  verdict: z.enum(['monitored', 'private', 'refused', 'undecided']).optional(),
  class: z.enum(privilegedClasses).optional(),
  ending: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional(),
  tests: z.boolean().default(true).describe('Whether test calls are among them.'),
  cursor,
  limit: z.int().min(1).max(200).default(50),
});

/** Whose number is asked for is told by the answer: only calls whose number this person may see are looked at. */
const fits = (
  call: PastCall,
  asked: z.output<typeof search>,
  number: string | null,
  who: Principal,
  within: Facilities,
): boolean =>
  holds(within, call.facility) &&
  (asked.since === undefined || call.endedAt >= new Date(asked.since).toISOString()) &&
  (asked.until === undefined || call.endedAt < new Date(asked.until).toISOString()) &&
  (asked.facility === undefined || call.facility === asked.facility) &&
  (asked.caller === undefined || call.caller === asked.caller) &&
  (asked.verdict === undefined || call.verdict === asked.verdict) &&
  (asked.ending === undefined || call.ending === asked.ending) &&
  (asked.class === undefined || (call.class === asked.class && seesNumber(who, call.verdict))) &&
  (asked.tests || !isCanaryTrunk(call.trunk)) &&
  (number === null || (call.number === number && seesNumber(who, call.verdict)));

const MOST_ROWS = 1000;
const MOST_CONTEXT = 32;
const searchRoute = ({ log, search: registry, journal, numberDigest }: Parts): Route =>
  route('POST /v1/calls/search', {
    about: 'Calls that are over, the newest first. All that is asked for stands in the body, numbers too.',
    tag: 'calls',
    body: search,
    answers: {
      200: {
        json: pageOf(past).extend({
          oldest: z.iso
            .datetime()
            .nullable()
            .describe('Calls that ended before are not looked at; null: all are.'),
        }),
      },
    },
    problems: ['cursor-malformed', 'number-malformed', 'part-unavailable', 'journal-unavailable'],
    run: async (asked) => {
      const who = someone(asked);
      const { body, within } = asked;
      const number = body.number === undefined ? null : registry.canonical(body.number);
      if (number !== null)
        await journal.append('http-number-asked', {
          ...{ by: who.name, number: await numberDigest(number), privileged: false, what: 'calls' },
        });
      await log.refresh().catch(partProblem);
      const place = cursorOf(body.cursor, z.tuple([z.iso.datetime(), z.string().max(64), z.int()]));
      const found: PastCall[] = [];
      let total = 0;
      let passed = place === null;
      for (let at = log.calls.length - 1; at >= 0; at -= 1) {
        const call = log.calls[at];
        if (call === undefined || !fits(call, body, number, who, within)) continue;
        total += 1;
        if (!passed && place !== null) passed = before(call, place);
        if (passed && found.length <= body.limit) found.push(call);
      }
      const here = found.slice(0, body.limit);
      const last = here.at(-1);
      return ok({
        rows: here.map((call) => shownCall(call, who)),
        total,
        totalIsExact: log.oldest === null,
        next:
          found.length > body.limit && last !== undefined
            ? cursorText([last.endedAt, last.journal, last.seq])
            : null,
        oldest: log.oldest,
      });
    },
  });

/** Whether a call comes after a place in the order of the list, which is that of the log turned round. */
const before = (call: PastCall, [at, journal, seq]: readonly [string, string, number]): boolean => {
  if (call.endedAt !== at) return call.endedAt < at;
  return call.seq !== seq ? call.seq < seq : call.journal < journal;
};

const row = z.strictObject({
  at: z.iso.datetime(),
  node: z.string(),
  seq: z.int(),
  kind: z.string(),
  body: z.record(z.string(), z.unknown()),
});

/** Rows about nodes, which hold no number. The first and the last of them matter most: before the call, and after it. */
const contextOf = async (
  journals: Parts['journals'],
  journal: string | null,
  rows: readonly ShownRow[],
): Promise<z.output<typeof row>[]> => {
  const named = rows.findLast(({ kind }) => kind === 'cdr')?.body.rows;
  const { nodes } = z
    .looseObject({ nodes: z.record(z.string(), z.array(z.int().min(1))) })
    .catch({ nodes: {} })
    .parse(named);
  const all = [...new Set(Object.values(nodes).flat())].sort((one, other) => one - other);
  const seqs =
    all.length <= MOST_CONTEXT ? all : [...all.slice(0, MOST_CONTEXT / 2), ...all.slice(-MOST_CONTEXT / 2)];
  const found: z.output<typeof row>[] = [];
  if (journal === null || seqs.length === 0) return found;
  try {
    for await (const { at, node, seq, kind, body } of journals.rowsAt(journal, seqs))
      if (kind === 'attestation') found.push({ at, node, seq, kind, body: { ...body } });
  } catch (error) {
    return partProblem(error);
  }
  return found;
};

/** Where the rows of a call say it was made; of no known place it is nobody's who does not act for all. */
const placesOf = (rows: readonly ShownRow[], call: PastCall | null): Facilities => {
  const named = rows.flatMap(({ body }) => (typeof body.facility === 'string' ? [body.facility] : []));
  const places = [...new Set([...named, ...(call === null ? [] : [call.facility])])];
  return places.length === 0 ? 'all' : places;
};

/** What a key acts for at this moment; null where it does not stand any more. */
const reachOfKey = async ({ keys, wall }: Parts, id: string): Promise<Facilities | null> => {
  const key = (await keys.list()).find((one) => one.id === id);
  if (key === undefined || key.revokedAt !== null || key.expires.getTime() <= wall()) return null;
  return await keys.reach(key);
};

const liveShown = z.strictObject({ rows: z.array(live) });

export const callRoutes = (parts: Parts): readonly Route[] => {
  const { controller, journal, journals, live: liveCalls, log, recordings, signIn } = parts;
  return [
    route('GET /v1/calls/now', {
      about: 'The calls under way. No number and no caller.',
      tag: 'calls',
      answers: { 200: { json: liveShown } },
      problems: ['controller-unreachable'],
      run: async ({ within }) => {
        const calls = await controller.calls().catch(partProblem);
        const theirs = calls.filter(({ facility }) => holds(within, facility));
        return ok({
          rows: theirs.map((call) => ({
            ...call,
            elapsedMs: Math.round(call.elapsedMs),
            verdictText: verdictText(call.verdict),
          })),
        });
      },
    }),
    route('GET /v1/calls/live', {
      about:
        'The calls under way as they change: server-sent events `calls` (all of them), `call` and `alarm`, with a heartbeat. Last-Event-ID resumes.',
      tag: 'calls',
      answers: { 200: { bytes: ['text/event-stream'] } },
      problems: ['too-many-watchers'],
      run: async (asked) => {
        const { request, reply, who, within } = asked;
        liveCalls.admit();
        const token = request.cookies[SESSION_COOKIE];
        const mayStill = async (): Promise<boolean> => {
          const now =
            who?.kind === 'key'
              ? await reachOfKey(parts, who.id)
              : token === undefined
                ? null
                : ((await signIn.session(token, false))?.who.facilities ?? null);
          // Whoever acts for something else by now begins anew.
          return now !== null && facilitiesText(now) === facilitiesText(within);
        };
        const last = request.headers['last-event-id'];
        reply.hijack();
        for (const [name, value] of Object.entries(reply.getHeaders()))
          if (value !== undefined) reply.raw.setHeader(name, value as string);
        reply.raw.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        });
        liveCalls.watch(reply.raw, typeof last === 'string' ? last : null, mayStill, within);
        return null;
      },
    }),
    searchRoute(parts),
    route('GET /v1/calls/:call', {
      about: 'One call from its first row to its last.',
      tag: 'calls',
      params: z.strictObject({ call: callId }),
      answers: {
        200: {
          json: z.strictObject({
            call: past.nullable().describe('Null while it is under way.'),
            endingText: z.string().nullable(),
            rows: z.array(row),
            context: z
              .array(row)
              .describe(
                'What the call’s media nodes were found to be beside it: the rows that its closing record names.',
              ),
            more: z.boolean().describe('There are more rows than are shown.'),
          }),
        },
      },
      problems: ['unknown', 'part-unavailable', 'journal-unavailable'],
      run: async (asked) => {
        const who = someone(asked);
        const { call: id } = asked.params;
        const { within } = asked;
        await log.refresh().catch(partProblem);
        const known = log.find(id);
        if (known !== null) mustReach(within, [known.facility]);
        const rows: ShownRow[] = [];
        for (const name of known === null ? journals.calls : [known.journal]) {
          const from = known?.firstSeq ?? Math.max(1, log.lastSeq(name) - 100_000);
          for await (const row of journals.ofCall(name, id, from)) {
            if (rows.length <= MOST_ROWS) rows.push(row);
          }
        }
        if (rows.length === 0) throw new Problem('unknown');
        // The log is read every now and then: the call may have ended since.
        const cdr = rows.findLast(({ kind }) => kind === 'cdr');
        const call = known ?? (cdr === undefined ? null : pastCall(cdr));
        mustReach(within, placesOf(rows, call));
        // A call under way shows as what it is judged as so far, and one that is not judged yet as private.
        const verdict =
          call?.verdict ??
          String(rows.findLast(({ kind }) => kind === 'decision')?.body.verdict ?? 'undecided');
        const always = rows.every(({ kind, body }) => kind !== 'decision' || body.verdict === verdict);
        const judged = always ? verdict : 'private';
        await journal.append('http-call-read', { by: who.name, callId: id, verdict });
        return ok({
          call: call === null ? null : shownCall(call, who),
          endingText: call === null ? null : endingText(call.ending),
          rows: rows.slice(0, MOST_ROWS).map((row) => ({
            ...{ at: row.at, node: row.node, seq: row.seq, kind: row.kind },
            body: shownBody(row.body, judged, who),
          })),
          context: await contextOf(journals, call?.journal ?? null, rows),
          more: rows.length > MOST_ROWS,
        });
      },
    }),
    route('GET /v1/calls/:call/evidence', {
      about: 'The evidence of one call: a file that verifies anywhere (docs/evidence.md).',
      tag: 'calls',
      params: z.strictObject({ call: callId }),
      answers: { 200: { bytes: ['application/vnd.sallyport.evidence+json'] } },
      problems: ['unknown', 'evidence-refused', 'journal-unavailable'],
      run: async (asked) => {
        const who = someone(asked);
        const { call: id } = asked.params;
        if (asked.within !== 'all') {
          await log.refresh().catch(partProblem);
          const at = log.facilityOf(id) ?? (await recordings.find(id).catch(partProblem))?.facility ?? null;
          mustReach(asked.within, at === null ? 'all' : [at]);
        }
        const bytes = await journals.evidence(id).catch((error: unknown) => {
          if (!(error instanceof PartError)) throw error;
          if (error.code === 'call-unknown') throw new Problem('unknown');
          throw new Problem('evidence-refused', error.code);
        });
        await journal.append('http-evidence-read', { by: who.name, callId: id });
        return {
          status: 200,
          body: bytes,
          headers: {
            'content-type': 'application/vnd.sallyport.evidence+json',
            'content-disposition': `attachment; filename="${id}.evidence.json"`,
          },
        };
      },
    }),
  ];
};
