import { z } from 'zod';
import { covers, type Facilities } from '../../registry/accounts/facilities.js';
import type { ExportJob } from '../export-desk.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { rangeOf } from '../range.js';
import type { Principal } from '../roles.js';
import { ok, person, type Route, route } from '../route.js';
import { callId, words } from '../shapes.js';

const job = z.strictObject({
  id: z.string(),
  state: z.enum(['waiting', 'checking', 'writing', 'done', 'failed', 'gone']),
  stateText: z.string(),
  by: z.string(),
  why: z.string(),
  case: z.string(),
  askedAt: z.iso.datetime(),
  calls: z.int().describe('How many were asked for.'),
  recordings: z.boolean(),
  checked: z.int(),
  written: z.int().describe('Bytes so far.'),
  exported: z.array(z.string()),
  withheld: z.array(z.string()).describe('These do not leave. Why is not said.'),
  without: z.array(z.string()).describe('Of these no recording is there.'),
  bytes: z.int(),
  sha256: z.string().nullable(),
  code: z.string().nullable().describe('Why it failed.'),
});
const texts = {
  waiting: 'waits for the one before it',
  checking: 'every number is held against the lists',
  writing: 'the bundle is being written',
  done: 'made and signed',
  failed: 'could not be made',
  gone: 'taken away',
} as const satisfies Record<ExportJob['state'], string>;

const shown = (one: ExportJob): z.infer<typeof job> => {
  const { asked, id, state, askedAt, checked, written, exported, withheld, without, bytes, sha256, code } =
    one;
  return {
    ...{ id, state, stateText: texts[state], by: asked.by, why: asked.why, case: asked.case, askedAt },
    ...{ calls: asked.calls.length, recordings: asked.recordings, checked, written, bytes, sha256, code },
    ...{ exported: [...exported], withheld: [...withheld], without: [...without] },
  };
};
const params = z.strictObject({ export: z.string().regex(/^x\d{14}-[0-9a-f]{8}$/) });

/** An export is its maker's, as long as they reach what they did then; auditors see that it was made. */
const maySee = (one: ExportJob, who: Extract<Principal, { kind: 'person' }>, within: Facilities): boolean =>
  (one.asked.by === who.name || who.roles.includes('auditor')) && covers(within, one.asked.within);

export const exportRoutes = ({ investigation }: Parts): readonly Route[] => {
  const { exports } = investigation;
  const found = (id: string, who: Extract<Principal, { kind: 'person' }>, within: Facilities): ExportJob => {
    const one = exports.find(id);
    if (!maySee(one, who, within)) throw new Problem('unknown');
    return one;
  };
  return [
    route('GET /v1/search/exports', {
      about: 'Exports that were asked for here since the start: one’s own, or all of them for an auditor.',
      tag: 'search',
      answers: { 200: { json: z.strictObject({ rows: z.array(job) }) } },
      run: async (asked) => {
        await exports.sweep();
        const who = person(asked);
        const { within } = asked;
        return ok({
          rows: exports
            .list()
            .filter((one) => maySee(one, who, within))
            .map(shown),
        });
      },
    }),
    route('POST /v1/search/exports', {
      about:
        'Export calls for a case: their data, and their recordings as they are stored, encrypted. Every number is held against the lists at that moment; what must not leave is withheld. It takes its time: ask for its state.',
      tag: 'search',
      maxBytes: 64 * 1024,
      body: z.strictObject({
        why: words(200).min(3),
        case: words(100).min(1).describe('The case it is for, as the file names it.'),
        calls: z.array(callId).min(1).max(1000),
        recordings: z.boolean().default(false),
      }),
      answers: { 202: { json: job } },
      problems: ['not-configured', 'busy'],
      run: async (asked) => {
        const made = await exports.begin({ ...asked.body, by: person(asked).name, within: asked.within });
        return { status: 202, body: shown(made), headers: { location: `/v1/search/exports/${made.id}` } };
      },
    }),
    route('GET /v1/search/exports/:export', {
      about: 'How far an export is.',
      tag: 'search',
      params,
      answers: { 200: { json: job } },
      problems: ['unknown'],
      run: async (asked) => ok(shown(found(asked.params.export, person(asked), asked.within))),
    }),
    route('GET /v1/search/exports/:export/bundle', {
      about:
        'The bundle: a tar of a signed manifest, the calls and the recordings. Every number is held against the lists once more, and who reads it is written down, before a byte is given out.',
      tag: 'search',
      params,
      answers: { 200: { bytes: ['application/x-tar'] }, 206: { bytes: ['application/x-tar'] } },
      problems: ['unknown', 'export-refused', 'range-unfit', 'part-unavailable', 'controller-refused'],
      run: async (asked) => {
        const who = person(asked);
        const one = found(asked.params.export, who, asked.within);
        if (one.asked.by !== who.name) throw new Problem('unknown');
        const { from, to, partial } = rangeOf(asked.request.headers.range, Math.max(one.bytes, 1));
        const body = await exports.read(one, who.name, from, to).catch(partProblem);
        return {
          status: partial ? 206 : 200,
          body,
          headers: {
            'content-type': 'application/x-tar',
            'content-length': String(to - from),
            'accept-ranges': 'bytes',
            'content-disposition': `attachment; filename="${one.id}.tar"`,
            ...(partial ? { 'content-range': `bytes ${from}-${to - 1}/${one.bytes}` } : {}),
          },
        };
      },
    }),
  ];
};
