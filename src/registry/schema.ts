import type { ColumnType, Generated } from 'kysely';
import type { BlockCause, PrivilegedClass } from '../core/lists.js';
import type { AccountTables } from './accounts/schema.js';
import type { CounselTables } from './counsel/schema.js';
import type { ImportTables } from './import/schema.js';

/** The tables as they are after the last migration (migrations.ts). Times are `timestamptz`. */
type Stamp = ColumnType<Date, Date | undefined, Date>;
type Once = ColumnType<Date, Date | undefined, never>;
type Maybe = Date | null;

interface FacilityTable {
  id: string;
  name: string;
  time_zone: string;
}
interface UnitTable {
  facility: string;
  id: string;
  name: string;
}
interface PhoneTable {
  facility: string;
  unit: string;
  id: string;
  name: string;
}
interface CallerTable {
  id: string;
  language: string | null;
  since: Once;
}
interface BookingTable {
  id: Generated<string>;
  caller: string;
  booking: string;
  facility: string;
  unit: string | null;
  opened: Once;
  closed: Maybe;
}
interface AllowedTable {
  id: Generated<string>;
  /** Null: on the list of the whole facility. */
  caller: string | null;
  facility: string | null;
  number: string;
  change: string;
}
interface BlockTable {
  id: Generated<string>;
  number: string;
  cause: BlockCause;
  note: string;
  facility: string | null;
  expires: Maybe;
  version: Generated<number>;
  change: string;
  removed_by: string | null;
}
interface PrivilegedTable {
  id: Generated<string>;
  form: 'number' | 'range' | 'prefix' | 'alias';
  value: string;
  of: string | null;
  class: PrivilegedClass;
  scope: string;
  valid_from: Maybe;
  valid_to: Maybe;
  effective_from: Maybe;
  entered: Once;
  note: string;
  evidence: string;
  version: Generated<number>;
  change: string;
  removed_by: string | null;
}
interface PendingTable {
  id: Generated<string>;
  number: string;
  note: string;
  facility: string | null;
  since: Once;
  version: Generated<number>;
  change: string;
  settled_by: string | null;
}
interface ChangeTable {
  id: Generated<string>;
  maker: string;
  reason: string;
  /** The steps, their numbers canonical. */
  ops: unknown;
  approvals_needed: number;
  delay_ms: string;
  state: 'proposed' | 'waiting' | 'applied' | 'rejected' | 'withdrawn';
  proposed_at: Once;
  /** The key of the request that proposed it, and a digest of what it asked; null where it had none. */
  request: string | null;
  request_digest: string | null;
  /** When its delay is over; null while it lacks approvals. */
  due_at: Maybe;
  over_at: Maybe;
  /** `{*}`: all. */
  facilities: ColumnType<string[], string[] | undefined, never>;
}
interface VoiceTable {
  change: string;
  who: string;
  says: 'approve' | 'reject' | 'withdraw';
  why: string;
  at: Stamp;
}
interface OutboxTable {
  id: Generated<string>;
  kind: string;
  body: unknown;
  /** Of the row in the journal; null while it is not there. */
  seq: string | null;
}

interface TouchedTable {
  id: Generated<string>;
  kind: 'privileged' | 'block' | 'pending' | 'allowed' | 'booking';
  before: unknown;
  after: unknown;
}

export interface Tables extends AccountTables, ImportTables, CounselTables {
  touched: TouchedTable;
  facility: FacilityTable;
  unit: UnitTable;
  phone: PhoneTable;
  caller: CallerTable;
  booking: BookingTable;
  allowed: AllowedTable;
  block: BlockTable;
  privileged: PrivilegedTable;
  pending: PendingTable;
  change: ChangeTable;
  voice: VoiceTable;
  outbox: OutboxTable;
}
