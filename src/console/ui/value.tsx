import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useCell } from '../app/cell.js';
import { type Language, language } from '../app/settings.js';
import { useWords } from '../app/words.js';
import { uiWords } from './words.js';

const dates = new Map<string, Intl.DateTimeFormat>();
const dateFormat = (of: Language, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
  const key = `${of} ${JSON.stringify(options)}`;
  const found = dates.get(key) ?? new Intl.DateTimeFormat(of, options);
  dates.set(key, found);
  return found;
};

const dayAndTime: Intl.DateTimeFormatOptions = {
  ...{ year: 'numeric', month: 'short', day: 'numeric' },
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false },
};
const timeOnly: Intl.DateTimeFormatOptions = {
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false },
};
const dayOnly: Intl.DateTimeFormatOptions = { year: 'numeric', month: 'short', day: 'numeric' };

/** A moment in words, in the time of this browser. */
export const timeText = (at: string, of: Language, show: 'both' | 'time' | 'day' = 'both'): string => {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const options = show === 'time' ? timeOnly : show === 'day' ? dayOnly : dayAndTime;
  return dateFormat(of, options).format(date);
};

/** A moment (RFC 3339), in the time of this browser; its title is the moment itself, in UTC. */
export const Time = ({
  at,
  show = 'both',
}: {
  readonly at: string;
  readonly show?: 'both' | 'time' | 'day';
}): JSX.Element => {
  const now = useCell(language);
  return (
    <time class="time" dateTime={at} title={at}>
      {timeText(at, now, show)}
    </time>
  );
};

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** A length of time in its largest unit: `3 minutes`. */
export const lengthText = (seconds: number, of: Language): string => {
  const [unit, size] = units.find(([, one]) => seconds >= one) ?? units[units.length - 1] ?? ['second', 1];
  const value = Math.max(0, Math.floor(seconds / size));
  return new Intl.NumberFormat(of, { style: 'unit', unit, unitDisplay: 'long' }).format(value);
};

/** How long ago a moment was; it goes on by itself. */
export const Ago = ({ at }: { readonly at: string }): JSX.Element => {
  const words = useWords(uiWords);
  const now = useCell(language);
  const [, again] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => again((turn) => turn + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = (Date.now() - new Date(at).getTime()) / 1000;
  return (
    <time class="time" dateTime={at} title={at}>
      {words.ago(lengthText(Math.max(0, seconds), now))}
    </time>
  );
};

/** A number as people of this language write it. */
export const numberText = (value: number, of: Language, digits = 0): string =>
  new Intl.NumberFormat(of, { maximumFractionDigits: digits }).format(value);

export const Num = ({
  value,
  digits = 0,
  unit,
}: {
  readonly value: number;
  /** Digits after the point, at most. */
  readonly digits?: number;
  readonly unit?: string;
}): JSX.Element => {
  const now = useCell(language);
  return (
    <span class="num">
      {numberText(value, now, digits)}
      {unit !== undefined && <span class="unit"> {unit}</span>}
    </span>
  );
};

/** Minutes and seconds of a call: `3:07`. */
export const Duration = ({ ms }: { readonly ms: number }): JSX.Element => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return <span class="num">{h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`}</span>;
};

/** A few facts in pairs of name and value. */
export const Facts = ({
  facts,
}: {
  readonly facts: readonly (readonly [name: string, value: ComponentChildren])[];
}): JSX.Element => (
  <dl class="facts">
    {facts.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
