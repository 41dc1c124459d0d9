import {
  type DialPlan,
  numberKeyText,
  parseListed,
  parseListedPrefix,
  parseListedRange,
  parseNumberKeyText,
} from '../core/number.js';
import { RegistryError } from './errors.js';

/** What a privileged entry covers, in its one canonical writing: what the database holds. */
export type StoredTarget =
  | { readonly form: 'number'; readonly value: string; readonly of: null }
  /** `+12125550150-+12125550159` */
  | { readonly form: 'range'; readonly value: string; readonly of: null }
  /** `+1212555*` */
  | { readonly form: 'prefix'; readonly value: string; readonly of: null }
  | { readonly form: 'alias'; readonly value: string; readonly of: string };

/** A number as somebody wrote it, as the canonical text of its key. Throws RegistryError. */
export const canonicalNumber = (text: string, plan: DialPlan, at: number): string => {
  const read = parseListed(text, plan);
  // The text is not repeated: it may be privileged, and this message is logged.
  if (read.kind === 'unparseable') throw new RegistryError('number-malformed', read.message, at);
  if (read.kind !== 'number' && read.kind !== 'hotline')
    throw new RegistryError('number-malformed', 'emergency and service numbers stand on no list', at);
  return numberKeyText(read.key);
};

export type WrittenTarget =
  | { readonly form: 'number'; readonly number: string }
  | { readonly form: 'range'; readonly range: string }
  | { readonly form: 'prefix'; readonly prefix: string }
  | { readonly form: 'alias'; readonly number: string; readonly of: string };

export const canonicalTarget = (target: WrittenTarget, plan: DialPlan, at: number): StoredTarget => {
  switch (target.form) {
    case 'number':
      return { form: 'number', value: canonicalNumber(target.number, plan, at), of: null };
    case 'alias':
      return {
        form: 'alias',
        value: canonicalNumber(target.number, plan, at),
        of: canonicalNumber(target.of, plan, at),
      };
    case 'range': {
      const read = parseListedRange(target.range, plan);
      if (read.kind !== 'range') throw new RegistryError('number-malformed', read.message, at);
      return { form: 'range', value: `${read.range.from}-${read.range.to}`, of: null };
    }
    case 'prefix': {
      const read = parseListedPrefix(target.prefix, plan);
      if (read.kind !== 'prefix') throw new RegistryError('number-malformed', read.message, at);
      return { form: 'prefix', value: `${read.prefix}*`, of: null };
    }
    default: {
      const never: never = target;
      return never;
    }
  }
};

const ends = (value: string): readonly [string, string] => {
  const [from = '', to = ''] = value.split('-');
  return [from, to];
};

/** The same length, and between the two: numbers of one length compare as texts. */
const between = (value: string, from: string, to: string): boolean =>
  value.length === from.length && from <= value && value <= to;

/**
 * Whether everything `narrow` covers is covered by `wide` too. Only what is plainly so counts: false asks for two
 * approvals more than may be needed, and true for fewer would take protection away.
 */
export const covers = (wide: StoredTarget, narrow: StoredTarget): boolean => {
  if (wide.form === narrow.form && wide.value === narrow.value && wide.of === narrow.of) return true;
  const key = narrow.form === 'number' ? parseNumberKeyText(narrow.value) : null;
  switch (wide.form) {
    case 'number':
      // A number without an extension covers each of its extensions.
      return key !== null && key.e164 === wide.value;
    case 'range': {
      const [from, to] = ends(wide.value);
      if (key !== null) return between(key.e164, from, to);
      if (narrow.form !== 'range') return false;
      const [first, last] = ends(narrow.value);
      return between(first, from, to) && between(last, from, to);
    }
    case 'prefix': {
      const prefix = wide.value.slice(0, -1);
      if (key !== null) return key.e164.startsWith(prefix);
      if (narrow.form === 'prefix') return narrow.value.startsWith(prefix);
      if (narrow.form !== 'range') return false;
      return ends(narrow.value).every((end) => end.startsWith(prefix));
    }
    case 'alias':
      return false;
    default: {
      const never: never = wide;
      return never;
    }
  }
};
