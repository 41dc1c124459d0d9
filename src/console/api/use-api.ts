import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblem, api } from './client.js';

export interface Asked<T> {
  /** The newest answer; null before there is one. It stays while a later request fails. */
  readonly data: T | null;
  /** Why the newest request failed; null where it did not. */
  readonly problem: ApiProblem | null;
  /** The first answer is not there yet. */
  readonly busy: boolean;
  /** Asks anew, by somebody's hand. Resolves with the answer, or null where there was a problem. */
  readonly again: () => Promise<T | null>;
}

const asProblem = (error: unknown): ApiProblem =>
  error instanceof ApiProblem ? error : new ApiProblem(0, 'failed', String(error));

/**
 * What a GET of the API answers, asked again every `everyMs` while the page is looked at; null asks nothing. Those later
 * requests keep no session alive. A new path forgets the answer of the old one.
 */
export const useApi = <T>(
  path: string | null,
  { everyMs = 0 }: { readonly everyMs?: number } = {},
): Asked<T> => {
  const [state, setState] = useState<{
    readonly of: string | null;
    readonly data: T | null;
    readonly problem: ApiProblem | null;
  }>({ of: path, data: null, problem: null });
  const wanted = useRef(path);
  wanted.current = path;

  const ask = useCallback(
    async (unattended: boolean, signal?: AbortSignal): Promise<T | null> => {
      if (path === null) return null;
      try {
        const data = await api.get<T>(path, { unattended, ...(signal === undefined ? {} : { signal }) });
        if (wanted.current === path) setState({ of: path, data, problem: null });
        return data;
      } catch (error) {
        if (signal?.aborted === true) return null;
        const problem = asProblem(error);
        if (wanted.current === path)
          setState((was) => ({ of: path, data: was.of === path ? was.data : null, problem }));
        return null;
      }
    },
    [path],
  );

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (): void => {
      if (everyMs > 0 && !stop.signal.aborted) timer = setTimeout(turn, everyMs);
    };
    const turn = (): void => {
      if (document.hidden) later();
      else void ask(true, stop.signal).finally(later);
    };
    void ask(false, stop.signal).finally(later);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [ask, everyMs]);

  const current = state.of === path ? state : { data: null, problem: null };
  const again = useCallback(() => ask(false), [ask]);
  return {
    data: current.data,
    problem: current.problem,
    busy: path !== null && current.data === null && current.problem === null,
    again,
  };
};

/** Something that a person sets going: `run` does it, one at a time; `problem` is why it failed last. */
export const useDoing = <Given extends readonly unknown[], T>(
  doing: (...given: Given) => Promise<T>,
): {
  readonly run: (...given: Given) => Promise<T | null>;
  readonly busy: boolean;
  readonly problem: ApiProblem | null;
  readonly clear: () => void;
} => {
  const [state, setState] = useState<{ readonly busy: boolean; readonly problem: ApiProblem | null }>({
    busy: false,
    problem: null,
  });
  const running = useRef(false);
  const latest = useRef(doing);
  latest.current = doing;
  const run = useCallback(async (...given: Given): Promise<T | null> => {
    if (running.current) return null;
    running.current = true;
    setState({ busy: true, problem: null });
    try {
      const done = await latest.current(...given);
      setState({ busy: false, problem: null });
      return done;
    } catch (error) {
      setState({ busy: false, problem: asProblem(error) });
      return null;
    } finally {
      running.current = false;
    }
  }, []);
  const clear = useCallback(() => setState({ busy: false, problem: null }), []);
  return { run, ...state, clear };
};
