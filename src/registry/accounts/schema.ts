import type { ColumnType, Generated } from 'kysely';

type Once = ColumnType<Date, Date | undefined, never>;
type Maybe = ColumnType<Date | null, Date | null | undefined, Date | null>;
type Stamp = ColumnType<Date, Date | undefined, Date>;

/** The tables of migration `0002-accounts`. */
export interface AccountTables {
  account: {
    name: string;
    kind: 'local' | 'oidc';
    roles: string[];
    /** `{*}`: all; `{}`: none. */
    facilities: string[];
    subject: string | null;
    password: string | null;
    totp_secret: string | null;
    totp_step: ColumnType<string, string | undefined, string>;
    state: ColumnType<'active' | 'disabled', 'active' | 'disabled' | undefined, 'active' | 'disabled'>;
    made_by: string;
    made_at: Once;
    signed_in_at: Maybe;
  };
  recovery_code: { account: string; hash: string; used_at: Maybe };
  login_link: { hash: string; account: string; expires: Date; used_at: Maybe };
  session: { hash: string; account: string; how: string; opened: Once; seen: Stamp; expires: Date };
  throttle: { key: string; fails: number; until: Date; at: Stamp };
  api_key: {
    id: Generated<string>;
    prefix: string;
    hash: string;
    name: string;
    scopes: string[];
    facilities: string[];
    made_by: string;
    made_at: Once;
    expires: Date;
    used_at: Maybe;
    revoked_at: Maybe;
  };
  webhook: {
    id: Generated<string>;
    url: string;
    secret: string;
    /** Which alarms; none: all of them. */
    alarms: string[];
    facilities: string[];
    made_by: string;
    made_at: Once;
    ended_at: Maybe;
  };
  webhook_delivery: {
    id: Generated<string>;
    webhook: string;
    body: string;
    state: ColumnType<'waiting' | 'delivered' | 'dead', undefined, 'waiting' | 'delivered' | 'dead'>;
    attempts: ColumnType<number, undefined, number>;
    next_at: Stamp;
    last_code: string | null;
    made_at: Once;
  };
}
