import { isDigit, withoutSeparators } from './characters.js';
import type { Extension } from './key.js';
import { isDigits, parseExtension } from './key.js';
import type { Unreadable } from './reasons.js';
import { unreadable } from './reasons.js';

export type PhoneContext =
  | { readonly kind: 'none' }
  | { readonly kind: 'prefix'; readonly digits: string }
  | { readonly kind: 'domain'; readonly name: string };

/** 'name=value' taken apart; the name in lower case, the value '' when there is none. */
const splitPair = (pair: string): { name: string; value: string } => {
  const equals = pair.indexOf('=');
  const end = equals === -1 ? pair.length : equals;
  return { name: pair.slice(0, end).toLowerCase(), value: pair.slice(end + 1) };
};

type Pair = { readonly from: number; readonly text: string; readonly name: string; readonly value: string };

/** The ';name=value' pairs from `start`, which is at a ';' or at the text's end, each with where it begins. */
export const pairsFrom = (text: string, start: number): Pair[] => {
  const pairs: Pair[] = [];
  for (let from = start + 1; from <= text.length; ) {
    const next = text.indexOf(';', from);
    const to = next === -1 ? text.length : next;
    const pair = text.slice(from, to);
    pairs.push({ from, text: pair, ...splitPair(pair) });
    from = to + 1;
  }
  return pairs;
};

/**
 * URI parameters that name another destination, or belong to the number and were put after the
 * host, where two readers could disagree about them. Others after the host change nothing: the
 * B leg's URI is built anew.
 */
export const HOST_PARAMETERS_REFUSED: ReadonlySet<string> = new Set([
  'method',
  'maddr',
  'ext',
  'isub',
  'postd',
  'phone-context',
  'rn',
  'rn-context',
  'cic',
  'cic-context',
  'tgrp',
  'trunk-context',
]);

/** Parameters that say nothing about where the call goes. `npdi` only tells that a look-up was made. */
const PARAMETERS_IGNORED: ReadonlySet<string> = new Set([
  'npdi',
  'enumdi',
  'user',
  'cpc',
  'oli',
  'isup-oli',
  'noa',
  'verstat',
]);

const PARAMETERS_REFUSED: ReadonlySet<string> = new Set([
  'isub', // ISDN subaddress: another terminal behind the number (RFC 3966 section 5.1.2).
  'postd', // digits dialled after the answer (RFC 2806).
  'rn', // a routing number replaces the number (RFC 4694).
  'rn-context',
  'cic', // carrier selection (RFC 4694).
  'cic-context',
  'tgrp', // destination trunk group (RFC 4904).
  'trunk-context',
  'maddr',
  'method',
]);

type Parameters = {
  readonly extension: Extension | null;
  readonly context: PhoneContext;
};

/** Reads ';name=value' pairs from `start`, which is at a ';' or at the text's end. Unknown names are refused. */
export const readParameters = (text: string, start: number): Parameters | Unreadable => {
  const seen = new Set<string>();
  let extension: Extension | null = null;
  let context: PhoneContext = { kind: 'none' };
  for (const { from, name, value } of pairsFrom(text, start)) {
    if (name === '') return unreadable('uri-malformed', from - 1);
    if (PARAMETERS_REFUSED.has(name)) return unreadable('parameter-changes-destination', from);
    if (name !== 'ext' && name !== 'phone-context' && !PARAMETERS_IGNORED.has(name)) {
      return unreadable('parameter-unknown', from);
    }
    if (seen.has(name)) return unreadable('parameter-repeated', from);
    seen.add(name);
    if (name === 'ext') {
      extension = parseExtension(withoutSeparators(value));
      if (extension === null) return unreadable('extension-malformed', from);
    } else if (name === 'phone-context') {
      const read = readContext(value);
      if (read === null) return unreadable('phone-context-malformed', from);
      context = read;
    }
  }
  return { extension, context };
};

const readContext = (value: string): PhoneContext | null => {
  if (value.startsWith('+')) {
    const digits = withoutSeparators(value.slice(1));
    return isDigits(digits) && digits.length <= 15 ? { kind: 'prefix', digits } : null;
  }
  const name = value.toLowerCase();
  return isDomain(name) ? { kind: 'domain', name } : null;
};

/** A lower-case host name of letters, digits, hyphens and inner dots. */
export const isDomain = (name: string): boolean => {
  if (name === '' || name.startsWith('.') || name.endsWith('.')) return false;
  for (const c of name) {
    if (!isDigit(c) && !(c >= 'a' && c <= 'z') && c !== '-' && c !== '.') return false;
  }
  return true;
};
