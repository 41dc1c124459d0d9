import { type Dialled, type DialPlan, parseDialled, UNPARSEABLE } from '../core/number.js';

/** What was dialled, and whether a private call was asked for by dialling the trunk's prefix before the number. */
export interface PrefixedDial {
  readonly dialled: Dialled;
  readonly claimsPrivate: boolean;
}

/**
 * Reads a Request-URI of a trunk that may have a prefix for private calls ('*7', '77'). The prefix counts only where a
 * number follows it, and where the digits are a number both with and without it nobody knows which was meant: such a
 * dial is refused as ambiguous, for the caller could believe in a private call that is none.
 */
export const readPrefixed = (uri: string, plan: DialPlan, prefix: string | null): PrefixedDial => {
  const whole = parseDialled(uri, plan);
  const rest = prefix === null || prefix === '' ? null : withoutPrefix(uri, prefix);
  if (rest === null || whole.kind === 'emergency') return { dialled: whole, claimsPrivate: false };
  const dialled = parseDialled(rest, plan);
  if (dialled.kind === 'emergency') return { dialled, claimsPrivate: false };
  if (!isCallable(dialled)) return { dialled: whole, claimsPrivate: false };
  if (!isCallable(whole)) return { dialled, claimsPrivate: true };
  const message = UNPARSEABLE.ambiguous;
  return {
    dialled: { kind: 'unparseable', reason: 'ambiguous', message, column: null },
    claimsPrivate: false,
  };
};

const isCallable = (dialled: Dialled): boolean => dialled.kind === 'number' || dialled.kind === 'hotline';

/** The URI without the prefix at the start of its user part; null where it does not begin with it. */
const withoutPrefix = (uri: string, prefix: string): string | null => {
  const scheme = /^(?:sips?|tel):/i.exec(uri)?.[0] ?? '';
  let at = scheme.length;
  for (const wanted of prefix) {
    // '#' is never sent as such in a URI, and some phones encode '*' too (RFC 3261 section 25.1).
    const encoded = /^%[0-9A-Fa-f]{2}/.exec(uri.slice(at, at + 3))?.[0];
    const found =
      encoded === undefined ? uri[at] : String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    if (found !== wanted) return null;
    at += encoded === undefined ? 1 : 3;
  }
  return scheme + uri.slice(at);
};
