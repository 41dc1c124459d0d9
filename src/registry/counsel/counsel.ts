import { type Transaction as KyselyTransaction, sql } from 'kysely';
import { storedFacilities } from '../accounts/facilities.js';
import { noteAccount } from '../accounts/note.js';
import { asking, type Database } from '../database.js';
import type { Tables } from '../schema.js';
import type { ClaimState } from './schema.js';

type Transaction = KyselyTransaction<Tables>;

/** Somebody who made an account to look after their own numbers. What they say of themselves is said by them alone. */
export interface Attorney {
  readonly account: string;
  readonly name: string;
  readonly jurisdiction: string;
  readonly barNumber: string;
  readonly invitedBy: string | null;
  readonly madeAt: Date;
}

/** A number that an account says is its own. */
export interface Claim {
  readonly id: string;
  readonly account: string;
  /** Canonical. */
  readonly number: string;
  readonly class: 'attorney' | 'public-defender';
  readonly state: ClaimState;
  readonly addedAt: Date;
  readonly firstProvedAt: Date | null;
  readonly provedAt: Date | null;
  readonly provedCall: string | null;
  /** The change that proposes to protect it; null where there is none. */
  readonly change: string | null;
}

export interface CodeAsked {
  readonly id: string;
  readonly callId: string | null;
  readonly askedAt: Date;
  readonly expires: Date;
  readonly tries: number;
  /** Spent, replaced by a newer one, or given up. */
  readonly overAt: Date | null;
}

export interface Notice {
  readonly claim: string;
  readonly kind: string;
  readonly at: Date;
}

export interface CodeLimits {
  readonly perHour: number;
  readonly perNumberHour: number;
  readonly perNumberDay: number;
  readonly perAccountDay: number;
}

export const CODE_MINUTES = 10;
export const CODE_TRIES = 5;
const INVITE_DAYS = 7;
const MOST_INVITES_A_DAY = 100;
const NOTICES_SHOWN = 50;

const claimColumns = sql`n.id, n.account, n.number, n.class, n.state, n.added_at as "addedAt",
  n.first_proved_at as "firstProvedAt", n.proved_at as "provedAt", n.proved_call as "provedCall", n.change`;
const attorneyColumns = sql`a.account, a.name, a.jurisdiction, a.bar_number as "barNumber",
  a.invited_by as "invitedBy", a.made_at as "madeAt"`;

/** Of PostgreSQL's advisory locks the one that counts and what is counted are written under. */
const LOCK = 7_245_522;

/**
 * Attorneys, the numbers they claim, and the codes that prove them. An account is part of every look-up: a claim of
 * somebody else is not there. All reject with RegistryError.
 */
export class Counsel {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** One after the other, so that nobody slips past a bound between its count and its row. */
  #counting<T>(use: (trx: Transaction) => Promise<T>): Promise<T> {
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
        return await use(trx);
      }),
    );
  }

  /**
   * Makes the account and what it says of itself, in one. `invite`: the digest of a link. 'no-invite' where it is none,
   * or none that is good any more; 'too-many' beyond the bound of an hour. Rejects with `account-exists`.
   */
  signUp(one: {
    readonly account: string;
    readonly name: string;
    readonly jurisdiction: string;
    readonly barNumber: string;
    readonly madeFrom: string;
    readonly invite: string | null;
    readonly mostAnHour: number;
    readonly secrets: {
      readonly password: string;
      readonly totpSecret: string;
      readonly recovery: readonly string[];
    };
  }): Promise<'made' | 'no-invite' | 'too-many'> {
    const { account, secrets, invite, madeFrom } = one;
    return this.#counting(async (trx) => {
      const { rows } = await sql<{ here: string; all: string }>`
        select count(*) filter (where made_from = ${madeFrom}) as here, count(*) as all
        from attorney where made_at > now() - interval '1 hour'`.execute(trx);
      const most = one.mostAnHour;
      if (Number(rows[0]?.here ?? 0) >= most || Number(rows[0]?.all ?? 0) >= 10 * most) return 'too-many';
      let invitedBy: string | null = null;
      if (invite !== null) {
        const used = await sql<{
          made_by: string;
        }>`update attorney_invite set used_at = now(), used_by = ${account}
          where hash = ${invite} and used_at is null and expires > now() returning made_by`.execute(trx);
        invitedBy = used.rows[0]?.made_by ?? null;
        if (invitedBy === null) return 'no-invite';
      }
      await trx
        .insertInto('account')
        .values({
          ...{ name: account, kind: 'local', roles: ['attorney'], subject: null },
          // Their own numbers, wherever they are called from; a route of theirs shows nothing else.
          facilities: storedFacilities('all'),
          ...{ password: secrets.password, totp_secret: secrets.totpSecret },
          made_by: invitedBy ?? account,
        })
        .execute();
      for (const hash of secrets.recovery)
        await trx.insertInto('recovery_code').values({ account, hash }).execute();
      await trx
        .insertInto('attorney')
        .values({
          ...{ account, name: one.name, jurisdiction: one.jurisdiction, bar_number: one.barNumber },
          ...{ invited_by: invitedBy, made_from: madeFrom },
        })
        .execute();
      const what = invitedBy === null ? 'registered' : 'registered-by-invitation';
      await noteAccount(trx, 'account-changed', {
        ...{ account, what, by: invitedBy ?? account, roles: 'attorney' },
      });
      return 'made';
    });
  }

  /** False where somebody made too many today. `hash`: the digest of the link. */
  invite(hash: string, note: string, by: string): Promise<boolean> {
    return this.#counting(async (trx) => {
      const { rows } = await sql`
        insert into attorney_invite (hash, note, made_by, expires)
        select ${hash}, ${note}, ${by}, now() + ${INVITE_DAYS} * interval '1 day'
        where (select count(*) from attorney_invite where made_by = ${by} and made_at > now() - interval '1 day') < ${MOST_INVITES_A_DAY}
        returning hash`.execute(trx);
      if (rows.length === 0) return false;
      await noteAccount(trx, 'account-changed', { account: null, what: 'invited', by });
      return true;
    });
  }

  attorney(account: string): Promise<Attorney | null> {
    return asking(this.#db, async (db) => {
      const { rows } =
        await sql<Attorney>`select ${attorneyColumns} from attorney a where a.account = ${account}`.execute(
          db,
        );
      return rows[0] ?? null;
    });
  }

  claims(account: string): Promise<readonly Claim[]> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<Claim>`select ${claimColumns} from attorney_number n
        where n.account = ${account} order by n.added_at, n.id limit 1000`.execute(db);
      return rows;
    });
  }

  /** Null where there is none, and where it is somebody else's: nobody can tell the two apart. */
  claim(account: string, id: string): Promise<Claim | null> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<Claim>`select ${claimColumns} from attorney_number n
        where n.id = ${id}::uuid and n.account = ${account}`.execute(db);
      return rows[0] ?? null;
    });
  }

  /** Null where the account has as many as it may. The same number twice is the same claim. */
  add(account: string, number: string, of: Claim['class'], most: number): Promise<Claim | null> {
    return this.#counting(async (trx) => {
      await sql`insert into attorney_number (account, number, class)
        select ${account}, ${number}, ${of} where (select count(*) from attorney_number where account = ${account}) < ${most}
        on conflict (account, number) do nothing`.execute(trx);
      const { rows } = await sql<Claim>`select ${claimColumns} from attorney_number n
        where n.account = ${account} and n.number = ${number}`.execute(trx);
      return rows[0] ?? null;
    });
  }

  /** False where it is none that can be taken back: one that was proved is evidence. */
  drop(account: string, id: string): Promise<boolean> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql`delete from attorney_number
        where id = ${id}::uuid and account = ${account} and state = 'unproved' returning id`.execute(db);
      return rows.length === 1;
    });
  }

  /** A new code in the place of any other; null beyond one of the bounds. It counts whether it is told or not. */
  askCode(claim: Claim, hash: string, limits: CodeLimits): Promise<CodeAsked | null> {
    return this.#counting(async (trx) => {
      const { rows } = await sql<{
        hour: string;
        number_hour: string;
        number_day: string;
        account_day: string;
      }>`
        select count(*) filter (where asked_at > now() - interval '1 hour') as hour,
          count(*) filter (where asked_at > now() - interval '1 hour' and number = ${claim.number}) as number_hour,
          count(*) filter (where number = ${claim.number}) as number_day,
          count(*) filter (where account = ${claim.account}) as account_day
        from attorney_code where asked_at > now() - interval '1 day'`.execute(trx);
      const [counted] = rows;
      if (
        Number(counted?.hour) >= limits.perHour ||
        Number(counted?.number_hour) >= limits.perNumberHour ||
        Number(counted?.number_day) >= limits.perNumberDay ||
        Number(counted?.account_day) >= limits.perAccountDay
      )
        return null;
      await sql`update attorney_code set over_at = now() where claim = ${claim.id}::uuid and over_at is null`.execute(
        trx,
      );
      const made = await sql<CodeAsked>`
        insert into attorney_code (claim, account, number, hash, expires)
        values (${claim.id}::uuid, ${claim.account}, ${claim.number}, ${hash}, now() + ${CODE_MINUTES} * interval '1 minute')
        returning id, call_id as "callId", asked_at as "askedAt", expires, tries, over_at as "overAt"`.execute(
        trx,
      );
      return made.rows[0] ?? null;
    });
  }

  /** What came of the call: its id, or that there was none and the code is good for nothing. */
  codeCalled(id: string, callId: string | null, placed: boolean): Promise<void> {
    return asking(this.#db, async (db) => {
      await sql`update attorney_code set call_id = ${callId}, over_at = case when ${placed} then over_at else now() end
        where id = ${id}::uuid`.execute(db);
    });
  }

  /** The newest code of a claim. */
  code(claim: string): Promise<CodeAsked | null> {
    return asking(this.#db, async (db) => {
      const { rows } =
        await sql<CodeAsked>`select id, call_id as "callId", asked_at as "askedAt", expires, tries,
        over_at as "overAt" from attorney_code where claim = ${claim}::uuid order by asked_at desc, id limit 1`.execute(
          db,
        );
      return rows[0] ?? null;
    });
  }

  /**
   * Takes one of the tries of the code that stands, before anything is compared: null where there is none any more. What
   * was taken is gone, also where the answer never comes.
   */
  tryCode(
    claim: string,
  ): Promise<{ readonly id: string; readonly hash: string; readonly left: number } | null> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<{ id: string; hash: string; tries: number }>`
        update attorney_code set tries = tries + 1
        where claim = ${claim}::uuid and over_at is null and expires > now() and tries < ${CODE_TRIES}
        returning id, hash, tries`.execute(db);
      const [row] = rows;
      return row === undefined ? null : { id: row.id, hash: row.hash, left: CODE_TRIES - row.tries };
    });
  }

  /**
   * The code was right: it is spent, and the number proved; null where it was spent meanwhile. Where another account
   * proved the number before and holds it still, all of them are contested until a registrar decides, and all are told.
   */
  prove(claim: Claim, code: string, callId: string): Promise<Claim | null> {
    return this.#counting(async (trx) => {
      const spent = await sql`update attorney_code set over_at = now()
        where id = ${code}::uuid and over_at is null and expires > now() returning id`.execute(trx);
      if (spent.rows.length === 0) return null;
      const others = await sql<{ id: string; account: string }>`select id, account from attorney_number
        where number = ${claim.number} and account <> ${claim.account} and state in ('proved', 'contested')`.execute(
        trx,
      );
      // Whoever held it alone all the time goes on from the beginning; who lost it begins anew.
      const goesOn = claim.state === 'proved' || claim.state === 'contested';
      const state: ClaimState = others.rows.length > 0 ? 'contested' : 'proved';
      await sql`update attorney_number set state = ${state}, proved_at = now(), proved_call = ${callId},
        first_proved_at = case when ${goesOn} then first_proved_at else now() end where id = ${claim.id}::uuid`.execute(
        trx,
      );
      if (state === 'contested') {
        await sql`update attorney_number set state = 'contested' where id = any(${others.rows.map(({ id }) => id)}::uuid[])`.execute(
          trx,
        );
        for (const { id, account } of [{ id: claim.id, account: claim.account }, ...others.rows])
          await trx
            .insertInto('attorney_notice')
            .values({
              account,
              claim: id,
              kind: account === claim.account ? 'proved-before' : 'proved-since',
            })
            .execute();
      }
      return await claimIn(trx, claim.id);
    });
  }

  proposed(claim: string, change: string): Promise<void> {
    return asking(this.#db, async (db) => {
      await sql`update attorney_number set change = ${change}::uuid where id = ${claim}::uuid`.execute(db);
    });
  }

  notices(account: string): Promise<readonly Notice[]> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<Notice>`select claim, kind, at from attorney_notice
        where account = ${account} order by at desc, id limit ${NOTICES_SHOWN}`.execute(db);
      return rows;
    });
  }

  /** Numbers that more than one account proved, with all who did. At most 200 claims. */
  contests(): Promise<readonly (Claim & { readonly attorney: Attorney })[]> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<Claim & Attorney>`select ${claimColumns}, a.name, a.jurisdiction,
          a.bar_number as "barNumber", a.invited_by as "invitedBy", a.made_at as "madeAt"
        from attorney_number n join attorney a on a.account = n.account
        where n.state = 'contested' order by n.number, n.proved_at, n.id limit 200`.execute(db);
      return rows.map((row) => ({ ...row, attorney: row }));
    });
  }

  /**
   * Of the claims of one contested number those named stay, and the others are over. Null where `id` is no claim of a
   * contested number, or one that is kept is none of it.
   */
  decide(id: string, keep: readonly string[], by: string): Promise<readonly Claim[] | null> {
    return this.#counting(async (trx) => {
      const { rows } = await sql<Claim>`select ${claimColumns} from attorney_number n
        where n.state = 'contested' and n.number = (
          select number from attorney_number where id = ${id}::uuid and state = 'contested')`.execute(trx);
      if (rows.length === 0 || keep.some((one) => rows.every((row) => row.id !== one))) return null;
      for (const row of rows) {
        const state: ClaimState = keep.includes(row.id) ? 'proved' : 'yielded';
        await sql`update attorney_number set state = ${state} where id = ${row.id}::uuid`.execute(trx);
        const kind = state === 'proved' ? 'decided-for' : 'decided-against';
        await trx
          .insertInto('attorney_notice')
          .values({ account: row.account, claim: row.id, kind })
          .execute();
        await noteAccount(trx, 'account-changed', { account: row.account, what: `number-${kind}`, by });
      }
      return rows;
    });
  }
}

const claimIn = async (trx: Transaction, id: string): Promise<Claim | null> => {
  const { rows } =
    await sql<Claim>`select ${claimColumns} from attorney_number n where n.id = ${id}::uuid`.execute(trx);
  return rows[0] ?? null;
};
