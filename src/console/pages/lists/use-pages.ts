import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblem } from '../../api/client.js';
import type { Page } from './shapes.js';

export interface Paged<Row> {
  readonly rows: readonly Row[];
  readonly total: number;
  readonly exact: boolean;
  readonly busy: boolean;
  readonly problem: ApiProblem | null;
  /** Null where there is no more. */
  readonly more: (() => void) | null;
  readonly again: () => void;
}

interface State<Row> {
  readonly of: string;
  readonly rows: readonly Row[];
  readonly total: number;
  readonly exact: boolean;
  readonly next: string | null;
  readonly busy: boolean;
  readonly problem: ApiProblem | null;
}

/**
 * A long list, one page after the other as somebody asks for more: never as a whole. `key` says what list it is; when it
 * changes, what was there is forgotten, and an answer that comes late for the old one counts for nothing.
 */
export const usePages = <Row>(
  key: string,
  ask: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>,
): Paged<Row> => {
  const nothing = { rows: [], total: 0, exact: true, next: null, busy: true, problem: null };
  const [state, setState] = useState<State<Row>>({ of: key, ...nothing });
  const latest = useRef(ask);
  latest.current = ask;
  const stop = useRef<AbortController | null>(null);
  const turn = useCallback(
    (cursor: string | null, before: readonly Row[]): void => {
      stop.current?.abort();
      const own = new AbortController();
      stop.current = own;
      setState((was) => (was.of === key ? { ...was, busy: true } : { of: key, ...nothing }));
      latest.current(cursor, own.signal).then(
        ({ rows, total, totalIsExact, next }) => {
          if (own.signal.aborted) return;
          setState({
            ...{ of: key, rows: [...before, ...rows], total, exact: totalIsExact, next },
            ...{ busy: false, problem: null },
          });
        },
        (error: unknown) => {
          if (own.signal.aborted) return;
          const problem = error instanceof ApiProblem ? error : new ApiProblem(0, 'failed', String(error));
          setState((was) => ({ ...was, of: key, busy: false, problem }));
        },
      );
    },
    [key],
  );
  useEffect(() => {
    turn(null, []);
    return () => stop.current?.abort();
  }, [turn]);
  const current: State<Row> = state.of === key ? state : { of: key, ...nothing };
  const { next } = current;
  return {
    ...{ rows: current.rows, total: current.total, exact: current.exact, busy: current.busy },
    problem: current.problem,
    more: next === null ? null : () => turn(next, current.rows),
    again: () => turn(null, []),
  };
};
