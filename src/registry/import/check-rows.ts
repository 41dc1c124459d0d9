import { sql } from 'kysely';
import { type ImportProblem, isFatal, maxProblems, problem } from './problems.js';
import type { Profile } from './profile.js';
import { maxThings } from './read-row.js';
import type { Trx } from './store.js';

export interface Checked {
  readonly problems: readonly ImportProblem[];
  readonly errors: number;
  readonly warnings: number;
}

const lineOf = (place: string | number): number => Math.floor(Number(place) / maxThings);

/**
 * What can be told of rows only when all are there: those that say the same twice, those that say different things of
 * the same, and those that name what the registry does not know. What is said twice is kept once.
 */
export const checkRows = async (trx: Trx, id: string, { list }: Profile): Promise<Checked> => {
  // Of several events of one caller the last one stands, where the file says when they were.
  if (list === 'bookings')
    await sql`delete from import_row r where import = ${id}::uuid and list = 'bookings' and body ->> 'at' is not null
      and exists (select 1 from import_row s where s.import = r.import and s.list = r.list and s.key = r.key
        and s.body ->> 'at' > r.body ->> 'at')`.execute(trx);
  const problems: ImportProblem[] = [];
  let errors = 0;
  let warnings = 0;
  const twice = await sql<{ place: string; first: string; differs: boolean; all: string; bad: string }>`
    with groups as (select list, key, min(place) as first from import_row where import = ${id}::uuid
        group by list, key having count(*) > 1),
      pairs as (select r.place, g.first, r.essence <> f.essence as differs
        from groups g join import_row r on r.import = ${id}::uuid and r.list = g.list and r.key = g.key and r.place > g.first
        join import_row f on f.import = ${id}::uuid and f.place = g.first)
    select place, first, differs, count(*) over () as all, count(*) filter (where differs) over () as bad
    from pairs order by differs desc, place limit ${maxProblems}`.execute(trx);
  for (const { place, first, differs } of twice.rows) {
    const [line, otherLine] = [lineOf(place), lineOf(first)];
    problems.push(problem(differs ? 'rows-conflict' : 'row-again', line, { otherLine }));
  }
  const bad = Number(twice.rows[0]?.bad ?? 0);
  errors += bad;
  warnings += Number(twice.rows[0]?.all ?? 0) - bad;
  if (bad === 0 && warnings > 0)
    await sql`delete from import_row r where import = ${id}::uuid and exists (select 1 from import_row s
      where s.import = r.import and s.list = r.list and s.key = r.key and s.place < r.place)`.execute(trx);
  for (const { code, field, where } of unknowns) {
    const found = await sql<{
      place: string;
      all: string;
    }>`select place, count(*) over () as all from import_row r
      where import = ${id}::uuid and ${where} order by place limit ${maxProblems}`.execute(trx);
    for (const { place } of found.rows) problems.push(problem(code, lineOf(place), { field }));
    if (isFatal(code)) errors += Number(found.rows[0]?.all ?? 0);
  }
  return { problems, errors, warnings };
};

const unknowns = [
  {
    code: 'facility-unknown',
    field: 'facility',
    where: sql`r.list <> 'privileged' and r.body ->> 'facility' is not null
      and not exists (select 1 from facility f where f.id = r.body ->> 'facility')`,
  },
  {
    code: 'unit-unknown',
    field: 'unit',
    where: sql`r.list = 'bookings' and r.body ->> 'unit' is not null
      and exists (select 1 from facility f where f.id = r.body ->> 'facility')
      and not exists (select 1 from unit u where u.facility = r.body ->> 'facility' and u.id = r.body ->> 'unit')`,
  },
  {
    code: 'caller-unknown',
    field: 'caller',
    where: sql`r.list = 'allowed' and r.body ->> 'caller' is not null
      and not exists (select 1 from caller c where c.id = r.body ->> 'caller')`,
  },
] as const;
