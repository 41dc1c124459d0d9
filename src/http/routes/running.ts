import { z } from 'zod';
import { measuresOf } from '../measures.js';
import { partProblem } from '../part-problem.js';
import type { Parts } from '../parts.js';
import { PartError } from '../ports.js';
import { Problem } from '../problems.js';
import { mustReach, ok, person, type Route, route } from '../route.js';
import { callId, words } from '../shapes.js';

/** What the running controller does now, and ending one of its calls. */

const pool = z.strictObject({
  name: z.string(),
  pool: z.enum(['private', 'recorded']),
  up: z.boolean(),
  attested: z.boolean(),
  drained: z.boolean(),
  weight: z.number(),
  calls: z.int(),
});
const milliseconds = z.number().nullable().describe('Null: beyond what is measured, or nothing was.');
const measures = z.strictObject({
  delays: z.array(
    z.strictObject({
      measure: z.string(),
      of: z.string(),
      count: z.int(),
      p50: milliseconds,
      p95: milliseconds,
      p99: milliseconds,
    }),
  ),
  workers: z.array(z.strictObject({ worker: z.string(), up: z.boolean(), starts: z.int() })),
  trunks: z.array(z.strictObject({ trunk: z.string(), up: z.boolean() })),
  underWay: z.int(),
  setUps: z.strictObject({ underWay: z.int(), limit: z.int() }),
});

export const runningRoutes = ({ controller, explainer, journal }: Parts): readonly Route[] => [
  route('GET /v1/pools', {
    about:
      'The media nodes as the controller has them now: how many calls each holds, and whether it takes more.',
    tag: 'site',
    answers: { 200: { json: z.strictObject({ rows: z.array(pool) }) } },
    problems: ['controller-unreachable'],
    run: async () => {
      const nodes = await controller.nodes().catch(partProblem);
      return ok({
        rows: nodes.map(({ name, pool: of, up, attested, drained, weight, calls }) => ({
          ...{ name, pool: of, up, attested, drained, weight, calls },
        })),
      });
    },
  }),
  route('GET /v1/lists/state', {
    about:
      'The lists as they can be asked on this host: their epoch, and how old the publisher’s last sign of life is.',
    tag: 'lists',
    answers: {
      200: {
        json: z.strictObject({
          armed: z.boolean(),
          why: z.string(),
          epoch: z.strictObject({ id: z.int(), digest: z.string() }).nullable(),
          heartbeatAgeMs: z.number().nullable(),
        }),
      },
    },
    problems: ['part-unavailable'],
    run: async () => ok(await explainer.state().catch(partProblem)),
  }),
  route('GET /v1/measures', {
    about: 'Delays as percentiles since the controller’s start, its workers, trunks and calls being set up.',
    tag: 'site',
    answers: { 200: { json: measures } },
    problems: ['controller-unreachable'],
    run: async () => {
      const text = await controller.metrics();
      if (text === null) throw new Problem('controller-unreachable', null, 2);
      return ok(measuresOf(text));
    },
  }),
  route('POST /v1/calls/:call/end', {
    about: 'End one call now. Both parties are told, as the policy says.',
    tag: 'calls',
    params: z.strictObject({ call: callId }),
    body: z.strictObject({ why: words(200) }),
    answers: { 200: { json: z.strictObject({ note: z.string().nullable() }) } },
    problems: [
      ...(['unknown', 'controller-refused'] as const),
      ...(['controller-unreachable', 'controller-uncertain', 'journal-unavailable'] as const),
    ],
    run: async (request) => {
      const who = person(request);
      const { call } = request.params;
      const { within } = request;
      if (within !== 'all') {
        const calls = await controller.calls().catch(partProblem);
        const under = calls.find(({ callId: id }) => id === call);
        if (under === undefined) throw new Problem('unknown');
        mustReach(within, [under.facility]);
      }
      await journal.append('http-order', { by: who.name, order: 'end-call', state: 'asked', callId: call });
      const note = await controller.end(call, who.name, request.body.why).catch((error: unknown) => {
        if (error instanceof PartError && error.code === 'call-not-found') throw new Problem('unknown');
        return partProblem(error);
      });
      return ok({ note });
    },
  }),
];
