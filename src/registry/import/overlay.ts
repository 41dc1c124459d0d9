import { sql } from 'kysely';
import type { DialPlan } from '../../core/number.js';
import type { Database } from '../database.js';
import { parseOps } from '../ops.js';
import { type Reader, readStanding } from '../publication.js';
import { type Op, readOps } from '../read-ops.js';
import type { PrivilegedEntry, WrittenStep } from './compare.js';

/** What an import would do that is not done yet, as far as lists are concerned. */
class Overlay {
  readonly removed = new Set<string>();
  readonly privileged: Extract<Op, { op: 'privileged-add' | 'privileged-amend' }>[] = [];
  readonly blocked: Extract<Op, { op: 'block-add' }>[] = [];
  readonly allowed: Extract<Op, { op: 'allow-add' }>[] = [];
  readonly notAllowed = new Set<string>();
  readonly unblocked = new Set<string>();
  /** Where callers would be; null for nowhere. */
  readonly places = new Map<string, string | null>();

  take(op: Op, before: unknown): void {
    switch (op.op) {
      case 'privileged-amend':
      case 'privileged-remove':
        this.removed.add(op.entry);
        if (op.op === 'privileged-amend') this.privileged.push(op);
        return;
      case 'privileged-add':
        this.privileged.push(op);
        return;
      case 'allow-add':
        this.allowed.push(op);
        return;
      case 'allow-remove':
        this.notAllowed.add(`${op.caller ?? '*'} ${op.caller === null ? op.facility : ''} ${op.number}`);
        return;
      case 'block-add':
        this.blocked.push(op);
        return;
      case 'block-remove': {
        const { number, cause, facility } = before as {
          number: string;
          cause: string;
          facility: string | null;
        };
        this.unblocked.add(`${number} ${cause} ${facility ?? '*'}`);
        return;
      }
      case 'booking-close':
        this.places.set(op.caller, null);
        return;
      case 'booking-open':
      case 'booking-move':
        this.places.set(op.caller, op.facility);
        return;
      default:
        return;
    }
  }
}

const pageSteps = 5_000;

const overlayOf = async (db: Database, id: string, plan: DialPlan): Promise<Overlay> => {
  const overlay = new Overlay();
  for (let after = '0'; ; ) {
    const { rows } = await sql<{ nr: string; op: readonly WrittenStep[]; before: PrivilegedEntry | null }>`
      select s.nr, s.op, s.before from import_step s left join change c on c.id = s.change
      where s.import = ${id}::uuid and not s.undo and s.nr > ${after}::bigint and (c.state is null or c.state in ('proposed', 'waiting'))
      order by s.nr limit ${pageSteps}`.execute(db);
    for (const { op, before } of rows)
      for (const one of readOps(parseOps(op), plan)) overlay.take(one, before);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSteps) return overlay;
    after = last.nr;
  }
};

/** What stands, as it would stand with everything of an import done. */
const readWith =
  (overlay: Overlay): typeof readStanding =>
  async (db, since, reader, how) => {
    const homes = new Map<string, string>();
    const through: Reader = {
      ...reader,
      privileged: (row) => {
        if (!overlay.removed.has(row.id)) reader.privileged(row);
      },
      block: (row) => {
        if (!overlay.unblocked.has(`${row.number} ${row.cause} ${row.facility ?? '*'}`)) reader.block(row);
      },
      pending: (number) => reader.pending(number),
      allowed: (facility, caller, number) => {
        if (overlay.notAllowed.has(`${caller ?? '*'} ${caller === null ? facility : ''} ${number}`)) return;
        const place = caller === null ? undefined : overlay.places.get(caller);
        if (place !== null) reader.allowed(place ?? facility, caller, number);
      },
    };
    const standing = await readStanding(db, since, through, how);
    const { rows } = await sql<{ caller: string; facility: string }>`select caller, facility from booking
      where closed is null`.execute(db);
    for (const { caller, facility } of rows) homes.set(caller, facility);
    for (const [caller, facility] of overlay.places) if (facility !== null) homes.set(caller, facility);
    for (const { target, class: of, scope, validFrom, validTo, effectiveFrom } of overlay.privileged)
      reader.privileged({
        ...{ id: '', form: target.form, value: target.value, of: target.of, class: of, scope },
        ...{ valid_from: validFrom, valid_to: validTo, effective_from: effectiveFrom, entered: new Date(0) },
      });
    for (const { number, cause, facility, expires } of overlay.blocked)
      reader.block({ number, cause, facility, expires });
    for (const { caller, facility, number } of overlay.allowed) {
      const place = caller === null ? facility : homes.get(caller);
      if (place !== null && place !== undefined) reader.allowed(place, caller, number);
    }
    return standing;
  };

/** Reads what stands as it would stand with everything of an import done. Rejects with RegistryError. */
export const readingWith = async (db: Database, id: string, plan: DialPlan): Promise<typeof readStanding> =>
  readWith(await overlayOf(db, id, plan));
