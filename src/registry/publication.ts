import { type CompiledQuery, sql } from 'kysely';
import { type Database, told } from './database.js';
import type { Tables } from './schema.js';

type Entry = Pick<
  Tables['privileged'],
  'form' | 'value' | 'of' | 'class' | 'scope' | 'valid_from' | 'valid_to' | 'effective_from'
> & { readonly id: string; readonly entered: Date };
type Blocked = Pick<Tables['block'], 'number' | 'cause' | 'facility' | 'expires'>;

/** What is to be published, all as of one moment. */
export interface Standing {
  /** Everything the registry's journal holds up to this row is in it; what is not journalled yet may be. */
  readonly asOf: number;
  /** Who proposed and who approved what changed since the state `since`. */
  readonly makers: readonly string[];
  readonly approvers: readonly string[];
}

export interface Reader {
  privileged(row: Entry): void;
  block(row: Blocked): void;
  pending(number: string): void;
  /** A number on the list of one caller, at the facility where they are booked now, or of a whole facility. */
  allowed(facility: string, caller: string | null, number: string): void;
}

const FETCH = 10_000;

/**
 * Reads everything that is in force from one snapshot of the database, row by row: twenty million rows of allowed numbers
 * are never in memory here. A caller's numbers come with the facility they are booked at now, so that a transfer takes
 * nothing along and leaves nothing behind. Rejects with RegistryError.
 */
export const readStanding = async (db: Database, since: number, reader: Reader): Promise<Standing> => {
  try {
    return await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (trx) => {
        const each = async <T>(query: CompiledQuery<T>, take: (row: T) => void): Promise<void> => {
          for await (const row of rowsOf<T>(trx, query)) take(row);
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
            .where((or) => or.or([or('expires', 'is', null), or('expires', '>', sql<Date>`now()`)]))
            .compile() as CompiledQuery<Blocked>,
          (row) => reader.block(row),
        );
        await each(
          trx.selectFrom('pending').select('number').where('settled_by', 'is', null).compile(),
          ({ number }) => reader.pending(number),
        );
        await each(
          trx
            .selectFrom('allowed')
            .innerJoin('booking', 'booking.caller', 'allowed.caller')
            .select(['booking.facility as facility', 'allowed.caller as caller', 'allowed.number as number'])
            .where('booking.closed', 'is', null)
            .compile(),
          ({ facility, caller, number }) => reader.allowed(facility, caller, number),
        );
        await each(
          trx
            .selectFrom('allowed')
            .select(['facility', 'number'])
            .where('facility', 'is not', null)
            .compile(),
          ({ facility, number }) => {
            if (facility !== null) reader.allowed(facility, null, number);
          },
        );
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
      });
  } catch (error) {
    throw told(error);
  }
};

/** A query's rows through a cursor of the server. */
async function* rowsOf<T>(
  trx: { executeQuery: Database['executeQuery'] },
  query: CompiledQuery<T>,
): AsyncGenerator<T, void, undefined> {
  const run = (text: string, parameters: readonly unknown[] = []) =>
    trx.executeQuery<T>({ ...query, sql: text, parameters });
  await run(`declare standing no scroll cursor for ${query.sql}`, query.parameters);
  try {
    for (;;) {
      const { rows } = await run(`fetch ${FETCH} from standing`);
      yield* rows;
      if (rows.length < FETCH) return;
    }
  } finally {
    await run('close standing').catch(() => undefined);
  }
}
