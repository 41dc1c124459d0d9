import { type Transaction as KyselyTransaction, sql } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import type { Tables } from '../schema.js';
import type { Flag } from './flags.js';

type Trx = KyselyTransaction<Tables>;

export interface Note {
  readonly id: string;
  readonly author: string;
  readonly at: Date;
  readonly text: string;
  /** The note that this one corrects; both stay. */
  readonly corrects: string | null;
}

export interface Mark {
  readonly flag: Flag;
  readonly state: 'set' | 'cleared';
  readonly who: string;
  readonly at: Date;
  readonly why: string;
}

const MOST_OF_A_CALL = 500;

/**
 * What people say about calls. Nothing is edited or removed: a note is corrected by a further one, a flag taken off by a
 * further word. Each goes to the registry's journal in the very transaction it is written in. Of a call that may not be
 * found nothing can be said or read. All reject with RegistryError.
 */
export class CallNotes {
  readonly #db: Database;
  readonly #sealsToNow: () => Promise<void>;

  constructor(db: Database, sealsToNow: () => Promise<void>) {
    this.#db = db;
    this.#sealsToNow = sealsToNow;
  }

  /** Resolves with the note as it stands. */
  add(
    callId: string,
    note: { readonly author: string; readonly text: string; readonly corrects: string | null },
  ): Promise<Note> {
    const { author, text, corrects } = note;
    return this.#saying(callId, async (trx) => {
      if (corrects !== null) {
        const { rows } =
          await sql`select 1 from search_note where id = ${corrects} and call_id = ${callId}`.execute(trx);
        if (rows.length === 0) throw new RegistryError('note-unknown');
      }
      const { rows } = await sql<Note>`insert into search_note (call_id, author, text, corrects)
        values (${callId}, ${author}, ${text}, ${corrects}) returning id::text, author, at, text, corrects::text`.execute(
        trx,
      );
      const [made] = rows;
      if (made === undefined) throw new RegistryError('call-unknown');
      const body = {
        callId,
        note: Number(made.id),
        by: author,
        text,
        corrects: corrects === null ? null : Number(corrects),
      };
      await trx
        .insertInto('outbox')
        .values({ kind: 'search-note-added', body: JSON.stringify(body) })
        .execute();
      return made;
    });
  }

  mark(
    callId: string,
    {
      flag,
      state,
      who,
      why,
    }: { readonly flag: Flag; readonly state: 'set' | 'cleared'; readonly who: string; readonly why: string },
  ): Promise<void> {
    return this.#saying(callId, async (trx) => {
      await sql`insert into search_mark (call_id, flag, state, who, why)
        values (${callId}, ${flag}, ${state}, ${who}, ${why})`.execute(trx);
      const body = JSON.stringify({ callId, flag, state, by: who, why });
      await trx.insertInto('outbox').values({ kind: 'search-flag-marked', body }).execute();
    });
  }

  /** The oldest first. Ask for the call itself first: whether it may be found is not asked again here. */
  async of(callId: string): Promise<{ readonly notes: readonly Note[]; readonly marks: readonly Mark[] }> {
    try {
      const notes = await sql<Note>`select id::text, author, at, text, corrects::text from search_note
        where call_id = ${callId} order by id limit ${MOST_OF_A_CALL}`.execute(this.#db);
      const marks = await sql<Mark>`select flag, state, who, at, why from search_mark
        where call_id = ${callId} order by id limit ${MOST_OF_A_CALL}`.execute(this.#db);
      return { notes: notes.rows, marks: marks.rows };
    } catch (error) {
      throw told(error);
    }
  }

  async #saying<T>(callId: string, say: (trx: Trx) => Promise<T>): Promise<T> {
    await this.#sealsToNow();
    return await this.#db
      .transaction()
      .execute(async (trx) => {
        const { rows } = await sql<{ said: number }>`select
          (select count(*)::int from search_note n where n.call_id = q.call_id)
          + (select count(*)::int from search_mark m where m.call_id = q.call_id) as said
        from search_call q where q.call_id = ${callId} and not search_hidden(q.call_id, q.numbers, q.began)`.execute(
          trx,
        );
        const [call] = rows;
        if (call === undefined) throw new RegistryError('call-unknown');
        if (call.said >= MOST_OF_A_CALL) throw new RegistryError('too-many-notes');
        return await say(trx);
      })
      .catch((error: unknown) => {
        throw told(error);
      });
  }
}
