import { z } from 'zod';
import type { Facilities } from '../registry/accounts/facilities.js';

/** What a person may be. Several of them at once, but for `admin`, who is nothing else: see access.ts. */
export const roles = [
  'operator',
  'registrar',
  'approver',
  'investigator',
  'auditor',
  'counsel',
  'admin',
  'attorney',
] as const;
export type Role = (typeof roles)[number];
export const roleTexts: Readonly<Record<Role, string>> = {
  operator: 'runs the site: live calls, lockdown, nodes, alarms; sees that a call is private, and no number',
  registrar: 'keeps the lists: proposes changes of callers, allowed, blocked and privileged numbers',
  approver: 'agrees to changes that others proposed, or rejects them',
  investigator:
    'searches monitored calls and fetches their recordings; learns nothing of private ones, not even that there are any',
  auditor: 'sees everything that is evidence, and changes nothing',
  counsel: 'looks after private calls: privileged entries, sealed recordings, evidence',
  admin: 'looks after accounts and keys, and over HTTP only takes away: nothing else',
  attorney: 'proves numbers to be theirs, and sees what became of calls to these: nothing of anybody else',
};
export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text);

/** What a key of a program may do. Approvals are people's: no scope gives them. */
export const scopes = ['calls:read', 'lists:read', 'lists:propose', 'evidence:read', 'status:read'] as const;
export type Scope = (typeof scopes)[number];
export const scopeTexts: Readonly<Record<Scope, string>> = {
  'calls:read': 'live and past calls, as an operator sees them: numbers masked',
  'lists:read': 'the lists, facilities, callers and changes',
  'lists:propose': 'propose changes, and withdraw its own',
  'evidence:read': 'statements and the heads of the journals',
  'status:read': 'health, nodes, alarms, canaries, custody',
};
export const isScope = (text: string): text is Scope => (scopes as readonly string[]).includes(text);

export const roleSchema = z.enum(roles);

/** Null where these go together; else why not. */
export const rolesProblem = (given: readonly Role[]): string | null => {
  if (given.length === 0) return 'an account has at least one role';
  if (new Set(given).size !== given.length) return 'a role is given once';
  if (given.includes('admin') && given.length > 1)
    return 'who looks after accounts has no other role: nobody gives himself what lets numbers be recorded';
  if (given.includes('attorney') && given.length > 1)
    return 'who comes through the counsel portal sees their own numbers, and has no other role';
  return null;
};

/** The name under which a program's key acts: no account has one like it. */
export const keyName = (prefix: string): string => `key.${prefix.replace('sp_', '')}`;
export const isReservedName = (name: string): boolean =>
  name.startsWith('key.') || name === 'registry' || name === 'identity-provider';

/** Who asks. */
export type Principal = {
  /** What they act for: nothing of any other is shown to them, or changed by them. */
  readonly facilities: Facilities;
} & (
  | {
      readonly kind: 'person';
      readonly name: string;
      readonly roles: readonly Role[];
      /** Digest of the session. */
      readonly session: string;
    }
  | { readonly kind: 'key'; readonly name: string; readonly id: string; readonly scopes: readonly Scope[] }
);

const readsPrivate: ReadonlySet<Role> = new Set(['auditor', 'counsel']);
const readsMonitored: ReadonlySet<Role> = new Set(['auditor', 'counsel', 'investigator']);

const learnsOfPrivate: ReadonlySet<Role> = new Set([
  'operator',
  'registrar',
  'approver',
  'auditor',
  'counsel',
]);
/**
 * Whether somebody may learn that private calls take place, if only by a count of rows. Investigators may not: which
 * routes are closed to them stands in access.ts, and what the open ones leave out for them asks here.
 */
export const learnsOfPrivateCalls = (who: Principal): boolean =>
  who.kind === 'key' || who.roles.some((role) => learnsOfPrivate.has(role));

/** Whether somebody may read the numbers of a call. What is not plainly monitored counts as private. */
export const seesNumber = (who: Principal, verdict: string): boolean =>
  who.kind === 'person' &&
  who.roles.some((role) => (verdict === 'monitored' ? readsMonitored : readsPrivate).has(role));
