import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Facilities } from '../../registry/accounts/facilities.js';
import type { Op } from '../../registry/read-ops.js';
import type { Change } from '../../registry/registry.js';
import { MOST_COUNTED } from '../../registry/search.js';
import type { Parts } from '../parts.js';
import { Problem } from '../problems.js';
import { requestKeyOf } from '../repeated.js';
import { keyName, type Principal } from '../roles.js';
import { type Answer, ok, type Route, route, someone } from '../route.js';
import { cursor, cursorOf, cursorText, iso, limit, moment, pageOf, uuid, words } from '../shapes.js';

const anything = z.record(z.string(), z.unknown());
export const change = z.strictObject({
  id: z.string(),
  maker: z.string(),
  reason: z.string(),
  state: z.enum(['proposed', 'waiting', 'applied', 'rejected', 'withdrawn']),
  stateText: z.string(),
  needs: z.strictObject({ approvals: z.int(), delayMs: z.int() }),
  approvers: z.array(z.string()),
  proposedAt: z.iso.datetime(),
  dueAt: z.iso.datetime().nullable(),
  overAt: z.iso.datetime().nullable(),
  steps: z.int(),
  ops: z.array(anything).describe('The first 200 steps, with their numbers in the canonical writing.'),
  version: z.string().describe('The ETag: what a word on this change has to name in If-Match.'),
});
const withDiff = change.extend({
  voices: z.array(
    z.strictObject({ who: z.string(), says: z.string(), why: z.string(), at: z.iso.datetime() }),
  ),
  diff: z
    .array(
      z.strictObject({
        step: z.int(),
        op: z.string(),
        words: z.string(),
        before: anything
          .nullable()
          .describe('The entry as it stands now; null where the step makes one, or it is gone.'),
        after: anything.nullable(),
      }),
    )
    .describe('The first 200 steps.'),
  mayApprove: z.boolean().describe('Whether who asks may agree to it now.'),
});

const MOST_STEPS = 200;
/** A change of a hundred thousand steps comes from an importer, at the machine. */
const CHANGE_BYTES = 1024 * 1024;

export const versionOf = ({ id, state, approvers }: Change): string =>
  createHash('sha256')
    .update(JSON.stringify([id, state, approvers]))
    .digest('base64url')
    .slice(0, 22);

export const stateText = ({ state, approvers, needs, dueAt }: Change): string => {
  switch (state) {
    case 'proposed':
      return `waits for ${needs.approvals - approvers.length} more person(s)`;
    case 'waiting':
      return `agreed to; done at ${iso(dueAt)} unless somebody rejects it`;
    case 'applied':
      return 'done';
    case 'rejected':
      return 'rejected: nothing was changed';
    case 'withdrawn':
      return 'taken back: nothing was changed';
    default: {
      const never: never = state;
      return never;
    }
  }
};

export const plain = (value: object): Record<string, unknown> =>
  JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

export const shown = (one: Change): z.infer<typeof change> => ({
  id: one.id,
  maker: one.maker,
  reason: one.reason,
  state: one.state,
  stateText: stateText(one),
  needs: { ...one.needs },
  approvers: [...one.approvers],
  proposedAt: one.proposedAt.toISOString(),
  dueAt: iso(one.dueAt),
  overAt: iso(one.overAt),
  steps: one.ops.length,
  ops: one.ops.slice(0, MOST_STEPS).map(plain),
  version: versionOf(one),
});

export const opTexts: Readonly<Record<Op['op'], string>> = {
  'facility-put': 'name a facility',
  'unit-put': 'name a unit',
  'phone-put': 'name a phone',
  'caller-put': 'name a caller',
  'booking-open': 'book a caller',
  'booking-move': 'transfer a caller',
  'booking-close': 'release a caller',
  'allow-add': 'put a number on a list of allowed numbers',
  'allow-remove': 'take a number off a list of allowed numbers',
  'block-add': 'block a number',
  'block-remove': 'lift a block',
  'privileged-add': 'protect a number',
  'privileged-amend': 'change a protected entry',
  'privileged-remove': 'END THE PROTECTION of a number: calls to it can be recorded then',
  'pending-add': 'hold a number until it is settled whether it is privileged',
  'pending-settle':
    'settle a claim: calls to the number can be recorded then, unless it is protected besides',
};
export const listOf = (op: Op): 'privileged' | 'block' | 'pending' | null => {
  if (!('entry' in op)) return null;
  if (op.op === 'block-remove') return 'block';
  return op.op === 'pending-settle' ? 'pending' : 'privileged';
};
export const removes: ReadonlySet<Op['op']> = new Set([
  'block-remove',
  'privileged-remove',
  'pending-settle',
  'allow-remove',
  'booking-close',
]);

export const changeRoutes = ({ registry, search, journal, keys }: Parts): readonly Route[] => {
  const diffOf = async ({ ops }: Change, within: Facilities) => {
    const diff = [];
    for (const [at, op] of ops.slice(0, MOST_STEPS).entries()) {
      const list = listOf(op);
      const before = list !== null && 'entry' in op ? await search.entry(list, op.entry, within) : null;
      diff.push({
        ...{ step: at + 1, op: op.op, words: opTexts[op.op] },
        before: before === null ? null : plain(before),
        after: removes.has(op.op) ? null : plain(op),
      });
    }
    return diff;
  };
  const full = async (one: Change, who: Principal): Promise<Answer> => {
    const voices = await search.voices(one.id);
    const open = one.state === 'proposed' || one.state === 'waiting';
    return {
      status: 200,
      headers: { etag: `"${versionOf(one)}"` },
      body: {
        ...shown(one),
        voices: voices.map((voice) => ({ ...voice, at: voice.at.toISOString() })),
        diff: await diffOf(one, who.facilities),
        mayApprove:
          open &&
          who.kind === 'person' &&
          who.roles.includes('approver') &&
          one.maker !== who.name &&
          !one.approvers.includes(who.name),
      },
    };
  };
  /** What was looked at is what stands: nobody agrees to something that he has not seen. */
  const seen = async (id: string, ifMatch: string | undefined, within: Facilities): Promise<void> => {
    if (ifMatch === undefined) throw new Problem('version-missing');
    const now = await registry.change(id, within);
    if (ifMatch !== `"${versionOf(now)}"`) throw new Problem('version-moved');
  };
  /** Who answers for a program's key has proposed what the key proposed. */
  const notOfOwnKey = async (who: Principal, maker: string): Promise<void> => {
    if (!maker.startsWith('key.')) return;
    const key = (await keys.list()).find(({ prefix }) => keyName(prefix) === maker);
    if (key === undefined || key.owner === who.name) throw new Problem('own-change');
  };
  const readIt = (who: Principal, of: string): Promise<void> =>
    journal.append('http-privileged-read', { by: who.name, facility: null, class: of, entries: 1 });
  const say = (says: 'approve' | 'reject' | 'withdraw', about: string): Route =>
    route(`POST /v1/changes/:change/${says}`, {
      about,
      tag: 'changes',
      params: z.strictObject({ change: uuid }),
      body: z.strictObject({
        why: says === 'approve' ? words(500).or(z.literal('')).default('') : words(500),
      }),
      answers: { 200: { json: withDiff } },
      problems: [
        ...([
          'unknown',
          'version-missing',
          'version-moved',
          'change-over',
          'entry-moved',
          'op-refused',
        ] as const),
        ...(['own-change', 'not-the-maker', 'approved-already'] as const),
      ],
      run: async (asked) => {
        const who = someone(asked);
        const { within } = asked;
        const { change: id } = asked.params;
        await seen(id, asked.request.headers['if-match'], within);
        if (says === 'approve') await notOfOwnKey(who, (await registry.change(id, within)).maker);
        return await full(await registry.say(who.name, id, says, asked.body.why, within), who);
      },
    });

  return [
    route('GET /v1/changes', {
      about: 'Changes, the newest first.',
      tag: 'changes',
      query: z.strictObject({ state: z.enum(['open', 'over']).optional(), cursor, limit }),
      answers: { 200: { json: pageOf(change) } },
      problems: ['cursor-malformed', 'journal-unavailable'],
      run: async (asked) => {
        const { state, limit: most } = asked.query;
        const place = cursorOf(asked.query.cursor, z.tuple([moment, uuid]));
        const after = place === null ? null : { at: new Date(place[0]), id: place[1] };
        const { rows, total } = await search.changes({
          ...{ state, after, limit: most + 1, within: asked.within },
        });
        const here = rows.slice(0, most);
        const last = here.at(-1);
        // Steps hold numbers that are privileged, or were.
        await journal.append('http-privileged-read', {
          ...{ by: someone(asked).name, facility: null, class: 'changes', entries: here.length },
        });
        return ok({
          rows: here.map(shown),
          total: Math.min(total, MOST_COUNTED),
          totalIsExact: total <= MOST_COUNTED,
          next:
            rows.length > most && last !== undefined
              ? cursorText([last.proposedAt.toISOString(), last.id])
              : null,
        });
      },
    }),
    route('GET /v1/changes/:change', {
      about: 'One change: its steps, what they change, and who said what about it.',
      tag: 'changes',
      params: z.strictObject({ change: uuid }),
      answers: { 200: { json: withDiff } },
      problems: ['unknown', 'journal-unavailable'],
      run: async (asked) => {
        const who = someone(asked);
        const one = await registry.change(asked.params.change, asked.within);
        await readIt(who, 'change');
        return await full(one, who);
      },
    }),
    route('POST /v1/changes', {
      about: 'Propose a change. What protects or closes is done at once; the rest waits for others.',
      tag: 'changes',
      maxBytes: CHANGE_BYTES,
      body: z.strictObject({
        why: words(500),
        ops: z.array(anything).min(1).max(5000).describe('Steps as docs/registry.md has them.'),
      }),
      answers: { 201: { json: withDiff } },
      problems: ['op-refused', 'entry-moved', 'number-malformed'],
      run: async (asked) => {
        const who = someone(asked);
        const made = await registry.propose(who.name, asked.body.why, asked.body.ops, {
          request: requestKeyOf(asked.request),
          within: asked.within,
        });
        const { body, headers = {} } = await full(made, who);
        return { status: 201, body, headers: { ...headers, location: `/v1/changes/${made.id}` } };
      },
    }),
    say('approve', 'Agree to a change of somebody else. The version that was looked at goes into If-Match.'),
    say('reject', 'Stop a change of somebody else, also while it waits for its time.'),
    say('withdraw', 'Take a change of one’s own back.'),
  ];
};
