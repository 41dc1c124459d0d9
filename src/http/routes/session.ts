import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { OIDC_COOKIE, SESSION_COOKIE } from '../cookies.js';
import type { Parts } from '../parts.js';
import { MAX_PASSWORD } from '../password.js';
import { Problem } from '../problems.js';
import { isRole, roleSchema, roleTexts } from '../roles.js';
import { type Answer, ok, person, type Route, route } from '../route.js';
import { forgeryToken } from '../secrets.js';
import { accountName, facilitiesShown, shownFacilities } from '../shapes.js';
import type { Opened } from '../sign-in.js';

const session = z.strictObject({
  account: z.string(),
  roles: z.array(z.strictObject({ role: roleSchema, words: z.string() })),
  facilities: facilitiesShown,
  how: z.string(),
  expires: z.iso.datetime(),
  idleSeconds: z.number().describe('A session that is not used for so long is over.'),
  csrf: z.string().describe('To be sent as `x-sallyport-csrf` with every request that changes anything.'),
});

const rolesShown = (roles: readonly string[]) =>
  roles.filter(isRole).map((role) => ({ role, words: roleTexts[role] }));

const opened = (
  { token, csrf, account, expires }: Opened,
  how: string,
  idleSeconds: number,
  reply: { setCookie: (name: string, value: string, options: object) => unknown },
): Answer => {
  reply.setCookie(SESSION_COOKIE, token, {
    path: '/',
    secure: true,
    httpOnly: true,
    sameSite: 'strict',
    expires,
  });
  return ok({
    account: account.name,
    roles: rolesShown(account.roles),
    facilities: shownFacilities(account.facilities),
    how,
    expires: expires.toISOString(),
    idleSeconds,
    csrf,
  });
};

/** A browser that goes to the provider and back gets pages: what is refused is told by the sign-in page, in words. */
const forBrowser = async (request: FastifyRequest, run: () => Promise<Answer>): Promise<Answer> => {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Problem) || !/\btext\/html\b/.test(request.headers.accept ?? '')) throw error;
    return { status: 302, headers: { location: `/sign-in#refused=${error.code}` } };
  }
};

export const sessionRoutes = ({
  signIn,
  oidc,
  accounts,
  journal,
  settings: { idleSeconds: idle, site },
}: Parts): readonly Route[] => [
  route('GET /v1/session/ways', {
    about: 'What this place is called, and whether an identity provider vouches for people here.',
    tag: 'session',
    answers: { 200: { json: z.strictObject({ site: z.string(), provider: z.boolean() }) } },
    run: async () => ok({ site, provider: oidc !== null }),
  }),
  route('POST /v1/session', {
    about: 'Sign in with name, password and the code of the second factor (or a recovery code).',
    tag: 'session',
    body: z.strictObject({
      name: accountName,
      password: z.string().min(1).max(MAX_PASSWORD),
      code: z.string().min(6).max(40).nullable().default(null),
    }),
    answers: { 200: { json: session } },
    problems: ['credentials-wrong', 'second-factor-needed', 'too-many-tries', 'busy'],
    run: async ({ body, request, reply }) =>
      opened(await signIn.withPassword(body, request.ip), 'password', idle, reply),
  }),
  route('POST /v1/session/link', {
    about: 'Sign in with a link that was made at the machine. It is good once.',
    tag: 'session',
    body: z.strictObject({ token: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
    answers: { 200: { json: session } },
    problems: ['credentials-wrong', 'too-many-tries'],
    run: async ({ body, request, reply }) =>
      opened(await signIn.withLink(body.token, request.ip), 'link', idle, reply),
  }),
  route('GET /v1/session/oidc', {
    about: 'Sign in at the identity provider: leads there.',
    tag: 'session',
    answers: { 302: 'nothing' },
    problems: ['not-configured', 'part-unavailable', 'busy'],
    run: ({ request, reply }) =>
      forBrowser(request, async () => {
        if (oidc === null) throw new Problem('not-configured');
        const { to, state } = await oidc.begin();
        // Lax: the way back begins at the provider.
        reply.setCookie(OIDC_COOKIE, state, {
          ...{ path: '/', secure: true, httpOnly: true, sameSite: 'lax', maxAge: 600 },
        });
        return { status: 302, headers: { location: to } };
      }),
  }),
  route('GET /v1/session/oidc/callback', {
    about: 'Where the identity provider sends people back to.',
    tag: 'session',
    query: z.looseObject({ code: z.string().max(4096).optional(), state: z.string().max(512).optional() }),
    answers: { 200: { bytes: ['text/html'] }, 302: 'nothing' },
    problems: ['not-configured', 'provider-refused', 'credentials-wrong', 'part-unavailable'],
    run: ({ request, reply }) =>
      forBrowser(request, async () => {
        if (oidc === null) throw new Problem('not-configured');
        const cookie = request.cookies[OIDC_COOKIE];
        reply.clearCookie(OIDC_COOKIE, { path: '/', secure: true });
        if (cookie === undefined) throw new Problem('provider-refused', 'begin again');
        const query = new URL(request.url, 'http://here').searchParams;
        opened(await oidc.end(query, cookie), 'provider', idle, reply);
        // A page and no redirection: the session's cookie is not sent along on a way that began at another site.
        const page = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Sallyport</title>\n';
        return { status: 200, body: Buffer.from(page), headers: { 'content-type': 'text/html' } };
      }),
  }),
  route('GET /v1/session', {
    about: 'Who is signed in, and the token for requests that change anything.',
    tag: 'session',
    answers: { 200: { json: session } },
    run: async ({ request }) => {
      const token = request.cookies[SESSION_COOKIE] ?? '';
      const found = await signIn.session(token);
      if (found === null) throw new Problem('sign-in-needed');
      const { account, expires, how } = found;
      return ok({
        account: account.name,
        roles: rolesShown(account.roles),
        facilities: shownFacilities(account.facilities),
        how,
        expires: expires.toISOString(),
        idleSeconds: idle,
        csrf: forgeryToken(token),
      });
    },
  }),
  route('DELETE /v1/session', {
    about: 'Sign out.',
    tag: 'session',
    answers: { 204: 'nothing' },
    run: async (asked) => {
      const who = person(asked);
      await journal.append('http-signed-out', { account: who.name });
      await accounts.sessions.close(who.session);
      asked.reply.clearCookie(SESSION_COOKIE, { path: '/', secure: true });
      return { status: 204 };
    },
  }),
  route('POST /v1/session/password', {
    about: 'Change one’s own password. Every other session of the account ends.',
    tag: 'session',
    body: z.strictObject({
      password: z.string().min(1).max(MAX_PASSWORD),
      wanted: z.string().min(1).max(MAX_PASSWORD),
    }),
    answers: { 204: 'nothing' },
    problems: ['credentials-wrong', 'too-many-tries', 'busy'],
    run: async (asked) => {
      await signIn.changePassword(person(asked), asked.body.password, asked.body.wanted);
      return { status: 204 };
    },
  }),
];
