import type { ImportView, NearRow, StepRow } from '../registry/import/imports.js';
import type { ImportState } from '../registry/import/schema.js';
import { changes, changeTexts } from '../review/change.js';
import { nearnessTexts } from '../review/near-index.js';
import type { KeptWhatIf } from './import-what-if.js';
import { columns } from './output.js';

/** What the commands of imports print. Whoever may read the registry may read its numbers. */

const stateTexts: Readonly<Record<ImportState, string>> = {
  receiving: 'the file is coming in',
  staging: 'the file is being read; the same command goes on where it was broken off',
  faulty: 'the file has faults: nothing of it is taken',
  staged: 'read; not compared yet: `imports diff`',
  compared: 'nothing is applied yet: look at `imports diff`, then `imports apply`',
  applying: 'being applied; `imports apply` goes on where it was broken off',
  applied: 'applied',
  undoing: 'being undone; `imports undo` goes on where it was broken off',
  undone: 'undone',
  abandoned: 'left; nothing of it was applied',
};

export const problemText = (one: {
  readonly line: number;
  readonly column: number | null;
  readonly field: string | null;
  readonly code: string;
  readonly detail: string;
  readonly otherLine: number | null;
  readonly fatal: boolean;
}): string => {
  const place = one.column === null ? `line ${one.line}` : `line ${one.line}, column ${one.column}`;
  const field = one.field === null ? '' : ` (${one.field})`;
  const other = one.otherLine === null ? '' : ` See line ${one.otherLine}.`;
  return `${one.fatal ? 'fault ' : 'note  '} ${place}${field}: ${one.detail}${other} [${one.code}]`;
};

const countsTable = ({ counts }: ImportView): string | null => {
  const lists = Object.entries(counts?.lists ?? {});
  if (lists.length === 0) return counts === null ? null : 'nothing would change';
  return columns([
    ['list', 'had', 'added', 'changed', 'removed', 'as before'],
    ...lists.map(([name, one]) => [
      name,
      ...[one.standing, one.added, one.changed, one.removed, one.unchanged].map(String),
    ]),
  ]);
};

const guardTexts = {
  share: 'a larger share of what the source had than may go unasked',
  entries: 'more entries than may go unasked',
  'class-lost': 'all numbers of a class',
  'all-lost': 'everything the source had',
} as const;

const guardText = ({ guard }: ImportView): readonly string[] => {
  if (guard?.tripped !== true) return [];
  const said = guard.acknowledgedBy.length === 0 ? 'nobody' : guard.acknowledgedBy.join(', ');
  return [
    'IT TAKES AWAY MORE THAN MAY GO UNASKED: is the file whole?',
    ...guard.why.map(
      ({ code, list, class: of, lost, of: all }) =>
        `  ${list}${of === null ? '' : ` (${of})`}: ${lost} of ${all}: ${guardTexts[code]} [${code}]`,
    ),
    `  that it is meant was said by ${said}; ${guard.needed} people must (\`imports acknowledge\`)`,
  ];
};

const waitingText = ({ changes: { done, undone } }: ImportView): readonly string[] => {
  const of = (what: string, one: ImportView['changes']['done']): readonly string[] => {
    const parts = [
      one.applied > 0 ? `${one.applied} done` : '',
      one.proposed > 0 ? `${one.proposed} wait for somebody (\`imports approve\`)` : '',
      one.waiting > 0 ? `${one.waiting} agreed to, and wait for their time` : '',
      one.rejected + one.withdrawn > 0 ? `${one.rejected + one.withdrawn} stopped` : '',
    ].filter((part) => part !== '');
    return parts.length === 0 ? [] : [`${what}: ${parts.join('; ')}`];
  };
  return [...of('changes', done), ...of('changes that undo it', undone)];
};

export const importText = (view: ImportView): string => {
  const { id, source, profile, fileName, state, maker, madeAt, read, errors, warnings } = view;
  const table = countsTable(view);
  return [
    columns([
      ['import', id],
      ['source', `${source} (${profile.name}, ${profile.mode})`],
      ['file', `${fileName}, ${read.rows} rows, ${errors} fault(s), ${warnings} note(s)`],
      ['begun', `${madeAt.toISOString()} by ${maker}`],
      ['state', `${state}: ${stateTexts[state]}`],
    ]),
    ...waitingText(view),
    ...(table === null ? [] : [table]),
    ...guardText(view),
  ].join('\n');
};

export const importLine = (view: ImportView): readonly string[] => [
  view.id,
  view.madeAt.toISOString().slice(0, 16),
  view.source,
  view.state,
  `${view.read.rows} rows`,
  ...(view.changes.done.proposed + view.changes.undone.proposed > 0 ? ['waits for approval'] : []),
];

const signs: Readonly<Record<string, string>> = { added: '+', changed: '~', removed: '-' };
const needsText = (phase: number): string =>
  phase <= 2 ? 'at once' : phase === 3 ? 'one other person' : 'two other people, and time';

export const stepText = ({ what, list, key, line, phase }: StepRow): string =>
  `${signs[what] ?? '?'} ${list} ${key}${line === null ? '' : ` (line ${line})`}: ${needsText(phase)}`;

export const nearText = (near: readonly NearRow[]): string =>
  [
    'near to what is privileged: look into each',
    columns(
      near.map(({ line, number, near: to, class: of, why }) => [
        `  line ${line}`,
        number,
        to,
        of,
        nearnessTexts[why as keyof typeof nearnessTexts] ?? why,
      ]),
    ),
  ].join('\n');

export const whatIfText = (found: KeptWhatIf): string => {
  const { period, unavailable, decisions, replayed, changed } = found;
  const of = `${period.from.slice(0, 10)} to ${period.to.slice(0, 10)}`;
  if (unavailable !== null || changed === null)
    return `past calls of ${of} could not be replayed [${unavailable ?? 'unknown'}]`;
  const rows = changes
    .filter((one) => changed[one] > 0)
    .map((one) => [`  ${changed[one]}`, changeTexts[one], `[${one}]`]);
  const head = `past calls of ${of}: ${replayed} of ${decisions} decisions made again with it`;
  return rows.length === 0 ? `${head}; none comes out differently` : `${head}\n${columns(rows)}`;
};
