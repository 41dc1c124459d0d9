import { sql } from 'kysely';
import type { DialPlan } from '../../core/number.js';
import type { Database } from '../database.js';
import { RegistryError } from '../errors.js';
import type { Registry } from '../registry.js';
import {
  type ApplyAsked,
  acknowledge,
  acknowledgementsNeeded,
  acknowledgers,
  apply,
  type Said,
  sayToAll,
} from './apply.js';
import { compare, type DiffCounts } from './diff.js';
import type { Guard, ShrinkLimits } from './guard.js';
import type { Profile } from './profile.js';
import { type Progress, type SourceFile, stage } from './stage.js';
import { lockedIn, noteImport, reading, type Standing, setState, standingOf, writing } from './store.js';
import { undo } from './undo.js';

export interface ImportsOptions {
  readonly db: Database;
  readonly registry: Registry;
  /** The dial plan of a name. Throws where there is none. */
  readonly plan: (name: string) => DialPlan;
  readonly limits: ShrinkLimits;
}

/** An import as it is shown. */
export interface ImportView extends Omit<Standing, 'counts' | 'guard' | 'headers' | 'profile'> {
  readonly profile: Pick<Profile, 'name' | 'about' | 'list' | 'mode' | 'format'>;
  readonly counts: DiffCounts | null;
  readonly guard: (Guard & { readonly acknowledgedBy: readonly string[]; readonly needed: number }) | null;
  /** Its changes by where they stand, those of its undoing apart. */
  readonly changes: { readonly done: ChangeCounts; readonly undone: ChangeCounts };
  /** Steps that are in a change already, of all. */
  readonly steps: { readonly proposed: number; readonly all: number };
}
export interface ChangeCounts {
  readonly proposed: number;
  readonly waiting: number;
  readonly applied: number;
  readonly rejected: number;
  readonly withdrawn: number;
}

export interface ProblemRow {
  readonly nr: number;
  readonly line: number;
  readonly column: number | null;
  readonly field: string | null;
  readonly code: string;
  readonly detail: string;
  readonly otherLine: number | null;
  readonly fatal: boolean;
}
export interface StepRow {
  readonly nr: number;
  readonly phase: number;
  readonly what: string;
  readonly list: string;
  readonly key: string;
  readonly line: number | null;
  readonly ops: unknown;
  readonly before: unknown;
  readonly change: string | null;
}
export interface NearRow {
  readonly nr: number;
  readonly line: number;
  readonly number: string;
  readonly near: string;
  readonly class: string;
  readonly why: string;
}

const sourceShape = /^[a-z0-9][a-z0-9-]{0,47}$/;
/** Imports that nobody has ended: more of them are forgotten files, not work. */
const mostOpen = 100;
const noChanges: ChangeCounts = { proposed: 0, waiting: 0, applied: 0, rejected: 0, withdrawn: 0 };

/** Files into the registry: staged, compared, looked at, applied as changes like all others, and undone. */
export class Imports {
  readonly #db: Database;
  readonly #registry: Registry;
  readonly #plan: ImportsOptions['plan'];
  readonly #limits: ShrinkLimits;

  constructor({ db, registry, plan, limits }: ImportsOptions) {
    this.#db = db;
    this.#registry = registry;
    this.#plan = plan;
    this.#limits = limits;
  }

  /**
   * Begins an import, or finds the one that was begun with the same file and never came to an end, where `sha256` is
   * given. Rejects with RegistryError.
   */
  async begin(asked: {
    readonly by: string;
    readonly source: string;
    readonly profile: Profile;
    readonly plan: string;
    readonly fileName: string;
    readonly sha256: string | null;
  }): Promise<Standing> {
    const { by, source, profile, plan, sha256 } = asked;
    if (!sourceShape.test(source))
      throw new RegistryError('op-malformed', 'a source has a short name: a-z 0-9 -');
    this.#plan(plan);
    const fileName =
      (asked.fileName.split(/[\\/]/).at(-1) ?? '').replace(/\p{C}/gu, '').slice(0, 120) || 'file';
    return await writing(this.#db, async (trx) => {
      const json = JSON.stringify(profile);
      if (sha256 !== null) {
        const { rows } = await sql<{ id: string }>`select i.id from import i where i.source = ${source}
          and i.sha256 = ${sha256} and i.plan = ${plan} and i.profile = ${json}::jsonb
          and (i.state in ('receiving', 'staging', 'staged', 'compared', 'applying') or (i.state = 'applied' and exists
            (select 1 from import_change m join change c on c.id = m.change where m.import = i.id
              and c.state in ('proposed', 'waiting')))) order by i.made_at desc limit 1`.execute(trx);
        const [known] = rows;
        if (known !== undefined) return await standingOf(trx, known.id);
      }
      const open = await sql<{ n: string }>`select count(*) as n from import
        where state in ('receiving', 'staging', 'staged', 'compared')`.execute(trx);
      if (Number(open.rows[0]?.n ?? 0) >= mostOpen)
        throw new RegistryError('import-busy', `${mostOpen} imports are under way: end some of them first`);
      const { id } = await trx
        .insertInto('import')
        .values({ source, profile: json, plan, file_name: fileName, maker: by, state: 'receiving', sha256 })
        .returning('id')
        .executeTakeFirstOrThrow();
      await noteImport(trx, { id, source }, 'begun', by, { profile: profile.name });
      return await standingOf(trx, id);
    });
  }

  async stage(id: string, file: SourceFile, progress?: Progress): Promise<Standing> {
    const { plan } = await this.standing(id);
    return await stage(this.#db, id, this.#plan(plan), file, progress);
  }

  compare(id: string, progress?: Progress): Promise<Standing> {
    return compare(this.#db, id, this.#limits, progress);
  }

  acknowledge(id: string, by: string, digest: string | null): Promise<Standing> {
    return acknowledge(this.#db, id, by, digest);
  }

  apply(id: string, asked: ApplyAsked, progress?: Progress): Promise<Standing> {
    return apply(this.#db, this.#registry, id, asked, progress);
  }

  say(
    id: string,
    asked: { readonly by: string; readonly says: 'approve' | 'reject'; readonly why: string },
    progress?: Progress,
  ): Promise<Said> {
    return sayToAll(this.#db, this.#registry, id, asked, progress);
  }

  undo(
    id: string,
    asked: { readonly by: string; readonly why: string },
    progress?: Progress,
  ): Promise<{ readonly standing: Standing; readonly kept: number }> {
    return undo(this.#db, this.#registry, id, asked, progress);
  }

  /** Leaves an import of which nothing was applied. What it had read is removed; that it was there stays. */
  abandon(id: string, by: string): Promise<Standing> {
    return writing(this.#db, async (trx) => {
      const now = await lockedIn(trx, id, ['receiving', 'staging', 'faulty', 'staged', 'compared']);
      const some = await trx
        .selectFrom('import_change')
        .select('nr')
        .where('import', '=', id)
        .limit(1)
        .executeTakeFirst();
      if (some !== undefined) throw new RegistryError('import-step', 'a part of it was applied: undo it');
      await trx.deleteFrom('import_row').where('import', '=', id).execute();
      await trx.deleteFrom('import_step').where('import', '=', id).execute();
      await trx.deleteFrom('import_near').where('import', '=', id).execute();
      await setState(trx, id, 'abandoned');
      await noteImport(trx, now, 'abandoned', by);
      return await standingOf(trx, id);
    });
  }

  /** Keeps what a replay of past calls said: of exactly what was compared last. */
  keepWhatIf(id: string, digest: string, found: object): Promise<void> {
    return reading(this.#db, async (trx) => {
      await sql`update import set what_if = ${JSON.stringify(found)}::jsonb where id = ${id}::uuid
        and counts ->> 'digest' = ${digest}`.execute(trx);
    });
  }

  standing(id: string): Promise<Standing> {
    return reading(this.#db, (trx) => standingOf(trx, id));
  }

  view(id: string): Promise<ImportView> {
    return reading(this.#db, async (trx) => {
      const { counts, guard, headers: _, profile, ...rest } = await standingOf(trx, id);
      const diff = counts as DiffCounts | null;
      const states = await sql<{
        undo: boolean;
        state: keyof ChangeCounts;
        n: string;
      }>`select m.undo, c.state, count(*) as n
        from import_change m join change c on c.id = m.change where m.import = ${id}::uuid group by 1, 2`.execute(
        trx,
      );
      const of = (undone: boolean): ChangeCounts => ({
        ...noChanges,
        ...Object.fromEntries(
          states.rows.filter((row) => row.undo === undone).map(({ state, n }) => [state, Number(n)]),
        ),
      });
      const steps = await sql<{
        all: string;
        proposed: string;
      }>`select count(*) as all, count(change) as proposed
        from import_step where import = ${id}::uuid and undo = ${rest.state === 'undoing'}`.execute(trx);
      return {
        ...rest,
        profile: {
          ...{ name: profile.name, about: profile.about, list: profile.list },
          ...{ mode: profile.mode, format: profile.format },
        },
        counts: diff,
        guard:
          guard === null || diff === null
            ? null
            : {
                ...(guard as Guard),
                acknowledgedBy: await acknowledgers(trx, id, diff.digest),
                needed: acknowledgementsNeeded,
              },
        changes: { done: of(false), undone: of(true) },
        steps: { all: Number(steps.rows[0]?.all ?? 0), proposed: Number(steps.rows[0]?.proposed ?? 0) },
      };
    });
  }

  /** The newest first. `after`: the time and id of the last one seen. */
  async list(filter: {
    readonly after: { readonly at: Date; readonly id: string } | null;
    readonly limit: number;
  }): Promise<readonly ImportView[]> {
    const { after, limit } = filter;
    const ids = await reading(this.#db, async (trx) => {
      const later =
        after === null
          ? sql`true`
          : sql`(date_trunc('milliseconds', made_at), id) < (${after.at}, ${after.id}::uuid)`;
      const { rows } = await sql<{ id: string }>`select id from import where ${later}
        order by date_trunc('milliseconds', made_at) desc, id desc limit ${limit}`.execute(trx);
      return rows;
    });
    const views: ImportView[] = [];
    for (const { id } of ids) views.push(await this.view(id));
    return views;
  }

  problems(id: string, after: number, limit: number): Promise<readonly ProblemRow[]> {
    return reading(this.#db, async (trx) => {
      await standingOf(trx, id);
      const rows = await trx
        .selectFrom('import_problem')
        .selectAll()
        .where('import', '=', id)
        .where('nr', '>', after)
        .orderBy('nr')
        .limit(limit)
        .execute();
      return rows.map(({ import: _, line, other_line: other, ...rest }) => ({
        ...{ ...rest, line: Number(line) },
        otherLine: other === null ? null : Number(other),
      }));
    });
  }

  steps(
    id: string,
    filter: {
      readonly after: number;
      readonly limit: number;
      readonly what?: 'added' | 'changed' | 'removed' | undefined;
    },
  ): Promise<readonly StepRow[]> {
    return reading(this.#db, async (trx) => {
      await standingOf(trx, id);
      const query = trx
        .selectFrom('import_step')
        .selectAll()
        .where('import', '=', id)
        .where('undo', '=', false)
        .where('nr', '>', String(filter.after));
      const rows = await (filter.what === undefined ? query : query.where('what', '=', filter.what))
        .orderBy('nr')
        .limit(filter.limit)
        .execute();
      return rows.map(({ import: _, undo: __, nr, line, op, ...rest }) => ({
        ...{ ...rest, nr: Number(nr), ops: op },
        line: line === null ? null : Number(line),
      }));
    });
  }

  near(id: string, after: number, limit: number): Promise<readonly NearRow[]> {
    return reading(this.#db, async (trx) => {
      await standingOf(trx, id);
      const rows = await trx
        .selectFrom('import_near')
        .selectAll()
        .where('import', '=', id)
        .where('nr', '>', after)
        .orderBy('nr')
        .limit(limit)
        .execute();
      return rows.map(({ import: _, line, ...rest }) => ({ ...rest, line: Number(line) }));
    });
  }
}
