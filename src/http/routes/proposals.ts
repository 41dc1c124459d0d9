import { z } from 'zod';
import type { Facilities } from '../../registry/accounts/facilities.js';
import { faultTexts } from '../../registry/faults.js';
import type { Op } from '../../registry/read-ops.js';
import type { Change } from '../../registry/registry.js';
import { MOST_COUNTED } from '../../registry/search.js';
import { effects, fieldChanges, gravest, subjectOf } from '../change-fields.js';
import type { Parts } from '../parts.js';
import { keyName, type Principal } from '../roles.js';
import { ok, type Route, route, someone } from '../route.js';
import { cursor, cursorOf, cursorText, limit, moment, pageOf, uuid, words } from '../shapes.js';
import { change, listOf, opTexts, plain, removes, shown } from './changes.js';

const MOST_STEPS = 200;
const MOST_SUBJECTS = 3;
const MOST_NEAR_STEPS = 20;
const MOST_NEAR_EACH = 5;

const step = z.strictObject({
  step: z.int(),
  op: z.string(),
  words: z.string(),
  subject: z.string().describe('What it is about: a number, a caller, a place.'),
  fields: z
    .array(z.strictObject({ field: z.string(), before: z.string().nullable(), after: z.string().nullable() }))
    .describe('What differs; all of it where the entry is made or ended.'),
  entry: z.string().nullable(),
  missing: z.boolean().describe('The entry that it alters stands no more, or in another version.'),
});
const allowance = z
  .enum(['yes', 'not-allowed', 'own-change', 'approved-already', 'change-over', 'not-the-maker'])
  .describe('Whether who asks may do so now, or the code of why not.');
const row = change.omit({ ops: true }).extend({
  gravest: z.enum(effects),
  subjects: z.array(z.strictObject({ op: z.string(), words: z.string(), subject: z.string() })),
  epoch: z.int().nullable().describe('The publication it went live with, at the latest.'),
  may: z.strictObject({ approve: allowance, reject: allowance, withdraw: allowance }),
});
const full = row.extend({
  voices: z.array(
    z.strictObject({ who: z.string(), says: z.string(), why: z.string(), at: z.iso.datetime() }),
  ),
  diff: z
    .array(step)
    .describe('The first 200 steps. Of a change that is over only what it changed to is known.'),
  stopped: z
    .strictObject({ code: z.string(), step: z.int().nullable(), words: z.string() })
    .nullable()
    .describe('Why it could not be done any more, as things stand now; null where it could.'),
  consequences: z
    .array(z.strictObject({ step: z.int(), code: z.string(), count: z.int() }))
    .describe('What would stand about each number afterwards that somebody should know of.'),
});
type Row = z.infer<typeof row>;
type Allowance = z.infer<typeof allowance>;

const checked = z.strictObject({
  ok: z.boolean(),
  faults: z.array(z.strictObject({ step: z.int(), field: z.string(), code: z.string(), words: z.string() })),
  needs: z.strictObject({ approvals: z.int(), delayMs: z.int() }).nullable(),
  gravest: z.enum(effects).nullable(),
  diff: z.array(step),
  warnings: z.array(
    z.strictObject({
      step: z.int(),
      code: z.string(),
      number: z.string().describe('On a list already, and near to the one that was written.'),
    }),
  ),
});

/** The field of a form beside which a refusal of the registry belongs. */
const fieldOf: Readonly<Record<string, string>> = {
  'caller-unknown': 'caller',
  'booking-open': 'caller',
  'facility-unknown': 'facility',
  'entry-unknown': 'entry',
  'entry-moved': 'entry',
};
const refusedField = (code: string, op: Op | undefined): string => {
  if (code !== 'entry-exists' || op === undefined) return fieldOf[code] ?? '';
  if (!('target' in op)) return 'number';
  const { form } = op.target;
  return form === 'alias' ? 'target.number' : `target.${form}`;
};

type Diff = z.infer<typeof step>;

/** What waits, what it would change, and who may say a word about it: changes as people look at them. */
export const proposalRoutes = (parts: Parts): readonly Route[] => {
  const { registry, search, history, journal, keys, publications, neighbours, numberDigest } = parts;

  const diffOf = async (ops: readonly Op[], over: boolean, within: Facilities): Promise<readonly Diff[]> => {
    const diff: Diff[] = [];
    for (const [at, op] of ops.slice(0, MOST_STEPS).entries()) {
      const list = listOf(op);
      const entry = 'entry' in op ? op.entry : null;
      const found = list === null || entry === null ? null : await search.entry(list, entry, within);
      const before = found === null ? null : plain(found);
      const moved = 'version' in op && before !== null && before.version !== op.version;
      diff.push({
        ...{ step: at + 1, op: op.op, words: opTexts[op.op], subject: subjectOf(op, before), entry },
        // Of what is over, the entry as it stands now may be the outcome, and no comparison.
        fields: [
          ...fieldChanges(
            over && !removes.has(op.op) ? null : before,
            removes.has(op.op) && entry !== null ? null : plain(op),
          ),
        ].map((one) =>
          removes.has(op.op) && entry === null ? { ...one, before: one.after, after: null } : one,
        ),
        missing: !over && entry !== null && (before === null || moved),
      });
    }
    return diff;
  };

  /** Who answers for each key that proposed something: what it proposed, its owner does not approve. */
  const owners = async (): Promise<ReadonlyMap<string, string>> =>
    new Map((await keys.list()).map(({ prefix, owner }) => [keyName(prefix), owner]));

  const may = (one: Change, who: Principal, owned: ReadonlyMap<string, string>): Row['may'] => {
    const over = one.state !== 'proposed' && one.state !== 'waiting';
    const roles: readonly string[] = who.kind === 'person' ? who.roles : [];
    const own = one.maker === who.name || owned.get(one.maker) === who.name;
    const unknownKey = one.maker.startsWith('key.') && !owned.has(one.maker);
    const say = (allowed: boolean, refusal: Allowance | null): Allowance => {
      if (!allowed) return 'not-allowed';
      return over ? 'change-over' : (refusal ?? 'yes');
    };
    const again = one.approvers.includes(who.name) ? 'approved-already' : null;
    const proposes = roles.some((role) => ['registrar', 'counsel'].includes(role));
    return {
      approve: say(roles.includes('approver'), own || unknownKey ? 'own-change' : again),
      reject: say(
        roles.includes('approver') || roles.includes('counsel'),
        one.maker === who.name ? 'own-change' : null,
      ),
      withdraw: say(
        who.kind === 'key' ? who.scopes.includes('lists:propose') : proposes,
        one.maker === who.name ? null : 'not-the-maker',
      ),
    };
  };

  const rowOf = async (one: Change, who: Principal, owned: ReadonlyMap<string, string>): Promise<Row> => {
    const { ops: _ops, ...rest } = shown(one);
    const first = await diffOf(one.ops.slice(0, MOST_SUBJECTS), false, who.facilities);
    return {
      ...rest,
      gravest: gravest(one.ops, one.needs.approvals),
      subjects: first.map(({ op, words: said, subject }) => ({ op, words: said, subject })),
      epoch: publications.epochOf(one.id),
      may: may(one, who, owned),
    };
  };

  /** What stands about the numbers of a change besides: whoever takes protection away sees what is left of it. */
  const consequencesOf = async (
    diff: readonly Diff[],
    within: Facilities,
  ): Promise<z.infer<typeof full>['consequences']> => {
    const found: z.infer<typeof full>['consequences'] = [];
    for (const { step: at, op, fields, entry } of diff.slice(0, 20)) {
      const number = fields.find(({ field }) => field === 'value' || field === 'number');
      const text = number?.before ?? number?.after ?? null;
      if (text === null || /[*-]/.test(text) || op === 'allow-remove') continue;
      const stands = await search.number(text, within);
      const others = stands.privileged.filter((one) => one.id !== entry && one.match !== 'extension');
      const say = (code: string, count: number): void => {
        if (count > 0) found.push({ step: at, code, count });
      };
      say('protected-otherwise', others.length + (stands.elsewhere.privileged ? 1 : 0));
      say('allowed-on-lists', stands.allowed.length);
      say('blocked', stands.blocked.length);
      say('claimed', stands.pending.filter((one) => one.id !== entry).length);
    }
    return found;
  };

  /** Privileged numbers that are one slip or one line away from one that is to be protected. */
  const nearOf = async (ops: readonly Op[], who: Principal): Promise<z.infer<typeof checked>['warnings']> => {
    const found: z.infer<typeof checked>['warnings'] = [];
    for (const [at, op] of ops.entries()) {
      if (op.op !== 'privileged-add' || op.target.form !== 'number') continue;
      const { value } = op.target;
      const line = value.split(';')[0] ?? value;
      const near = new Map(neighbours(line).map(({ number, why }) => [number, why]));
      const standing = await history.standing([...near.keys()], line, who.facilities);
      const others = standing.filter((number) => number !== value);
      for (const number of others.slice(0, MOST_NEAR_EACH))
        found.push({ step: at, code: near.get(number) ?? 'other-extension', number });
      if (others.length > 0)
        await journal.append('http-number-asked', {
          ...{ by: who.name, number: await numberDigest(value), privileged: true, what: 'check' },
        });
    }
    return found;
  };

  const read = (who: Principal, of: string, entries: number): Promise<void> =>
    journal.append('http-privileged-read', { by: who.name, facility: null, class: of, entries });

  return [
    route('GET /v1/proposals', {
      about: 'Changes with what they are about and who may say a word on them, the newest first.',
      tag: 'changes',
      query: z.strictObject({ state: z.enum(['open', 'over']).optional(), cursor, limit }),
      answers: { 200: { json: pageOf(row) } },
      problems: ['cursor-malformed', 'part-unavailable'],
      run: async (asked) => {
        const { state, limit: most } = asked.query;
        const who = someone(asked);
        const place = cursorOf(asked.query.cursor, z.tuple([moment, uuid]));
        const after = place === null ? null : { at: new Date(place[0]), id: place[1] };
        const { rows, total } = await search.changes({
          ...{ state, after, limit: most + 1, within: asked.within },
        });
        const here = rows.slice(0, most);
        const last = here.at(-1);
        await read(who, 'changes', here.length);
        await publications.refresh().catch(() => undefined);
        const owned = await owners();
        const shownRows: Row[] = [];
        for (const one of here) shownRows.push(await rowOf(one, who, owned));
        return ok({
          rows: shownRows,
          total: Math.min(total, MOST_COUNTED),
          totalIsExact: total <= MOST_COUNTED,
          next:
            rows.length > most && last !== undefined
              ? cursorText([last.proposedAt.toISOString(), last.id])
              : null,
        });
      },
    }),
    route('GET /v1/proposals/:change', {
      about: 'One change: field by field what it changes, what would stop it, and what stands besides.',
      tag: 'changes',
      params: z.strictObject({ change: uuid }),
      answers: { 200: { json: full } },
      problems: ['unknown'],
      run: async (asked) => {
        const who = someone(asked);
        const one = await registry.change(asked.params.change, asked.within);
        await read(who, 'change', 1);
        await publications.refresh().catch(() => undefined);
        const over = one.state !== 'proposed' && one.state !== 'waiting';
        const diff = await diffOf(one.ops, over, asked.within);
        const tried = over ? null : await registry.tryOps(one.ops, asked.within);
        const stopped = tried?.stopped ?? null;
        const voices = await search.voices(one.id);
        return ok({
          ...(await rowOf(one, who, await owners())),
          voices: voices.map((voice) => ({ ...voice, at: voice.at.toISOString() })),
          diff,
          stopped:
            stopped === null
              ? null
              : {
                  code: stopped.code,
                  step: stopped.at === null ? null : stopped.at + 1,
                  words: stopped.message.replace(/^[a-z-]+: /, ''),
                },
          consequences: over ? [] : await consequencesOf(diff, asked.within),
        });
      },
    }),
    route('POST /v1/proposals/check', {
      about:
        'What a change would come to: every fault by step and field, what it needs, what it changes. Nothing is done.',
      tag: 'changes',
      maxBytes: 1024 * 1024,
      body: z.strictObject({
        ops: z.array(z.record(z.string(), z.unknown())).min(1).max(5000),
        why: words(500).optional(),
      }),
      answers: { 200: { json: checked } },
      problems: ['op-refused'],
      run: async (asked) => {
        const { ops } = asked.body;
        const found: z.infer<typeof checked>['faults'] = registry
          .faults(ops)
          .map((one) => ({ ...one, words: faultTexts[one.code] }));
        if (found.length > 0)
          return ok({ ok: false, faults: found, needs: null, gravest: null, diff: [], warnings: [] });
        const tried = await registry.tryOut(ops, asked.within);
        const { stopped, needs } = tried;
        if (stopped !== null)
          found.push({
            step: stopped.at ?? 0,
            field: refusedField(stopped.code, tried.ops[stopped.at ?? 0]),
            code: stopped.code,
            words: stopped.message.replace(/^[a-z-]+: /, ''),
          });
        const warnings = await nearOf(tried.ops.slice(0, MOST_NEAR_STEPS), someone(asked));
        return ok({
          ok: found.length === 0,
          faults: found,
          needs: needs === null ? null : { ...needs },
          gravest: needs === null ? null : gravest(tried.ops, needs.approvals),
          diff: await diffOf(tried.ops, false, asked.within),
          warnings: [...warnings],
        });
      },
    }),
  ];
};
