import { useEffect, useState } from 'preact/hooks';

/** One value that parts of the page look at: the whole of the console's own state, beside what the API holds. */
export interface Cell<T> {
  get(): T;
  set(value: T): void;
  /** Calls back after each change; returns what ends it. */
  watch(look: () => void): () => void;
}

export const cell = <T>(first: T): Cell<T> => {
  let value = first;
  const looks = new Set<() => void>();
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const look of [...looks]) look();
    },
    watch: (look) => {
      looks.add(look);
      return () => void looks.delete(look);
    },
  };
};

/** The value of a cell; whoever uses it is drawn anew when it changes. */
export const useCell = <T>(of: Cell<T>): T => {
  const [, again] = useState({});
  useEffect(() => of.watch(() => again({})), [of]);
  return of.get();
};
