import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { storedFacilities } from '../registry/accounts/facilities.js';
import type { KeyedRequest, RequestKeys } from '../registry/accounts/request-keys.js';
import { Problem } from './problems.js';
import type { Principal } from './roles.js';

/** Draft-ietf-httpapi-idempotency-key-header: a key of the client's own for a request it may have to send twice. */
const HEADER = 'idempotency-key';
const keyShape = /^[A-Za-z0-9_-]{8,64}$/;
const MOST_KEPT_BYTES = 65_536;
const keptHeaders = ['content-type', 'etag', 'location'] as const;

const keyed = new WeakMap<FastifyRequest, KeyedRequest>();
const whole = new WeakSet<FastifyRequest>();

/** The key of a request, where it has one, for what is done once in the very transaction that does it. */
export const requestKeyOf = (
  request: FastifyRequest,
): { readonly key: string; readonly digest: string } | null => keyed.get(request) ?? null;

/** Reads the key of a POST request of somebody. Throws Problem `request-malformed`. */
const readKey = (request: FastifyRequest, who: Principal): KeyedRequest | null => {
  const key = request.headers[HEADER];
  if (key === undefined) return null;
  if (typeof key !== 'string' || !keyShape.test(key))
    throw new Problem('request-malformed', 'idempotency-key: 8 to 64 of A-Z a-z 0-9 _ -');
  const digest = createHash('sha256')
    // Whoever reaches something else by now asks something else: an answer of before is none of theirs.
    .update(
      JSON.stringify([
        ...[request.url, request.headers['if-match'] ?? null, request.body ?? null],
        ...(who.facilities === 'all' ? [] : [storedFacilities(who.facilities)]),
      ]),
    )
    .digest('base64url');
  return { who: who.name, key, digest };
};

/**
 * Has POST requests with a key done once: what was answered before is answered again, with `idempotency-replayed: true`.
 * A fault of ours is no answer: the same key may be tried again after it.
 */
export const addRepeated = (
  app: FastifyInstance,
  keys: RequestKeys,
  whoAsks: (request: FastifyRequest) => Principal | null,
): void => {
  app.addHook('preHandler', async (request, reply) => {
    const who = request.method === 'POST' ? whoAsks(request) : null;
    const read = who === null ? null : readKey(request, who);
    if (read === null) return;
    const before = await keys.begin(read);
    if (before === null) {
      keyed.set(request, read);
      return;
    }
    for (const [name, value] of Object.entries(before.headers)) void reply.header(name, value);
    // What is sent is text already; it is not to be made into text again.
    void reply
      .code(before.status)
      .header('idempotency-replayed', 'true')
      .serializer((text: unknown) => String(text));
    return await reply.send(before.body);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const own = keyed.get(request);
    if (own === undefined || whole.has(request)) return payload;
    whole.add(request);
    const kept = reply.statusCode < 500 && typeof payload === 'string' && payload.length <= MOST_KEPT_BYTES;
    const headers = Object.fromEntries(
      keptHeaders.flatMap((name) => {
        const value = reply.getHeader(name);
        return typeof value === 'string' ? [[name, value]] : [];
      }),
    );
    const answer = kept ? { status: reply.statusCode, headers, body: String(payload) } : null;
    // It is done whether or not it could be kept; a change is found again by its own key.
    await keys.end(own, answer).catch(() => undefined);
    return payload;
  });
};
