import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { asking, type Database } from '../database.js';
import { RegistryError } from '../errors.js';
import { withinAll } from '../within.js';
import { type Facilities, readFacilities, storedFacilities } from './facilities.js';
import { SecretBox, webhookPurpose } from './secret-box.js';

export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly alarms: readonly string[];
  readonly facilities: Facilities;
  readonly madeBy: string;
  readonly madeAt: Date;
  readonly waiting: number;
  readonly dead: number;
}

/** One message that is due, with what it is signed with. */
export interface Due {
  readonly id: string;
  readonly url: string;
  readonly secret: string;
  readonly body: string;
  readonly attempts: number;
}

export interface DeadLetter {
  readonly id: string;
  readonly webhook: string;
  readonly body: string;
  readonly attempts: number;
  readonly lastCode: string | null;
  readonly madeAt: Date;
}

const MOST_WEBHOOKS = 50;
/** Messages of one webhook that wait; beyond it the newest is a dead letter at once. */
const MOST_WAITING = 1000;
const MOST_TRIES = 10;
const KEPT_DAYS = 30;

/** Who is told of alarms. All reject with RegistryError. */
export class Webhooks {
  readonly #db: Database;
  readonly #box: SecretBox;
  constructor(db: Database, box: SecretBox = SecretBox.open) {
    this.#db = db;
    this.#box = box;
  }

  /** Rejects with `too-many-webhooks`. */
  add(hook: {
    readonly url: string;
    readonly secret: string;
    readonly alarms: readonly string[];
    readonly facilities: Facilities;
    readonly by: string;
  }): Promise<string> {
    return asking(this.#db, async (db) => {
      const made = randomUUID();
      const secret = this.#box.seal(hook.secret, webhookPurpose(made));
      const { rows } = await sql<{ id: string }>`
        insert into webhook (id, url, secret, alarms, facilities, made_by)
        select ${made}::uuid, ${hook.url}, ${secret}, ${[...hook.alarms]}::text[],
          ${storedFacilities(hook.facilities)}::text[], ${hook.by}
        where (select count(*) from webhook where ended_at is null) < ${MOST_WEBHOOKS} returning id`.execute(
        db,
      );
      const id = rows[0]?.id;
      if (id === undefined) throw new RegistryError('too-many-webhooks');
      return id;
    });
  }

  list(within: Facilities): Promise<readonly Webhook[]> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<{
        id: string;
        url: string;
        alarms: string[];
        facilities: string[];
        made_by: string;
        made_at: Date;
        waiting: string;
        dead: string;
      }>`select w.id, w.url, w.alarms, w.facilities, w.made_by, w.made_at,
           (select count(*) from webhook_delivery d where d.webhook = w.id and d.state = 'waiting') as waiting,
           (select count(*) from webhook_delivery d where d.webhook = w.id and d.state = 'dead') as dead
         from webhook w where w.ended_at is null and ${withinAll('w.facilities', within) ?? sql`true`}
         order by w.made_at`.execute(db);
      return rows.map((row) => ({
        id: row.id,
        url: row.url,
        alarms: row.alarms,
        facilities: readFacilities(row.facilities),
        madeBy: row.made_by,
        madeAt: row.made_at,
        waiting: Number(row.waiting),
        dead: Number(row.dead),
      }));
    });
  }

  /** Rejects with `webhook-unknown`, also beyond `within`. What waits for it is told no more. */
  end(id: string, within: Facilities): Promise<void> {
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        const { rows } =
          await sql`update webhook set ended_at = now() where id = ${id}::uuid and ended_at is null
            and ${withinAll('facilities', within) ?? sql`true`} returning id`.execute(trx);
        if (rows.length === 0) throw new RegistryError('webhook-unknown');
        await sql`update webhook_delivery set state = 'dead', last_code = 'webhook-ended'
          where webhook = ${id}::uuid and state = 'waiting'`.execute(trx);
      }),
    );
  }

  /** Puts one alarm before everybody who wants to know of it and reaches what it is of. */
  queue(alarm: string, body: string, of: Facilities): Promise<void> {
    const facilities = storedFacilities(of);
    return asking(this.#db, async (db) => {
      await sql`
        insert into webhook_delivery (webhook, body, state, last_code)
        select id, ${body},
          case when waiting >= ${MOST_WAITING} then 'dead' else 'waiting' end,
          case when waiting >= ${MOST_WAITING} then 'too-many-waiting' end
        from (select w.id, (select count(*) from webhook_delivery d where d.webhook = w.id and d.state = 'waiting') as waiting
              from webhook w where w.ended_at is null and (cardinality(w.alarms) = 0 or ${alarm} = any(w.alarms))
              and ('*' = any(w.facilities)
                or (cardinality(${facilities}::text[]) > 0 and ${facilities}::text[] <@ w.facilities))) as of`.execute(
        db,
      );
      await sql`delete from webhook_delivery where state <> 'waiting' and made_at < now() - ${KEPT_DAYS} * interval '1 day'`.execute(
        db,
      );
    });
  }

  /** What is due now, the oldest first. Each is put off at once, so that a crash while it is sent costs one try. */
  due(limit: number): Promise<readonly Due[]> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<Due & { readonly webhook: string }>`
        update webhook_delivery d set attempts = d.attempts + 1,
          next_at = now() + least(power(2, d.attempts) * 5, 21600) * interval '1 second'
        from webhook w where w.id = d.webhook and d.id in (
          select id from webhook_delivery where state = 'waiting' and next_at <= now()
          order by next_at limit ${limit} for update skip locked)
        returning d.id, d.webhook, w.url, w.secret, d.body, d.attempts`.execute(db);
      return rows.map((row) => ({
        ...row,
        secret: this.#box.unseal(row.secret, webhookPurpose(row.webhook)),
      }));
    });
  }

  /** What came of one try; after the last one it is a dead letter. */
  tried(id: string, code: string | null): Promise<void> {
    return asking(this.#db, async (db) => {
      await sql`update webhook_delivery set last_code = ${code}, state = case
          when ${code}::text is null then 'delivered' when attempts >= ${MOST_TRIES} then 'dead' else state end
        where id = ${id}::uuid and state = 'waiting'`.execute(db);
    });
  }

  dead(limit: number, within: Facilities): Promise<readonly DeadLetter[]> {
    return asking(this.#db, async (db) => {
      const rows = await db
        .selectFrom('webhook_delivery as d')
        .innerJoin('webhook as w', 'w.id', 'd.webhook')
        .select(['d.id', 'd.webhook', 'd.body', 'd.attempts', 'd.last_code', 'd.made_at'])
        .where('d.state', '=', 'dead')
        .where(withinAll('w.facilities', within) ?? sql<boolean>`true`)
        .orderBy('d.made_at', 'desc')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        id: row.id,
        webhook: row.webhook,
        body: row.body,
        attempts: row.attempts,
        lastCode: row.last_code,
        madeAt: row.made_at,
      }));
    });
  }
}
