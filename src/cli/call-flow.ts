import { acceptance, acceptanceKeys } from '../core/accept.js';
import { type CallEvent, type CallState, type Manner, newCall, type Phase, step } from '../core/call.js';
import type { OtherHow } from '../core/call-state.js';
import type { Decision } from '../core/decision.js';
import { endingCodes } from '../core/ending.js';
import { farewells, refusalPrompt } from '../core/farewell.js';
import type { Key } from '../core/key.js';
import { claimMenu, kindMenu } from '../core/menu.js';
import type { PromptId } from '../core/prompt.js';
import { type Arrow, idsOf, phasesInOrder, sampleRules, walk } from './call-walk.js';
import { sampleDecisions } from './sample-decisions.js';

/** The tables and drawings of docs/call-flow.md, made of the call as it is walked (call-walk.ts). */

const { monitored, attorney, refused } = sampleDecisions;

const leaving: ReadonlySet<Phase> = new Set(['cancelling', 'parting', 'ending', 'ended']);
const isForward = (arrow: Arrow): boolean => !leaving.has(arrow.from) && !leaving.has(arrow.to);
const unique = <T>(some: readonly T[]): readonly T[] => [...new Set(some)];
const byPhase = (one: { readonly from: Phase }, other: { readonly from: Phase }): number =>
  phasesInOrder.indexOf(one.from as (typeof phasesInOrder)[number]) -
  phasesInOrder.indexOf(other.from as (typeof phasesInOrder)[number]);

/** The phases and the arrows between them, as a state diagram. The ways to the end are left to a table of their own. */
export const diagram = (held: Manner['held']): string => {
  const arrows = walk(held).filter(
    (arrow) =>
      arrow.from !== arrow.to && (isForward(arrow) || (leaving.has(arrow.from) && arrow.to !== arrow.from)),
  );
  const id = (phase: Phase): string => phase.replaceAll('-', '_');
  const pairs = unique([...arrows].sort(byPhase).map(({ from, to }) => `${from} ${to}`));
  const phases = phasesInOrder.filter((phase) =>
    arrows.some(({ from, to }) => from === phase || to === phase),
  );
  const lines = pairs.map((pair) => {
    const [from = '', to = ''] = pair.split(' ') as Phase[];
    const names = arrows.filter((one) => one.from === from && one.to === to).map(({ on }) => on);
    const label = leaving.has(from as Phase) ? '' : `: ${inShort(unique(names))}`;
    return `  ${id(from as Phase)} --> ${id(to as Phase)}${label}`;
  });
  return [
    '```mermaid',
    'stateDiagram-v2',
    ...phases.filter((phase) => phase.includes('-')).map((phase) => `  state "${phase}" as ${id(phase)}`),
    '  [*] --> new',
    ...lines,
    '  ended --> [*]',
    '```',
  ].join('\n');
};

/** The names of an arrow in few words: where every verdict takes it, none is named. */
const inShort = (names: readonly string[]): string => {
  const kinds = new Map<string, Set<string>>();
  for (const name of names) {
    const [, what = name, kind, rest = ''] = /^([^(]+?)(?: \((.*)\))?( before .*)?$/.exec(name) ?? [];
    const key = `${what.replace('decision-journalled', 'journalled').replace(/ of the (called party|caller)$/, '')}|${rest}`;
    kinds.set(
      key,
      (kinds.get(key) ?? new Set()).add((kind ?? '').replace('refused: private call claimed', 'claim')),
    );
  }
  return [...kinds]
    .map(([key, some]) => {
      const [what, rest] = key.split('|');
      const all = some.has('monitored') && some.has('private');
      return `${what}${all || some.has('') ? '' : ` (${[...some].join('/')})`}${rest}`;
    })
    .join(', ');
};

/** News that can come in any phase: tables of their own say what comes of it. */
const anywhere = /^(other-party-decided|decided-again)/;

/** Rows of phase, event, phase and effects: the way forward. */
export const forwardRows = (held: Manner['held']): readonly (readonly string[])[] => {
  const rows = new Map<string, { from: Phase; on: string[]; to: Phase; does: string }>();
  for (const arrow of [...walk(held)].sort(byPhase)) {
    if (!isForward(arrow) || (anywhere.test(arrow.on) && arrow.from === arrow.to)) continue;
    const does = arrow.does.join('; ');
    const key = `${arrow.from} ${arrow.to} ${does}`;
    const row = rows.get(key) ?? { from: arrow.from, on: [], to: arrow.to, does };
    if (!row.on.includes(arrow.on)) row.on.push(arrow.on);
    rows.set(key, row);
  }
  return [...rows.values()].map(({ from, on, to, does }) => [
    `\`${from}\``,
    [...on].sort().join('; '),
    from === to ? 'stays' : `\`${to}\``,
    does === '' ? 'nothing' : does,
  ]);
};

/** Rows of event, ending and the phases in which it ends a call so: the ways to the end. */
export const endingRows = (): readonly (readonly string[])[] => {
  const rows = new Map<string, { on: string; ending: string; from: Set<Phase> }>();
  const arrows = [...walk('here'), ...walk('elsewhere')];
  for (const { from, on, ending } of arrows) {
    if (ending === null || /^other-party/.test(on)) continue;
    const key = `${on} ${ending}`;
    const row = rows.get(key) ?? { on, ending, from: new Set<Phase>() };
    row.from.add(from);
    rows.set(key, row);
  }
  return [...rows.values()]
    .sort(
      (one, other) =>
        other.from.size - one.from.size ||
        endingAt(one.ending) - endingAt(other.ending) ||
        one.on.localeCompare(other.on),
    )
    .map(({ on, ending, from }) => [on, endingAt(ending) < 0 ? ending : `\`${ending}\``, whereOf(from)]);
};
const endingAt = (code: string): number => (endingCodes as readonly string[]).indexOf(code);

const live = phasesInOrder.filter((phase) => !leaving.has(phase));
const up: readonly Phase[] = ['connected', 'unrecording', 'journalling-move', 'moving'];
const groups: readonly (readonly [string, readonly Phase[]])[] = [
  ['every phase', live],
  ['every phase before the call is up', live.filter((phase) => !up.includes(phase))],
  ['while the call is up', up],
];
const whereOf = (from: ReadonlySet<Phase>): string =>
  groups.find(([, phases]) => phases.length === from.size && phases.every((phase) => from.has(phase)))?.[0] ??
  live
    .filter((phase) => from.has(phase))
    .map((phase) => `\`${phase}\``)
    .join(', ');

/** Rows of what came into sight, and what becomes of a recorded and of a private call. */
export const otherRows = (): readonly (readonly string[])[] => {
  const targets: readonly (readonly [string, Decision | null])[] = [
    ['would be recorded', monitored],
    ['would be private', attorney],
    ['is on no list', refused],
    ['is forbidden, such as by lockdown', sampleDecisions.lockdown],
    ['cannot be read', null],
  ];
  return (['redirect', 'forwarded', 'refer'] as const).flatMap((how) =>
    targets.map(([name, target]) => [
      how === 'forwarded' ? 'forwarded, diverted, connected to' : how,
      name,
      ...[monitored, attorney].map((current) => meets(current, how, target)),
    ]),
  );
};

const meets = (current: Decision, how: OtherHow, decision: Decision | null): string => {
  const state = how === 'redirect' ? callIn(current, 'dialling') : callIn(current, 'connected');
  const { next, effects } = step(state, { type: 'other-party-decided', how, decision });
  if (effects.some(({ type }) => type === 'follow-redirect')) return 'is dialled';
  if (effects.some(({ type }) => type === 'refuse-redirect')) return 'is not dialled';
  const [note] = effects;
  const flagged = note?.type === 'note-other-party' && note.outcome === 'flag';
  return 'ending' in next ? `ends: \`${next.ending.code}\`` : flagged ? 'goes on, flagged' : 'goes on';
};

/** Prompts the shell says while one effect is carried out; the pure call names the effect alone. */
const withEffect: Partial<Record<PromptId, string>> = {
  'pin-ask': 'caller in `identifying`',
  'pin-wrong': 'caller in `identifying`',
  'pin-incomplete': 'caller in `identifying`',
  'please-hold': 'caller in `dialling`',
  'hold-tone': 'caller in `dialling`',
};

/** Who hears a prompt, and when. */
export const heardBy = (id: PromptId): string => {
  const places = new Set<string>();
  const hears = (party: string, ids: string | undefined, where: Phase): void => {
    if ((ids ?? '').split(', ').includes(id)) places.add(`${party} in \`${where}\``);
  };
  for (const { to, does } of walk('here')) {
    if (to === 'parting') continue;
    for (const one of does) {
      const say = /^say to (caller|called): (.*)$/.exec(one);
      const both = /\(caller: (.*); called: (.*)\)$/.exec(one);
      if (say !== null) hears(say[1] ?? '', say[2], to);
      if (both !== null) {
        hears('caller', both[1], to);
        hears('called', both[2], to);
      }
    }
  }
  const last = endingCodes.some(
    (code) => farewells[code].caller === id || farewells[code].called === id || refusalPrompt(code) === id,
  );
  if (last || id === 'claim-noted') places.add('the last words');
  const shell = withEffect[id];
  if (shell !== undefined) places.add(shell);
  if (/^(code|digit)-/.test(id)) places.add('whoever answers a [call with a code](counsel.md)');
  return [...places].sort().join(', ');
};

/** Rows of key, meaning and what it does to a recorded and to a private call, walked key by key from the menu. */
export const acceptanceRows = (): readonly (readonly string[])[] => {
  const meanings: Readonly<Record<string, string>> = {
    accepted: 'accept',
    declined: 'refuse',
    protected: 'I am an attorney, or this line must be private',
    blocked: 'block my number',
    language: 'the other language',
    repeat: 'hear this again',
  };
  const rows = Object.entries(acceptanceKeys).map(([key, meaning]) => [
    key,
    meanings[meaning] ?? meaning,
    comesTo(key as Key, monitored, 'notice'),
    comesTo(key as Key, monitored, 'menu'),
    comesTo(key as Key, attorney, 'menu'),
  ]);
  return [
    ...rows,
    [
      'any other',
      'nothing',
      comesTo('4', monitored, 'notice'),
      comesTo('4', monitored, 'menu'),
      comesTo('4', attorney, 'menu'),
    ],
  ];
};

/** A call that went well so far. */
const callIn = (decision: Decision, phase: Phase): CallState => {
  let state = newCall({
    manner: { held: 'here', pin: false, offersPrivate: false },
    rules: sampleRules,
    language: 'en',
    identified: true,
  });
  for (let n = 0; n < 100 && state.phase !== phase; n++) {
    const turn: number = 'turn' in state ? state.turn : 0;
    const good: readonly CallEvent[] = [
      { type: 'arrived' },
      { type: 'decided', decision },
      { type: 'decision-journalled' },
      { type: 'recorder-ready' },
      { type: 'anchored' },
      { type: 'caller-connected' },
      { type: 'answered' },
      { type: 'media-answered' },
      { type: 'said', turn },
      { type: 'key', party: 'called', key: '1' },
      { type: 'told' },
      { type: 'armed' },
      { type: 'media-opened' },
    ];
    for (const event of good) if (state.phase !== phase) state = step(state, event).next;
  }
  return state;
};

/** A call in which the called party is being asked: during the notice, or the menu. */
const askedAbout = (decision: Decision, at: 'notice' | 'menu'): CallState => {
  const state = callIn(decision, 'asking');
  return at === 'menu' && state.phase === 'asking'
    ? step(state, { type: 'said', turn: state.asking.turn }).next
    : state;
};

const comesTo = (key: Key, decision: Decision, at: 'notice' | 'menu'): string => {
  const { next, effects, stray } = step(askedAbout(decision, at), { type: 'key', party: 'called', key });
  if (stray) return 'not heard';
  if ('ending' in next) return `ends: \`${next.ending.code}\``;
  if (next.phase !== 'asking') return `\`${next.phase}\``;
  return effects
    .map((effect) => (effect.type === 'say' ? `says ${idsOf(effect.speech)}` : effect.type))
    .join('; ');
};

/** The caller's menus: each question, what its keys mean, and what no answer means. */
export const menuRows = (): readonly (readonly string[])[] =>
  [
    ['which kind of call', kindMenu, 'ordinary: a recorded call'] as const,
    ['the number is not registered', claimMenu, 'the claim stands'] as const,
  ].map(([question, menu, otherwise]) => [
    question,
    `\`${menu.prompt}\``,
    Object.entries<string>(menu.keys)
      .map(([key, choice]) => `${key}: ${choice}`)
      .join(', '),
    menu.interruptsFrom === 1 ? 'yes' : `from round ${menu.interruptsFrom} on`,
    `${menu.rounds}`,
    `${menu.keyMs / 1000} s`,
    otherwise,
  ]);

/** The bounds of the called party's dialogue. */
export const boundRows = (): readonly (readonly string[])[] => [
  ['times the menu is said', String(acceptance.rounds)],
  ['time for a key after the menu', `${acceptance.keyMs / 1000} s`],
  ['wrong keys', String(acceptance.wrongKeys)],
  ['changes of language', String(acceptance.switches)],
];
