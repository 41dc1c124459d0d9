import type { Principal, Role, Scope } from './roles.js';

/** Who may use a route: everybody, whoever is signed in, or those with one of these roles, or a key with this scope. */
export type Who =
  | 'everybody'
  | 'signed-in'
  | { readonly roles: readonly Role[]; readonly scope: Scope | null };

/**
 * What of the facilities somebody does not act for a route keeps from them. Everybody who adds a route has to say.
 *
 * - `public`: there is nothing of anybody in it.
 * - `own`: only what is the asker's own.
 * - `of-the-system`: it is of no one facility; only who acts for all of them is let in.
 * - by facility: see `hows`. Handlers get `asked.within` and have to look at it: an answer that was given without is none.
 */
export type Limit = 'public' | 'own' | 'of-the-system' | { readonly by: 'facility'; readonly how: How };

/** How a route keeps to facilities. */
export const hows = {
  rows: 'what is of other facilities is not among the rows, nor in any count',
  one: 'what is of another facility is unknown',
  place: 'the facility that is named must be one of theirs; all of them at once needs an account of all',
  steps: 'each step must be of their facilities; what holds everywhere needs an account of all',
  'nothing-of-one': 'it is the same for every facility, and nothing of one is in it',
} as const;
export type How = keyof typeof hows;

/** Who may use a route, and what of it is kept from them. */
export interface Access {
  readonly who: Who;
  readonly limit: Limit;
}

const by = (how: How): Limit => ({ by: 'facility', how });
const rows = by('rows');
const one = by('one');
const place = by('place');
const steps = by('steps');
const nothingOfOne = by('nothing-of-one');

const seesLists = { roles: ['registrar', 'approver', 'auditor', 'counsel'], scope: 'lists:read' } as const;
const takesFiles = { roles: ['registrar', 'counsel'], scope: 'lists:propose' } as const;
const seesImports = { roles: ['registrar', 'approver', 'auditor', 'counsel'], scope: 'lists:read' } as const;
const seesPlaces = {
  roles: ['operator', 'registrar', 'approver', 'investigator', 'auditor', 'counsel'],
  scope: 'lists:read',
} as const;
/**
 * What tells that private calls take place, if only by a count or the time of a row: not for investigators, who learn of
 * calls from the search alone (docs/search.md). A test goes through every route as one of them.
 */
const seesCalls = { roles: ['operator', 'auditor', 'counsel'], scope: 'calls:read' } as const;
const seesWork = {
  roles: ['operator', 'registrar', 'approver', 'auditor', 'counsel'],
  scope: 'status:read',
} as const;
const seesState = {
  roles: ['operator', 'registrar', 'approver', 'investigator', 'auditor', 'counsel'],
  scope: 'status:read',
} as const;
const recordings = { roles: ['investigator', 'auditor', 'counsel'], scope: null } as const;
const statements = { roles: ['auditor', 'counsel'], scope: 'evidence:read' } as const;
/** It tells of past calls, so it is for people alone. */
const whatIf = { roles: ['registrar', 'approver', 'auditor', 'counsel'], scope: null } as const;
const investigates = { roles: ['investigator'], scope: null } as const;
const operates = { roles: ['operator'], scope: null } as const;
const attorney = { roles: ['attorney'], scope: null } as const;
const registrar = { roles: ['registrar'], scope: null } as const;
const administers = { roles: ['admin'], scope: null } as const;

/**
 * The one table of who may do what. The hook of each route is made from it, and a route that is not in it is refused to
 * everybody. Nobody who looks after accounts can see or change anything else.
 */
const table = {
  'GET /v1/health': { who: 'everybody', limit: 'public' },
  'GET /v1/openapi.json': { who: 'everybody', limit: 'public' },
  'POST /v1/session': { who: 'everybody', limit: 'public' },
  'POST /v1/session/link': { who: 'everybody', limit: 'public' },
  'GET /v1/session/ways': { who: 'everybody', limit: 'public' },
  'GET /v1/session/oidc': { who: 'everybody', limit: 'public' },
  'GET /v1/session/oidc/callback': { who: 'everybody', limit: 'public' },
  'GET /v1/session': { who: 'signed-in', limit: 'own' },
  'DELETE /v1/session': { who: 'signed-in', limit: 'own' },
  'POST /v1/session/password': { who: 'signed-in', limit: 'own' },

  'GET /v1/accounts': { who: { roles: ['admin', 'auditor'], scope: null }, limit: rows },
  'POST /v1/accounts/:name/disable': { who: administers, limit: one },
  'GET /v1/keys': { who: { roles: ['admin', 'auditor'], scope: null }, limit: rows },
  'POST /v1/keys/:id/revoke': { who: administers, limit: one },

  'GET /v1/lists/privileged': { who: seesLists, limit: rows },
  'GET /v1/lists/allowed': { who: seesLists, limit: rows },
  'GET /v1/lists/blocked': { who: seesLists, limit: rows },
  'GET /v1/lists/pending': { who: seesLists, limit: rows },
  'POST /v1/lists/lookup': { who: seesLists, limit: rows },
  'GET /v1/facilities': { who: seesPlaces, limit: rows },
  'GET /v1/facilities/:facility/units': { who: seesPlaces, limit: place },
  'GET /v1/facilities/:facility/phones': { who: seesPlaces, limit: place },
  'GET /v1/callers': {
    who: {
      roles: ['operator', 'registrar', 'approver', 'auditor', 'counsel'],
      scope: 'lists:read',
    },
    limit: rows,
  },
  'POST /v1/lists/search': { who: seesLists, limit: rows },
  'GET /v1/lists/entries/:list/:entry': { who: seesLists, limit: one },
  'POST /v1/places/search': { who: seesPlaces, limit: rows },
  'GET /v1/callers/:caller': { who: seesLists, limit: one },
  'GET /v1/publications': { who: seesLists, limit: 'of-the-system' },
  'GET /v1/publications/:epoch': { who: seesLists, limit: 'of-the-system' },
  'GET /v1/proposals': { who: seesLists, limit: rows },
  'GET /v1/proposals/:change': { who: seesLists, limit: one },
  'POST /v1/proposals/check': {
    who: { roles: ['registrar', 'counsel'], scope: 'lists:propose' },
    limit: steps,
  },
  'POST /v1/what-if': { who: whatIf, limit: 'of-the-system' },
  'GET /v1/what-if/:job': { who: whatIf, limit: 'of-the-system' },
  'DELETE /v1/what-if/:job': { who: whatIf, limit: 'of-the-system' },
  'GET /v1/changes': { who: seesLists, limit: rows },
  'GET /v1/changes/:change': { who: seesLists, limit: one },
  'POST /v1/changes': { who: { roles: ['registrar', 'counsel'], scope: 'lists:propose' }, limit: steps },
  'POST /v1/changes/:change/approve': { who: { roles: ['approver'], scope: null }, limit: steps },
  'POST /v1/changes/:change/reject': { who: { roles: ['approver', 'counsel'], scope: null }, limit: steps },
  'POST /v1/changes/:change/withdraw': {
    who: { roles: ['registrar', 'counsel'], scope: 'lists:propose' },
    limit: steps,
  },
  'POST /v1/explain': {
    who: { roles: ['registrar', 'approver', 'auditor', 'counsel'], scope: null },
    limit: place,
  },

  'GET /v1/imports/profiles': { who: seesImports, limit: nothingOfOne },
  'GET /v1/imports': { who: seesImports, limit: 'of-the-system' },
  'POST /v1/imports': { who: takesFiles, limit: 'of-the-system' },
  'GET /v1/imports/:import': { who: seesImports, limit: 'of-the-system' },
  'POST /v1/imports/:import/parts': { who: takesFiles, limit: 'of-the-system' },
  'POST /v1/imports/:import/stage': { who: takesFiles, limit: 'of-the-system' },
  'POST /v1/imports/:import/compare': { who: takesFiles, limit: 'of-the-system' },
  'GET /v1/imports/:import/problems': { who: seesImports, limit: 'of-the-system' },
  'GET /v1/imports/:import/steps': { who: seesImports, limit: 'of-the-system' },
  'GET /v1/imports/:import/near': { who: seesImports, limit: 'of-the-system' },
  'POST /v1/imports/:import/acknowledge': {
    who: { roles: ['registrar', 'approver', 'counsel'], scope: null },
    limit: 'of-the-system',
  },
  'POST /v1/imports/:import/apply': { who: takesFiles, limit: 'of-the-system' },
  'POST /v1/imports/:import/approve': { who: { roles: ['approver'], scope: null }, limit: 'of-the-system' },
  'POST /v1/imports/:import/reject': {
    who: { roles: ['approver', 'counsel'], scope: null },
    limit: 'of-the-system',
  },
  'POST /v1/imports/:import/undo': {
    who: { roles: ['registrar', 'counsel'], scope: null },
    limit: 'of-the-system',
  },
  'POST /v1/imports/:import/abandon': { who: takesFiles, limit: 'of-the-system' },

  'GET /v1/calls/live': { who: seesCalls, limit: rows },
  'GET /v1/calls/now': { who: seesCalls, limit: rows },
  'POST /v1/calls/search': { who: seesCalls, limit: rows },
  'GET /v1/calls/:call': { who: seesCalls, limit: one },
  'POST /v1/calls/:call/end': { who: operates, limit: one },
  'GET /v1/calls/:call/evidence': { who: { roles: ['auditor', 'counsel'], scope: null }, limit: one },
  'GET /v1/recordings': { who: recordings, limit: rows },
  'GET /v1/recordings/:call': { who: recordings, limit: one },
  'POST /v1/recordings/:call/readings': { who: recordings, limit: one },
  'GET /v1/recordings/:call/files/:file': { who: recordings, limit: one },

  'GET /v1/search/state': { who: { roles: ['investigator', 'auditor'], scope: null }, limit: rows },
  'GET /v1/search/log': { who: { roles: ['auditor'], scope: null }, limit: 'of-the-system' },
  'POST /v1/search/calls': { who: investigates, limit: rows },
  'POST /v1/search/calls/:call': { who: investigates, limit: one },
  'POST /v1/search/calls/:call/notes': { who: investigates, limit: one },
  'POST /v1/search/calls/:call/flags': { who: investigates, limit: one },
  'POST /v1/search/links': { who: investigates, limit: rows },
  'GET /v1/search/hot-numbers': {
    who: { roles: ['investigator', 'approver', 'auditor'], scope: null },
    limit: rows,
  },
  'POST /v1/search/hot-numbers': { who: investigates, limit: rows },
  'POST /v1/search/hot-numbers/:hot/approve': {
    who: { roles: ['investigator', 'approver'], scope: null },
    limit: one,
  },
  'POST /v1/search/hot-numbers/:hot/end': { who: investigates, limit: one },
  'GET /v1/search/alerts': { who: investigates, limit: rows },
  'GET /v1/search/alerts/live': { who: investigates, limit: rows },
  'GET /v1/search/exports': { who: { roles: ['investigator', 'auditor'], scope: null }, limit: rows },
  'POST /v1/search/exports': { who: investigates, limit: rows },
  'GET /v1/search/exports/:export': { who: { roles: ['investigator', 'auditor'], scope: null }, limit: one },
  'GET /v1/search/exports/:export/bundle': { who: investigates, limit: one },

  'GET /v1/statements': { who: statements, limit: rows },
  'POST /v1/statements': { who: { roles: ['auditor', 'counsel'], scope: null }, limit: place },
  'GET /v1/statements/:statement': { who: statements, limit: one },
  'GET /v1/statements/:statement/files/:file': { who: statements, limit: one },

  'GET /v1/orders': { who: { roles: ['operator', 'auditor'], scope: null }, limit: rows },
  'GET /v1/lockdown': { who: { roles: seesState.roles, scope: null }, limit: rows },
  'POST /v1/lockdown': { who: operates, limit: place },
  'POST /v1/lockdown/confirm': { who: operates, limit: place },
  'GET /v1/status': { who: seesState, limit: rows },
  'GET /v1/nodes': { who: seesWork, limit: 'of-the-system' },
  'GET /v1/alarms': { who: seesWork, limit: rows },
  'GET /v1/pools': { who: seesWork, limit: 'of-the-system' },
  'GET /v1/measures': { who: seesWork, limit: 'of-the-system' },
  'GET /v1/lists/state': { who: seesState, limit: nothingOfOne },
  'GET /v1/canaries': { who: seesWork, limit: rows },
  'GET /v1/custody': { who: seesWork, limit: 'of-the-system' },
  'GET /v1/journals': {
    who: { roles: ['operator', 'auditor', 'counsel'], scope: 'evidence:read' },
    limit: 'of-the-system',
  },
  'GET /v1/webhooks': { who: { roles: ['operator', 'auditor'], scope: null }, limit: rows },
  'POST /v1/webhooks': { who: operates, limit: rows },
  'DELETE /v1/webhooks/:webhook': { who: operates, limit: one },
  'GET /v1/webhooks/dead': { who: { roles: ['operator', 'auditor'], scope: null }, limit: rows },

  'GET /v1/counsel': { who: 'everybody', limit: 'public' },
  'POST /v1/counsel/accounts': { who: 'everybody', limit: 'public' },
  'GET /v1/counsel/me': { who: attorney, limit: 'own' },
  'GET /v1/counsel/numbers': { who: attorney, limit: 'own' },
  'GET /v1/counsel/numbers/:number/calls': { who: attorney, limit: 'own' },
  'GET /v1/counsel/numbers/:number/calls/:call/evidence': { who: attorney, limit: 'own' },
  'POST /v1/counsel/numbers': { who: attorney, limit: 'own' },
  'DELETE /v1/counsel/numbers/:number': { who: attorney, limit: 'own' },
  'POST /v1/counsel/numbers/:number/call': { who: attorney, limit: 'own' },
  'POST /v1/counsel/numbers/:number/code': { who: attorney, limit: 'own' },
  'POST /v1/counsel/invitations': { who: registrar, limit: 'of-the-system' },
  'GET /v1/counsel/contests': {
    who: { roles: ['registrar', 'approver', 'auditor'], scope: null },
    limit: 'of-the-system',
  },
  'POST /v1/counsel/contests/:number/decide': { who: registrar, limit: 'of-the-system' },
} satisfies Readonly<Record<string, Access>>;

/** A route that the table names; a route can be of no other name, so none is made without its limits. */
export type RouteName = keyof typeof table;
export const access: Readonly<Record<string, Access>> = table;

export type Verdict = 'let-in' | 'sign-in-first' | 'not-allowed';

/** Whether a principal, or nobody, may use a route. What is not in the table is refused. */
export const mayUse = (route: string, who: Principal | null): Verdict => {
  const found = Object.hasOwn(access, route) ? access[route] : undefined;
  if (found === undefined) return who === null ? 'sign-in-first' : 'not-allowed';
  const { who: rule, limit } = found;
  if (rule === 'everybody') return 'let-in';
  if (who === null) return 'sign-in-first';
  if (rule === 'signed-in') return who.kind === 'person' ? 'let-in' : 'not-allowed';
  const may =
    who.kind === 'person'
      ? who.roles.some((role) => rule.roles.includes(role))
      : rule.scope !== null && who.scopes.includes(rule.scope);
  return may && reaches(limit, who) ? 'let-in' : 'not-allowed';
};

/** Whether the route can be for somebody with these facilities at all. Without any, nothing is but one's own. */
const reaches = (limit: Limit, { facilities }: Principal): boolean => {
  if (limit === 'public' || limit === 'own') return true;
  return limit === 'of-the-system' ? facilities === 'all' : facilities === 'all' || facilities.length > 0;
};
