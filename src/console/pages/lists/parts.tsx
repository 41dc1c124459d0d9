import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useCell } from '../../app/cell.js';
import { go, Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { type Column, Table } from '../../ui/table.js';
import type { Tone } from '../../ui/tone.js';
import { Facts, lengthText, numberText, timeText } from '../../ui/value.js';
import type { Effect, FieldChange, ProposalRow, Step } from './shapes.js';
import { words as pageWords } from './words.js';

/** Small parts that the views of the lists share. */

/** A word for a code; the code itself where there is none, for a newer server may know more codes. */
export const wordFor = (table: Readonly<Record<string, unknown>>, code: string): string => {
  const found = Object.hasOwn(table, code) ? table[code] : undefined;
  return typeof found === 'string' ? found : code;
};

/** The same for words that are made of something. */
export const sentenceFor = <Given extends readonly unknown[]>(
  table: Readonly<Record<string, (...given: Given) => string>>,
  code: string,
  ...given: Given
): string => {
  const found = Object.hasOwn(table, code) ? table[code] : undefined;
  return found === undefined ? code : found(...given);
};

const effectTones: Readonly<Record<Effect, Tone>> = {
  place: 'plain',
  closes: 'note',
  protects: 'good',
  alters: 'note',
  opens: 'warn',
  'ends-protection': 'bad',
};
export const EffectBadge = ({ effect }: { readonly effect: Effect }): JSX.Element => {
  const words = useWords(pageWords);
  return <Badge tone={effectTones[effect]}>{words.effects[effect]}</Badge>;
};

const stateTones: Readonly<Record<ProposalRow['state'], Tone>> = {
  proposed: 'warn',
  waiting: 'warn',
  applied: 'good',
  rejected: 'plain',
  withdrawn: 'plain',
};
export const StateBadge = ({ state }: { readonly state: ProposalRow['state'] }): JSX.Element => {
  const words = useWords(pageWords);
  const icon = state === 'proposed' || state === 'waiting' ? 'waiting' : stateTones[state];
  return (
    <Badge tone={stateTones[state]} icon={icon}>
      {words.states[state]}
    </Badge>
  );
};

/** A number, in digits of one width. */
export const NumberText = ({ text }: { readonly text: string }): JSX.Element => (
  <span class="lists-number">{text}</span>
);

/** The value of a field as people read it: classes and causes in words, moments in their own time. */
export const FieldValue = ({
  field,
  value,
}: {
  readonly field: string;
  readonly value: string | null;
}): JSX.Element => {
  const words = useWords(pageWords);
  const now = useCell(language);
  if (value === null) return <span class="soft">{words.none}</span>;
  switch (field) {
    case 'class':
      return <>{wordFor(words.classes, value)}</>;
    case 'cause':
      return <>{wordFor(words.causes, value)}</>;
    case 'form':
      return <>{wordFor(words.forms, value)}</>;
    case 'scope':
      return <>{value === 'global' ? words.everywhere : value}</>;
    case 'language':
      return <>{wordFor(words.languages, value)}</>;
    case 'value':
    case 'number':
    case 'of':
      return <NumberText text={value} />;
    case 'validFrom':
    case 'validTo':
    case 'effectiveFrom':
    case 'expires':
      return (
        <time dateTime={value} title={value}>
          {timeText(value, now)}
        </time>
      );
    default:
      return <>{value}</>;
  }
};

/** What one step says in a sentence; what ends protection is said with weight. */
export const StepSentence = ({ step }: { readonly step: Pick<Step, 'op' | 'subject'> }): JSX.Element => {
  const words = useWords(pageWords);
  return <>{sentenceFor(words.sentences, step.op, step.subject)}</>;
};

/** Field by field, before and after: what goes is struck out, what comes is marked; both are named. What is all
 * new, or all gone, is named alone. */
export const FieldChanges = ({
  changes,
  caption,
  alone = false,
}: {
  readonly changes: readonly FieldChange[];
  readonly caption: string;
  /** There is nothing to compare with: only what it came to is shown. */
  readonly alone?: boolean;
}): JSX.Element | null => {
  const words = useWords(pageWords);
  if (changes.length === 0) return null;
  const compares = !alone && changes.some(({ before }) => before !== null);
  const comes = changes.some(({ after }) => after !== null);
  if (!compares || !comes)
    return (
      <Facts
        facts={changes.map(({ field, before, after }) => [
          wordFor(words.fields, field),
          <FieldValue key={field} field={field} value={comes ? after : before} />,
        ])}
      />
    );
  const columns: readonly Column<FieldChange>[] = [
    { key: 'field', head: words.field, rowHead: true, cell: ({ field }) => wordFor(words.fields, field) },
    {
      key: 'before',
      head: words.before,
      cell: ({ field, before }) => (
        <span class={before === null ? '' : 'lists-was'}>
          <FieldValue field={field} value={before} />
        </span>
      ),
    },
    {
      key: 'after',
      head: words.after,
      cell: ({ field, after }) => (
        <span class={after === null ? '' : 'lists-is'}>
          <FieldValue field={field} value={after} />
        </span>
      ),
    },
  ];
  return (
    <div class="lists-diff">
      <Table caption={caption} hideCaption columns={columns} rows={changes} rowKey={({ field }) => field} />
    </div>
  );
};

const parts = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

/** `23 hours, 4 minutes, 9 seconds` */
const leftText = (ms: number, of: string): string => {
  let rest = Math.max(0, Math.ceil(ms / 1000));
  const texts: string[] = [];
  for (const [unit, size] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count === 0 && (texts.length === 0 ? unit !== 'second' : true)) continue;
    texts.push(new Intl.NumberFormat(of, { style: 'unit', unit, unitDisplay: 'long' }).format(count));
  }
  return texts.join(', ');
};

/** How long it is until a moment; it goes on by itself, and tells once that it is there. */
export const Countdown = ({
  until,
  onOver,
}: {
  readonly until: string;
  readonly onOver?: () => void;
}): JSX.Element => {
  const now = useCell(language);
  const [left, setLeft] = useState(new Date(until).getTime() - Date.now());
  useEffect(() => {
    let told = false;
    const turn = (): void => {
      const ms = new Date(until).getTime() - Date.now();
      setLeft(ms);
      if (ms > 0 || told) return;
      told = true;
      onOver?.();
    };
    const timer = setInterval(turn, 1000);
    return () => clearInterval(timer);
  }, [until]);
  return (
    <span class="lists-countdown" role="timer" aria-live="off">
      {leftText(left, now)}
    </span>
  );
};

/** How far a page of a list is, and the way on. */
export const MoreRows = ({
  here,
  total,
  exact,
  busy,
  more,
}: {
  readonly here: number;
  readonly total: number;
  readonly exact: boolean;
  readonly busy: boolean;
  /** Null: this is all of it. */
  readonly more: (() => void) | null;
}): JSX.Element | null => {
  const words = useWords(pageWords);
  const now = useCell(language);
  if (here === 0) return null;
  const all = numberText(total, now);
  return (
    <div class="lists-more">
      <span class="soft small" role="status">
        {words.count(numberText(here, now), exact ? all : words.moreThan(all))}
      </span>
      {more !== null && (
        <Button small busy={busy} onPress={more}>
          {words.more}
        </Button>
      )}
    </div>
  );
};

export const lengthOf = (ms: number, of: 'en' | 'es'): string => lengthText(ms / 1000, of);

/** Leads back to the lists, or to one of their views. */
export const BackToLists = ({ tab = '' }: { readonly tab?: string }): JSX.Element => {
  const words = useWords(pageWords);
  return (
    <p class="lists-back">
      <Link to={tab === '' ? '/lists' : `/lists?tab=${tab}`}>{words.back}</Link>
    </p>
  );
};

/** A button that leads somewhere. */
export const GoButton = ({
  to,
  kind = 'plain',
  children,
}: {
  readonly to: string;
  readonly kind?: 'plain' | 'main' | 'danger';
  readonly children: ComponentChildren;
}): JSX.Element => (
  <Button kind={kind} onPress={() => go(to)}>
    {children}
  </Button>
);
