import { z } from 'zod';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { ok, person, type Route, route, someone } from '../route.js';
import { digestOf, newToken } from '../secrets.js';
import { iso, uuid, words } from '../shapes.js';

const contested = z.strictObject({
  id: z.string(),
  number: z.string(),
  account: z.string(),
  name: z.string(),
  jurisdiction: z.string(),
  barNumber: z.string(),
  firstProvedAt: z.iso.datetime().nullable(),
  provedAt: z.iso.datetime().nullable(),
});

/** What registrars do about attorneys: invite them, and decide whose a number is that several proved. */
export const counselOfficeRoutes = ({ counsel, journal }: Parts): readonly Route[] => [
  route('POST /v1/counsel/invitations', {
    about: 'Make a link by which one attorney may make an account, within a week. It is shown this once.',
    tag: 'counsel',
    body: z.strictObject({ note: words(200).describe('For whom it is; for ourselves.') }),
    answers: { 201: { json: z.strictObject({ token: z.string(), days: z.int() }) } },
    problems: [],
    run: async (asked) => {
      const token = newToken();
      if (!(await counsel.invite(digestOf(`invite:${token}`), asked.body.note, person(asked).name)))
        throw new Problem('too-many-requests', null, 3600);
      return { status: 201, body: { token, days: 7 } };
    },
  }),
  route('GET /v1/counsel/contests', {
    about: 'Numbers that several accounts proved, with all who did. Reading them is written down.',
    tag: 'counsel',
    answers: { 200: { json: z.strictObject({ rows: z.array(contested) }) } },
    problems: [],
    run: async (asked) => {
      const rows = await counsel.contests();
      await journal.append('http-privileged-read', {
        ...{ by: someone(asked).name, facility: null, class: 'contested', entries: rows.length },
      });
      return ok({
        rows: rows.map(({ id, number, account, attorney, firstProvedAt, provedAt }) => ({
          ...{ id, number, account },
          ...{ name: attorney.name, jurisdiction: attorney.jurisdiction, barNumber: attorney.barNumber },
          firstProvedAt: iso(firstProvedAt),
          provedAt: iso(provedAt),
        })),
      });
    },
  }),
  route('POST /v1/counsel/contests/:number/decide', {
    about:
      'Decide whose a number is: the claims that are kept, of those that were proved. The others are over, and all are told. Protection stays as it is.',
    tag: 'counsel',
    params: z.strictObject({ number: uuid }),
    body: z.strictObject({ keep: z.array(uuid).max(200) }),
    answers: { 200: { json: z.strictObject({ kept: z.int(), over: z.int() }) } },
    problems: ['unknown'],
    run: async (asked) => {
      const by = person(asked).name;
      const decided = await counsel.decide(asked.params.number, asked.body.keep, by);
      if (decided === null) throw new Problem('unknown');
      const kept = asked.body.keep.length;
      await journal.append('http-counsel-decided', { by, kept, over: decided.length - kept });
      return ok({ kept, over: decided.length - kept });
    },
  }),
];
