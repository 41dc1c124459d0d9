import { z } from 'zod';
import type { Op } from '../../registry/read-ops.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { type Principal, seesNumber } from '../roles.js';
import { ok, type Route, route, someone } from '../route.js';
import { uuid } from '../shapes.js';
import type { WhatIfJob } from '../what-if-desk.js';

const MOST_CHANGES = 20;
const MOST_STEPS = 5_000;
const DAY = 86_400_000;

const jobId = z.string().regex(/^w[0-9a-f]{24}$/);
const counts = z.record(z.string(), z.int());
const job = z.strictObject({
  id: z.string(),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  code: z.string().nullable().describe('Why it failed.'),
  rows: z.int().describe('Of the journals, read so far.'),
  askedAt: z.iso.datetime(),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  changes: z.array(z.string()),
  found: z
    .strictObject({
      decisions: z.int().describe('Calls of the period.'),
      touched: z.int().describe('Of these, those that the changes can have anything to do with.'),
      truncated: z.boolean().describe('More were touched than were made again.'),
      counts: counts.describe('By what would be otherwise: see docs/what-if.md.'),
      same: z.int(),
      recordings: z.int().describe('Of those that would be otherwise: recorded then.'),
      connectedMs: z.int(),
      notReplayable: counts,
      calls: z
        .array(
          z.strictObject({
            callId: z.string(),
            at: z.string(),
            facility: z.string(),
            number: z.string().describe('… where who asks may not see it.'),
            change: z.string(),
            happened: z.string(),
            today: z.string(),
            would: z.string(),
            reason: z.string(),
            connectedMs: z.number().nullable(),
            recording: z.boolean().nullable(),
          }),
        )
        .describe('The gravest first, at most 100.'),
      near: z
        .array(
          z.strictObject({
            number: z.string(),
            why: z.string(),
            to: z.string(),
            calls: z.int(),
            monitored: z.int(),
            callers: z.int(),
            last: z.string(),
          }),
        )
        .describe('Called numbers that are not private and near to what would be protected; at most 50.'),
      nearTotal: z.int(),
    })
    .nullable(),
});

/** Numbers that steps name themselves: who sees the steps sees these. */
const namedIn = (ops: readonly Op[]): ReadonlySet<string> =>
  new Set(
    ops.flatMap((op) => {
      if ('number' in op) return [op.number];
      return 'target' in op ? [op.target.value, ...(op.target.of === null ? [] : [op.target.of])] : [];
    }),
  );

const shown = (one: WhatIfJob, who: Principal): z.infer<typeof job> => {
  const { found } = one;
  const sees = (verdict: string): boolean => seesNumber(who, verdict);
  return {
    ...{ id: one.id, state: one.state, code: one.code, rows: one.rows, askedAt: one.askedAt },
    from: new Date(one.period.from).toISOString(),
    to: new Date(one.period.to).toISOString(),
    changes: [...one.changes],
    found:
      found === null
        ? null
        : {
            ...found,
            counts: { ...found.counts },
            notReplayable: { ...found.notReplayable },
            calls: found.calls.map((call) => ({
              ...call,
              number:
                one.named.has(call.number) || sees(call.happened.split(' ')[0] ?? '') ? call.number : '…',
            })),
            near: found.near.map(({ masked, number, ...rest }) => ({
              ...rest,
              number: sees('monitored') ? number : masked,
            })),
          },
  };
};

/** Looking back: what some changes would have done to past calls. It is made in the background, and asked for again. */
export const whatIfRoutes = ({ registry, whatIf, journal, search, wall }: Parts): readonly Route[] => [
  route('POST /v1/what-if', {
    about:
      'Look back at past calls as they would have gone with changes that wait, or with steps not proposed yet. Made in the background.',
    tag: 'changes',
    maxBytes: 1024 * 1024,
    body: z.strictObject({
      changes: z.array(uuid).max(MOST_CHANGES).default([]),
      ops: z.array(z.record(z.string(), z.unknown())).max(MOST_STEPS).default([]),
      days: z.int().min(1).max(366).default(30).describe('How far to look back.'),
    }),
    answers: { 202: { json: job } },
    problems: ['unknown', 'op-refused', 'number-malformed', 'entry-moved', 'change-over', 'busy'],
    run: async (asked) => {
      const { changes, ops: written, days } = asked.body;
      const who = someone(asked);
      if (changes.length === 0 && written.length === 0)
        throw new Problem('request-malformed', 'neither a change nor steps were given');
      const ops: Op[] = [];
      const named = new Set<string>();
      for (const id of new Set(changes)) {
        const change = await registry.change(id);
        if (change.state !== 'proposed' && change.state !== 'waiting') throw new Problem('change-over');
        ops.push(...change.ops);
      }
      if (written.length > 0) {
        const tried = await registry.tryOut(written);
        if (tried.stopped !== null) throw tried.stopped;
        ops.push(...tried.ops);
      }
      if (ops.length > MOST_STEPS)
        throw new Problem(
          'op-refused',
          `too-many-ops: at most ${MOST_STEPS} steps are looked back at at once`,
        );
      for (const number of namedIn(ops)) named.add(number);
      for (const op of ops.slice(0, 200)) {
        if (!('entry' in op)) continue;
        const list =
          op.op === 'block-remove' ? 'block' : op.op === 'pending-settle' ? 'pending' : 'privileged';
        const entry = (await search.entry(list, op.entry, asked.within)) as {
          value?: string;
          number?: string;
        } | null;
        const number = entry?.value ?? entry?.number;
        if (number !== undefined) named.add(number);
      }
      await journal.append('http-privileged-read', {
        ...{ by: who.name, facility: null, class: 'what-if', entries: ops.length },
      });
      const now = wall();
      const period = { from: now - days * DAY, to: now + 1 };
      const made = whatIf.begin({ period, ops, changes: [...new Set(changes)], named }, who.name);
      return { status: 202, body: shown(made, who), headers: { location: `/v1/what-if/${made.id}` } };
    },
  }),
  route('GET /v1/what-if/:job', {
    about: 'How far a look back is, and what it found. Only who asked for it knows of it.',
    tag: 'changes',
    params: z.strictObject({ job: jobId }),
    answers: { 200: { json: job } },
    problems: ['unknown'],
    run: async (asked) => {
      const who = someone(asked);
      return ok(shown(whatIf.find(asked.params.job, who.name), who));
    },
  }),
  route('DELETE /v1/what-if/:job', {
    about: 'Stop a look back, and forget what it found.',
    tag: 'changes',
    params: z.strictObject({ job: jobId }),
    answers: { 204: 'nothing' },
    problems: ['unknown'],
    run: async (asked) => {
      whatIf.cancel(asked.params.job, someone(asked).name);
      return { status: 204 };
    },
  }),
];
