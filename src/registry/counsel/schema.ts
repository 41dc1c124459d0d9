import type { ColumnType, Generated } from 'kysely';

type Once = ColumnType<Date, Date | undefined, never>;
type Maybe = ColumnType<Date | null, Date | null | undefined, Date | null>;

export type ClaimState = 'unproved' | 'proved' | 'contested' | 'yielded';

/** The tables of migration `0004-counsel`. */
export interface CounselTables {
  attorney: {
    account: string;
    name: string;
    jurisdiction: string;
    bar_number: string;
    invited_by: string | null;
    /** Digest of the network it was made from. */
    made_from: string;
    made_at: Once;
  };
  attorney_invite: {
    hash: string;
    note: string;
    made_by: string;
    made_at: Once;
    expires: Date;
    used_at: Maybe;
    used_by: string | null;
  };
  attorney_number: {
    id: Generated<string>;
    account: string;
    number: string;
    class: 'attorney' | 'public-defender';
    state: Generated<ClaimState>;
    added_at: Once;
    first_proved_at: Maybe;
    proved_at: Maybe;
    proved_call: string | null;
    change: string | null;
  };
  attorney_code: {
    id: Generated<string>;
    claim: string;
    account: string;
    number: string;
    hash: string;
    call_id: string | null;
    asked_at: Once;
    expires: Date;
    tries: Generated<number>;
    over_at: Maybe;
  };
  attorney_notice: {
    id: Generated<string>;
    account: string;
    claim: string;
    kind: string;
    at: Once;
  };
}
