import { z } from 'zod';
import type { Facilities } from '../../registry/accounts/facilities.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import type { RecordingShown } from '../ports.js';
import { Problem } from '../problems.js';
import { rangeOf } from '../range.js';
import { Readings } from '../readings.js';
import { type Principal, seesNumber } from '../roles.js';
import { mustReach, ok, person, type Route, route, someone } from '../route.js';
import { callId, cursor, cursorOf, cursorText, facilityId, limit, words } from '../shapes.js';

const recording = z.strictObject({
  callId: z.string(),
  facility: z.string(),
  receivedAt: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  seconds: z.number(),
  complete: z.boolean(),
  sealed: z.strictObject({ why: z.string(), at: z.string() }).nullable(),
  canary: z.boolean(),
  keys: z.array(z.strictObject({ id: z.string(), role: z.string() })).describe('Whose keys open it.'),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.int(), sha256: z.string() })),
  manifestSha256: z.string(),
});

const readingId = z.string().regex(/^[0-9a-f]{32}$/);

/** A sealed recording is of a call that was, or became, private. */
const seesSealed = (who: Principal): boolean => seesNumber(who, 'private');

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** Digests of a call's files as its closing record has them: `sealed` is what the vault made of what `spool` says. */
const journalledIn = (cdr: Readonly<Record<string, unknown>>): { name: string; sha256: string }[] =>
  [fieldsOf(cdr.sealed).files, fieldsOf(cdr.spool).files].flatMap((files) =>
    Array.isArray(files)
      ? files.flatMap((file: unknown) => {
          const [name, sha256] = [textOf(fieldsOf(file).name), textOf(fieldsOf(file).sha256)];
          return name === null || sha256 === null ? [] : [{ name, sha256 }];
        })
      : [],
  );

export const recordingRoutes = (parts: Parts): readonly Route[] => {
  const { recordings, journal, journals, log, investigation, mono, wall } = parts;
  const readings = new Readings(mono);
  /**
   * Investigators see the recordings of calls that their search finds, and no others: a number that is privileged by
   * now hides them before custody has come to seal them.
   */
  const findable =
    (within: Facilities) =>
    async (callIds: readonly string[]): Promise<ReadonlySet<string>> => {
      const found = callIds.length === 0 ? [] : await investigation.query.some(callIds, within);
      return new Set(found.map(({ callId: id }) => id));
    };
  const maySee = async (one: RecordingShown, who: Principal, within: Facilities): Promise<boolean> =>
    seesSealed(who) || (one.sealed === null && (await findable(within)([one.callId])).has(one.callId));
  const found = async (id: string, who: Principal, within: Facilities): Promise<RecordingShown> => {
    const one = await recordings.find(id).catch(partProblem);
    if (one === null || !(await maySee(one, who, within).catch(partProblem))) throw new Problem('unknown');
    mustReach(within, [one.facility]);
    return one;
  };
  const journalled = async (id: string): Promise<{ name: string; sha256: string }[]> => {
    await log.refresh();
    const call = log.find(id);
    if (call === null) return [];
    for await (const { kind, body } of journals.ofCall(call.journal, id, call.seq))
      if (kind === 'cdr') return journalledIn(body);
    return [];
  };
  return [
    route('GET /v1/recordings', {
      about: 'What is recorded, the newest day first. Nothing is decrypted here, or could be.',
      tag: 'recordings',
      query: z.strictObject({
        facility: facilityId.optional(),
        sealed: z.enum(['yes', 'no']).optional(),
        cursor,
        limit,
      }),
      answers: {
        200: {
          json: z.strictObject({
            rows: z.array(recording),
            next: z.string().nullable(),
            unreadable: z.int().describe('Manifests on this page that are none of ours.'),
          }),
        },
      },
      problems: ['cursor-malformed', 'search-too-broad', 'part-unavailable'],
      run: async (asked) => {
        const { query } = asked;
        const who = someone(asked);
        const may = seesSealed(who);
        if (query.sealed === 'yes' && !may) throw new Problem('not-allowed');
        const page = await recordings
          .list({
            facility: query.facility ?? null,
            within: asked.within,
            sealed: may ? (query.sealed === undefined ? null : query.sealed === 'yes') : false,
            after: cursorOf(query.cursor, z.tuple([z.string().max(120)]))?.[0] ?? null,
            limit: query.limit,
            shown: may ? null : findable(asked.within),
          })
          .catch(partProblem);
        return ok({
          rows: page.rows,
          next: page.next === null ? null : cursorText([page.next]),
          // Nobody can say of what calls, or of whose, these are.
          unreadable: may && asked.within === 'all' ? page.unreadable : 0,
        });
      },
    }),
    route('GET /v1/recordings/:call', {
      about: 'One recording: what its manifest says.',
      tag: 'recordings',
      params: z.strictObject({ call: callId }),
      answers: {
        200: {
          json: recording.extend({
            journalled: z
              .array(z.strictObject({ name: z.string(), sha256: z.string() }))
              .describe('Digests of its files as the call’s closing record has them.'),
          }),
        },
      },
      problems: ['unknown', 'search-too-broad', 'part-unavailable'],
      run: async (asked) => {
        const one = await found(asked.params.call, someone(asked), asked.within);
        return ok({ ...one, journalled: await journalled(one.callId).catch(partProblem) });
      },
    }),
    route('POST /v1/recordings/:call/readings', {
      about: 'Say why a recording is read. It is written down; then its files are given out for a while.',
      tag: 'recordings',
      params: z.strictObject({ call: callId }),
      body: z.strictObject({ why: words(300) }),
      answers: { 201: { json: z.strictObject({ reading: readingId, until: z.iso.datetime() }) } },
      problems: ['unknown', 'search-too-broad', 'part-unavailable', 'journal-unavailable'],
      run: async (asked) => {
        const who = person(asked);
        const one = await found(asked.params.call, who, asked.within);
        const { id: reading, forMs } = readings.open(who.name, one.callId);
        await journal.append('http-recording-asked', {
          ...{ by: who.name, callId: one.callId, sealed: one.sealed !== null },
          ...{ why: asked.body.why, reading },
        });
        return { status: 201, body: { reading, until: new Date(wall() + forMs).toISOString() } };
      },
    }),
    route('GET /v1/recordings/:call/files/:file', {
      about:
        'A file of a recording as it is stored: encrypted. A range of it may be asked for. Each read is written down first, under the reading that said why.',
      tag: 'recordings',
      params: z.strictObject({
        call: callId,
        file: z.string().regex(/^c[a-z2-7]{26}\.[a-z.]{1,24}$/),
      }),
      query: z.strictObject({ reading: readingId.optional() }),
      answers: { 200: { bytes: ['application/octet-stream'] }, 206: { bytes: ['application/octet-stream'] } },
      problems: [
        ...(['unknown', 'reading-needed', 'range-unfit'] as const),
        ...(['search-too-broad', 'part-unavailable', 'journal-unavailable'] as const),
      ],
      run: async (asked) => {
        const who = person(asked);
        const one = await found(asked.params.call, who, asked.within);
        const { reading = '' } = asked.query;
        if (!readings.isOpen(reading, who.name, one.callId)) throw new Problem('reading-needed');
        const file = one.files.find(({ name }) => name === asked.params.file);
        if (file === undefined) throw new Problem('unknown');
        const { from, to, partial } = rangeOf(asked.request.headers.range, file.bytes);
        await journal.append('http-recording-read', {
          ...{ by: who.name, callId: one.callId, file: file.name, from, to, sealed: one.sealed !== null },
          reading,
        });
        return {
          status: partial ? 206 : 200,
          body: recordings.read(one, file.name, from, to),
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(to - from),
            'accept-ranges': 'bytes',
            etag: `"${file.sha256}"`,
            'content-disposition': `attachment; filename="${file.name}"`,
            ...(partial ? { 'content-range': `bytes ${from}-${to - 1}/${file.bytes}` } : {}),
          },
        };
      },
    }),
  ];
};
