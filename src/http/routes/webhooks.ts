import { z } from 'zod';
import { alarmCodes } from '../../call/events.js';
import { HOT_ALARM } from '../alert-stream.js';
import { checkedTarget, GuardError } from '../net-guard.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { ok, person, type Route, route } from '../route.js';
import { newToken } from '../secrets.js';
import { facilitiesShown, shownFacilities, uuid } from '../shapes.js';

const webhook = z.strictObject({
  id: z.string(),
  url: z.string(),
  alarms: z.array(z.string()).describe('None: all of them.'),
  facilities: facilitiesShown.describe('Whose alarms are told.'),
  madeBy: z.string(),
  madeAt: z.iso.datetime(),
  waiting: z.int(),
  dead: z.int(),
});

export const webhookRoutes = ({ webhooks, webhookNetworks, resolve, journal }: Parts): readonly Route[] => [
  route('GET /v1/webhooks', {
    about: 'Who is told of alarms.',
    tag: 'webhooks',
    answers: { 200: { json: z.strictObject({ rows: z.array(webhook) }) } },
    run: async ({ within }) => {
      const rows = await webhooks.list(within);
      return ok({
        rows: rows.map((row) => ({
          ...{ ...row, alarms: [...row.alarms], madeAt: row.madeAt.toISOString() },
          facilities: shownFacilities(row.facilities),
        })),
      });
    },
  }),
  route('POST /v1/webhooks', {
    about: 'Have alarms told to an address. The secret that signs them is shown once, in the answer.',
    tag: 'webhooks',
    body: z.strictObject({
      url: z.string().min(8).max(500),
      alarms: z
        .array(z.enum([HOT_ALARM, ...alarmCodes]))
        .max(100)
        .default([]),
    }),
    answers: { 201: { json: z.strictObject({ id: z.string(), secret: z.string() }) } },
    problems: ['address-refused', 'op-refused', 'journal-unavailable'],
    run: async (asked) => {
      const { url, alarms } = asked.body;
      const by = person(asked).name;
      const target = await checkedTarget(url, webhookNetworks, resolve).catch((error: unknown) => {
        if (error instanceof GuardError)
          throw new Problem('address-refused', `${error.code}: ${error.message}`);
        throw error;
      });
      const secret = newToken();
      await journal.append('http-webhook-changed', { host: target.url.host, change: 'added', by });
      const id = await webhooks.add({
        ...{ url: target.url.href, secret, alarms, by, facilities: asked.within },
      });
      return { status: 201, body: { id, secret } };
    },
  }),
  route('DELETE /v1/webhooks/:webhook', {
    about: 'Tell it no more.',
    tag: 'webhooks',
    params: z.strictObject({ webhook: uuid }),
    answers: { 204: 'nothing' },
    problems: ['unknown', 'journal-unavailable'],
    run: async (asked) => {
      const { webhook: id } = asked.params;
      const { within } = asked;
      if (within !== 'all' && !(await webhooks.list(within)).some((one) => one.id === id))
        throw new Problem('unknown');
      await journal.append('http-webhook-changed', { webhook: id, change: 'ended', by: person(asked).name });
      await webhooks.end(id, within);
      return { status: 204 };
    },
  }),
  route('GET /v1/webhooks/dead', {
    about: 'Alarms that nobody took, the newest first. They are kept for thirty days.',
    tag: 'webhooks',
    answers: {
      200: {
        json: z.strictObject({
          rows: z.array(
            z.strictObject({
              id: z.string(),
              webhook: z.string(),
              body: z.string(),
              attempts: z.int(),
              lastCode: z.string().nullable(),
              madeAt: z.iso.datetime(),
            }),
          ),
        }),
      },
    },
    run: async ({ within }) => {
      const rows = await webhooks.dead(200, within);
      return ok({ rows: rows.map((row) => ({ ...row, madeAt: row.madeAt.toISOString() })) });
    },
  }),
];
