import { z } from 'zod';
import { covers, type Facilities } from '../../registry/accounts/facilities.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { mustReach, ok, person, type Route, route } from '../route.js';
import { facilityId } from '../shapes.js';
import type { Job } from '../statement-desk.js';

const job = z.strictObject({
  id: z.string(),
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  stateText: z.string(),
  period: z.strictObject({ from: z.iso.datetime(), to: z.iso.datetime() }),
  facility: z.string().nullable(),
  by: z.string().nullable(),
  askedAt: z.iso.datetime().nullable(),
  preview: z
    .boolean()
    .describe('Not signed, kept for a while in memory, and of a period that need not be over.'),
  rows: z.int().describe('Rows of journals read so far.'),
  code: z.string().nullable().describe('Why it failed.'),
  digests: z.record(z.string(), z.string()),
});
const statementId = z.string().regex(/^s\d{14}-[0-9a-f]{8}$/);
const texts = {
  waiting: 'waits for the one before it',
  running: 'the journals are being read',
  done: 'made and signed',
  failed: 'could not be made',
} as const satisfies Record<Job['state'], string>;
const shown = (one: Job): z.infer<typeof job> => ({
  ...one,
  period: { ...one.period },
  by: one.by === '' ? null : one.by,
  askedAt: one.askedAt === '' ? null : one.askedAt,
  digests: { ...one.digests },
  stateText: texts[one.state],
});
/** Whose it is: a statement of no one facility is of all. */
const of = ({ facility }: Pick<Job, 'facility'>): Facilities => (facility === null ? 'all' : [facility]);
/** A day, a moment or a length of time, as `sallyport statement` takes them. */
const when = z.string().regex(/^[0-9TZ:.-]{10,24}$/);

const files = {
  'statement.json': 'application/json',
  'statement.json.sig': 'application/octet-stream',
  'statement.pdf': 'application/pdf',
} as const;

export const statementRoutes = ({ statements, statementFiles, journal }: Parts): readonly Route[] => [
  route('GET /v1/statements', {
    about: 'The compliance statements that were made here, the newest first.',
    tag: 'statements',
    answers: {
      200: {
        json: z.strictObject({
          rows: z.array(job),
          keyId: z.string().nullable().describe('The key that signs; null: nothing can be signed here.'),
        }),
      },
    },
    problems: ['part-unavailable'],
    run: async ({ within }) => {
      const made = await statements.list().catch(partProblem);
      const rows = made.filter((one) => covers(within, of(one))).map(shown);
      return ok({ rows, keyId: statementFiles.keyId });
    },
  }),
  route('POST /v1/statements', {
    about: 'Make the statement of a period. It takes its time: ask for its state.',
    tag: 'statements',
    body: z.strictObject({
      from: when.optional(),
      to: when.optional(),
      last: z
        .string()
        .regex(/^[1-9]\d{0,3}(d|w|mo|y)$/)
        .optional(),
      facility: facilityId.nullable().default(null),
      preview: z.boolean().default(false),
    }),
    answers: { 202: { json: job } },
    problems: ['unknown', 'not-configured', 'statement-refused', 'busy', 'journal-unavailable'],
    run: async (asked) => {
      const who = person(asked);
      const { facility } = asked.body;
      if (facility === null && asked.within !== 'all')
        throw new Problem('not-allowed', 'name the facility: a statement of all is for accounts of all');
      mustReach(asked.within, facility === null ? 'all' : [facility]);
      const made = statements.begin(asked.body, who.name);
      // A preview holds counts alone, goes nowhere, and is no statement.
      if (!made.preview)
        await journal.append('http-statement-made', {
          ...{ by: who.name, statement: made.id, from: made.period.from, to: made.period.to },
          facility: made.facility,
        });
      return { status: 202, body: shown(made), headers: { location: `/v1/statements/${made.id}` } };
    },
  }),
  route('GET /v1/statements/:statement', {
    about: 'How far a statement is.',
    tag: 'statements',
    params: z.strictObject({ statement: statementId }),
    answers: { 200: { json: job } },
    problems: ['unknown', 'part-unavailable'],
    run: async ({ params, within }) => {
      const found = await statements.find(params.statement).catch(partProblem);
      mustReach(within, of(found));
      return ok(shown(found));
    },
  }),
  route('GET /v1/statements/:statement/files/:file', {
    about: 'A file of a statement: its JSON, its signature, its PDF.',
    tag: 'statements',
    params: z.strictObject({
      statement: statementId,
      file: z.enum(['statement.json', 'statement.json.sig', 'statement.pdf']),
    }),
    answers: { 200: { bytes: Object.values(files) } },
    problems: ['unknown', 'part-unavailable'],
    run: async ({ params, within }) => {
      // What is of every facility needs no look: previews of before, and files whose record is gone, are found so too.
      if (within !== 'all') mustReach(within, of(await statements.find(params.statement).catch(partProblem)));
      const preview = params.file === 'statement.json' ? statements.preview(params.statement) : null;
      const bytes = preview ?? (await statementFiles.read(params.statement, params.file).catch(partProblem));
      if (bytes === null) throw new Problem('unknown');
      return {
        status: 200,
        body: bytes,
        headers: {
          'content-type': files[params.file],
          'content-disposition': `attachment; filename="${params.file}"`,
        },
      };
    },
  }),
];
