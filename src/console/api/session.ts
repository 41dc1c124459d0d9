import { mayUse } from '../../http/access.js';
import type { Principal, Role } from '../../http/roles.js';
import { cell, useCell } from '../app/cell.js';

/** Who is signed in, as `GET /v1/session` says it. */
export interface Session {
  readonly account: string;
  readonly roles: readonly { readonly role: Role; readonly words: string }[];
  /** What they act for: nothing of any other facility is there for them. */
  readonly facilities: Principal['facilities'];
  readonly how: string;
  /** RFC 3339, UTC: it ends then in any case. */
  readonly expires: string;
  /** It ends when it was not used for so long. */
  readonly idleSeconds: number;
  readonly csrf: string;
}

export type SessionState =
  | { readonly state: 'unknown' }
  /** `ended`: there was a session until now. */
  | { readonly state: 'nobody'; readonly ended: boolean }
  | { readonly state: 'somebody'; readonly session: Session };

export const sessionState = cell<SessionState>({ state: 'unknown' });
/** When the session was used last, on the browser's monotonic clock. */
export const usedAt = cell(0);

export const sessionNow = (): Session | null => {
  const now = sessionState.get();
  return now.state === 'somebody' ? now.session : null;
};

/** Who is signed in. Pages are drawn for nobody else. */
export const useSession = (): Session => {
  const now = useCell(sessionState);
  if (now.state !== 'somebody') throw new Error('drawn without a session');
  return now.session;
};

/** Whether there is anything that is of no one facility for whoever is signed in. */
export const useActsForAll = (): boolean => useSession().facilities === 'all';

/**
 * Whether whoever is signed in may use a route of the API, such as `POST /v1/lockdown`: by the very table that the
 * server decides with. It spares people a button that would be refused; it protects nothing.
 */
export const may = (session: Session | null, route: string): boolean =>
  session !== null &&
  mayUse(route, {
    kind: 'person',
    name: session.account,
    roles: session.roles.map(({ role }) => role),
    session: '',
    facilities: session.facilities,
  }) === 'let-in';

export const useMay = (route: string): boolean => may(useSession(), route);
