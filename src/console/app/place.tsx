import type { ComponentChildren, JSX } from 'preact';
import { cell, useCell } from './cell.js';

/** Where in the console one is: the address of the browser, without its origin. */
export interface Place {
  /** First segment of the path: the page. Empty at the root. */
  readonly page: string;
  /** The segments after it. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

const readPlace = (): Place => {
  const [page = '', ...rest] = location.pathname
    .split('/')
    .filter((part) => part !== '')
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
  return { page, rest, query: new URLSearchParams(location.search) };
};

const place = cell<Place>(readPlace());
export const usePlace = (): Place => useCell(place);
export const placeNow = (): Place => place.get();

/** Leads to a path of the console, such as `/calls/cabc`. `replace`: without a step to come back to. */
export const go = (to: string, { replace = false }: { readonly replace?: boolean } = {}): void => {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  place.set(readPlace());
  if (!replace) scrollTo(0, 0);
};

export const watchPlace = (): void => {
  addEventListener('popstate', () => place.set(readPlace()));
};

interface LinkProps {
  readonly to: string;
  readonly class?: string;
  readonly title?: string;
  readonly 'aria-label'?: string;
  readonly 'aria-current'?: 'page';
  readonly onGo?: () => void;
  readonly children: ComponentChildren;
}

/** A link within the console. With a modifier key it is the browser's own. */
export const Link = ({ to, onGo, children, ...more }: LinkProps): JSX.Element => (
  <a
    {...more}
    href={to}
    onClick={(event: MouseEvent) => {
      if (event.defaultPrevented || event.button !== 0) return;
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      go(to);
      onGo?.();
    }}
  >
    {children}
  </a>
);
