import { sql } from 'kysely';
import type { DialPlan } from '../core/number.js';
import { covers, type Facilities, readFacilities, storedFacilities } from './accounts/facilities.js';
import { applyOps, type Transaction } from './apply.js';
import { type Database, told } from './database.js';
import { RegistryError } from './errors.js';
import { type Fault, faultsOf } from './faults.js';
import {
  type Caution,
  judge,
  type Needs,
  needsOfAll,
  type Protection,
  type Standing,
  type Step,
} from './needs.js';
import { parseOps } from './ops.js';
import { reachOf } from './reach.js';
import { type Op, readOps, storedOps } from './read-ops.js';

export interface RegistryOptions {
  readonly db: Database;
  readonly plan: DialPlan;
  readonly caution: Caution;
}

/** A change as it is shown. */
export interface Change {
  readonly id: string;
  readonly maker: string;
  readonly reason: string;
  readonly ops: readonly Op[];
  /** What its steps touched when it was proposed: whoever does not reach all of it does not know of it. */
  readonly facilities: Facilities;
  readonly needs: Needs;
  readonly state: Standing['state'];
  readonly approvers: readonly string[];
  readonly proposedAt: Date;
  /** When it is done at the earliest; null while it lacks approvals. */
  readonly dueAt: Date | null;
  readonly overAt: Date | null;
}

/** What a change would come to. */
export interface TriedOut {
  readonly ops: readonly Op[];
  /** Null where it cannot be done. */
  readonly needs: Needs | null;
  readonly stopped: RegistryError | null;
}

/** Ends a transaction in which something was only tried. */
class TakenBack extends Error {}

const accountShape = /^[a-z0-9][a-z0-9._@-]{0,63}$/;

const reasonOf = (text: string): string => {
  const reason = text.trim();
  if (reason === '' || reason.length > 500 || /\p{Cc}/u.test(reason))
    throw new RegistryError('reason-missing');
  return reason;
};

const whoOf = (text: string): string => {
  if (!accountShape.test(text)) throw new RegistryError('op-malformed', 'no name of an account');
  return text;
};

/** What goes along with a proposal. */
export interface Proposing {
  readonly request?: { readonly key: string; readonly digest: string } | null;
  readonly also?: (trx: Transaction, change: string) => Promise<void>;
  readonly atLeast?: Needs['approvals'];
  /** What the maker reaches: a step beyond it is refused. Default: all, for programs at the machine. */
  readonly within?: Facilities;
}

/**
 * Who may call whom, who is privileged, and who said so. Everything is altered by changes alone: proposed by one
 * person, agreed to by as many others as it needs (needs.ts), and done as a whole. Each step of each change leaves a
 * row in the outbox within the same transaction, which goes on to the journal (outbox.ts): what was done is never
 * without its row, and no row is of something that was not.
 */
export class Registry {
  readonly #db: Database;
  readonly #plan: DialPlan;
  readonly #caution: Caution;

  constructor(options: RegistryOptions) {
    this.#db = options.db;
    this.#plan = options.plan;
    this.#caution = options.caution;
  }

  /**
   * Proposes a change; what needs nobody else is done at once. `input` is what somebody sent. With a `request` it is
   * proposed once, however often it is asked: whoever lost the answer asks again. What `also` writes is written with the
   * change or not at all. `atLeast`: approvals it needs in any case, for makers who may do nothing alone. Rejects with
   * RegistryError.
   */
  async propose(
    who: string,
    why: string,
    input: unknown,
    { request = null, also, atLeast = 0, within = 'all' }: Proposing = {},
  ): Promise<Change> {
    const maker = whoOf(who);
    const reason = reasonOf(why);
    const ops = readOps(parseOps(input), this.#plan);
    return await this.#writing(async (trx) => {
      const before = request === null ? null : await askedBefore(trx, maker, request);
      if (before !== null) return await changeOf(trx, before);
      const facilities = storedFacilities(await reachOf(trx, ops, within));
      const own = needsOfAll(await stepsOf(trx, ops), this.#caution);
      const needs: Needs = { ...own, approvals: Math.max(own.approvals, atLeast) as Needs['approvals'] };
      const { id } = await trx
        .insertInto('change')
        .values({
          maker,
          reason,
          ops: JSON.stringify(ops),
          approvals_needed: needs.approvals,
          delay_ms: String(needs.delayMs),
          state: 'proposed',
          facilities,
          request: request?.key ?? null,
          request_digest: request?.digest ?? null,
        })
        .returning('id')
        .executeTakeFirstOrThrow();
      await note(trx, 'registry-proposed', { change: id, by: maker, why: reason, ops, needs: { ...needs } });
      if (needs.approvals === 0) await done(trx, id, ops, maker);
      // Done or not, whether it can be done is known now: a change nobody can ever apply is not put before people.
      else await rehearse(trx, id, ops);
      await also?.(trx, id);
      return await changeOf(trx, id);
    });
  }

  /** Every fault of steps that somebody wrote, by step and field. Throws RegistryError where these are no steps. */
  faults(input: unknown): readonly Fault[] {
    return faultsOf(input, this.#plan);
  }

  /**
   * What would become of a change if it were proposed now: what it would need, and what would stop it. Nothing of it
   * stays. Rejects with RegistryError where its steps cannot be read at all, or the database is away.
   */
  async tryOut(input: unknown, within: Facilities = 'all'): Promise<TriedOut> {
    return await this.tryOps(readOps(parseOps(input), this.#plan), within);
  }

  /** As `tryOut`, for steps that were read before: those of a change that waits. */
  async tryOps(ops: readonly Op[], within: Facilities = 'all'): Promise<TriedOut> {
    return await this.#leavingNothing(async (trx, id) => {
      try {
        await reachOf(trx, ops, within);
        const needs = needsOfAll(await stepsOf(trx, ops), this.#caution);
        await applyOps(trx, id, ops);
        return { ops, needs, stopped: null };
      } catch (error) {
        const stopped = told(error);
        if (!(stopped instanceof RegistryError) || stopped.code === 'registry-unreachable') throw stopped;
        return { ops, needs: null, stopped };
      }
    });
  }

  /**
   * Shows `look` the registry as it stands, and then as it would be with some steps done. Nothing of it stays. Writers
   * wait meanwhile, so `look` reads what it needs and no more. Rejects with RegistryError where the steps cannot be done.
   */
  async asIf<T>(
    ops: readonly Op[],
    look: (trx: Transaction) => Promise<T>,
  ): Promise<{ readonly before: T; readonly after: T }> {
    return await this.#leavingNothing(async (trx, id) => {
      const before = await look(trx);
      await applyOps(trx, id, ops);
      return { before, after: await look(trx) };
    });
  }

  /** A transaction that is always taken back, with a change in it that steps can be done under. */
  async #leavingNothing<T>(use: (trx: Transaction, change: string) => Promise<T>): Promise<T> {
    const kept: { value: T | undefined } = { value: undefined };
    await this.#writing(async (trx) => {
      const values = { maker: 'nobody', reason: 'tried out', ops: '[]', approvals_needed: 0, delay_ms: '0' };
      const { id } = await trx
        .insertInto('change')
        .values({ ...values, state: 'proposed' })
        .returning('id')
        .executeTakeFirstOrThrow();
      kept.value = await use(trx, id);
      throw new TakenBack();
    }).catch((error: unknown) => {
      if (!(error instanceof TakenBack)) throw error;
    });
    return kept.value as T;
  }

  /**
   * One person's word on a change. What lies beyond their facilities is `change-unknown`, also where the one it is about
   * went to another facility since. Rejects with RegistryError.
   */
  async say(
    who: string,
    change: string,
    says: 'approve' | 'reject' | 'withdraw',
    why = '',
    within: Facilities = 'all',
  ): Promise<Change> {
    const by = whoOf(who);
    const words = says === 'approve' ? why.trim().slice(0, 500) : reasonOf(why);
    return await this.#writing(async (trx) => {
      const standing = await changeOf(trx, change, true);
      await reachable(trx, standing, says, within);
      const verdict = judge(standing, by, says);
      if (typeof verdict === 'string') throw new RegistryError(verdict);
      await trx.insertInto('voice').values({ change, who: by, says, why: words }).execute();
      await note(trx, `registry-${says === 'approve' ? 'approved' : verdict.next}`, {
        change,
        by,
        why: words,
      });
      if (verdict.next === 'waiting' && standing.state === 'proposed') {
        await trx
          .updateTable('change')
          .set({
            state: 'waiting',
            due_at: sql<Date>`now() + ${standing.needs.delayMs} * interval '1 millisecond'`,
          })
          .where('id', '=', change)
          .execute();
        if (standing.needs.delayMs === 0) await done(trx, change, standing.ops, by);
      } else if (verdict.next === 'rejected' || verdict.next === 'withdrawn') {
        await trx
          .updateTable('change')
          .set({ state: verdict.next, over_at: sql<Date>`now()` })
          .where('id', '=', change)
          .execute();
      }
      return await changeOf(trx, change);
    });
  }

  /**
   * Does what is due: changes whose delay is over, each for itself. One that cannot be done any more, because what it
   * changes was changed meanwhile, is rejected with the reason, never done in part.
   */
  async applyDue(): Promise<readonly Change[]> {
    const over: Change[] = [];
    for (;;) {
      const next = await this.#writing((trx) => dueOne(trx));
      if (next === null) return over;
      over.push(next);
    }
  }

  /** Rejects with `change-unknown`, also for one that lies beyond `within`. */
  change(id: string, within: Facilities = 'all'): Promise<Change> {
    return this.#inTransaction(async (trx) => {
      const found = await changeOf(trx, id);
      if (!covers(within, found.facilities)) throw new RegistryError('change-unknown');
      return found;
    });
  }

  /** Changes that wait for somebody or for their time, the oldest first. At most 1,000. */
  open(): Promise<readonly Change[]> {
    return this.#inTransaction(async (trx) => {
      const rows = await trx
        .selectFrom('change')
        .select('id')
        .where('state', 'in', ['proposed', 'waiting'])
        .orderBy('proposed_at')
        .limit(1000)
        .execute();
      const changes: Change[] = [];
      for (const { id } of rows) changes.push(await changeOf(trx, id));
      return changes;
    });
  }

  /**
   * Writers come one after the other, so that rows of the outbox are seen in the order of their numbers: with two at
   * once the one with the lower number could come to light after the higher was published, and be passed over.
   */
  #writing<T>(use: (trx: Transaction) => Promise<T>): Promise<T> {
    return this.#inTransaction(async (trx) => {
      await inTurn(trx);
      return await use(trx);
    });
  }

  async #inTransaction<T>(use: (trx: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction().execute(use);
    } catch (error) {
      throw told(error);
    }
  }
}

/** The change that a request made before; null where it made none. Throws `request-reused`. */
const askedBefore = async (
  trx: Transaction,
  maker: string,
  { key, digest }: { readonly key: string; readonly digest: string },
): Promise<string | null> => {
  const row = await trx
    .selectFrom('change')
    .select(['id', 'request_digest'])
    .where('maker', '=', maker)
    .where('request', '=', key)
    .executeTakeFirst();
  if (row === undefined) return null;
  if (row.request_digest !== digest) throw new RegistryError('request-reused');
  return row.id;
};

/** Of PostgreSQL's advisory locks the one that writers to the registry take. */
const WRITERS = 7_245_520;

/** Whoever writes to the outbox waits for its turn, until the end of the transaction: see `#writing`. */
export const inTurn = async (trx: Transaction): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${WRITERS})`.execute(trx);
};

const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const changeOf = async (trx: Transaction, id: string, lock = false): Promise<Change> => {
  if (!uuidShape.test(id)) throw new RegistryError('change-unknown');
  const query = trx.selectFrom('change').selectAll().where('id', '=', id);
  const row = await (lock ? query.forUpdate() : query).executeTakeFirst();
  if (row === undefined) throw new RegistryError('change-unknown');
  const voices = await trx
    .selectFrom('voice')
    .select('who')
    .where('change', '=', id)
    .where('says', '=', 'approve')
    .orderBy('at')
    .execute();
  return {
    id,
    maker: row.maker,
    reason: row.reason,
    ops: storedOps(row.ops),
    facilities: readFacilities(row.facilities),
    needs: { approvals: row.approvals_needed as Needs['approvals'], delayMs: Number(row.delay_ms) },
    state: row.state,
    approvers: voices.map(({ who }) => who),
    proposedAt: row.proposed_at,
    dueAt: row.due_at,
    overAt: row.over_at,
  };
};

const reachable = async (
  trx: Transaction,
  { ops, facilities }: Change,
  says: 'approve' | 'reject' | 'withdraw',
  within: Facilities,
): Promise<void> => {
  if (!covers(within, facilities)) throw new RegistryError('change-unknown');
  if (says !== 'approve' || within === 'all') return;
  await reachOf(trx, ops, within).catch((error: unknown) => {
    throw error instanceof RegistryError && error.code !== 'registry-unreachable'
      ? new RegistryError('change-unknown')
      : error;
  });
};

/** The steps with what they change, as far as it says how careful one has to be. */
const stepsOf = async (trx: Transaction, ops: readonly Op[]): Promise<readonly Step[]> => {
  const steps: Step[] = [];
  for (const [at, op] of ops.entries()) {
    if (op.op !== 'privileged-amend') {
      steps.push({ op: op.op });
      continue;
    }
    const row = await trx
      .selectFrom('privileged')
      .selectAll()
      .where('id', '=', op.entry)
      .where('removed_by', 'is', null)
      .executeTakeFirst();
    if (row === undefined) throw new RegistryError('entry-unknown', undefined, at);
    const before: Protection = {
      target: { form: row.form, value: row.value, of: row.of } as Protection['target'],
      validFrom: row.valid_from,
      validTo: row.valid_to,
      effectiveFrom: row.effective_from,
    };
    steps.push({ op: op.op, before, after: op });
  }
  return steps;
};

export const note = async (trx: Transaction, kind: string, body: object): Promise<void> => {
  await trx
    .insertInto('outbox')
    .values({ kind, body: JSON.stringify(body) })
    .execute();
};

const done = async (trx: Transaction, id: string, ops: readonly Op[], by: string): Promise<void> => {
  await applyOps(trx, id, ops);
  await trx
    .updateTable('change')
    .set({ state: 'applied', over_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute();
  await note(trx, 'registry-applied', { change: id, by });
};

/** Does all of it and takes it back: throws what would stop it. */
const rehearse = async (trx: Transaction, id: string, ops: readonly Op[]): Promise<void> => {
  await sql`savepoint rehearsal`.execute(trx);
  try {
    await applyOps(trx, id, ops);
  } finally {
    await sql`rollback to savepoint rehearsal`.execute(trx);
  }
};

/** The change that has been due longest, done or rejected; null where none is. */
const dueOne = async (trx: Transaction): Promise<Change | null> => {
  const row = await trx
    .selectFrom('change')
    .select('id')
    .where('state', '=', 'waiting')
    .where('due_at', '<=', sql<Date>`now()`)
    .orderBy('due_at')
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (row === undefined) return null;
  const change = await changeOf(trx, row.id);
  await sql`savepoint doing`.execute(trx);
  try {
    await done(trx, row.id, change.ops, 'registry');
  } catch (error) {
    const failure = told(error);
    if (!(failure instanceof RegistryError) || failure.code === 'registry-unreachable') throw failure;
    await sql`rollback to savepoint doing`.execute(trx);
    await trx
      .updateTable('change')
      .set({ state: 'rejected', over_at: sql<Date>`now()` })
      .where('id', '=', row.id)
      .execute();
    await note(trx, 'registry-rejected', { change: row.id, by: 'registry', why: failure.code });
  }
  return await changeOf(trx, row.id);
};
