import { type Transaction as KyselyTransaction, sql } from 'kysely';
import { told } from './database.js';
import { RegistryError } from './errors.js';
import type { Op } from './read-ops.js';
import type { Tables } from './schema.js';

/** One change being done: all of it or nothing. */
export type Transaction = KyselyTransaction<Tables>;

const entryColumns = (op: Extract<Op, { op: 'privileged-add' | 'privileged-amend' }>) => ({
  form: op.target.form,
  value: op.target.value,
  of: op.target.of,
  class: op.class,
  scope: op.scope,
  valid_from: op.validFrom,
  valid_to: op.validTo,
  effective_from: op.effectiveFrom,
  note: op.note,
  evidence: op.evidence,
});

/** One row was changed, or the entry is another by now. */
const once = async (
  trx: Transaction,
  table: 'privileged' | 'block' | 'pending',
  op: { readonly entry: string; readonly version: number },
  at: number,
  done: bigint,
): Promise<void> => {
  if (done === 1n) return;
  const row = await trx.selectFrom(table).select('version').where('id', '=', op.entry).executeTakeFirst();
  if (row === undefined) throw new RegistryError('entry-unknown', undefined, at);
  throw new RegistryError('entry-moved', undefined, at);
};

const privilegedStep = async (
  trx: Transaction,
  change: string,
  op: Extract<Op, { op: 'privileged-add' | 'privileged-amend' | 'privileged-remove' }>,
  at: number,
): Promise<void> => {
  if (op.op === 'privileged-add') {
    await trx
      .insertInto('privileged')
      .values({ ...entryColumns(op), change })
      .execute();
    return;
  }
  const columns = op.op === 'privileged-amend' ? entryColumns(op) : { removed_by: change };
  const { numUpdatedRows } = await trx
    .updateTable('privileged')
    .set({ ...columns, version: op.version + 1 })
    .where('id', '=', op.entry)
    .where('version', '=', op.version)
    .where('removed_by', 'is', null)
    .executeTakeFirst();
  await once(trx, 'privileged', op, at, numUpdatedRows);
};

const allowStep = async (
  trx: Transaction,
  change: string,
  op: Extract<Op, { op: 'allow-add' | 'allow-remove' }>,
  at: number,
): Promise<void> => {
  const { caller, facility, number } = op;
  if ((caller === null) === (facility === null))
    throw new RegistryError('op-malformed', 'a number is on the list of a caller or of a facility', at);
  if (op.op === 'allow-add') {
    await trx.insertInto('allowed').values({ caller, facility, number, change }).execute();
    return;
  }
  const { numDeletedRows } = await trx
    .deleteFrom('allowed')
    .where('number', '=', number)
    .where('caller', 'is not distinct from', caller)
    .where('facility', 'is not distinct from', facility)
    .executeTakeFirst();
  if (numDeletedRows !== 1n) throw new RegistryError('entry-unknown', undefined, at);
};

const bookingStep = async (
  trx: Transaction,
  op: Extract<Op, { op: 'booking-open' | 'booking-move' | 'booking-close' }>,
  at: number,
): Promise<void> => {
  const { caller } = op;
  const open = await trx
    .selectFrom('booking')
    .selectAll()
    .where('caller', '=', caller)
    .where('closed', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  if (op.op === 'booking-open') {
    if (open !== undefined) throw new RegistryError('booking-open', undefined, at);
    const { booking, facility, unit } = op;
    await trx.insertInto('booking').values({ caller, booking, facility, unit }).execute();
    return;
  }
  if (open === undefined) throw new RegistryError('caller-unknown', 'the caller is booked nowhere', at);
  await trx.updateTable('booking').set({ closed: sql<Date>`now()` }).where('id', '=', open.id).execute();
  if (op.op === 'booking-close') return;
  const { facility, unit } = op;
  await trx.insertInto('booking').values({ caller, booking: open.booking, facility, unit }).execute();
};

const placeStep = async (
  trx: Transaction,
  op: Extract<Op, { op: 'facility-put' | 'unit-put' | 'phone-put' | 'caller-put' }>,
): Promise<void> => {
  switch (op.op) {
    case 'facility-put': {
      const row = { name: op.name, time_zone: op.timeZone };
      await trx
        .insertInto('facility')
        .values({ id: op.facility, ...row })
        .onConflict((on) => on.column('id').doUpdateSet(row))
        .execute();
      return;
    }
    case 'unit-put':
      await trx
        .insertInto('unit')
        .values({ facility: op.facility, id: op.unit, name: op.name })
        .onConflict((on) => on.columns(['facility', 'id']).doUpdateSet({ name: op.name }))
        .execute();
      return;
    case 'phone-put': {
      const row = { unit: op.unit, name: op.name };
      await trx
        .insertInto('phone')
        .values({ facility: op.facility, id: op.phone, ...row })
        .onConflict((on) => on.columns(['facility', 'id']).doUpdateSet(row))
        .execute();
      return;
    }
    case 'caller-put':
      await trx
        .insertInto('caller')
        .values({ id: op.caller, language: op.language })
        .onConflict((on) => on.column('id').doUpdateSet({ language: op.language }))
        .execute();
      return;
    default: {
      const never: never = op;
      return never;
    }
  }
};

/** Does one step. Throws RegistryError, or what the database says (see `told`). */
const applyOp = async (trx: Transaction, change: string, op: Op, at: number): Promise<void> => {
  switch (op.op) {
    case 'privileged-add':
    case 'privileged-amend':
    case 'privileged-remove':
      return privilegedStep(trx, change, op, at);
    case 'allow-add':
    case 'allow-remove':
      return allowStep(trx, change, op, at);
    case 'booking-open':
    case 'booking-move':
    case 'booking-close':
      return bookingStep(trx, op, at);
    case 'facility-put':
    case 'unit-put':
    case 'phone-put':
    case 'caller-put':
      return placeStep(trx, op);
    case 'block-add': {
      const { number, cause, note, facility, expires } = op;
      await trx.insertInto('block').values({ number, cause, note, facility, expires, change }).execute();
      return;
    }
    case 'pending-add':
      await trx
        .insertInto('pending')
        .values({ number: op.number, note: op.note, facility: op.facility, change })
        .execute();
      return;
    case 'block-remove': {
      const { numUpdatedRows } = await trx
        .updateTable('block')
        .set({ removed_by: change, version: op.version + 1 })
        .where('id', '=', op.entry)
        .where('version', '=', op.version)
        .where('removed_by', 'is', null)
        .executeTakeFirst();
      return once(trx, 'block', op, at, numUpdatedRows);
    }
    case 'pending-settle': {
      const { numUpdatedRows } = await trx
        .updateTable('pending')
        .set({ settled_by: change, version: op.version + 1 })
        .where('id', '=', op.entry)
        .where('version', '=', op.version)
        .where('settled_by', 'is', null)
        .executeTakeFirst();
      return once(trx, 'pending', op, at, numUpdatedRows);
    }
    default: {
      const never: never = op;
      return never;
    }
  }
};

/** Steps of one kind in a row, as many as a statement of their own is worth. */
const bulk = 20;
type AllowOp = Extract<Op, { op: 'allow-add' | 'allow-remove' }>;
const isAllow = (op: Op): op is AllowOp => op.op === 'allow-add' || op.op === 'allow-remove';

/** Lists of numbers come by the thousand. False where one of them cannot be done: which one, only each by itself tells. */
const allowsAtOnce = async (trx: Transaction, change: string, ops: readonly AllowOp[]): Promise<boolean> => {
  if (ops.some(({ caller, facility }) => (caller === null) === (facility === null))) return false;
  const json = JSON.stringify(ops.map(({ caller, facility, number }) => ({ caller, facility, number })));
  const rows = sql`jsonb_to_recordset(${json}::jsonb) as r(caller text, facility text, number text)`;
  await sql`savepoint at_once`.execute(trx);
  try {
    const { numAffectedRows } =
      ops[0]?.op === 'allow-add'
        ? await sql`insert into allowed (caller, facility, number, change)
            select r.caller, r.facility, r.number, ${change}::uuid from ${rows}`.execute(trx)
        : await sql`delete from allowed a using ${rows} where a.number = r.number
            and (a.caller = r.caller or (r.caller is null and a.caller is null and a.facility = r.facility))`.execute(
            trx,
          );
    if (numAffectedRows === BigInt(ops.length)) {
      await sql`release savepoint at_once`.execute(trx);
      return true;
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    // Class 23 is of constraints; anything else is no matter of one step.
    if (!code.startsWith('23')) throw error;
  }
  await sql`rollback to savepoint at_once`.execute(trx);
  return false;
};

/** Does the steps of a change in their order. Throws as `applyOp`, with the step it is about. */
export const applyOps = async (trx: Transaction, change: string, ops: readonly Op[]): Promise<void> => {
  let at = 0;
  while (at < ops.length) {
    const op = ops[at];
    if (op === undefined) return;
    const run: AllowOp[] = [];
    for (let next = at; isAllow(op) && next < ops.length; next += 1) {
      const one = ops[next];
      if (one === undefined || one.op !== op.op) break;
      run.push(one as AllowOp);
    }
    if (run.length >= bulk && (await allowsAtOnce(trx, change, run))) {
      at += run.length;
      continue;
    }
    for (const end = at + Math.max(1, run.length); at < end; at += 1) {
      const one = ops[at];
      if (one !== undefined)
        await applyOp(trx, change, one, at).catch((error: unknown) => Promise.reject(told(error, at)));
    }
  }
};
