import { z } from 'zod';
import type { Account } from '../../registry/accounts/accounts.js';
import type { ApiKey } from '../../registry/accounts/keys.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { ok, person, type Route, route } from '../route.js';
import {
  accountName,
  cursor,
  cursorOf,
  cursorText,
  facilitiesShown,
  iso,
  limit,
  pageOf,
  shownFacilities,
  uuid,
} from '../shapes.js';

const account = z.strictObject({
  name: z.string(),
  kind: z.enum(['local', 'oidc']),
  roles: z.array(z.string()),
  facilities: facilitiesShown,
  state: z.enum(['active', 'disabled']),
  secondFactor: z.boolean(),
  madeBy: z.string(),
  madeAt: z.iso.datetime(),
  signedInAt: z.iso.datetime().nullable(),
});
const shownAccount = (one: Account): z.infer<typeof account> => ({
  ...one,
  roles: [...one.roles],
  facilities: shownFacilities(one.facilities),
  madeAt: one.madeAt.toISOString(),
  signedInAt: iso(one.signedInAt),
});

const key = z.strictObject({
  id: z.string(),
  prefix: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  facilities: facilitiesShown,
  state: z.enum(['standing', 'expired', 'revoked']),
  owner: z.string().describe('The account that answers for it.'),
  madeAt: z.iso.datetime(),
  expires: z.iso.datetime(),
  usedAt: z.iso.datetime().nullable(),
});
const shownKey = ({ revokedAt, ...one }: ApiKey, now: number): z.infer<typeof key> => ({
  ...one,
  scopes: [...one.scopes],
  facilities: shownFacilities(one.facilities),
  state: revokedAt !== null ? 'revoked' : one.expires.getTime() <= now ? 'expired' : 'standing',
  madeAt: one.madeAt.toISOString(),
  expires: one.expires.toISOString(),
  usedAt: iso(one.usedAt),
});

/**
 * Over HTTP an account can only be looked at and disabled, and a key revoked. They are made at the machine (`sallyport
 * accounts`): nobody whose browser was taken over makes himself another two people.
 */
export const accountRoutes = ({ accounts, keys, wall }: Parts): readonly Route[] => [
  route('GET /v1/accounts', {
    about: 'The accounts. Nothing of their secrets.',
    tag: 'accounts',
    query: z.strictObject({ cursor, limit }),
    answers: { 200: { json: pageOf(account) } },
    problems: ['cursor-malformed'],
    run: async ({ query, within }) => {
      const [after] = cursorOf(query.cursor, z.tuple([accountName])) ?? [''];
      const rows = await accounts.list(after, query.limit + 1, within);
      const here = rows.slice(0, query.limit);
      const last = here.at(-1);
      return ok({
        rows: here.map(shownAccount),
        total: await accounts.count(within),
        totalIsExact: true,
        next: rows.length > query.limit && last !== undefined ? cursorText([last.name]) : null,
      });
    },
  }),
  route('POST /v1/accounts/:name/disable', {
    about: 'Disable an account at once; its sessions end. It is opened again at the machine.',
    tag: 'accounts',
    params: z.strictObject({ name: accountName }),
    answers: { 204: 'nothing' },
    problems: ['unknown', 'conflict'],
    run: async (asked) => {
      const { name } = asked.params;
      const by = person(asked).name;
      if (name === by) throw new Problem('conflict', 'nobody disables himself');
      await accounts.setState(name, 'disabled', by, asked.within);
      return { status: 204 };
    },
  }),
  route('GET /v1/keys', {
    about: 'The keys of programs: their beginnings, and when they were used last.',
    tag: 'accounts',
    answers: { 200: { json: z.strictObject({ rows: z.array(key) }) } },
    run: async ({ within }) => ok({ rows: (await keys.list(within)).map((one) => shownKey(one, wall())) }),
  }),
  route('POST /v1/keys/:id/revoke', {
    about: 'Revoke a key at once.',
    tag: 'accounts',
    params: z.strictObject({ id: uuid }),
    answers: { 200: { json: key } },
    problems: ['unknown'],
    run: async (asked) => {
      return ok(shownKey(await keys.revoke(asked.params.id, person(asked).name, asked.within), wall()));
    },
  }),
];
