import type { Principal, Role, Scope } from './roles.js';

/** Who may use a route: everybody, whoever is signed in, or those with one of these roles, or a key with this scope. */
export type Access =
  | 'everybody'
  | 'signed-in'
  | { readonly roles: readonly Role[]; readonly scope: Scope | null };

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
export const access: Readonly<Record<string, Access>> = {
  'GET /v1/health': 'everybody',
  'GET /v1/openapi.json': 'everybody',
  'POST /v1/session': 'everybody',
  'POST /v1/session/link': 'everybody',
  'GET /v1/session/ways': 'everybody',
  'GET /v1/session/oidc': 'everybody',
  'GET /v1/session/oidc/callback': 'everybody',
  'GET /v1/session': 'signed-in',
  'DELETE /v1/session': 'signed-in',
  'POST /v1/session/password': 'signed-in',

  'GET /v1/accounts': { roles: ['admin', 'auditor'], scope: null },
  'POST /v1/accounts/:name/disable': administers,
  'GET /v1/keys': { roles: ['admin', 'auditor'], scope: null },
  'POST /v1/keys/:id/revoke': administers,

  'GET /v1/lists/privileged': seesLists,
  'GET /v1/lists/allowed': seesLists,
  'GET /v1/lists/blocked': seesLists,
  'GET /v1/lists/pending': seesLists,
  'POST /v1/lists/lookup': seesLists,
  'GET /v1/facilities': seesPlaces,
  'GET /v1/facilities/:facility/units': seesPlaces,
  'GET /v1/facilities/:facility/phones': seesPlaces,
  'GET /v1/callers': {
    roles: ['operator', 'registrar', 'approver', 'auditor', 'counsel'],
    scope: 'lists:read',
  },
  'POST /v1/lists/search': seesLists,
  'GET /v1/lists/entries/:list/:entry': seesLists,
  'POST /v1/places/search': seesPlaces,
  'GET /v1/callers/:caller': seesLists,
  'GET /v1/publications': seesLists,
  'GET /v1/publications/:epoch': seesLists,
  'GET /v1/proposals': seesLists,
  'GET /v1/proposals/:change': seesLists,
  'POST /v1/proposals/check': { roles: ['registrar', 'counsel'], scope: 'lists:propose' },
  'POST /v1/what-if': whatIf,
  'GET /v1/what-if/:job': whatIf,
  'DELETE /v1/what-if/:job': whatIf,
  'GET /v1/changes': seesLists,
  'GET /v1/changes/:change': seesLists,
  'POST /v1/changes': { roles: ['registrar', 'counsel'], scope: 'lists:propose' },
  'POST /v1/changes/:change/approve': { roles: ['approver'], scope: null },
  'POST /v1/changes/:change/reject': { roles: ['approver', 'counsel'], scope: null },
  'POST /v1/changes/:change/withdraw': { roles: ['registrar', 'counsel'], scope: 'lists:propose' },
  'POST /v1/explain': { roles: ['registrar', 'approver', 'auditor', 'counsel'], scope: null },

  'GET /v1/imports/profiles': seesImports,
  'GET /v1/imports': seesImports,
  'POST /v1/imports': takesFiles,
  'GET /v1/imports/:import': seesImports,
  'POST /v1/imports/:import/parts': takesFiles,
  'POST /v1/imports/:import/stage': takesFiles,
  'POST /v1/imports/:import/compare': takesFiles,
  'GET /v1/imports/:import/problems': seesImports,
  'GET /v1/imports/:import/steps': seesImports,
  'GET /v1/imports/:import/near': seesImports,
  'POST /v1/imports/:import/acknowledge': { roles: ['registrar', 'approver', 'counsel'], scope: null },
  'POST /v1/imports/:import/apply': takesFiles,
  'POST /v1/imports/:import/approve': { roles: ['approver'], scope: null },
  'POST /v1/imports/:import/reject': { roles: ['approver', 'counsel'], scope: null },
  'POST /v1/imports/:import/undo': { roles: ['registrar', 'counsel'], scope: null },
  'POST /v1/imports/:import/abandon': takesFiles,

  'GET /v1/calls/live': seesCalls,
  'GET /v1/calls/now': seesCalls,
  'POST /v1/calls/search': seesCalls,
  'GET /v1/calls/:call': seesCalls,
  'POST /v1/calls/:call/end': operates,
  'GET /v1/calls/:call/evidence': { roles: ['auditor', 'counsel'], scope: null },
  'GET /v1/recordings': recordings,
  'GET /v1/recordings/:call': recordings,
  'POST /v1/recordings/:call/readings': recordings,
  'GET /v1/recordings/:call/files/:file': recordings,

  'GET /v1/search/state': { roles: ['investigator', 'auditor'], scope: null },
  'GET /v1/search/log': { roles: ['auditor'], scope: null },
  'POST /v1/search/calls': investigates,
  'POST /v1/search/calls/:call': investigates,
  'POST /v1/search/calls/:call/notes': investigates,
  'POST /v1/search/calls/:call/flags': investigates,
  'POST /v1/search/links': investigates,
  'GET /v1/search/hot-numbers': { roles: ['investigator', 'approver', 'auditor'], scope: null },
  'POST /v1/search/hot-numbers': investigates,
  'POST /v1/search/hot-numbers/:hot/approve': { roles: ['investigator', 'approver'], scope: null },
  'POST /v1/search/hot-numbers/:hot/end': investigates,
  'GET /v1/search/alerts': investigates,
  'GET /v1/search/alerts/live': investigates,
  'GET /v1/search/exports': { roles: ['investigator', 'auditor'], scope: null },
  'POST /v1/search/exports': investigates,
  'GET /v1/search/exports/:export': { roles: ['investigator', 'auditor'], scope: null },
  'GET /v1/search/exports/:export/bundle': investigates,

  'GET /v1/statements': statements,
  'POST /v1/statements': { roles: ['auditor', 'counsel'], scope: null },
  'GET /v1/statements/:statement': statements,
  'GET /v1/statements/:statement/files/:file': statements,

  'GET /v1/orders': { roles: ['operator', 'auditor'], scope: null },
  'GET /v1/lockdown': { roles: seesState.roles, scope: null },
  'POST /v1/lockdown': operates,
  'POST /v1/lockdown/confirm': operates,
  'GET /v1/status': seesState,
  'GET /v1/nodes': seesWork,
  'GET /v1/alarms': seesWork,
  'GET /v1/pools': seesWork,
  'GET /v1/measures': seesWork,
  'GET /v1/lists/state': seesState,
  'GET /v1/canaries': seesWork,
  'GET /v1/custody': seesWork,
  'GET /v1/journals': { roles: ['operator', 'auditor', 'counsel'], scope: 'evidence:read' },
  'GET /v1/webhooks': { roles: ['operator', 'auditor'], scope: null },
  'POST /v1/webhooks': operates,
  'DELETE /v1/webhooks/:webhook': operates,
  'GET /v1/webhooks/dead': { roles: ['operator', 'auditor'], scope: null },

  'GET /v1/counsel': 'everybody',
  'POST /v1/counsel/accounts': 'everybody',
  'GET /v1/counsel/me': attorney,
  'GET /v1/counsel/numbers': attorney,
  'GET /v1/counsel/numbers/:number/calls': attorney,
  'GET /v1/counsel/numbers/:number/calls/:call/evidence': attorney,
  'POST /v1/counsel/numbers': attorney,
  'DELETE /v1/counsel/numbers/:number': attorney,
  'POST /v1/counsel/numbers/:number/call': attorney,
  'POST /v1/counsel/numbers/:number/code': attorney,
  'POST /v1/counsel/invitations': registrar,
  'GET /v1/counsel/contests': { roles: ['registrar', 'approver', 'auditor'], scope: null },
  'POST /v1/counsel/contests/:number/decide': registrar,
};

export type Verdict = 'let-in' | 'sign-in-first' | 'not-allowed';

/** Whether a principal, or nobody, may use a route. What is not in the table is refused. */
export const mayUse = (route: string, who: Principal | null): Verdict => {
  const rule = Object.hasOwn(access, route) ? access[route] : undefined;
  if (rule === undefined) return who === null ? 'sign-in-first' : 'not-allowed';
  if (rule === 'everybody') return 'let-in';
  if (who === null) return 'sign-in-first';
  if (rule === 'signed-in') return who.kind === 'person' ? 'let-in' : 'not-allowed';
  const may =
    who.kind === 'person'
      ? who.roles.some((role) => rule.roles.includes(role))
      : rule.scope !== null && who.scopes.includes(rule.scope);
  return may ? 'let-in' : 'not-allowed';
};
