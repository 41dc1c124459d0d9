import { type SqlBool, sql } from 'kysely';
import type { BlockCause, PrivilegedClass } from '../core/lists.js';
import { type DialPlan, parseNumberKeyText } from '../core/number.js';
import { type Facilities, holds } from './accounts/facilities.js';
import { type Database, told } from './database.js';
import { RegistryError } from './errors.js';
import type { Registry } from './registry.js';
import { canonicalNumber, canonicalTarget } from './target.js';
import { inFacility, inFacilityOrAll, ofCallers, withinAll } from './within.js';

/** One page of a list: what comes after `after`, in the order of ids, and how many there are up to a bound. */
export interface Page<T> {
  readonly rows: readonly T[];
  /** Counted up to `MOST_COUNTED`; one more than that means "more". */
  readonly total: number;
}
export const MOST_COUNTED = 10_000;

export interface PrivilegedRow {
  readonly id: string;
  readonly form: 'number' | 'range' | 'prefix' | 'alias';
  readonly value: string;
  readonly of: string | null;
  readonly class: PrivilegedClass;
  readonly scope: string;
  readonly validFrom: Date | null;
  readonly validTo: Date | null;
  readonly effectiveFrom: Date | null;
  readonly entered: Date;
  readonly note: string;
  readonly evidence: string;
  readonly version: number;
  readonly change: string;
}
export interface BlockRow {
  readonly id: string;
  readonly number: string;
  readonly cause: BlockCause;
  readonly note: string;
  readonly facility: string | null;
  readonly expires: Date | null;
  readonly version: number;
  readonly change: string;
}
export interface AllowedRow {
  readonly id: string;
  readonly caller: string | null;
  readonly facility: string | null;
  /** Where the caller is booked now: where the number counts. */
  readonly bookedAt: string | null;
  readonly number: string;
  readonly change: string;
}
export interface PendingRow {
  readonly id: string;
  readonly number: string;
  readonly note: string;
  /** Whose matter it is; null: of all. The number is held everywhere. */
  readonly facility: string | null;
  readonly since: Date;
  readonly version: number;
  readonly change: string;
}
export interface FacilityRow {
  readonly id: string;
  readonly name: string;
  readonly timeZone: string;
  readonly units: number;
  readonly phones: number;
  readonly booked: number;
}
export interface CallerRow {
  readonly id: string;
  readonly language: string | null;
  readonly since: Date;
  readonly booking: string | null;
  readonly facility: string | null;
  readonly unit: string | null;
}

/** What stands about one number, of each list, and why each entry is about it. */
export interface NumberFound {
  /** The number in its canonical writing. */
  readonly number: string;
  readonly privileged: readonly (PrivilegedRow & { readonly match: string })[];
  readonly blocked: readonly BlockRow[];
  readonly pending: readonly PendingRow[];
  readonly allowed: readonly AllowedRow[];
  /** What stands of it is of other facilities, and holds here too: it is not shown, and not denied either. */
  readonly elsewhere: { readonly privileged: boolean; readonly pending: boolean };
}

interface Paged {
  readonly after: string | null;
  readonly limit: number;
  /** What is of other facilities is left out. */
  readonly within: Facilities;
}
type Condition = ReturnType<typeof sql<SqlBool>>;

const START = '00000000-0000-0000-0000-000000000000';
const ALL = sql<SqlBool>`true`;
const all = (conditions: readonly (Condition | null)[]): Condition =>
  conditions.reduce<Condition>((both, one) => (one === null ? both : sql<SqlBool>`${both} and ${one}`), ALL);

const privilegedColumns = sql`p.id, p.form, p.value, p."of", p.class, p.scope, p.valid_from as "validFrom",
  p.valid_to as "validTo", p.effective_from as "effectiveFrom", p.entered, p.note, p.evidence, p.version, p.change`;
const blockColumns = sql`b.id, b.number, b.cause, b.note, b.facility, b.expires, b.version, b.change`;
const allowedColumns = sql`a.id, a.caller, a.facility, k.facility as "bookedAt", a.number, a.change`;
const pendingColumns = sql`n.id, n.number, n.note, n.facility, n.since, n.version, n.change`;
const standingBlocks = sql<SqlBool>`b.removed_by is null and (b.expires is null or b.expires > now())`;
const allowedFrom = sql`allowed a left join booking k on k.caller = a.caller and k.closed is null`;

/** Numbers on the list of such a facility, or of somebody who is there. */
const allowedWithin = (within: Facilities): Condition | null => {
  const facility = inFacility('a.facility', within);
  const caller = ofCallers('a.caller', within);
  return facility === null || caller === null ? null : sql<SqlBool>`(${facility} or ${caller})`;
};

/** A text that somebody typed, with nothing in it that `like` would read as its own. */
const literal = (text: string): string => text.replace(/[\\%_]/g, (one) => `\\${one}`);

/** Entries whose numbers hold the digits of a text, or whose words hold the text. Null for no text. */
const holding = (
  text: string | undefined,
  numbers: readonly string[],
  words: readonly string[],
): Condition | null => {
  if (text === undefined || text === '') return null;
  const digits = text.replace(/\D/g, '');
  const number = digits.length >= 2 && /^[\d\s()+.;*-]+$/.test(text);
  return [
    // Digits have no upper case: comparing them without it takes a third of the time.
    ...(number ? numbers.map((column) => sql<SqlBool>`${sql.ref(column)} like ${`%${digits}%`}`) : []),
    ...words.map((column) => sql<SqlBool>`${sql.ref(column)} ilike ${`%${literal(text)}%`}`),
  ].reduce((one, other) => sql<SqlBool>`(${one} or ${other})`);
};

/** Looking into the registry; nothing is altered here. All reject with RegistryError. */
export class RegistrySearch {
  readonly #db: Database;
  readonly #plan: DialPlan;
  readonly #registry: Registry;
  constructor(db: Database, plan: DialPlan, registry: Registry) {
    this.#db = db;
    this.#plan = plan;
    this.#registry = registry;
  }

  async #rows<T>(query: ReturnType<typeof sql<T>>): Promise<readonly T[]> {
    try {
      return (await query.execute(this.#db)).rows;
    } catch (error) {
      throw told(error);
    }
  }

  async #page<T>(
    columns: ReturnType<typeof sql>,
    from: ReturnType<typeof sql>,
    id: ReturnType<typeof sql>,
    where: Condition,
    { after, limit }: Paged,
  ): Promise<Page<T>> {
    const rows = await this.#rows<T>(
      sql<T>`select ${columns} from ${from} where ${where} and ${id} > ${after ?? START}::uuid order by ${id} limit ${limit}`,
    );
    // A first page that is not full is all there is: nothing has to be looked through a second time.
    if (after === null && rows.length < limit) return { rows, total: rows.length };
    return { rows, total: await this.#count(from, where) };
  }

  async #count(from: ReturnType<typeof sql>, where: Condition): Promise<number> {
    const rows = await this.#rows<{ n: string }>(
      sql<{
        n: string;
      }>`select count(*) as n from (select 1 from ${from} where ${where} limit ${MOST_COUNTED + 1}) as counted`,
    );
    return Number(rows[0]?.n ?? 0);
  }

  /** `facility`: entries whose evidence names it, and those of everywhere. Scope never narrows protection. */
  privileged(
    filter: Paged & {
      readonly facility?: string | undefined;
      readonly class?: PrivilegedClass | undefined;
      readonly text?: string | undefined;
    },
  ): Promise<Page<PrivilegedRow>> {
    const { facility, class: of, text } = filter;
    const where = all([
      sql<SqlBool>`p.removed_by is null`,
      inFacilityOrAll('p.scope', filter.within, 'global'),
      facility === undefined ? null : sql<SqlBool>`p.scope in ('global', ${facility})`,
      of === undefined ? null : sql<SqlBool>`p.class = ${of}`,
      holding(text, ['p.value', 'p.of'], ['p.note', 'p.evidence']),
    ]);
    return this.#page(privilegedColumns, sql`privileged p`, sql`p.id`, where, filter);
  }

  blocked(
    filter: Paged & {
      readonly facility?: string | undefined;
      readonly cause?: BlockCause | undefined;
      readonly text?: string | undefined;
    },
  ): Promise<Page<BlockRow>> {
    const { facility, cause, text } = filter;
    const where = all([
      standingBlocks,
      inFacilityOrAll('b.facility', filter.within),
      facility === undefined ? null : sql<SqlBool>`(b.facility is null or b.facility = ${facility})`,
      cause === undefined ? null : sql<SqlBool>`b.cause = ${cause}`,
      holding(text, ['b.number'], ['b.note']),
    ]);
    return this.#page(blockColumns, sql`block b`, sql`b.id`, where, filter);
  }

  allowed(
    filter: Paged & {
      readonly facility?: string | undefined;
      readonly caller?: string | undefined;
      /** In its canonical writing: of twenty million rows those that merely hold some digits are not looked for. */
      readonly number?: string | undefined;
    },
  ): Promise<Page<AllowedRow>> {
    const { facility, caller, number } = filter;
    const where = all([
      allowedWithin(filter.within),
      facility === undefined ? null : sql<SqlBool>`(a.facility = ${facility} or k.facility = ${facility})`,
      caller === undefined ? null : sql<SqlBool>`a.caller = ${caller}`,
      number === undefined ? null : sql<SqlBool>`a.number = ${number}`,
    ]);
    return this.#page(allowedColumns, allowedFrom, sql`a.id`, where, filter);
  }

  pending(filter: Paged & { readonly text?: string | undefined }): Promise<Page<PendingRow>> {
    const where = all([
      sql<SqlBool>`n.settled_by is null`,
      inFacilityOrAll('n.facility', filter.within),
      holding(filter.text, ['n.number'], ['n.note']),
    ]);
    return this.#page(pendingColumns, sql`pending n`, sql`n.id`, where, filter);
  }

  /**
   * Whether what is typed into a list's search is looked up in an index. Makes it where somebody brought the extension
   * since; without it the same is found by reading the whole list (words-migration.ts).
   */
  async wordsIndexed(): Promise<boolean> {
    const rows = await this.#rows<{ there: boolean }>(sql<{ there: boolean }>`select index_words() as there`);
    return rows[0]?.there === true;
  }

  /** The one writing of a number that people write in many ways. Throws RegistryError `number-malformed`. */
  canonical(written: string): string {
    return canonicalNumber(written, this.#plan, 0);
  }

  /** The canonical writing of what is a number, or null. */
  readable(written: string): string | null {
    try {
      return this.canonical(written);
    } catch (error) {
      if (error instanceof RegistryError) return null;
      throw error;
    }
  }

  /** What several numbers begin with, `+1 212 555*`, as `+1212555`. Throws RegistryError `number-malformed`. */
  prefix(written: string): string {
    return canonicalTarget({ form: 'prefix', prefix: written }, this.#plan, 0).value.replace(/\*$/, '');
  }

  /** Everything that stands about one number, written as people write it. Rejects with `number-malformed`. */
  async number(written: string, within: Facilities): Promise<NumberFound> {
    const number = canonicalNumber(written, this.#plan, 0);
    const e164 = parseNumberKeyText(number)?.e164 ?? number;
    // The number itself; its line where it has an extension; and the extensions of a line, for people to see.
    const one = (column: string): Condition => {
      const at = sql.ref(column);
      return sql<SqlBool>`(${at} = ${number} or ${at} = ${e164} or ${at} like ${`${e164.replace(/[\\%_]/g, '')};%`})`;
    };
    const prefixes = Array.from(e164, (_, index) => `${e164.slice(0, index + 1)}*`);
    const [privileged, blocked, pending, allowed] = await Promise.all([
      this.#rows<PrivilegedRow>(sql<PrivilegedRow>`select ${privilegedColumns} from privileged p
        where p.removed_by is null and (
          (p.form in ('number', 'alias') and (${one('p.value')} or ${one('p.of')}))
          or (p.form = 'prefix' and p.value = any(${prefixes}))
          or (p.form = 'range' and length(split_part(p.value, '-', 1)) = ${e164.length}
              and split_part(p.value, '-', 1) <= ${e164} and split_part(p.value, '-', 2) >= ${e164}))
        order by p.id limit 100`),
      this.#rows<BlockRow>(
        sql<BlockRow>`select ${blockColumns} from block b where ${standingBlocks} and ${one('b.number')} order by b.id limit 100`,
      ),
      this.#rows<PendingRow>(
        sql<PendingRow>`select ${pendingColumns} from pending n where n.settled_by is null and ${one('n.number')} order by n.id limit 100`,
      ),
      this.#rows<AllowedRow>(
        sql<AllowedRow>`select ${allowedColumns} from ${allowedFrom} where ${one('a.number')}
          and ${allowedWithin(within) ?? ALL} order by a.id limit 100`,
      ),
    ]);
    const entries = privileged.map((row) => ({ ...row, match: matchOf(row, number, e164) }));
    const mine = (facility: string | null): boolean => facility === null || holds(within, facility);
    const own = entries.filter(({ scope }) => scope === 'global' || mine(scope));
    const claims = pending.filter(({ facility }) => mine(facility));
    return {
      number,
      privileged: own,
      blocked: blocked.filter(({ facility }) => mine(facility)),
      pending: claims,
      allowed,
      elsewhere: {
        privileged: entries.some((one) => one.match !== 'extension' && !own.includes(one)),
        pending: claims.length < pending.length,
      },
    };
  }

  facilities(within: Facilities): Promise<readonly FacilityRow[]> {
    return this.#rows(sql<FacilityRow>`select f.id, f.name, f.time_zone as "timeZone",
      (select count(*)::int from unit u where u.facility = f.id) as units,
      (select count(*)::int from phone p where p.facility = f.id) as phones,
      (select count(*)::int from booking k where k.facility = f.id and k.closed is null) as booked
      from facility f where ${inFacility('f.id', within) ?? ALL} order by f.id limit 1000`);
  }

  units(facility: string): Promise<readonly { readonly id: string; readonly name: string }[]> {
    return this.#rows(
      sql<{
        id: string;
        name: string;
      }>`select id, name from unit where facility = ${facility} order by id limit 1000`,
    );
  }

  phones(
    facility: string,
  ): Promise<readonly { readonly id: string; readonly unit: string; readonly name: string }[]> {
    return this.#rows(
      sql<{
        id: string;
        unit: string;
        name: string;
      }>`select id, unit, name from phone where facility = ${facility} order by id limit 5000`,
    );
  }

  async callers(filter: {
    readonly facility?: string | undefined;
    /** The beginning of an id, or a booking. */
    readonly text?: string | undefined;
    readonly after: string | null;
    readonly limit: number;
    readonly within: Facilities;
  }): Promise<Page<CallerRow>> {
    const { facility, text, after, limit } = filter;
    const from = sql`caller c left join booking k on k.caller = c.id and k.closed is null`;
    const where = all([
      ofCallers('c.id', filter.within),
      facility === undefined ? null : sql<SqlBool>`k.facility = ${facility}`,
      text === undefined
        ? null
        : sql<SqlBool>`(c.id ilike ${`${literal(text)}%`} or k.booking ilike ${`${literal(text)}%`})`,
    ]);
    const rows = await this.#rows(
      sql<CallerRow>`select c.id, c.language, c.since, k.booking, k.facility, k.unit from ${from}
        where ${where} and c.id > ${after ?? ''} order by c.id limit ${limit}`,
    );
    return { rows, total: await this.#count(from, where) };
  }

  /** Ids of changes, the newest first. `after`: the time and id of the last one seen. */
  async changes(filter: {
    readonly state?: 'open' | 'over' | undefined;
    readonly after: { readonly at: Date; readonly id: string } | null;
    readonly limit: number;
    readonly within: Facilities;
  }) {
    const { state, after, limit } = filter;
    const where = all([
      withinAll('c.facilities', filter.within),
      state === undefined
        ? null
        : state === 'open'
          ? sql<SqlBool>`c.state in ('proposed', 'waiting')`
          : sql<SqlBool>`c.state in ('applied', 'rejected', 'withdrawn')`,
    ]);
    const later =
      after === null
        ? ALL
        : sql<SqlBool>`(date_trunc('milliseconds', c.proposed_at), c.id) < (${after.at}, ${after.id}::uuid)`;
    const rows = await this.#rows(
      sql<{ id: string }>`select c.id from change c where ${where} and ${later}
        order by date_trunc('milliseconds', c.proposed_at) desc, c.id desc limit ${limit}`,
    );
    const changes = [];
    for (const { id } of rows) changes.push(await this.#registry.change(id));
    return { rows: changes, total: await this.#count(sql`change c`, where) };
  }

  /** The words of those who spoke about a change, in their order. */
  voices(change: string) {
    return this.#rows(
      sql<{
        who: string;
        says: 'approve' | 'reject' | 'withdraw';
        why: string;
        at: Date;
      }>`select who, says, why, at from voice where change = ${change}::uuid order by at, who`,
    );
  }

  /** The entries that steps of a change are about, as they stand now; null for those that stand no more, or elsewhere. */
  async entry(
    list: 'privileged' | 'block' | 'pending',
    id: string,
    within: Facilities,
  ): Promise<object | null> {
    const queries = {
      privileged: sql<object>`select ${privilegedColumns} from privileged p where p.id = ${id}::uuid and p.removed_by is null
        and ${inFacilityOrAll('p.scope', within, 'global') ?? ALL}`,
      block: sql<object>`select ${blockColumns} from block b where b.id = ${id}::uuid and b.removed_by is null
        and ${inFacilityOrAll('b.facility', within) ?? ALL}`,
      pending: sql<object>`select ${pendingColumns} from pending n where n.id = ${id}::uuid and n.settled_by is null
        and ${inFacilityOrAll('n.facility', within) ?? ALL}`,
    } as const;
    return (await this.#rows(queries[list]))[0] ?? null;
  }

  /** Whether the database answers. */
  async ping(): Promise<void> {
    await this.#rows(sql<object>`select 1 as one`);
  }
}

/** Why an entry is about a number, as a code. */
const matchOf = ({ form, value, of }: PrivilegedRow, number: string, e164: string): string => {
  if (form === 'range' || form === 'prefix') return form;
  if (value === number) return form;
  if (form === 'alias' && of !== null && (of === number || of === e164)) return 'alias-of-it';
  return value === e164 ? 'main-number-of-extension' : 'extension';
};
