import type { ComponentType } from 'preact';
import type { Language } from './app/settings.js';

/** What a page is given. */
export interface PageProps {
  /** Segments of the path after the page's own: `/calls/cabc` gives `['cabc']`. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export type PageGroup = 'watch' | 'lists' | 'evidence' | 'site';

export interface PageEntry {
  /** First segment of its address. */
  readonly path: string;
  readonly title: Readonly<Record<Language, string>>;
  readonly group: PageGroup;
  /** Routes of the API of which one at least must be open to whoever is to see the page: http/access.ts says to whom. */
  readonly needs: readonly string[];
  /** Only these, although more may use the routes. */
  readonly roles?: readonly string[];
  readonly load: () => Promise<{ readonly default: ComponentType<PageProps> }>;
}

/** Every page of the console, in the order of the navigation. */
export const pages: readonly PageEntry[] = [
  {
    path: 'now',
    title: { en: 'Now', es: 'Ahora' },
    group: 'watch',
    needs: ['GET /v1/calls/live'],
    load: () => import('./pages/now/page.js'),
  },
  {
    path: 'lockdown',
    title: { en: 'Lockdown', es: 'Bloqueo' },
    group: 'watch',
    needs: ['GET /v1/orders'],
    load: () => import('./pages/lockdown/page.js'),
  },
  {
    path: 'lists',
    title: { en: 'Lists', es: 'Listas' },
    group: 'lists',
    needs: ['GET /v1/lists/privileged'],
    load: () => import('./pages/lists/page.js'),
  },
  {
    path: 'why',
    title: { en: 'Why', es: 'Por qué' },
    group: 'lists',
    needs: ['POST /v1/explain'],
    load: () => import('./pages/why/page.js'),
  },
  {
    path: 'calls',
    title: { en: 'Calls', es: 'Llamadas' },
    group: 'evidence',
    needs: ['POST /v1/calls/search'],
    load: () => import('./pages/calls/page.js'),
  },
  {
    path: 'recordings',
    title: { en: 'Recordings', es: 'Grabaciones' },
    group: 'evidence',
    needs: ['GET /v1/recordings'],
    load: () => import('./pages/recordings/page.js'),
  },
  {
    path: 'statement',
    title: { en: 'Statement', es: 'Declaración' },
    group: 'evidence',
    needs: ['POST /v1/statements'],
    load: () => import('./pages/statement/page.js'),
  },
  {
    path: 'imports',
    title: { en: 'Imports', es: 'Importaciones' },
    group: 'lists',
    needs: ['GET /v1/imports'],
    load: () => import('./pages/imports/page.js'),
  },
  {
    path: 'counsel',
    title: { en: 'My numbers', es: 'Mis números' },
    group: 'evidence',
    needs: ['GET /v1/counsel/numbers'],
    load: () => import('./pages/counsel/page.js'),
  },
  {
    path: 'attorneys',
    title: { en: 'Attorneys', es: 'Abogados' },
    group: 'lists',
    needs: ['GET /v1/counsel/contests'],
    load: () => import('./pages/counsel/office.js'),
  },
  {
    path: 'search',
    title: { en: 'Search', es: 'Búsqueda' },
    group: 'evidence',
    needs: ['POST /v1/search/calls', 'GET /v1/search/hot-numbers', 'GET /v1/search/log'],
    load: () => import('./pages/search/page.js'),
  },
  {
    path: 'system',
    title: { en: 'System', es: 'Sistema' },
    group: 'site',
    needs: ['GET /v1/nodes'],
    load: () => import('./pages/system/page.js'),
  },
  {
    path: 'account',
    title: { en: 'Your account', es: 'Su cuenta' },
    group: 'site',
    needs: ['GET /v1/session'],
    load: () => import('./pages/account/page.js'),
  },
];
