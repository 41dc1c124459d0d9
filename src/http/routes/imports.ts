import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ImportView } from '../../registry/import/imports.js';
import { importStates } from '../../registry/import/schema.js';
import { type ImportJob, partBytes } from '../import-desk.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { keyName, type Principal } from '../roles.js';
import { type Answer, ok, type Route, route, someone } from '../route.js';
import { cursor, cursorOf, cursorText, limit, moment, uuid, words } from '../shapes.js';

const anything = z.record(z.string(), z.unknown());
const job = z.strictObject({
  what: z.enum(['stage', 'compare', 'what-if', 'apply', 'approve', 'reject', 'undo']),
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  done: z.int(),
  of: z.int().nullable(),
  code: z.string().nullable(),
  detail: z.string().nullable(),
});
const changeCounts = z.strictObject({
  proposed: z.int(),
  waiting: z.int(),
  applied: z.int(),
  rejected: z.int(),
  withdrawn: z.int(),
});
const profile = z.strictObject({
  name: z.string(),
  about: z.string(),
  list: z.enum(['privileged', 'allowed', 'bookings', 'blocked']),
  mode: z.enum(['full', 'delta']),
  format: z.enum(['csv', 'json']),
});
const imported = z.strictObject({
  id: z.string(),
  source: z.string(),
  profile,
  fileName: z.string(),
  maker: z.string(),
  madeAt: z.iso.datetime(),
  changedAt: z.iso.datetime(),
  state: z.enum(importStates),
  sha256: z.string().nullable(),
  bytes: z.number(),
  received: z.number().describe('Bytes of the file that are here: where its next part begins.'),
  read: z.strictObject({ bytes: z.number(), lines: z.number(), rows: z.number() }),
  errors: z.int(),
  warnings: z.int(),
  counts: anything
    .nullable()
    .describe('What would be added, changed and removed, of each list; and its digest.'),
  guard: anything
    .nullable()
    .describe('Whether it takes away more than may go unasked, and who said that it is meant.'),
  whatIf: anything.nullable().describe('What it would have done to past calls.'),
  reason: z.string().nullable(),
  appliedBy: z.string().nullable(),
  undoneBy: z.string().nullable(),
  changes: z.strictObject({ done: changeCounts, undone: changeCounts }),
  steps: z.strictObject({ proposed: z.int(), all: z.int() }),
  job: job
    .nullable()
    .describe('What is being done with it, or was done last since the start of this server.'),
  version: z.string().describe('The ETag: what a word on this import has to name in If-Match.'),
});
const problemRow = z.strictObject({
  nr: z.int(),
  line: z.number(),
  column: z.int().nullable(),
  field: z.string().nullable(),
  code: z.string(),
  detail: z.string(),
  otherLine: z.number().nullable(),
  fatal: z.boolean(),
});
const stepRow = z.strictObject({
  nr: z.number(),
  what: z.enum(['added', 'changed', 'removed']),
  list: z.string(),
  key: z.string(),
  line: z.number().nullable(),
  needs: z.enum(['nobody', 'one', 'two']).describe('How many others must agree.'),
  ops: z.array(anything),
  before: anything.nullable(),
  change: z.string().nullable(),
});
const nearRow = z.strictObject({
  nr: z.int(),
  line: z.number(),
  number: z.string(),
  near: z.string(),
  class: z.string(),
  why: z.string(),
});
const page = <T extends z.ZodType>(row: T) =>
  z.strictObject({ rows: z.array(row), next: z.string().nullable().describe('Null on the last page.') });

const needs = (phase: number): 'nobody' | 'one' | 'two' =>
  phase <= 2 ? 'nobody' : phase === 3 ? 'one' : 'two';

const versionOf = (one: ImportView): string =>
  createHash('sha256')
    .update(JSON.stringify([one.id, one.state, one.counts?.digest, one.guard?.acknowledgedBy, one.changes]))
    .digest('base64url')
    .slice(0, 22);

const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const shown = (one: ImportView, received: number, doing: ImportJob | null): z.infer<typeof imported> => {
  const { plan: _, madeAt, changedAt, counts, guard, whatIf, ...rest } = one;
  return {
    ...plain(rest),
    ...{ madeAt: madeAt.toISOString(), changedAt: changedAt.toISOString() },
    counts: counts === null ? null : plain({ ...counts }),
    guard: guard === null ? null : plain({ ...guard }),
    whatIf: (whatIf as Record<string, unknown> | null) ?? null,
    received: one.state === 'receiving' ? received : one.bytes,
    job: doing === null ? null : { ...doing },
    version: versionOf(one),
  };
};

const which = z.strictObject({ import: uuid });
const paging = z.strictObject({ cursor, limit });

export const importRoutes = ({ imports: desk, journal, keys }: Parts): readonly Route[] => {
  const { imports } = desk;
  const full = async (id: string, status = 200): Promise<Answer> => {
    const one = shown(await imports.view(id), await desk.received(id), desk.job(id));
    return { status, body: one, headers: { etag: `"${one.version}"` } };
  };
  /** Rows of an import hold numbers that are privileged, or will be. */
  const readIt = (who: Principal, entries: number): Promise<void> =>
    journal.append('http-privileged-read', { by: who.name, facility: null, class: 'imports', entries });
  const seen = async (id: string, ifMatch: string | undefined): Promise<ImportView> => {
    if (ifMatch === undefined) throw new Problem('version-missing');
    const now = await imports.view(id);
    if (ifMatch !== `"${versionOf(now)}"`) throw new Problem('version-moved');
    return now;
  };
  /** Who answers for a program's key has applied what the key applied. */
  const notOfOwnKey = async (who: Principal, maker: string | null): Promise<void> => {
    if (maker?.startsWith('key.') !== true) return;
    const key = (await keys.list()).find(({ prefix }) => keyName(prefix) === maker);
    if (key === undefined || key.owner === who.name) throw new Problem('own-change');
  };
  const rowsOf = <T extends { readonly nr: number }, S extends z.ZodType>(
    name: 'problems' | 'near' | 'steps',
    about: string,
    row: S,
    read: (id: string, after: number, most: number) => Promise<readonly T[]>,
    show: (one: T) => z.output<S>,
  ): Route =>
    route(`GET /v1/imports/:import/${name}`, {
      about,
      tag: 'imports',
      params: which,
      query: paging,
      answers: { 200: { json: page(row) } },
      problems: ['unknown', 'cursor-malformed'],
      run: async (asked) => {
        const { limit: most } = asked.query;
        const place = cursorOf(asked.query.cursor, z.tuple([z.number().int()]));
        const rows = await read(asked.params.import, place?.[0] ?? -1, most + 1);
        const here = rows.slice(0, most);
        if (name !== 'problems') await readIt(someone(asked), here.length);
        const last = here.at(-1);
        const next = rows.length > most && last !== undefined ? cursorText([last.nr]) : null;
        return ok({ rows: here.map(show), next });
      },
    });
  const say = (says: 'approve' | 'reject', about: string): Route =>
    route(`POST /v1/imports/:import/${says}`, {
      about,
      tag: 'imports',
      params: which,
      body: z.strictObject({
        why: says === 'approve' ? words(500).or(z.literal('')).default('') : words(500),
      }),
      answers: { 202: { json: imported } },
      problems: [
        'unknown',
        'version-missing',
        'version-moved',
        'own-change',
        'approved-already',
        'conflict',
        'busy',
        'op-refused',
      ],
      run: async (asked) => {
        const who = someone(asked);
        const { import: id } = asked.params;
        const now = await seen(id, asked.request.headers['if-match']);
        if (says === 'approve')
          for (const maker of [now.appliedBy, now.undoneBy]) await notOfOwnKey(who, maker);
        await desk.say(id, { by: who.name, says, why: asked.body.why });
        return await full(id, 202);
      },
    });

  return [
    route('GET /v1/imports/profiles', {
      about: 'How files may be written that are imported.',
      tag: 'imports',
      answers: { 200: { json: z.strictObject({ rows: z.array(profile), partBytes: z.int() }) } },
      run: async () =>
        ok({
          rows: desk.profiles.map(({ name, about, list, mode, format }) => ({
            name,
            about,
            list,
            mode,
            format,
          })),
          partBytes,
        }),
    }),
    route('GET /v1/imports', {
      about: 'Imports, the newest first.',
      tag: 'imports',
      query: paging,
      answers: { 200: { json: page(imported) } },
      problems: ['cursor-malformed'],
      run: async (asked) => {
        const { limit: most } = asked.query;
        const place = cursorOf(asked.query.cursor, z.tuple([moment, uuid]));
        const after = place === null ? null : { at: new Date(place[0]), id: place[1] };
        const rows = await imports.list({ after, limit: most + 1 });
        const here = rows.slice(0, most);
        const last = here.at(-1);
        return ok({
          rows: here.map((one) => shown(one, 0, desk.job(one.id))),
          next:
            rows.length > most && last !== undefined
              ? cursorText([last.madeAt.toISOString(), last.id])
              : null,
        });
      },
    }),
    route('POST /v1/imports', {
      about: 'Begin an import. Then send the file in parts, and have it staged.',
      tag: 'imports',
      body: z.strictObject({
        source: z
          .string()
          .regex(/^[a-z0-9][a-z0-9-]{0,47}$/)
          .describe('Whose file it is: a later one of the same source takes away what this one adds.'),
        profile: z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/),
        fileName: words(200),
      }),
      answers: { 201: { json: imported } },
      problems: ['unknown', 'conflict', 'op-refused'],
      run: async (asked) => {
        const { source, profile: name, fileName } = asked.body;
        const by = someone(asked).name;
        const made = await imports.begin({
          ...{ by, source, profile: desk.profile(name), plan: 'default', fileName, sha256: null },
        });
        const answer = await full(made.id, 201);
        return { ...answer, headers: { ...answer.headers, location: `/v1/imports/${made.id}` } };
      },
    }),
    route('GET /v1/imports/:import', {
      about: 'One import: how far it is, and what it would change.',
      tag: 'imports',
      params: which,
      answers: { 200: { json: imported } },
      problems: ['unknown'],
      run: async ({ params }) => await full(params.import),
    }),
    route('POST /v1/imports/:import/parts', {
      about: `The next part of the file, of at most ${partBytes} bytes, as application/octet-stream.`,
      tag: 'imports',
      params: which,
      query: z.strictObject({ offset: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) }),
      bytes: true,
      maxBytes: partBytes,
      answers: { 200: { json: z.strictObject({ received: z.number() }) } },
      problems: ['unknown', 'conflict', 'op-refused'],
      run: async (asked) => {
        const { body } = asked.request;
        if (!Buffer.isBuffer(body)) throw new Problem('type-unknown', 'send application/octet-stream');
        return ok({ received: await desk.receive(asked.params.import, asked.query.offset, body) });
      },
    }),
    route('POST /v1/imports/:import/stage', {
      about:
        'Read the file that is here, compare it with the registry, and replay past calls. It takes its time.',
      tag: 'imports',
      params: which,
      answers: { 202: { json: imported } },
      problems: ['unknown', 'conflict', 'busy', 'op-refused'],
      run: async ({ params }) => {
        await desk.stage(params.import);
        return await full(params.import, 202);
      },
    }),
    route('POST /v1/imports/:import/compare', {
      about: 'Compare it anew: where the registry has changed since.',
      tag: 'imports',
      params: which,
      answers: { 202: { json: imported } },
      problems: ['unknown', 'conflict', 'busy', 'op-refused'],
      run: async ({ params }) => {
        await desk.compare(params.import);
        return await full(params.import, 202);
      },
    }),
    rowsOf(
      'problems',
      'What is wrong with the file, in the order of reading; at most a thousand. No value of the file is in it.',
      problemRow,
      (id, after, most) => imports.problems(id, after, most),
      (one) => ({ ...one }),
    ),
    rowsOf(
      'steps',
      'What would be added, changed and removed.',
      stepRow,
      (id, after, most) => imports.steps(id, { after, limit: most }),
      ({ phase, ops, before, what, ...rest }) => ({
        ...{ ...rest, what: what as 'added', needs: needs(phase) },
        ...{ ops: ops as Record<string, unknown>[], before: before as Record<string, unknown> | null },
      }),
    ),
    rowsOf(
      'near',
      'Numbers it adds that are near to privileged ones: a slip, or another line of the same office.',
      nearRow,
      (id, after, most) => imports.near(id, after, most),
      (one) => ({ ...one }),
    ),
    route('POST /v1/imports/:import/acknowledge', {
      about: 'Say that the loss is meant. Two people must, each of what they looked at.',
      tag: 'imports',
      params: which,
      body: z.strictObject({}),
      answers: { 200: { json: imported } },
      problems: ['unknown', 'version-missing', 'version-moved', 'approved-already', 'conflict', 'op-refused'],
      run: async (asked) => {
        const { import: id } = asked.params;
        const now = await seen(id, asked.request.headers['if-match']);
        await imports.acknowledge(id, someone(asked).name, now.counts?.digest ?? '');
        return await full(id);
      },
    }),
    route('POST /v1/imports/:import/apply', {
      about:
        'Do what needs nobody else, and propose the rest. The version that was looked at goes into If-Match.',
      tag: 'imports',
      params: which,
      body: z.strictObject({
        why: words(400),
        part: z
          .enum(['all', 'protecting'])
          .default('all')
          .describe('`protecting`: only what makes numbers privileged, which waits for no acknowledgement.'),
      }),
      answers: { 202: { json: imported } },
      problems: [
        ...(['unknown', 'version-missing', 'version-moved', 'conflict', 'busy'] as const),
        ...(['op-refused', 'entry-moved', 'number-malformed'] as const),
      ],
      run: async (asked) => {
        const { import: id } = asked.params;
        const now = await seen(id, asked.request.headers['if-match']);
        const { why, part } = asked.body;
        await desk.apply(id, { by: someone(asked).name, why, part, digest: now.counts?.digest ?? '' });
        return await full(id, 202);
      },
    }),
    say('approve', 'Agree to all changes of an import that somebody else applied, or undid, as one.'),
    say('reject', 'Stop all changes of an import that still wait.'),
    route('POST /v1/imports/:import/undo', {
      about: 'Put back what an import did. What people changed since stays as they left it.',
      tag: 'imports',
      params: which,
      body: z.strictObject({ why: words(400) }),
      answers: { 202: { json: imported } },
      problems: [
        'unknown',
        'version-missing',
        'version-moved',
        'conflict',
        'busy',
        'op-refused',
        'entry-moved',
      ],
      run: async (asked) => {
        const { import: id } = asked.params;
        await seen(id, asked.request.headers['if-match']);
        await desk.undo(id, { by: someone(asked).name, why: asked.body.why });
        return await full(id, 202);
      },
    }),
    route('POST /v1/imports/:import/abandon', {
      about: 'Leave an import of which nothing was applied.',
      tag: 'imports',
      params: which,
      answers: { 200: { json: imported } },
      problems: ['unknown', 'conflict', 'op-refused'],
      run: async (asked) => {
        const { import: id } = asked.params;
        await desk.abandon(id, someone(asked).name);
        return await full(id);
      },
    }),
  ];
};
