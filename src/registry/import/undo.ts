import { sql } from 'kysely';
import type { Database } from '../database.js';
import { RegistryError } from '../errors.js';
import { narrows } from '../needs.js';
import type { Registry } from '../registry.js';
import { openChanges, proposeAll, reasonFor } from './apply.js';
import {
  type AllowedRow,
  addAllowed,
  addBlock,
  addPrivileged,
  amendPrivileged,
  type BlockedEntry,
  bookingOps,
  type CallerStanding,
  type PrivilegedEntry,
  phases,
  protectionOf,
  removeAllowed,
  removeBlock,
  removePrivileged,
  type Step,
  type WrittenStep,
} from './compare.js';
import { blockEntry, insertSteps, privilegedEntry } from './diff.js';
import type { ImportList } from './profile.js';
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

interface DoneStep {
  readonly nr: string;
  readonly what: Step['what'];
  readonly list: ImportList;
  readonly key: string;
  readonly op: readonly WrittenStep[];
  readonly before: unknown;
  /** What stands now of what it did; its shape depends on the list. */
  readonly now: unknown;
}

/** What puts back one step; null where somebody changed it since: what people did after an import is theirs. */
const reversed = (step: DoneStep): Pick<Step, 'phase' | 'ops' | 'what'> | null => {
  switch (step.list) {
    case 'privileged':
      return reversedPrivileged(step);
    case 'allowed': {
      if (step.what === 'removed')
        return step.now === true ? null : { ...addAllowed(step.before as AllowedRow), what: 'added' };
      const row = { ...(step.op[0] as unknown as AllowedRow), number: step.key.split(' ').at(-1) ?? '' };
      return step.now === true ? { ...removeAllowed(row), what: 'removed' } : null;
    }
    case 'bookings': {
      const { then, ...before } = step.before as CallerStanding & { readonly then: CallerStanding };
      const now = step.now as CallerStanding | null;
      if (now === null || !sameStanding(now, then)) return null;
      const ops = bookingOps(step.key, now, before.known ? before : { ...before, known: true });
      return ops.length === 0 ? null : { phase: phases.atOnce, what: 'changed', ops };
    }
    case 'blocked':
      return reversedBlock(step);
    default: {
      const never: never = step.list;
      return never;
    }
  }
};

const sameStanding = (one: CallerStanding, other: CallerStanding): boolean =>
  one.language === other.language &&
  one.booked?.booking === other.booked?.booking &&
  one.booked?.facility === other.booked?.facility &&
  (one.booked?.unit ?? null) === (other.booked?.unit ?? null);

const reversedPrivileged = ({ what, before, now }: DoneStep): Pick<Step, 'phase' | 'ops' | 'what'> | null => {
  const stands = now as PrivilegedEntry | null;
  const was = before as PrivilegedEntry | null;
  switch (what) {
    case 'added':
      return stands?.version === 1 ? { ...removePrivileged(stands), what: 'removed' } : null;
    case 'removed':
      return stands === null && was !== null
        ? { phase: phases.protects, what: 'added', ops: [addPrivileged(was)] }
        : null;
    case 'changed': {
      if (stands === null || was === null || stands.version !== was.version + 1) return null;
      const phase = narrows(protectionOf(stands), protectionOf(was)) ? phases.removal : phases.second;
      return { phase, what: 'changed', ops: [amendPrivileged(stands, was)] };
    }
    default: {
      const never: never = what;
      return never;
    }
  }
};

const reversedBlock = ({ what, before, now }: DoneStep): Pick<Step, 'phase' | 'ops' | 'what'> | null => {
  const stands = now as BlockedEntry | null;
  const was = before as BlockedEntry | null;
  if (what === 'removed')
    return stands === null && was !== null
      ? { phase: phases.atOnce, what: 'added', ops: [addBlock(was)] }
      : null;
  if (stands === null || stands.version !== 1) return null;
  if (what === 'added') return { phase: phases.second, what: 'removed', ops: [removeBlock(stands)] };
  return was === null
    ? null
    : { phase: phases.second, what: 'changed', ops: [removeBlock(stands), addBlock(was)] };
};

const pageSteps = 2_000;

/** What an import did, the last first, beside what stands of it now. */
const doneSteps = async (trx: Trx, { id, source }: Standing, below: string) =>
  await sql<DoneStep>`select s.nr, s.what, s.list, s.key, s.op, s.before, case s.list
      when 'privileged' then case s.what
        when 'added' then (select ${privilegedEntry(source)} from privileged p where p.change = s.change
          and p.removed_by is null and p.form || ' ' || p.value = s.key limit 1)
        when 'changed' then (select ${privilegedEntry(source)} from privileged p where p.id = (s.before ->> 'id')::uuid
          and p.removed_by is null)
        else (select ${privilegedEntry(source)} from privileged p where p.removed_by is null and p.form = s.before ->> 'form'
          and p.value = s.before ->> 'value' and p.class = s.before ->> 'class' and p.scope = s.before ->> 'scope' limit 1) end
      when 'allowed' then to_jsonb(exists (select 1 from allowed a where a.number = split_part(s.key, ' ', -1)
        and a.caller is not distinct from (s.op -> 0 ->> 'caller') and a.facility is not distinct from (s.op -> 0 ->> 'facility')
        and (s.what = 'removed' or a.change = s.change)))
      when 'bookings' then (select jsonb_build_object('known', true, 'language', c.language, 'booked',
          (select jsonb_build_object('booking', k.booking, 'facility', k.facility, 'unit', k.unit)
            from booking k where k.caller = c.id and k.closed is null)) from caller c where c.id = s.key)
      else case s.what
        when 'removed' then (select ${blockEntry(source)} from block b where b.removed_by is null
          and b.number = s.before ->> 'number' and b.cause = s.before ->> 'cause'
          and b.facility is not distinct from (s.before ->> 'facility') limit 1)
        else (select ${blockEntry(source)} from block b where b.removed_by is null and b.change = s.change
          and b.number || ' ' || b.cause || ' ' || coalesce(b.facility, '*') = s.key limit 1) end
      end as now
    from import_step s join change c on c.id = s.change
    where s.import = ${id}::uuid and not s.undo and c.state = 'applied' and s.nr < ${below}::bigint
      and not exists (select 1 from import_step u where u.import = s.import and u.undo and u.nr = ${lastNr}::bigint - s.nr)
    order by s.nr desc limit ${pageSteps}`.execute(trx);

/** Above every number of a step: the steps of an undo count down from here, so that each stands for the one it puts back. */
const lastNr = '1000000000000';

const plan = async (db: Database, standing: Standing): Promise<{ readonly kept: number }> => {
  let below = lastNr;
  let kept = 0;
  for (;;) {
    const last = await reading(db, async (trx) => {
      const { rows } = await doneSteps(trx, standing, below);
      for (const one of rows) {
        const step = reversed(one);
        if (step === null) {
          kept += 1;
          continue;
        }
        const { list, key, before } = one;
        const nr = Number(lastNr) - Number(one.nr);
        await insertSteps(trx, standing.id, true, nr, [
          { ...step, list, key, line: null, before: before as object | null },
        ]);
      }
      return rows.at(-1);
    });
    if (last === undefined) return { kept };
    below = last.nr;
  }
};

/**
 * Puts back what an import did: what still waits is taken back or rejected, and what was done is reversed by changes
 * that need what they need: to end a protection that the import began takes two people and time. What somebody changed
 * since stays as they left it, and is counted. Rejects with RegistryError.
 */
export const undo = async (
  db: Database,
  registry: Registry,
  id: string,
  { by, why }: { readonly by: string; readonly why: string },
  progress: Progress = () => undefined,
): Promise<{ readonly standing: Standing; readonly kept: number }> => {
  if (why.trim() === '') throw new RegistryError('reason-missing');
  const standing = await writing(db, async (trx) => {
    const now = await lockedIn(trx, id, ['compared', 'applying', 'applied', 'undoing']);
    const some = await trx
      .selectFrom('import_change')
      .select('nr')
      .where('import', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (some === undefined) throw new RegistryError('import-step', 'nothing of this import was applied');
    if (now.state !== 'undoing') {
      await trx.updateTable('import').set({ undone_by: by }).where('id', '=', id).execute();
      await setState(trx, id, 'undoing');
      await noteImport(trx, now, 'undoing', by, { why: why.trim().slice(0, 400) });
    }
    return now;
  });
  for (const { change, maker, undo: ofUndo } of await reading(db, (trx) => openChanges(trx, id))) {
    if (ofUndo) continue;
    await registry.say(by, change, maker === by ? 'withdraw' : 'reject', why).catch((error: unknown) => {
      // Its time came meanwhile: then it was done, and is reversed below.
      if (!(error instanceof RegistryError) || error.code !== 'change-over') throw error;
    });
  }
  const { kept } = await plan(db, standing);
  const reason = reasonFor(why, standing, 'undo of import');
  await proposeAll(db, registry, { id, undo: true, by, why: reason, upTo: phases.removal }, progress);
  return await writing(db, async (trx) => {
    const now = await lockedIn(trx, id, ['undoing']);
    await setState(trx, id, 'undone');
    await trx.deleteFrom('import_row').where('import', '=', id).execute();
    await noteImport(trx, now, 'undone', by, { kept });
    return { standing: await standingOf(trx, id), kept };
  });
};
