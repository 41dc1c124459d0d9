import { type Session, sessionNow, sessionState, usedAt } from './session.js';

/** A refusal of the API, or what became of a request that found no API. */
export class ApiProblem extends Error {
  /** 0: there was no answer. */
  readonly status: number;
  /** Stable and kebab-case; ours are `offline`, `too-slow` and `answer-malformed`. */
  readonly code: string;
  /** What the code means, in English, as the API says it. */
  readonly title: string;
  readonly detail: string | null;
  /** Seconds until it may be tried again, where the API says so. */
  readonly retryAfter: number | null;

  constructor(
    status: number,
    code: string,
    title: string,
    more: { readonly detail?: string | null; readonly retryAfter?: number | null } = {},
  ) {
    super(code);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = more.detail ?? null;
    this.retryAfter = more.retryAfter ?? null;
  }
}

export interface Asking {
  readonly signal?: AbortSignal;
  /** Asked by the page and by nobody's hand: it does not keep the session alive. */
  readonly unattended?: boolean;
  /** ETag of what was looked at. */
  readonly ifMatch?: string;
  /** What is sent as it is, in the place of JSON. */
  readonly raw?: { readonly body: BodyInit; readonly type: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const TIMEOUT_MS = 30_000;

const problemIn = async (answer: Response): Promise<ApiProblem> => {
  const retry = Number(answer.headers.get('retry-after'));
  const retryAfter = Number.isFinite(retry) && retry > 0 ? retry : null;
  const body: unknown = await answer.json().catch(() => null);
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    const { title, detail } = body as { readonly title?: unknown; readonly detail?: unknown };
    return new ApiProblem(answer.status, body.code, typeof title === 'string' ? title : body.code, {
      detail: typeof detail === 'string' ? detail : null,
      retryAfter,
    });
  }
  return new ApiProblem(answer.status, 'answer-malformed', `HTTP ${answer.status}`, { retryAfter });
};

/** Any request to the API. Rejects with ApiProblem for all but 2xx, and where there is no answer. */
export const request = async (
  method: Method,
  path: string,
  body: unknown = undefined,
  asking: Asking = {},
): Promise<Response> => {
  const { signal, unattended = false, ifMatch, raw, headers: more, timeoutMs = TIMEOUT_MS } = asking;
  const headers = new Headers(more);
  const session = sessionNow();
  if (method !== 'GET' && session !== null) headers.set('x-sallyport-csrf', session.csrf);
  if (unattended) headers.set('x-sallyport-unattended', '1');
  if (ifMatch !== undefined) headers.set('if-match', ifMatch);
  if (raw !== undefined) headers.set('content-type', raw.type);
  else if (body !== undefined) headers.set('content-type', 'application/json');
  const timeout = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  try {
    answer = await fetch(path, {
      ...{ method, headers, credentials: 'same-origin', cache: 'no-store', redirect: 'error' },
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      body: raw?.body ?? (body === undefined ? null : JSON.stringify(body)),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (timeout.aborted) throw new ApiProblem(0, 'too-slow', 'There was no answer in time.');
    throw new ApiProblem(0, 'offline', 'The console’s server does not answer.');
  }
  if (!answer.ok) {
    const problem = await problemIn(answer);
    if (problem.code === 'sign-in-needed' && sessionNow() !== null)
      sessionState.set({ state: 'nobody', ended: true });
    throw problem;
  }
  if (!unattended) usedAt.set(performance.now());
  return answer;
};

const json = async <T>(answer: Response): Promise<T> => {
  if (answer.status === 204) return undefined as T;
  try {
    return (await answer.json()) as T;
  } catch {
    throw new ApiProblem(answer.status, 'answer-malformed', 'The answer is not what it says it is.');
  }
};

/**
 * The API, as pages use it. Shapes are given by who asks: `get<Page<Row>>('/v1/…')`. Numbers that are asked about go into
 * a body, never into a path.
 */
export const api = {
  get: async <T>(path: string, asking?: Asking): Promise<T> =>
    await json<T>(await request('GET', path, undefined, asking)),
  /** With the ETag of what is there, for a word on it. */
  getTagged: async <T>(
    path: string,
    asking?: Asking,
  ): Promise<{ readonly body: T; readonly etag: string | null }> => {
    const answer = await request('GET', path, undefined, asking);
    return { etag: answer.headers.get('etag'), body: await json<T>(answer) };
  },
  post: async <T = undefined>(path: string, body: unknown = {}, asking?: Asking): Promise<T> =>
    await json<T>(await request('POST', path, body, asking)),
  put: async <T = undefined>(path: string, body: unknown = {}, asking?: Asking): Promise<T> =>
    await json<T>(await request('PUT', path, body, asking)),
  delete: async <T = undefined>(path: string, asking?: Asking): Promise<T> =>
    await json<T>(await request('DELETE', path, undefined, asking)),
  bytes: async (path: string, asking?: Asking): Promise<Uint8Array<ArrayBuffer>> =>
    new Uint8Array(await (await request('GET', path, undefined, asking)).arrayBuffer()),
};

/** Looks who is signed in, and takes it down. */
export const lookWhoIsIn = async (): Promise<void> => {
  try {
    const session = await api.get<Session>('/v1/session');
    sessionState.set({ state: 'somebody', session });
  } catch (error) {
    const known = sessionState.get();
    if (error instanceof ApiProblem && error.status === 401) {
      if (known.state !== 'nobody') sessionState.set({ state: 'nobody', ended: false });
    } else throw error;
  }
};

export const signOut = async (): Promise<void> => {
  await api.delete('/v1/session').catch((error: unknown) => {
    if (!(error instanceof ApiProblem && error.status === 401)) throw error;
  });
  sessionState.set({ state: 'nobody', ended: false });
};
