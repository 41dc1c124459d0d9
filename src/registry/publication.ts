import { type CompiledQuery, sql, type Transaction } from 'kysely';
import { type Database, told } from './database.js';
import type { Tables } from './schema.js';

export type Entry = Pick<
  Tables['privileged'],
  'form' | 'value' | 'of' | 'class' | 'scope' | 'valid_from' | 'valid_to' | 'effective_from'
> & { readonly id: string; readonly entered: Date };
export type Blocked = Pick<Tables['block'], 'number' | 'cause' | 'facility' | 'expires'>;

/** What is to be published, all as of one moment. */
export interface Standing {
  /** Everything the registry's journal holds up to this row is in it; what is not journalled yet may be. */
  readonly asOf: number;
  /** Who proposed and who approved what changed since the state `since`. */
  readonly makers: readonly string[];
  readonly approvers: readonly string[];
}

/** The whole of it besides. */
export interface StandingWhole extends Standing {
  /** Blocks that had ended by then are not in it. */
  readonly blocksAfter: Date;
}

export interface Reader {
  privileged(row: Entry): void;
  block(row: Blocked): void;
  pending(number: string): void;
  /**
   * A number on the list of one caller, at the facility where they are booked now, or of a whole facility. All of one list
   * come one after the other.
   */
  allowed(facility: string, caller: string | null, number: string): void;
}

const FETCH = 10_000;
const FETCH_CALLERS = 1_000;
type Snapshot = Transaction<Tables>;

/** One snapshot of the database: what is read in it is of one moment. */
const atOneMoment = async <T>(db: Database, use: (trx: Snapshot) => Promise<T>): Promise<T> => {
  try {
    return await db.transaction().setIsolationLevel('repeatable read').execute(use);
  } catch (error) {
    throw told(error);
  }
};

const standingOf = async (trx: Snapshot, since: number): Promise<Standing> => {
  const asOf = await trx
    .selectFrom('outbox')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .executeTakeFirst();
  const people = await sql<{ maker: string; approver: string | null }>`
    select distinct c.maker, v.who as approver
    from outbox o join change c on c.id = (o.body ->> 'change')::uuid
    left join voice v on v.change = c.id and v.says = 'approve'
    where o.kind = 'registry-applied' and o.seq > ${since}`.execute(trx);
  const approvers = people.rows.flatMap(({ approver }) => (approver === null ? [] : [approver]));
  return {
    asOf: Number(asOf?.seq ?? 0),
    makers: [...new Set(people.rows.map(({ maker }) => maker))].sort(),
    approvers: [...new Set(approvers)].sort(),
  };
};

/**
 * Reads everything that is in force from one snapshot of the database, row by row: twenty million rows of allowed numbers
 * are never in memory here. A caller's numbers come with the facility they are booked at now, so that a transfer takes
 * nothing along and leaves nothing behind. Rejects with RegistryError.
 *
 * `forget`: what was noted as changed counts as published by whoever reads it; if they fail, the next reads all again.
 * `blocksAfter`: blocks that had ended by then are left out; by default those that have ended now.
 */
export const readStanding = (
  db: Database,
  since: number,
  reader: Reader,
  {
    forget,
    blocksAfter,
    onMoment,
  }: {
    readonly forget: boolean;
    readonly blocksAfter?: Date;
    /** Called once the moment is fixed of which everything is read, with what had changed since the last. */
    readonly onMoment?: (touched: number) => void;
  },
): Promise<StandingWhole> =>
  atOneMoment(db, async (trx) => {
    const clock = await sql<{ now: Date; touched: string }>`
          select now() as now, (select count(*) from touched) as touched`.execute(trx);
    const after = blocksAfter ?? clock.rows[0]?.now ?? new Date(0);
    // Those that this snapshot sees, and no others: a row that came to light later is kept.
    if (forget) await sql`delete from touched`.execute(trx);
    onMoment?.(Number(clock.rows[0]?.touched ?? 0));
    const each = async <T>(query: CompiledQuery<T>, take: (row: T) => void, fetch = FETCH): Promise<void> => {
      for await (const row of rowsOf<T>(trx, query, fetch)) take(row);
    };
    await each(
      trx
        .selectFrom('privileged')
        .select([
          'id',
          'form',
          'value',
          'of',
          'class',
          'scope',
          'valid_from',
          'valid_to',
          'effective_from',
          'entered',
        ])
        .where('removed_by', 'is', null)
        .compile() as CompiledQuery<Entry>,
      (row) => reader.privileged(row),
    );
    await each(
      trx
        .selectFrom('block')
        .select(['number', 'cause', 'facility', 'expires'])
        .where('removed_by', 'is', null)
        .where((or) => or.or([or('expires', 'is', null), or('expires', '>', after)]))
        .compile() as CompiledQuery<Blocked>,
      (row) => reader.block(row),
    );
    await each(
      trx.selectFrom('pending').select('number').where('settled_by', 'is', null).compile(),
      ({ number }) => reader.pending(number),
    );
    // One row for each caller: twenty times fewer on the way. In the order of an index, so that nothing has to be sorted
    // before the first of them comes.
    await sql`set local enable_sort = off`.execute(trx);
    await sql`set local enable_hashagg = off`.execute(trx);
    await sql`set local enable_hashjoin = off`.execute(trx);
    await each(
      sql<{ facility: string; caller: string; numbers: string }>`
        select max(k.facility) as facility, a.caller, string_agg(a.number, ' ') as numbers
        from allowed a join booking k on k.caller = a.caller and k.closed is null
        where a.caller is not null group by a.caller`.compile(trx),
      ({ facility, caller, numbers }) => {
        for (const number of numbers.split(' ')) reader.allowed(facility, caller, number);
      },
      FETCH_CALLERS,
    );
    await each(
      trx
        .selectFrom('allowed')
        .select(['facility', 'number'])
        .where('facility', 'is not', null)
        .orderBy('facility')
        .compile(),
      ({ facility, number }) => {
        if (facility !== null) reader.allowed(facility, null, number);
      },
    );
    return { ...(await standingOf(trx, since)), blocksAfter: after };
  });

/** One entry that changed: what it was and what it is; null where there was none, or is none. */
export type Touched =
  | { readonly kind: 'privileged'; readonly before: Entry | null; readonly after: Entry | null }
  | { readonly kind: 'block'; readonly before: Blocked | null; readonly after: Blocked | null }
  | { readonly kind: 'pending'; readonly before: string | null; readonly after: string | null };

/** What changed since it was read last. */
export interface Changed extends Standing {
  readonly entries: readonly Touched[];
  /** Lists that may have changed, by facility and caller (null: of the whole facility), with all their numbers. */
  readonly lists: readonly {
    readonly facility: string;
    readonly caller: string | null;
    readonly numbers: readonly string[];
  }[];
}

/**
 * More than this is published whole. Never a part of it: what is published is what stood at one moment, or a number could
 * be on a list for a while in which what protects it is not published yet, or not any more.
 */
const MOST_TOUCHED = 5_000;

interface Owner {
  readonly caller: string | null;
  readonly facility: string | null;
}

type Noted = Record<string, unknown> | null;

const dateOf = (value: unknown): Date | null => (typeof value === 'string' ? new Date(value) : null);

const entryOf = (row: Noted): Entry | null =>
  row === null || row.removed_by !== null
    ? null
    : ({
        ...row,
        valid_from: dateOf(row.valid_from),
        valid_to: dateOf(row.valid_to),
        effective_from: dateOf(row.effective_from),
        entered: dateOf(row.entered),
      } as unknown as Entry);

const blockOf = (row: Noted, after: Date): Blocked | null => {
  if (row === null || row.removed_by !== null) return null;
  const expires = dateOf(row.expires);
  return expires !== null && expires <= after ? null : ({ ...row, expires } as unknown as Blocked);
};

const pendingOf = (row: Noted): string | null =>
  row === null || row.settled_by !== null ? null : String(row.number);

const ownersOf = (rows: readonly { before: unknown; after: unknown }[]): readonly Owner[] =>
  rows.flatMap(({ before, after }) => [before, after].flatMap((one) => (one === null ? [] : [one as Owner])));

const ownerText = (facility: string, caller: string | null): string => `${facility} ${caller ?? ''}`;

/** The lists of callers and facilities as they stand: also those that are empty now, or are of another facility. */
const listsOfOwners = async (trx: Snapshot, touched: readonly Owner[]): Promise<Changed['lists']> => {
  const callers = [...new Set(touched.flatMap(({ caller }) => caller ?? []))];
  const facilities = [
    ...new Set(touched.flatMap((one) => (one.caller === null ? (one.facility ?? []) : []))),
  ];
  const { rows } = await sql<{ facility: string; caller: string | null; number: string | null }>`
    select k.facility, k.caller, a.number from booking k left join allowed a on a.caller = k.caller
    where k.closed is null and k.caller = any(${callers})
    union all select facility, null, number from allowed where facility = any(${facilities})`.execute(trx);
  const lists = new Map<string, { facility: string; caller: string | null; numbers: string[] }>();
  const list = (facility: string, caller: string | null): string[] => {
    const key = ownerText(facility, caller);
    const there = lists.get(key) ?? { facility, caller, numbers: [] };
    lists.set(key, there);
    return there.numbers;
  };
  for (const { facility, caller } of touched) if (facility !== null) list(facility, caller);
  for (const { facility, caller, number } of rows) {
    const numbers = list(facility, caller);
    if (number !== null) numbers.push(number);
  }
  return [...lists.values()];
};

/**
 * Reads all that changed since this was asked last, or since everything was read: null where it is so much that everything
 * has to be. It counts as published by whoever asks; if they fail, everything has to be read again. Rejects with
 * RegistryError.
 */
export const readChanged = (db: Database, since: number, blocksAfter: Date): Promise<Changed | null> =>
  atOneMoment(db, async (trx) => {
    const count = await sql<{ n: string }>`
      select count(*) as n from (select 1 from touched limit ${MOST_TOUCHED + 1}) as counted`.execute(trx);
    if (Number(count.rows[0]?.n ?? 0) > MOST_TOUCHED) return null;
    const noted = await trx.deleteFrom('touched').returningAll().execute();
    noted.sort((one, other) => Number(one.id) - Number(other.id));
    const entries = noted.flatMap(({ kind, before, after }): Touched[] => {
      const [was, is] = [before as Noted, after as Noted];
      switch (kind) {
        case 'privileged':
          return [{ kind, before: entryOf(was), after: entryOf(is) }];
        case 'block':
          return [{ kind, before: blockOf(was, blocksAfter), after: blockOf(is, blocksAfter) }];
        case 'pending':
          return [{ kind, before: pendingOf(was), after: pendingOf(is) }];
        case 'allowed':
        case 'booking':
          return [];
        default: {
          const never: never = kind;
          return never;
        }
      }
    });
    const owners = ownersOf(noted.filter(({ kind }) => kind === 'allowed' || kind === 'booking'));
    return { ...(await standingOf(trx, since)), entries, lists: await listsOfOwners(trx, owners) };
  });

/** Whether anything changed since it was read last. Rejects with RegistryError. */
export const anyTouched = async (db: Database): Promise<boolean> => {
  try {
    const { rows } = await sql<{ any: boolean }>`select exists (select 1 from touched) as any`.execute(db);
    return rows[0]?.any === true;
  } catch (error) {
    throw told(error);
  }
};

/** A query's rows through a cursor of the server. */
async function* rowsOf<T>(
  trx: { executeQuery: Database['executeQuery'] },
  query: CompiledQuery<T>,
  fetch: number,
): AsyncGenerator<T, void, undefined> {
  const run = (text: string, parameters: readonly unknown[] = []) =>
    trx.executeQuery<T>({ ...query, sql: text, parameters });
  await run(`declare standing no scroll cursor for ${query.sql}`, query.parameters);
  try {
    for (;;) {
      const { rows } = await run(`fetch ${fetch} from standing`);
      yield* rows;
      if (rows.length < fetch) return;
    }
  } finally {
    await run('close standing').catch(() => undefined);
  }
}
