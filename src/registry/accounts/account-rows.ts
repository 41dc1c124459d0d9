import { type Facilities, readFacilities } from './facilities.js';
import { type SecretBox, totpPurpose } from './secret-box.js';

/** An account as it is shown: nothing of its secrets. */
export interface Account {
  readonly name: string;
  readonly kind: 'local' | 'oidc';
  readonly roles: readonly string[];
  /** What it acts for. */
  readonly facilities: Facilities;
  readonly state: 'active' | 'disabled';
  readonly secondFactor: boolean;
  readonly madeBy: string;
  readonly madeAt: Date;
  readonly signedInAt: Date | null;
}

/** An account with what a sign-in is checked against. */
export interface Credentials extends Account {
  readonly password: string | null;
  readonly totpSecret: string | null;
}

export const columns = [
  'name',
  'kind',
  'roles',
  'facilities',
  'state',
  'password',
  'totp_secret',
  'made_by',
  'made_at',
  'signed_in_at',
] as const;

export interface Row {
  name: string;
  kind: 'local' | 'oidc';
  roles: string[];
  facilities: string[];
  state: 'active' | 'disabled';
  password: string | null;
  totp_secret: string | null;
  made_by: string;
  made_at: Date;
  signed_in_at: Date | null;
}

export const shown = (row: Row): Account => ({
  name: row.name,
  kind: row.kind,
  roles: row.roles,
  facilities: readFacilities(row.facilities),
  state: row.state,
  secondFactor: row.totp_secret !== null,
  madeBy: row.made_by,
  madeAt: row.made_at,
  signedInAt: row.signed_in_at,
});
export const withSecrets = (row: Row, box: SecretBox): Credentials => ({
  ...shown(row),
  password: row.password,
  totpSecret: row.totp_secret === null ? null : box.unseal(row.totp_secret, totpPurpose(row.name)),
});
