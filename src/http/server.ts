import fastifyCookie from '@fastify/cookie';
import fastifyHelmet from '@fastify/helmet';
import fastifyRateLimit from '@fastify/rate-limit';
import fastifySwagger from '@fastify/swagger';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import { createJsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Facilities } from '../registry/accounts/facilities.js';
import { RegistryError } from '../registry/errors.js';
import { access, mayUse } from './access.js';
import { SESSION_COOKIE } from './cookies.js';
import type { PageFile } from './pages.js';
import type { Parts } from './parts.js';
import {
  Problem,
  type ProblemCode,
  problemBody,
  problemSchema,
  problems,
  registryProblem,
} from './problems.js';
import { addRepeated } from './repeated.js';
import { isScope, keyName, type Principal } from './roles.js';
import { type Answer, type Carries, type Route, route } from './route.js';
import { accountRoutes } from './routes/accounts.js';
import { callRoutes } from './routes/calls.js';
import { changeRoutes } from './routes/changes.js';
import { counselRoutes } from './routes/counsel.js';
import { counselOfficeRoutes } from './routes/counsel-office.js';
import { explainRoutes } from './routes/explain.js';
import { exportRoutes } from './routes/exports.js';
import { findRoutes } from './routes/find.js';
import { hotNumberRoutes } from './routes/hot-numbers.js';
import { importRoutes } from './routes/imports.js';
import { listRoutes } from './routes/lists.js';
import { placeRoutes } from './routes/places.js';
import { proposalRoutes } from './routes/proposals.js';
import { publicationRoutes } from './routes/publications.js';
import { recordingRoutes } from './routes/recordings.js';
import { runningRoutes } from './routes/running.js';
import { searchRoutes } from './routes/search.js';
import { sessionRoutes } from './routes/session.js';
import { siteRoutes } from './routes/site.js';
import { statementRoutes } from './routes/statements.js';
import { webhookRoutes } from './routes/webhooks.js';
import { whatIfRoutes } from './routes/what-if.js';
import { digestOf, forgeryToken, sameText } from './secrets.js';

/** Where the connections come from: TLS, or loopback. */
export interface TlsFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const CSRF_HEADER = 'x-sallyport-csrf';
const UNATTENDED_HEADER = 'x-sallyport-unattended';
const MAX_URL = 2048;
const SAFE = new Set(['GET', 'HEAD']);

const asked = new WeakMap<FastifyRequest, Principal>();

const ownRoutes = (parts: Parts, document: () => object): readonly Route[] => [
  ...sessionRoutes(parts),
  ...accountRoutes(parts),
  ...listRoutes(parts),
  ...placeRoutes(parts),
  ...changeRoutes(parts),
  ...findRoutes(parts),
  ...proposalRoutes(parts),
  ...publicationRoutes(parts),
  ...whatIfRoutes(parts),
  ...explainRoutes(parts),
  ...importRoutes(parts),
  ...callRoutes(parts),
  ...recordingRoutes(parts),
  ...searchRoutes(parts),
  ...hotNumberRoutes(parts),
  ...exportRoutes(parts),
  ...statementRoutes(parts),
  ...siteRoutes(parts),
  ...runningRoutes(parts),
  ...webhookRoutes(parts),
  ...counselRoutes(parts),
  ...counselOfficeRoutes(parts),
  route('GET /v1/openapi.json', {
    about: 'This description.',
    tag: 'site',
    answers: { 200: { json: z.looseObject({ openapi: z.string() }) } },
    run: async () => ({ status: 200, body: document() }),
  }),
];

/** Every code a route can answer with: its own, and those of its kind. */
export const problemsOf = (one: Route): readonly ProblemCode[] => {
  const rule = access[`${one.method} ${one.url}`]?.who;
  const input = one.params !== null || one.query !== null || one.body !== null;
  return [
    ...one.problems,
    ...(input ? (['request-malformed'] as const) : []),
    ...(one.method === 'POST' ? (['request-malformed', 'too-large', 'type-unknown'] as const) : []),
    ...(rule === 'everybody' ? [] : (['sign-in-needed', 'not-allowed'] as const)),
    ...(one.method === 'GET' ? [] : (['forgery-suspected'] as const)),
    ...(one.method === 'POST' && rule !== 'everybody'
      ? (['request-reused', 'request-under-way'] as const)
      : []),
    ...(['too-many-requests', 'registry-unreachable', 'journal-unavailable', 'failed'] as const),
  ];
};

const responsesOf = (one: Route): Record<number, object> => {
  const responses: Record<number, object> = {};
  const content = (carries: Carries): object => {
    if (carries === 'nothing') return { type: 'null', description: 'Nothing more is said.' };
    if ('json' in carries)
      return { description: 'Done.', content: { 'application/json': { schema: carries.json } } };
    return {
      description: 'Bytes.',
      content: Object.fromEntries(carries.bytes.map((type) => [type, { schema: z.string() }])),
    };
  };
  const statuses = new Map<number, ProblemCode[]>();
  for (const code of new Set(problemsOf(one)))
    statuses.set(problems[code][0], [...(statuses.get(problems[code][0]) ?? []), code]);
  for (const [status, codes] of statuses)
    responses[status] = {
      description: codes.map((code) => `\`${code}\`: ${problems[code][1]}`).join(' '),
      content: { 'application/problem+json': { schema: problemSchema } },
    };
  for (const [status, carries] of Object.entries(one.answers)) {
    if (carries === 'nothing')
      responses[Number(status)] = {
        description: 'Done.',
        content: { 'application/json': { schema: z.null() } },
      };
    else responses[Number(status)] = content(carries);
  }
  return responses;
};

/** Who asks: by a program's key, or by a session's cookie. Null for nobody. Throws Problem. */
const principalOf = async (request: FastifyRequest, parts: Parts): Promise<Principal | null> => {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const key = /^Bearer (sp_[a-z2-7]{8}_[A-Za-z0-9_-]{43})$/.exec(authorization)?.[1];
    const found = key === undefined ? null : await parts.keys.standing(digestOf(key));
    if (found === null) throw new Problem('sign-in-needed');
    return {
      kind: 'key',
      id: found.id,
      name: keyName(found.prefix),
      scopes: found.scopes.filter(isScope),
      facilities: found.facilities,
    };
  }
  const token = request.cookies[SESSION_COOKIE];
  if (token === undefined || !/^[A-Za-z0-9_-]{43}$/.test(token)) return null;
  // A look that a page takes by itself is no use of the session: it would never be idle while a page is open.
  const used = request.method !== 'GET' || request.headers[UNATTENDED_HEADER] === undefined;
  return (await parts.signIn.session(token, used))?.who ?? null;
};

/**
 * Whether an unsafe request can have been made by another site in somebody's name. Its Origin must be ours, where the
 * browser says one; and where a session speaks, the session's own token must be with it, which no other site can read.
 */
const notForged = (request: FastifyRequest, who: Principal | null, origin: string): void => {
  if (SAFE.has(request.method)) return;
  const { origin: from } = request.headers;
  if (from !== undefined && from !== origin) throw new Problem('forgery-suspected');
  if (who?.kind !== 'person') return;
  const given = request.headers[CSRF_HEADER];
  const token = request.cookies[SESSION_COOKIE] ?? '';
  if (typeof given !== 'string' || !sameText(given, forgeryToken(token)))
    throw new Problem('forgery-suspected');
};

const problemOf = (error: unknown): Problem | null => {
  if (error instanceof Problem) return error;
  if (error instanceof RegistryError) return registryProblem(error);
  if (!(error instanceof Error)) return null;
  const { code, validation, statusCode } = error as Error & {
    readonly code?: unknown;
    readonly validation?: readonly { readonly instancePath?: string; readonly message?: string }[];
    readonly statusCode?: number;
  };
  if (Array.isArray(validation)) {
    const [first] = validation;
    // Where and what is wrong, and never what was written there: it may be a number.
    return new Problem(
      'request-malformed',
      `${first?.instancePath ?? ''}: ${first?.message ?? ''}`.slice(0, 200),
    );
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Problem('too-large');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Problem('type-unknown');
  if (statusCode === 400)
    return new Problem('request-malformed', 'the body is not JSON, or not what it says it is');
  return null;
};

const tell = (reply: FastifyReply, problem: Problem): void => {
  if (problem.retryAfter !== null) void reply.header('retry-after', String(problem.retryAfter));
  void reply
    .code(problem.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(problemBody(problem));
};

const send = (reply: FastifyReply, answer: Answer): FastifyReply => {
  void reply.code(answer.status);
  for (const [name, value] of Object.entries(answer.headers ?? {})) void reply.header(name, value);
  return reply.send(answer.body);
};

/** A file of the console. Its names hold digests, so what has one of them never changes. */
const sendPage = (request: FastifyRequest, reply: FastifyReply, file: PageFile): void => {
  const packed = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') ? file.packed : null;
  void reply.header('content-type', file.type).header('vary', 'accept-encoding');
  if (file.lasting) void reply.header('cache-control', 'public, max-age=31536000, immutable');
  if (packed !== null) void reply.header('content-encoding', 'gzip');
  void reply.code(200).send(packed ?? file.bytes);
};

/** The server, with every route of the table and no other. It listens once it is told where. */
export const buildServer = async (parts: Parts, tls: TlsFiles | null = null): Promise<FastifyInstance> => {
  const options = {
    logger: false,
    // The address of who asks is that of the connection, but for these who say whose they forward.
    trustProxy: parts.settings.trustProxy === undefined ? false : [...parts.settings.trustProxy],
    bodyLimit: 16 * 1024,
    requestTimeout: 30_000,
    connectionTimeout: 0,
    keepAliveTimeout: 15_000,
    routerOptions: { maxParamLength: 200, caseSensitive: true },
    return503OnClosing: true,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  } satisfies FastifyServerOptions;
  const app = (
    tls === null ? fastify(options) : fastify({ ...options, https: { ...tls, minVersion: 'TLSv1.2' } })
  ) as FastifyInstance;
  app.server.maxConnections = 1000;
  app.server.headersTimeout = 10_000;
  // JSON is all that is taken.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sallyport',
        version: parts.settings.version,
        description: 'Lists, changes, calls and evidence. See docs/api.md.',
      },
      servers: [{ url: parts.settings.publicUrl }],
      components: {
        securitySchemes: {
          session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
          key: { type: 'http', scheme: 'bearer' },
        },
      },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig: { unrepresentable: 'any' } }),
  });
  await app.register(fastifyCookie);
  await app.register(fastifyHelmet, {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        // Nothing that stands in a page itself is run or followed; what the console draws comes from files of ours.
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        fontSrc: ["'self'"],
        // A recording that was opened in the browser is played from its memory.
        mediaSrc: ["'self'", 'blob:'],
        frameAncestors: ["'none'"],
        // Without TLS, on this host, there is nothing to lead to.
        upgradeInsecureRequests: tls === null ? null : [],
      },
    },
    // With no-referrer a browser says of our own pages that they come from nowhere, and `notForged` believes it.
    referrerPolicy: { policy: 'same-origin' },
    hsts: tls === null ? false : { maxAge: 31_536_000 },
  });
  await app.register(fastifyRateLimit, {
    max: parts.settings.requestsPerMinute,
    timeWindow: 60_000,
    cache: 10_000,
    errorResponseBuilder: (_request, { ttl }) =>
      new Problem('too-many-requests', null, Math.ceil(ttl / 1000)),
  });
  guard(app, parts);
  if (parts.requestKeys !== undefined)
    addRepeated(app, parts.requestKeys, (request) => asked.get(request) ?? null);
  const routes = ownRoutes(parts, () => app.swagger());
  for (const one of routes.filter(({ bytes }) => !bytes)) add(app, one);
  await app.register((scope, _options, registered) => {
    // Parts of files, and nothing else, are bytes: each is whole in memory, and bounded by its route.
    scope.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    for (const one of routes.filter(({ bytes }) => bytes)) add(scope as FastifyInstance, one);
    registered();
  });
  await app.ready();
  return app;
};

/** Hooks and errors that are the same for every route. */
const guard = (app: FastifyInstance, parts: Parts): void => {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    if (request.url.length > MAX_URL) throw new Problem('request-malformed', 'the address is too long');
  });
  // After the limits of rates, and before a byte of the body is read.
  app.addHook('preParsing', async (request) => {
    const { url } = request.routeOptions;
    if (url === undefined) return;
    const name = `${request.method} ${url}`;
    const open = access[name]?.who === 'everybody';
    const who = open ? null : await principalOf(request, parts);
    const verdict = mayUse(name, who);
    if (verdict === 'sign-in-first') throw new Problem('sign-in-needed');
    if (verdict === 'not-allowed') throw new Problem('not-allowed');
    // Looked up now: where the system picks the port, it is not known when the server is built.
    notForged(request, who, parts.settings.publicUrl);
    if (who !== null) asked.set(request, who);
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem === null || problem.code === 'failed')
      parts.fault(`${request.method} ${request.routeOptions.url ?? ''}`, error);
    tell(reply, problem ?? new Problem('failed'));
  });
  app.setNotFoundHandler((request, reply) => {
    const file = SAFE.has(request.method) ? parts.pages?.(request.url) : undefined;
    if (file === undefined || file === null) return tell(reply, new Problem('route-unknown'));
    return sendPage(request, reply, file);
  });
};

/** Whether it is bytes the route looks for itself. */
const anyBytes = z.unknown();

const add = (app: FastifyInstance, one: Route): void => {
  const { who: rule, limit } = access[`${one.method} ${one.url}`] ?? {};
  const looks = typeof limit === 'object' && limit.how !== 'nothing-of-one';
  const security =
    rule === undefined || rule === 'everybody'
      ? []
      : rule === 'signed-in' || rule.scope === null
        ? [{ session: [] }]
        : [{ session: [] }, { key: [rule.scope] }];
  app.route({
    method: one.method,
    url: one.url,
    bodyLimit: one.maxBytes,
    schema: {
      ...{ summary: one.about, tags: [one.tag], security, response: responsesOf(one) },
      ...(one.params === null ? {} : { params: one.params }),
      ...(one.query === null ? {} : { querystring: one.query }),
      ...(one.body === null ? {} : { body: one.body }),
      ...(one.bytes ? { consumes: ['application/octet-stream'], body: anyBytes } : {}),
    } as object,
    handler: async (request, reply) => {
      const who = asked.get(request) ?? null;
      const within: Facilities = who?.facilities ?? [];
      let looked = false;
      const answer = await one.run({
        params: request.params as never,
        query: request.query as never,
        body: request.body as never,
        who,
        get within() {
          looked = true;
          return within;
        },
        request,
        reply,
      });
      // Nobody asked whose it is: whatever it holds, it is not given to somebody who may not have all of it.
      if (looks && !looked && within !== 'all') throw new Error(`${one.url} did not look at facilities`);
      return answer === null ? reply : send(reply, answer);
    },
  });
};
