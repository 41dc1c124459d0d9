import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database.js';
import { RegistryError } from '../errors.js';
import {
  type AllowedRow,
  addAllowed,
  type BlockedEntry,
  type BlockedRow,
  type BookingRow,
  type CallerStanding,
  compareBlocked,
  compareBooking,
  comparePrivileged,
  type PrivilegedEntry,
  type PrivilegedRow,
  removeAllowed,
  removedBlock,
  removePrivileged,
  type Step,
} from './compare.js';
import { counted, type Guard, guardOf, type ListCounts, noCounts, type ShrinkLimits } from './guard.js';
import { NearFinder } from './near.js';
import type { ImportList } from './profile.js';
import { maxThings } from './read-row.js';
import type { Progress } from './stage.js';
import {
  countAnew,
  lockedIn,
  noteImport,
  reading,
  type Standing,
  setState,
  standingOf,
  type Trx,
  writing,
} from './store.js';

/** What an import would change, in numbers. */
export interface DiffCounts {
  readonly lists: Readonly<Partial<Record<ImportList, ListCounts>>>;
  readonly near: { readonly total: number; readonly shown: number };
  readonly steps: number;
  /** Of all steps, in their order: what people agree to is this and nothing else. */
  readonly digest: string;
}

const pageRows = 5_000;
const listTables = ['allowed', 'privileged', 'block', 'booking'] as const;

/** Changes that imports of a source made: what they added is the source's, and a file of it may take it away again. */
export const ownChanges = (source: string) =>
  sql`(select c.change from import_change c join import i on i.id = c.import where i.source = ${source})`;

const isoTime = (column: string) =>
  sql.raw(`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);
export const privilegedEntry = (source: string) => sql`jsonb_build_object('id', p.id, 'version', p.version,
  'own', p.change in ${ownChanges(source)}, 'form', p.form, 'value', p.value, 'of', p."of", 'class', p.class,
  'scope', p.scope, 'validFrom', ${isoTime('p.valid_from')}, 'validTo', ${isoTime('p.valid_to')},
  'effectiveFrom', ${isoTime('p.effective_from')}, 'note', p.note, 'evidence', p.evidence)`;
export const blockEntry = (source: string) => sql`jsonb_build_object('id', b.id, 'version', b.version,
  'own', b.change in ${ownChanges(source)}, 'number', b.number, 'cause', b.cause, 'note', b.note,
  'facility', b.facility, 'expires', ${isoTime('b.expires')})`;

/** What stands of what a row is about, beside the row. */
const standingOfRow = (list: ImportList, source: string) => {
  switch (list) {
    case 'privileged':
      return sql`(select coalesce(jsonb_agg(${privilegedEntry(source)} order by p.id), '[]') from privileged p
        where p.removed_by is null and p.form = r.body ->> 'form' and p.value = r.body ->> 'value')`;
    case 'allowed':
      return sql`to_jsonb(exists (select 1 from allowed a where a.number = r.body ->> 'number'
        and a.caller is not distinct from (r.body ->> 'caller') and a.facility is not distinct from (r.body ->> 'facility')))`;
    case 'bookings':
      return sql`(select jsonb_build_object('known', true, 'language', c.language, 'booked',
          (select jsonb_build_object('booking', k.booking, 'facility', k.facility, 'unit', k.unit)
            from booking k where k.caller = c.id and k.closed is null))
        from caller c where c.id = r.key)`;
    case 'blocked':
      return sql`(select ${blockEntry(source)} from block b where b.removed_by is null
        and b.number = r.body ->> 'number' and b.cause = r.body ->> 'cause'
        and coalesce(b.facility, '') = coalesce(r.body ->> 'facility', '') limit 1)`;
    default: {
      const never: never = list;
      return never;
    }
  }
};

const stepOf = (
  list: ImportList,
  key: string,
  body: unknown,
  standing: unknown,
): Omit<Step, 'line'> | null => {
  switch (list) {
    case 'privileged': {
      const found = comparePrivileged(body as PrivilegedRow, standing as readonly PrivilegedEntry[]);
      return found === null ? null : { list, key, ...found };
    }
    case 'allowed':
      return standing === true ? null : addAllowed(body as AllowedRow);
    case 'bookings':
      return compareBooking(
        body as BookingRow,
        (standing as CallerStanding | null) ?? { known: false, language: null, booked: null },
      );
    case 'blocked':
      return compareBlocked(body as BlockedRow, standing as BlockedEntry | null);
    default: {
      const never: never = list;
      return never;
    }
  }
};

/** What the source had, and has no more. Only of what its own imports made: what people entered, no file takes away. */
const removals = async (
  trx: Trx,
  { id, source }: Standing,
  list: ImportList,
  after: string,
): Promise<readonly { readonly at: string; readonly step: Omit<Step, 'line'> }[]> => {
  const gone = (key: ReturnType<typeof sql>) =>
    sql`not exists (select 1 from import_row r where r.import = ${id}::uuid and r.list = ${list} and r.key = ${key})
      and not exists (select 1 from import_step s join change c on c.id = s.change where s.import = ${id}::uuid
        and not s.undo and s.list = ${list} and s.key = ${key} and c.state in ('proposed', 'waiting'))`;
  switch (list) {
    case 'privileged': {
      const { rows } = await sql<{
        at: string;
        entry: PrivilegedEntry;
      }>`select p.id as at, ${privilegedEntry(source)} as entry
        from privileged p where p.removed_by is null and p.change in ${ownChanges(source)} and p.id > ${after}::uuid
        and ${gone(sql`p.form || ' ' || p.value`)} order by p.id limit ${pageRows}`.execute(trx);
      return rows.map(({ at, entry }) => ({ at, step: removePrivileged(entry) }));
    }
    case 'allowed': {
      const { rows } = await sql<
        AllowedRow & { at: string }
      >`select a.id as at, a.caller, a.facility, a.number from allowed a
        where a.change in ${ownChanges(source)} and a.id > ${after}::uuid
        and ${gone(sql`coalesce(a.caller, '* ' || a.facility) || ' ' || a.number`)} order by a.id limit ${pageRows}`.execute(
        trx,
      );
      return rows.map(({ at, caller, facility, number }) => ({
        at,
        step: removeAllowed({ caller, facility, number }),
      }));
    }
    case 'bookings': {
      // Whoever is at a facility that the file speaks of, and is not in it, is there no more.
      const { rows } = await sql<{
        at: string;
        caller: string;
        standing: CallerStanding;
      }>`select k.id as at, k.caller,
        jsonb_build_object('known', true, 'language', c.language, 'booked',
          jsonb_build_object('booking', k.booking, 'facility', k.facility, 'unit', k.unit)) as standing
        from booking k join caller c on c.id = k.caller where k.closed is null and k.id > ${after}::uuid
        and k.facility in (select r.body ->> 'facility' from import_row r where r.import = ${id}::uuid and r.list = 'bookings')
        and ${gone(sql`k.caller`)} order by k.id limit ${pageRows}`.execute(trx);
      const released = {
        event: 'released',
        booking: null,
        facility: null,
        unit: null,
        language: null,
      } as const;
      return rows.flatMap(({ at, caller, standing }) => {
        const step = compareBooking({ caller, ...released }, standing);
        return step === null ? [] : [{ at, step }];
      });
    }
    case 'blocked': {
      const { rows } = await sql<{
        at: string;
        entry: BlockedEntry;
      }>`select b.id as at, ${blockEntry(source)} as entry
        from block b where b.removed_by is null and b.change in ${ownChanges(source)} and b.id > ${after}::uuid
        and ${gone(sql`b.number || ' ' || b.cause || ' ' || coalesce(b.facility, '*')`)} order by b.id limit ${pageRows}`.execute(
        trx,
      );
      return rows.map(({ at, entry }) => ({ at, step: removedBlock(entry) }));
    }
    default: {
      const never: never = list;
      return never;
    }
  }
};

export const insertSteps = async (
  trx: Trx,
  id: string,
  undo: boolean,
  first: number,
  steps: readonly Step[],
): Promise<void> => {
  if (steps.length === 0) return;
  const json = JSON.stringify(steps.map(({ ops, ...rest }, at) => ({ ...rest, op: ops, nr: first + at })));
  await sql`insert into import_step (import, undo, nr, phase, what, list, key, line, op, before)
    select ${id}::uuid, ${undo}, nr, phase, what, list, key, line, op, before from jsonb_to_recordset(${json}::jsonb)
      as r(nr bigint, phase int, what text, list text, key text, line bigint, op jsonb, before jsonb)`.execute(
    trx,
  );
};

/** How many entries the source has now, by list, and its privileged ones by class. */
const standingCounts = async (trx: Trx, { id, source, profile }: Standing) => {
  const own = ownChanges(source);
  const { rows } = await sql<{ list: ImportList; class: string | null; n: string }>`
    select 'privileged' as list, p.class, count(*) as n from privileged p where p.removed_by is null and p.change in ${own} group by 2
    union all select 'allowed', null, count(*) from allowed a where a.change in ${own}
    union all select 'blocked', null, count(*) from block b where b.removed_by is null and b.change in ${own}
    union all select 'bookings', null, count(*) from booking k where ${profile.list === 'bookings'} and k.closed is null
      and k.facility in (select r.body ->> 'facility' from import_row r where r.import = ${id}::uuid and r.list = 'bookings')`.execute(
    trx,
  );
  return rows.map(({ n, ...rest }) => ({ ...rest, n: Number(n) }));
};

/** Gathers what was found, page by page. */
class Tally {
  readonly lists = new Map<ImportList, ListCounts>();
  readonly classes = new Map<string, { standing: number; removed: number }>();
  readonly hash = createHash('sha256');
  nr: number;
  steps = 0;

  constructor(nr: number, standing: Awaited<ReturnType<typeof standingCounts>>) {
    this.nr = nr;
    for (const { list, class: of, n } of standing) {
      const before = this.lists.get(list) ?? noCounts;
      this.lists.set(list, { ...before, standing: before.standing + n });
      if (of !== null) this.classes.set(of, { standing: n, removed: 0 });
    }
  }

  unchanged(list: ImportList): void {
    const before = this.lists.get(list) ?? noCounts;
    this.lists.set(list, { ...before, unchanged: before.unchanged + 1 });
  }

  take(step: Step): void {
    this.lists.set(step.list, counted(this.lists.get(step.list) ?? noCounts, step));
    this.hash.update(JSON.stringify([step.what, step.ops]));
    this.steps += 1;
    if (step.list !== 'privileged' || step.what !== 'removed') return;
    const { class: of } = step.before as PrivilegedEntry;
    const known = this.classes.get(of);
    if (known !== undefined) known.removed += 1;
  }
}

const nowhere = '00000000-0000-0000-0000-000000000000';

const begin = (db: Database, id: string): Promise<{ standing: Standing; tally: Tally }> =>
  reading(db, async (trx) => {
    const standing = await lockedIn(trx, id, ['staged', 'compared', 'applying']);
    await setState(trx, id, 'staged');
    await trx
      .deleteFrom('import_step')
      .where('import', '=', id)
      .where('undo', '=', false)
      .where('change', 'is', null)
      .execute();
    await trx.deleteFrom('import_near').where('import', '=', id).execute();
    const kept = await trx
      .selectFrom('import_step')
      .select(({ fn }) => fn.max('nr').as('nr'))
      .where('import', '=', id)
      .where('undo', '=', false)
      .executeTakeFirst();
    return { standing, tally: new Tally(Number(kept?.nr ?? 0) + 1, await standingCounts(trx, standing)) };
  });

/**
 * Holds what a file says against what stands in the registry, and writes down what would change: nothing is changed
 * by it. It can be done again at any time; what was proposed already stays. Rejects with RegistryError.
 */
export const compare = async (
  db: Database,
  id: string,
  limits: ShrinkLimits,
  progress: Progress = () => undefined,
): Promise<Standing> => {
  const { standing, tally } = await begin(db, id);
  await countAnew(db, standing.read.rows, ['import_row', ...listTables, 'import_change']);
  const near = await NearFinder.open(db);
  const keep = async (trx: Trx, steps: readonly Step[]): Promise<void> => {
    for (const step of steps) {
      tally.take(step);
      near.take(step);
    }
    await insertSteps(trx, id, false, tally.nr, steps);
    tally.nr += steps.length;
  };
  let after = '0';
  let done = 0;
  for (;;) {
    const more = await reading(db, async (trx) => {
      const { rows } = await sql<{ place: string; list: ImportList; key: string; body: unknown }>`
        select r.place, r.list, r.key, r.body from import_row r where r.import = ${id}::uuid and r.place > ${after}
        order by r.place limit ${pageRows}`.execute(trx);
      const last = rows.at(-1);
      if (last === undefined) return false;
      const steps: Step[] = [];
      const lists = [...new Set(rows.map(({ list }) => list))];
      const beside = new Map<string, { standing: unknown; open: boolean }>();
      for (const list of lists) {
        const found = await sql<{ place: string; standing: unknown; open: boolean }>`select r.place,
          ${standingOfRow(list, standing.source)} as standing,
          exists (select 1 from import_step s join change c on c.id = s.change where s.import = r.import and not s.undo
            and s.list = r.list and s.key = r.key and c.state in ('proposed', 'waiting')) as open
          from import_row r where r.import = ${id}::uuid and r.list = ${list} and r.place > ${after} and r.place <= ${last.place}`.execute(
          trx,
        );
        for (const one of found.rows) beside.set(one.place, one);
      }
      for (const { place, list, key, body } of rows) {
        const found = beside.get(place);
        if (found?.open === true) continue;
        const step = stepOf(list, key, body, found?.standing ?? null);
        if (step === null) tally.unchanged(list);
        else steps.push({ ...step, line: Math.floor(Number(place) / maxThings) });
      }
      await keep(trx, steps);
      after = last.place;
      done += rows.length;
      return true;
    });
    progress(done, standing.read.rows);
    if (!more) break;
  }
  await countAnew(db, tally.steps, ['import_step']);
  if (standing.profile.mode === 'full') await compareRemovals(db, standing, keep);
  return await conclude(db, standing, tally, near, limits);
};

const compareRemovals = async (
  db: Database,
  standing: Standing,
  keep: (trx: Trx, steps: readonly Step[]) => Promise<void>,
): Promise<void> => {
  const { profile } = standing;
  const lists: readonly ImportList[] =
    profile.flags?.otherwise === 'allowed' ? ['privileged', 'allowed'] : [profile.list];
  for (const list of lists) {
    let at = nowhere;
    for (;;) {
      const found = await reading(db, async (trx) => {
        const page = await removals(trx, standing, list, at);
        await keep(
          trx,
          page.map(({ step }) => ({ ...step, line: null })),
        );
        return page;
      });
      const last = found.at(-1);
      if (last === undefined || found.length < pageRows) break;
      at = last.at;
    }
  }
};

const conclude = (
  db: Database,
  standing: Standing,
  tally: Tally,
  near: NearFinder,
  limits: ShrinkLimits,
): Promise<Standing> =>
  writing(db, async (trx) => {
    const { id } = standing;
    await lockedIn(trx, id, ['staged']);
    const found = near.result();
    for (const [nr, one] of found.found.entries())
      await trx
        .insertInto('import_near')
        .values({ import: id, nr, ...one, line: String(one.line) })
        .execute();
    const lists = Object.fromEntries(
      [...tally.lists].filter(([, counts]) => Object.values(counts).some((n) => n > 0)),
    );
    const digest = tally.hash.digest('hex');
    const counts: DiffCounts = {
      ...{ lists, steps: tally.steps, digest },
      near: { total: found.total, shown: found.found.length },
    };
    const guard: Guard = guardOf(lists, tally.classes, limits);
    await trx
      .updateTable('import')
      .set({ counts: JSON.stringify(counts), guard: JSON.stringify(guard), what_if: null })
      .where('id', '=', id)
      .execute();
    await setState(trx, id, 'compared');
    await noteImport(trx, standing, 'compared', standing.maker, {
      ...{ lists, near: found.total, digest, guard: guard.tripped },
    });
    return await standingOf(trx, id);
  }).catch((error: unknown) => {
    if (error instanceof RegistryError && error.code === 'import-step')
      throw new RegistryError('import-busy');
    throw error;
  });
