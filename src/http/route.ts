import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { covers, type Facilities } from '../registry/accounts/facilities.js';
import type { RouteName } from './access.js';
import { Problem, type ProblemCode } from './problems.js';
import type { Principal } from './roles.js';

/** One request whose parts were checked. */
export interface Asked<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly who: Principal | null;
  /**
   * What who asks acts for. A handler of a route that is limited by facility looks at it, whatever it does then: an answer
   * that was made without a look is not given out.
   */
  readonly within: Facilities;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface Answer {
  readonly status: number;
  readonly body?: object | Buffer | Readable | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a status carries: JSON of a shape, bytes of a type, or nothing. */
export type Carries = { readonly json: z.ZodType } | { readonly bytes: readonly string[] } | 'nothing';

/** A route as it is registered, with the types of its parts forgotten. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly about: string;
  readonly tag: string;
  readonly params: z.ZodType | null;
  readonly query: z.ZodType | null;
  readonly body: z.ZodType | null;
  readonly maxBytes: number;
  /** The body is bytes, not JSON. */
  readonly bytes: boolean;
  readonly answers: Readonly<Record<number, Carries>>;
  /** Refusals of its own, besides those that every route of its kind has. */
  readonly problems: readonly ProblemCode[];
  /** Null: the route takes the connection for itself. */
  readonly run: (asked: Asked<never, never, never>) => Promise<Answer | null>;
}

interface Spec<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly about: string;
  readonly tag: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly maxBytes?: number;
  readonly bytes?: boolean;
  readonly answers: Readonly<Record<number, Carries>>;
  readonly problems?: readonly ProblemCode[];
  readonly run: (asked: Asked<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Answer | null>;
}

const nothing = z.undefined();
type Nothing = typeof nothing;
const BODY_BYTES = 16 * 1024;

/** Defines a route: `GET /v1/…`. */
export const route = <
  P extends z.ZodType = Nothing,
  Q extends z.ZodType = Nothing,
  B extends z.ZodType = Nothing,
>(
  at: RouteName,
  spec: Spec<P, Q, B>,
): Route => {
  const [method, url] = at.split(' ') as [Route['method'], string];
  return {
    method,
    url,
    about: spec.about,
    tag: spec.tag,
    params: spec.params ?? null,
    query: spec.query ?? null,
    body: spec.body ?? null,
    maxBytes: spec.maxBytes ?? BODY_BYTES,
    bytes: spec.bytes === true,
    answers: spec.answers,
    problems: spec.problems ?? [],
    run: spec.run as unknown as Route['run'],
  };
};

/** Something of these facilities, or of that one: beyond what who asks acts for it is not there. Throws Problem `unknown`. */
export const mustReach = (within: Facilities, of: Facilities): void => {
  if (!covers(within, of)) throw new Problem('unknown');
};

export const ok = (body: object): Answer => ({ status: 200, body });

/** Whoever is signed in. The hook lets nobody else here; this says so to the compiler, and refuses if it were not so. */
export const someone = ({ who }: { readonly who: Principal | null }): Principal => {
  if (who === null) throw new Problem('sign-in-needed');
  return who;
};
export const person = (asked: { readonly who: Principal | null }): Extract<Principal, { kind: 'person' }> => {
  const who = someone(asked);
  if (who.kind !== 'person') throw new Problem('not-allowed');
  return who;
};
