import { type Transaction as KyselyTransaction, sql } from 'kysely';
import type { Facilities } from '../accounts/facilities.js';
import { type Database, told as databaseError } from '../database.js';
import type { Tables } from '../schema.js';
import { inFacility } from '../within.js';
import { alertsOf, type OwnedAlert } from './hot-alerts.js';
import { type MonitoredCall, MonitoredFold, type Told } from './monitored-fold.js';
import { JournalMoved, type Place, type PlacedRow, type RowSource } from './place.js';

type Trx = KyselyTransaction<Tables>;

/** Which journals are followed, by what is taken out of them. */
export interface FollowedJournals {
  /** The controllers': calls. */
  readonly calls: readonly string[];
  /** Custody's: what is sealed. */
  readonly custody: readonly string[];
  /** The API's own: who searched for what. */
  readonly access: readonly string[];
}

export interface IndexOptions {
  readonly db: Database;
  readonly source: RowSource;
  readonly journals: FollowedJournals;
  readonly wall: () => number;
  /** Told of each hot number that a call was connected with, once, when it is durable. */
  readonly onAlert?: (alert: OwnedAlert) => void;
}

/** How far one journal was read. */
export interface JournalState {
  readonly journal: string;
  readonly part: 'calls' | 'custody' | 'access';
  /** The last row that is in the index. */
  readonly seq: number;
  /** Time of that row, RFC 3339; null before the first. */
  readonly newest: string | null;
  /** When it was last read to its end by this process, RFC 3339; null where that was never, or failed since. */
  readonly caughtUpAt: string | null;
}

/** Of PostgreSQL's advisory locks the one that writers of the index take. */
const LOCK = 7_245_530;
/** Rows of a journal in one transaction. */
const BATCH_ROWS = 4_000;
/** A connection that is older is history that is read anew: nobody is alarmed by it. */
const ALERT_MS = 300_000;

interface Reading {
  place: Place;
  /** Hash of the place that the database holds. */
  stored: string;
  fold: MonitoredFold;
  newest: string | null;
}

/** What one batch of rows does to the index. */
interface Batch {
  readonly calls: Map<string, MonitoredCall | null>;
  readonly takenBack: { readonly first: number; readonly last: number }[];
  readonly connecting: Extract<Told, { kind: 'connecting' }>[];
  readonly seals: Set<string>;
  readonly log: LogRow[];
}
interface LogRow {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly who: string;
  readonly why: string | null;
  readonly body: object;
}

const emptyBatch = (): Batch => ({
  calls: new Map(),
  takenBack: [],
  connecting: [],
  seals: new Set(),
  log: [],
});

/** Rows of the API's journal that say who searched, read and exported. */
const isLogged = (kind: string): boolean => /^http-(search|export|hot)/.test(kind);

/**
 * Past monitored calls in the database, made from the journals and from nothing else. Rows are the truth: thrown away, it
 * is made again, bit for bit. Several processes may follow at once; the database lets one write at a time, and each goes on
 * from where the other stopped. All reject with RegistryError, or with what the source says of a journal.
 */
export class CallIndex {
  readonly #options: IndexOptions;
  readonly #readings = new Map<string, Reading>();
  readonly #caughtUp = new Map<string, string>();
  #following: Promise<void> | null = null;
  #sealing: Promise<void> | null = null;

  constructor(options: IndexOptions) {
    this.#options = options;
  }

  /** Reads all journals to their ends as they are now. One turn at a time; who asks meanwhile waits for that turn. */
  follow(): Promise<void> {
    this.#following ??= this.#turn().finally(() => {
      this.#following = null;
    });
    return this.#following;
  }

  /** Reads what custody sealed up to now: each query does first, for a seal must not wait for a turn. */
  async sealsToNow(): Promise<void> {
    // A turn that is under way may have looked before the row was there: it is waited for and not relied on.
    while (this.#sealing !== null) await this.#sealing.catch(() => undefined);
    this.#sealing = this.#sealsNow().finally(() => {
      this.#sealing = null;
    });
    await this.#sealing;
  }

  async #sealsNow(): Promise<void> {
    for (const journal of this.#options.journals.custody) await this.#read(journal, 'custody');
  }

  async #turn(): Promise<void> {
    const { calls, access } = this.#options.journals;
    // Seals first: a call is never there before its seal is.
    await this.sealsToNow();
    for (const journal of calls) await this.#read(journal, 'calls');
    for (const journal of access) await this.#read(journal, 'access');
  }

  async #read(journal: string, part: JournalState['part']): Promise<void> {
    try {
      await this.#readOn(journal, part);
      this.#caughtUp.set(journal, new Date(this.#options.wall()).toISOString());
    } catch (error) {
      this.#caughtUp.delete(journal);
      this.#readings.delete(journal);
      if (!(error instanceof JournalMoved)) throw databaseError(error);
      await this.#forget(journal);
    }
  }

  async #readOn(journal: string, part: JournalState['part']): Promise<void> {
    const { source } = this.#options;
    const reading = await this.#opened(journal);
    let batch = emptyBatch();
    let rows = 0;
    for await (const placed of source.from(journal, reading.place)) {
      for (const { row, place } of placed) {
        this.#take(part, row, reading.fold, batch);
        reading.place = place;
        reading.newest = row.at;
        rows += 1;
      }
      if (rows < BATCH_ROWS) continue;
      if (!(await this.#write(journal, reading, batch))) return;
      batch = emptyBatch();
      rows = 0;
    }
    if (rows > 0) await this.#write(journal, reading, batch);
  }

  /** Where this process stopped, or another one did meanwhile. */
  async #opened(journal: string): Promise<Reading> {
    const { db, source } = this.#options;
    const { rows } = await sql<{ segment: number; offset: string; seq: string; hash: string }>`
      select segment, "offset", seq, hash from search_place where journal = ${journal}`.execute(db);
    const [at] = rows;
    const known = this.#readings.get(journal);
    if (known !== undefined && known.stored === (at?.hash ?? '')) return known;
    const open = await sql<{ open: unknown[]; newest: Date | null }>`
      select open, newest from search_place where journal = ${journal}`.execute(db);
    const reading: Reading =
      at === undefined
        ? { place: source.start, stored: '', fold: new MonitoredFold(), newest: null }
        : {
            place: { segment: at.segment, offset: Number(at.offset), seq: Number(at.seq), hash: at.hash },
            stored: at.hash,
            fold: MonitoredFold.from(open.rows[0]?.open ?? []),
            newest: open.rows[0]?.newest?.toISOString() ?? null,
          };
    this.#readings.set(journal, reading);
    return reading;
  }

  #take(part: JournalState['part'], row: PlacedRow['row'], fold: MonitoredFold, batch: Batch): void {
    const { kind, body, seq, at } = row;
    if (part === 'custody') {
      const sealed = kind === 'recording-sealing' || kind === 'recording-sealed';
      if (sealed && typeof body.callId === 'string') batch.seals.add(body.callId);
      return;
    }
    if (part === 'access') {
      if (!isLogged(kind)) return;
      const { by, why, ...rest } = body;
      const who = typeof by === 'string' ? by : '';
      batch.log.push({ seq, at, kind, who, why: typeof why === 'string' ? why : null, body: rest });
      return;
    }
    const told = fold.take(row);
    if (told === null) return;
    if (told.kind === 'call') batch.calls.set(told.call.callId, told.call);
    else if (told.kind === 'no-call') batch.calls.set(told.callId, null);
    else if (told.kind === 'connecting') batch.connecting.push(told);
    else {
      for (const [id, call] of batch.calls)
        if (call !== null && call.seq >= told.first && call.seq <= told.last) batch.calls.delete(id);
      batch.takenBack.push(told);
    }
  }

  /** False where another process wrote meanwhile: what was read here is read again from where that one stopped. */
  async #write(journal: string, reading: Reading, batch: Batch): Promise<boolean> {
    const { db, wall, onAlert } = this.#options;
    const alerts: OwnedAlert[] = [];
    const written = await db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
      const at = await sql<{
        hash: string;
      }>`select hash from search_place where journal = ${journal}`.execute(trx);
      if ((at.rows[0]?.hash ?? '') !== reading.stored) return false;
      await writeBatch(trx, journal, batch);
      const fresh = batch.connecting.filter(({ at: when }) => wall() - Date.parse(when) < ALERT_MS);
      alerts.push(...(await alertsOf(trx, fresh)));
      const { segment, offset, seq, hash } = reading.place;
      const open = JSON.stringify(reading.fold.toJson());
      await sql`insert into search_place (journal, segment, "offset", seq, hash, open, newest)
        values (${journal}, ${segment}, ${offset}, ${seq}, ${hash}, ${open}::jsonb, ${reading.newest}::timestamptz)
        on conflict (journal) do update set segment = excluded.segment, "offset" = excluded."offset", seq = excluded.seq,
          hash = excluded.hash, open = excluded.open, newest = excluded.newest`.execute(trx);
      return true;
    });
    if (!written) {
      this.#readings.delete(journal);
      return false;
    }
    reading.stored = reading.place.hash;
    for (const alert of alerts) onAlert?.(alert);
    return true;
  }

  /** Takes all of a journal out of the index: it is read again from its first row. What was sealed stays sealed. */
  async #forget(journal: string): Promise<void> {
    await this.#options.db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
      await forget(trx, [journal]);
    });
  }

  /** Throws everything that came from journals away, and makes it again. `progress`: rows read of each journal. */
  async rebuild(): Promise<void> {
    const { db, journals } = this.#options;
    await this.#following?.catch(() => undefined);
    try {
      await db.transaction().execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
        await forget(trx, [...journals.calls, ...journals.custody, ...journals.access]);
      });
    } catch (error) {
      throw databaseError(error);
    }
    this.#readings.clear();
    await this.follow();
  }

  /** Up to when all journals of calls were read to their ends, RFC 3339; null where one could not be, or was not yet. */
  caughtUpAt(): string | null {
    const times = this.#options.journals.calls.map((journal) => this.#caughtUp.get(journal) ?? null);
    return times.includes(null) ? null : ((times as string[]).sort()[0] ?? null);
  }

  /** The journals are of the whole system: who acts for some facilities is told of their own calls alone. */
  async state(
    within: Facilities,
  ): Promise<{ readonly calls: number; readonly journals: readonly JournalState[] }> {
    const { db, journals } = this.#options;
    try {
      if (within !== 'all') {
        const own = await sql<{ n: string }>`select count(*) as n from search_call
          where ${inFacility('facility', within) ?? sql`true`}`.execute(db);
        return { calls: Number(own.rows[0]?.n ?? 0), journals: [] };
      }
      const places = await sql<{ journal: string; seq: string; newest: Date | null }>`
        select journal, seq, newest from search_place`.execute(db);
      const known = new Map(places.rows.map((row) => [row.journal, row]));
      // The planner's count: nobody waits for a million rows to be counted.
      const count = await sql<{ n: string }>`
        select greatest(0, reltuples)::bigint as n from pg_class where oid = 'search_call'::regclass`.execute(
        db,
      );
      const one = (journal: string, part: JournalState['part']): JournalState => ({
        ...{ journal, part, seq: Number(known.get(journal)?.seq ?? 0) },
        newest: known.get(journal)?.newest?.toISOString() ?? null,
        caughtUpAt: this.#caughtUp.get(journal) ?? null,
      });
      return {
        calls: Number(count.rows[0]?.n ?? 0),
        journals: [
          ...journals.calls.map((journal) => one(journal, 'calls')),
          ...journals.custody.map((journal) => one(journal, 'custody')),
          ...journals.access.map((journal) => one(journal, 'access')),
        ],
      };
    } catch (error) {
      throw databaseError(error);
    }
  }

  /** A digest of everything in it that comes from journals: equal for equal journals, however they were read. */
  async digest(): Promise<string> {
    try {
      return await this.#options.db.transaction().execute(async (trx) => {
        await sql`set local timezone to 'UTC'`.execute(trx);
        const { rows } = await sql<{ digest: string | null }>`select md5(concat(
          (select string_agg(md5(c::text), '' order by c.call_id) from search_call c),
          (select string_agg(md5(p::text), '' order by p.call_id, p.number) from search_party p),
          (select string_agg(s.call_id, '' order by s.call_id) from search_seal s),
          (select string_agg(md5(l::text), '' order by l.journal, l.seq) from search_log l),
          (select string_agg(md5(concat(a.journal, a.seq, a.hash, a.open)), '' order by a.journal) from search_place a)
        )) as digest`.execute(trx);
        return rows[0]?.digest ?? '';
      });
    } catch (error) {
      throw databaseError(error);
    }
  }
}

const forget = async (trx: Trx, journals: readonly string[]): Promise<void> => {
  const all = [...journals];
  await sql`delete from search_party where call_id in (select call_id from search_call where journal = any(${all}))`.execute(
    trx,
  );
  for (const table of ['search_call', 'search_log', 'search_place'])
    await sql`delete from ${sql.table(table)} where journal = any(${all})`.execute(trx);
};

const writeBatch = async (trx: Trx, journal: string, batch: Batch): Promise<void> => {
  for (const { first, last } of batch.takenBack) {
    await sql`delete from search_party where call_id in (
      select call_id from search_call where journal = ${journal} and seq between ${first} and ${last})`.execute(
      trx,
    );
    await sql`delete from search_call where journal = ${journal} and seq between ${first} and ${last}`.execute(
      trx,
    );
  }
  const ids = [...batch.calls.keys()];
  if (ids.length > 0) {
    await sql`delete from search_party where call_id = any(${ids})`.execute(trx);
    await sql`delete from search_call where call_id = any(${ids})`.execute(trx);
  }
  const calls = [...batch.calls.values()].filter((one) => one !== null);
  if (calls.length > 0) await insertCalls(trx, journal, calls);
  if (batch.seals.size > 0)
    await sql`insert into search_seal (call_id, journal) select unnest(${[...batch.seals]}::text[]), ${journal}
      on conflict do nothing`.execute(trx);
  if (batch.log.length > 0)
    await sql`insert into search_log (journal, seq, at, kind, who, why, body)
      select ${journal}, seq, at, kind, who, why, body from jsonb_to_recordset(${JSON.stringify(batch.log)}::jsonb)
        as x(seq bigint, at timestamptz, kind text, who text, why text, body jsonb)
      on conflict do nothing`.execute(trx);
};

const insertCalls = async (trx: Trx, journal: string, calls: readonly MonitoredCall[]): Promise<void> => {
  const given = sql`jsonb_to_recordset(${JSON.stringify(calls)}::jsonb) as x("callId" text, seq bigint, node text,
    began timestamptz, ended timestamptz, facility text, trunk text, unit text, phone text, caller text, numbers jsonb,
    ending text, disposition text, "connectedMs" int, "threeWay" int, recording text)`;
  await sql`insert into search_call (call_id, journal, seq, node, began, ended, facility, trunk, unit, phone, caller,
      numbers, ending, disposition, connected_ms, three_way, recording)
    select x."callId", ${journal}, x.seq, x.node, x.began, x.ended, x.facility, x.trunk, x.unit, x.phone, x.caller,
      array(select jsonb_array_elements_text(x.numbers)), x.ending, x.disposition, x."connectedMs", x."threeWay", x.recording
    from ${given}`.execute(trx);
  await sql`insert into search_party (number, began, call_id, caller, connected_ms)
    select distinct n, x.began, x."callId", x.caller, x."connectedMs"
    from ${given}, jsonb_array_elements_text(x.numbers) n`.execute(trx);
};
