import { sql } from 'kysely';
import type { Database } from '../database.js';
import { RegistryError } from '../errors.js';
import type { Registry } from '../registry.js';
import { phases, type WrittenStep } from './compare.js';
import type { DiffCounts } from './diff.js';
import type { Guard } from './guard.js';
import type { Progress } from './stage.js';
import {
  lockedIn,
  noteImport,
  reading,
  type Standing,
  setState,
  standingOf,
  type Trx,
  writing,
} from './store.js';

/** Steps of one change: what one transaction does, and what approvers agree to at once is the import, not the change. */
const changeSteps = 2_000;

export const acknowledgers = async (
  trx: Trx | Database,
  id: string,
  digest: string,
): Promise<readonly string[]> => {
  const rows = await trx
    .selectFrom('import_word')
    .select('who')
    .where('import', '=', id)
    .where('digest', '=', digest)
    .orderBy('at')
    .execute();
  return rows.map(({ who }) => who);
};

/** How many must say that a loss is meant. */
export const acknowledgementsNeeded = 2;

/** No other import of this source is being done, or waits for somebody: the two would do the same twice. */
const aloneOfItsSource = async (trx: Trx, { id, source }: Standing): Promise<void> => {
  const { rows } = await sql<{
    id: string;
  }>`select i.id from import i where i.source = ${source} and i.id <> ${id}::uuid
    and (i.state in ('applying', 'undoing') or exists (select 1 from import_change m join change c on c.id = m.change
      where m.import = i.id and c.state in ('proposed', 'waiting'))) limit 1`.execute(trx);
  const [other] = rows;
  if (other !== undefined)
    throw new RegistryError(
      'import-busy',
      `import ${other.id} of this source is under way, or waits for somebody`,
    );
};

interface Slice {
  readonly nrs: readonly string[];
  readonly ops: readonly WrittenStep[];
}

/** The next steps that are not proposed yet, all of one phase. */
const nextSlice = async (db: Database, id: string, undo: boolean, upTo: number): Promise<Slice | null> => {
  const rows = await reading(db, (trx) =>
    trx
      .selectFrom('import_step')
      .select(['nr', 'phase', 'op'])
      .where('import', '=', id)
      .where('undo', '=', undo)
      .where('change', 'is', null)
      .where('phase', '<=', upTo)
      .orderBy('phase')
      .orderBy('nr')
      .limit(changeSteps)
      .execute(),
  );
  const [first] = rows;
  if (first === undefined) return null;
  const slice = rows.filter(({ phase }) => phase === first.phase);
  const taken: { nrs: string[]; ops: WrittenStep[] } = { nrs: [], ops: [] };
  for (const { nr, op } of slice) {
    const ops = op as readonly WrittenStep[];
    if (taken.ops.length > 0 && taken.ops.length + ops.length > changeSteps) break;
    taken.nrs.push(nr);
    taken.ops.push(...ops);
  }
  return taken;
};

/** Proposes step after step until none is left: each change is written down with the steps that are in it, or not made. */
export const proposeAll = async (
  db: Database,
  registry: Registry,
  of: {
    readonly id: string;
    readonly undo: boolean;
    readonly by: string;
    readonly why: string;
    readonly upTo: number;
  },
  progress: Progress,
): Promise<void> => {
  const { id, undo, by, why, upTo } = of;
  const total = await countSteps(db, id, undo, upTo);
  let done = total.proposed;
  for (;;) {
    progress(done, total.all);
    const slice = await nextSlice(db, id, undo, upTo);
    if (slice === null) return;
    await registry.propose(by, why, slice.ops, {
      also: async (trx, change) => {
        const last = await trx
          .selectFrom('import_change')
          .select(({ fn }) => fn.max('nr').as('nr'))
          .where('import', '=', id)
          .where('undo', '=', undo)
          .executeTakeFirst();
        const { numUpdatedRows } = await trx
          .updateTable('import_step')
          .set({ change })
          .where('import', '=', id)
          .where('undo', '=', undo)
          .where('change', 'is', null)
          .where('nr', 'in', [...slice.nrs])
          .executeTakeFirst();
        // Somebody else proposes the same import: what is theirs already is not proposed again.
        if (numUpdatedRows !== BigInt(slice.nrs.length)) throw new RegistryError('import-busy');
        await trx
          .insertInto('import_change')
          .values({ import: id, undo, change, nr: (last?.nr ?? 0) + 1 })
          .execute();
      },
    });
    done += slice.nrs.length;
  }
};

const countSteps = async (db: Database, id: string, undo: boolean, upTo: number) => {
  const { rows } = await reading(db, (trx) =>
    sql<{ all: string; proposed: string }>`select count(*) as all, count(change) as proposed from import_step
      where import = ${id}::uuid and undo = ${undo} and phase <= ${upTo}`.execute(trx),
  );
  return { all: Number(rows[0]?.all ?? 0), proposed: Number(rows[0]?.proposed ?? 0) };
};

export interface ApplyAsked {
  readonly by: string;
  readonly why: string;
  /** Of what was looked at; null: whatever was compared last. */
  readonly digest: string | null;
  /** `protecting`: only what makes numbers privileged, which needs nobody else and waits for nobody. */
  readonly part: 'all' | 'protecting';
}

export const reasonFor = (why: string, { source, id }: Standing, what = 'import'): string =>
  `${why.trim().slice(0, 400)} (${what} ${id.slice(0, 8)} of ${source})`;

/** Does what needs nobody else, and proposes the rest. It goes on where it was broken off. Rejects with RegistryError. */
export const apply = async (
  db: Database,
  registry: Registry,
  id: string,
  { by, why, digest, part }: ApplyAsked,
  progress: Progress = () => undefined,
): Promise<Standing> => {
  if (why.trim() === '') throw new RegistryError('reason-missing');
  const standing = await writing(db, async (trx) => {
    const now = await lockedIn(trx, id, ['compared', 'applying']);
    const counts = now.counts as DiffCounts;
    if (digest !== null && digest !== counts.digest) throw new RegistryError('import-moved');
    const guard = now.guard as Guard;
    if (part === 'all' && guard.tripped) {
      const who = await acknowledgers(trx, id, counts.digest);
      if (who.length < acknowledgementsNeeded)
        throw new RegistryError(
          'import-unacknowledged',
          `it takes away more than may go unasked: ${acknowledgementsNeeded - who.length} more people must say that it is meant`,
        );
    }
    await aloneOfItsSource(trx, now);
    if (now.state === 'compared') {
      await trx
        .updateTable('import')
        .set({ reason: why.trim().slice(0, 400), applied_by: by })
        .where('id', '=', id)
        .execute();
      await setState(trx, id, 'applying');
      await noteImport(trx, now, 'applying', by, {
        why: why.trim().slice(0, 400),
        part,
        digest: counts.digest,
      });
    }
    return now;
  });
  const upTo = part === 'all' ? phases.removal : phases.protects;
  await proposeAll(db, registry, { id, undo: false, by, why: reasonFor(why, standing), upTo }, progress);
  return await writing(db, async (trx) => {
    const now = await lockedIn(trx, id, ['applying']);
    const left = await trx
      .selectFrom('import_step')
      .select('nr')
      .where('import', '=', id)
      .where('undo', '=', false)
      .where('change', 'is', null)
      .limit(1)
      .executeTakeFirst();
    await setState(trx, id, left === undefined ? 'applied' : 'compared');
    if (left === undefined) await trx.deleteFrom('import_row').where('import', '=', id).execute();
    await noteImport(trx, now, 'applied', by, { part });
    return await standingOf(trx, id);
  });
};

/** One person says that a loss is meant: of exactly what was compared last. */
export const acknowledge = (db: Database, id: string, by: string, digest: string | null): Promise<Standing> =>
  writing(db, async (trx) => {
    const now = await lockedIn(trx, id, ['compared']);
    const counts = now.counts as DiffCounts;
    if (digest !== null && digest !== counts.digest) throw new RegistryError('import-moved');
    if ((await acknowledgers(trx, id, counts.digest)).includes(by))
      throw new RegistryError('approved-already');
    await trx.insertInto('import_word').values({ import: id, who: by, digest: counts.digest }).execute();
    await noteImport(trx, now, 'acknowledged', by, { digest: counts.digest });
    return now;
  });

export interface Said {
  readonly done: number;
  /** Changes that would not have it, by code. */
  readonly refused: Readonly<Record<string, number>>;
}

/** One person's word on everything of an import that waits for people. Rejects with RegistryError. */
export const sayToAll = async (
  db: Database,
  registry: Registry,
  id: string,
  { by, says, why }: { readonly by: string; readonly says: 'approve' | 'reject'; readonly why: string },
  progress: Progress = () => undefined,
): Promise<Said> => {
  const open = await reading(db, async (trx) => {
    const standing = await standingOf(trx, id);
    const rows = await openChanges(trx, id);
    if (rows.length === 0) throw new RegistryError('import-step', 'nothing of this import waits for anybody');
    if (rows.every(({ maker }) => maker === by)) throw new RegistryError('own-change');
    return { standing, rows };
  });
  const refused: Record<string, number> = {};
  let done = 0;
  for (const [at, { change }] of open.rows.entries()) {
    progress(at, open.rows.length);
    try {
      await registry.say(by, change, says, why);
      done += 1;
    } catch (error) {
      if (
        !(error instanceof RegistryError) ||
        error.code === 'registry-unreachable' ||
        error.code === 'reason-missing'
      )
        throw error;
      refused[error.code] = (refused[error.code] ?? 0) + 1;
    }
  }
  if (done === 0 && refused['approved-already'] !== undefined) throw new RegistryError('approved-already');
  if (done > 0)
    await writing(db, (trx) =>
      noteImport(trx, open.standing, 'approved', by, { says, changes: done, refused }),
    );
  return { done, refused };
};

/** Changes of an import that wait for people, or for their time. */
export const openChanges = async (trx: Trx, id: string) =>
  await trx
    .selectFrom('import_change')
    .innerJoin('change', 'change.id', 'import_change.change')
    .select([
      'change.id as change',
      'change.maker as maker',
      'change.state as state',
      'import_change.undo as undo',
    ])
    .where('import_change.import', '=', id)
    .where('change.state', 'in', ['proposed', 'waiting'])
    .orderBy('import_change.undo')
    .orderBy('import_change.nr')
    .execute();
