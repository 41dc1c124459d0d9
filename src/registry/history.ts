import { sql } from 'kysely';
import { type Facilities, holds } from './accounts/facilities.js';
import { type Database, told } from './database.js';
import { type Op, storedOps } from './read-ops.js';
import { inFacility, withinAll } from './within.js';

/** The lists whose entries are kept for ever, also after they were removed. */
export type KeptList = 'privileged' | 'blocked' | 'pending';
export type EntryList = KeptList | 'allowed';

/** One thing that happened to an entry, by which change. */
export interface EntryEvent {
  readonly change: string;
  readonly what: 'made' | 'amended' | 'removed';
  /** What the entry was from then on, where the change says so beyond doubt. */
  readonly after: Op | null;
}

export interface EntryHistory {
  /** As it stands, or as it stood last; its members as `RegistrySearch` names them. */
  readonly row: Readonly<Record<string, unknown>>;
  /** Whether it stands today. */
  readonly stands: boolean;
  /** The oldest first. */
  readonly events: readonly EntryEvent[];
  /** Changes about it that wait for somebody or for their time. At most 20. */
  readonly open: readonly string[];
}

export interface BookingRow {
  readonly booking: string;
  readonly facility: string;
  readonly unit: string | null;
  readonly opened: Date;
  readonly closed: Date | null;
}

export interface CallerRecord {
  readonly id: string;
  readonly language: string | null;
  readonly since: Date;
  /** The newest first; at most 100. */
  readonly bookings: readonly BookingRow[];
  readonly numbers: number;
}

export interface PlaceRow {
  /** Where it stands among all places: what the next page begins after. */
  readonly id: string;
  readonly kind: 'facility' | 'unit' | 'phone';
  readonly facility: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly name: string;
}

const MOST_AMENDMENTS = 100;
const MOST_OPEN = 20;

const ops: Readonly<
  Record<KeptList, { readonly add: Op['op']; readonly table: string; readonly end: string }>
> = {
  privileged: { add: 'privileged-add', table: 'privileged', end: 'removed_by' },
  blocked: { add: 'block-add', table: 'block', end: 'removed_by' },
  pending: { add: 'pending-add', table: 'pending', end: 'settled_by' },
};

const camel = (row: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase()),
      value instanceof Date ? value.toISOString() : value,
    ]),
  );

/** What became of entries and callers. Nothing is altered here. All reject with RegistryError. */
export class RegistryHistory {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  async #rows<T>(query: ReturnType<typeof sql<T>>): Promise<readonly T[]> {
    try {
      return (await query.execute(this.#db)).rows;
    } catch (error) {
      throw told(error);
    }
  }

  /** What became of an entry that is kept for ever. Null where there never was one, and where it is another facility's. */
  async entry(list: KeptList, id: string, within: Facilities): Promise<EntryHistory | null> {
    const { add, table, end } = ops[list];
    const [found] = await this.#rows(
      sql<Record<string, unknown>>`select * from ${sql.table(table)} where id = ${id}::uuid`,
    );
    if (found === undefined) return null;
    const facility = list === 'privileged' ? found.scope : found.facility;
    if (typeof facility === 'string' && facility !== 'global' && !holds(within, facility)) return null;
    const row = {
      change: String(found.change),
      removed: typeof found[end] === 'string' ? found[end] : null,
      version: Number(found.version),
    };
    const removals = row.removed === null ? 0 : 1;
    // Only an entry whose version moved without a removal was ever amended: the others need no search.
    const amended = row.version - 1 - removals > 0 ? await this.#amendments(id) : [];
    const events: EntryEvent[] = [
      { change: row.change, what: 'made', after: await this.#madeBy(row.change, add) },
      ...amended,
      ...(row.removed === null
        ? []
        : [{ change: row.removed, what: 'removed', after: null } satisfies EntryEvent]),
    ];
    return {
      row: camel(found),
      stands: row.removed === null,
      events,
      open: await this.#open([{ entry: id }], within),
    };
  }

  /** A number on the list of a caller or of a facility. What is taken off such a list leaves no row. */
  async allowed(id: string, within: Facilities): Promise<EntryHistory | null> {
    const [found] = await this.#rows(
      sql<
        Record<string, unknown>
      >`select a.*, k.facility as booked_at, coalesce(a.facility, caller_facility(a.caller)) as whose from allowed a
        left join booking k on k.caller = a.caller and k.closed is null where a.id = ${id}::uuid`,
    );
    if (found === undefined) return null;
    const { number, caller, facility, whose, ...row } = found;
    if (!holds(within, typeof whose === 'string' ? whose : null)) return null;
    return {
      row: camel({ ...row, number, caller, facility }),
      stands: true,
      events: [{ change: String(found.change), what: 'made', after: null }],
      open: await this.#open([{ number, caller, facility }], within),
    };
  }

  async #open(part: readonly object[], within: Facilities): Promise<readonly string[]> {
    const rows = await this.#rows(
      sql<{ id: string }>`select id from change
        where state in ('proposed', 'waiting') and ops @> ${JSON.stringify(part)}::jsonb
          and ${withinAll('facilities', within) ?? sql`true`}
        order by proposed_at limit ${MOST_OPEN}`,
    );
    return rows.map(({ id }) => id);
  }

  async #amendments(id: string): Promise<readonly EntryEvent[]> {
    const part = JSON.stringify([{ op: 'privileged-amend', entry: id }]);
    const rows = await this.#rows(
      sql<{
        id: string;
        op: unknown;
      }>`select c.id, step.op from change c, jsonb_array_elements(c.ops) as step(op)
        where c.state = 'applied' and c.ops @> ${part}::jsonb
          and step.op ->> 'op' = 'privileged-amend' and step.op ->> 'entry' = ${id}
        order by c.over_at limit ${MOST_AMENDMENTS}`,
    );
    return rows.map(({ id: change, op }) => ({ change, what: 'amended', after: storedOps([op])[0] ?? null }));
  }

  /** The step that made an entry, where its change had one such step alone; which of several it was is not kept. */
  async #madeBy(change: string, op: Op['op']): Promise<Op | null> {
    const rows = await this.#rows(
      sql<{ op: unknown }>`select step.op from change c, jsonb_array_elements(c.ops) as step(op)
        where c.id = ${change}::uuid and step.op ->> 'op' = ${op} limit 2`,
    );
    const [only, other] = rows;
    return only === undefined || other !== undefined ? null : (storedOps([only.op])[0] ?? null);
  }

  /** Of some numbers, and of all extensions of a line, those that are privileged today, as far as somebody may see; at most 50. */
  async standing(numbers: readonly string[], line: string, within: Facilities): Promise<readonly string[]> {
    const rows = await this.#rows(
      sql<{ value: string }>`select distinct value from privileged
        where removed_by is null and form in ('number', 'alias')
          and (value = any(${numbers}) or value like ${`${line.replace(/[^+\d]/g, '')};%`})
          and (scope = 'global' or ${inFacility('scope', within) ?? sql`true`})
        limit 50`,
    );
    return rows.map(({ value }) => value);
  }

  /** Null where there is no such caller, or they are of another facility. Bookings elsewhere are left out. */
  async caller(id: string, within: Facilities): Promise<CallerRecord | null> {
    const [row] = await this.#rows(
      sql<{ id: string; language: string | null; since: Date; numbers: number; whose: string | null }>`
        select c.id, c.language, c.since, caller_facility(c.id) as whose, (select count(*)::int from allowed a where a.caller = c.id) as numbers
        from caller c where c.id = ${id}`,
    );
    if (row === undefined || !holds(within, row.whose)) return null;
    const { whose: _whose, ...record } = row;
    const bookings = await this.#rows(
      sql<BookingRow>`select booking, facility, unit, opened, closed from booking where caller = ${id}
          and ${inFacility('facility', within) ?? sql`true`}
        order by closed is null desc, opened desc, id limit 100`,
    );
    return { ...record, bookings };
  }

  /** Facilities, units and phones whose id or name begins or goes on with a text; in one order of all of them. */
  async places(filter: {
    readonly text: string;
    readonly after: string | null;
    readonly limit: number;
    readonly within: Facilities;
  }) {
    const { text, after, limit } = filter;
    const sought = `%${text.replace(/[\\%_]/g, (one) => `\\${one}`)}%`;
    const all = sql`(
      select id collate "C" as place, 'facility' as kind, id as facility, null as unit, null as phone, name from facility
      union all select facility || '/' || id, 'unit', facility, id, null, name from unit
      union all select facility || '/' || unit || '/' || id, 'phone', facility, unit, id, name from phone) as place`;
    const where = sql<boolean>`(place.place ilike ${sought} or place.name ilike ${sought})
      and ${inFacility('place.facility', filter.within) ?? sql`true`}`;
    const rows = await this.#rows(
      sql<PlaceRow>`select place.place as id, kind, facility, unit, phone, name from ${all}
        where ${where} and place.place collate "C" > ${after ?? ''} order by place.place collate "C" limit ${limit}`,
    );
    const counted = await this.#rows(
      sql<{
        n: number;
      }>`select count(*)::int as n from (select 1 from ${all} where ${where} limit 10001) as counted`,
    );
    return { rows, total: counted[0]?.n ?? 0 };
  }
}
