import { isDigit } from './characters.js';

/**
 * The identity of a telephone number: an E.164 number and, for a branch line, its extension.
 * Lists are stored under this key, calls are decided by it, and the B leg's Request-URI is built
 * from it and from nothing else (facts: reliability F12, C1).
 */

declare const e164Brand: unique symbol;
declare const extensionBrand: unique symbol;

/** '+' and 7 to 15 digits, the first of them not 0 (ITU-T E.164). */
export type E164 = string & { readonly [e164Brand]: true };

/** 1 to 10 digits. Leading zeros count: extension 012 is not extension 12. */
export type Extension = string & { readonly [extensionBrand]: true };

export type NumberKey = { readonly e164: E164; readonly extension: Extension | null };

const MAX_EXTENSION = 10;

/** True when every character is an ASCII digit and there is at least one. */
export const isDigits = (text: string): boolean => {
  for (const c of text) if (!isDigit(c)) return false;
  return text !== '';
};

/**
 * Reads exact E.164 text, such as '+12125551212', and nothing looser.
 * It checks the shape only: `parseDialled` is what says whether a number exists.
 */
export const parseE164 = (text: string): E164 | null => {
  if (text.length < 8 || text.length > 16) return null;
  if (text[0] !== '+' || text[1] === '0' || !isDigits(text.slice(1))) return null;
  return text as E164;
};

/** Reads an extension of 1 to 10 digits, or null. */
export const parseExtension = (text: string): Extension | null =>
  text.length <= MAX_EXTENSION && isDigits(text) ? (text as Extension) : null;

const EXT = ';ext=';

/** '+12125551212', or '+12125551212;ext=12' (the form of RFC 3966 section 3). */
export const numberKeyText = (key: NumberKey): string =>
  key.extension === null ? key.e164 : `${key.e164}${EXT}${key.extension}`;

/**
 * The inverse of `numberKeyText`; null for any other text. It is for keys this program wrote
 * itself (a store, a journal), never for what a caller dialled or a person typed.
 */
export const parseNumberKeyText = (text: string): NumberKey | null => {
  const at = text.indexOf(EXT);
  const e164 = parseE164(at === -1 ? text : text.slice(0, at));
  if (e164 === null) return null;
  if (at === -1) return { e164, extension: null };
  const extension = parseExtension(text.slice(at + EXT.length));
  return extension === null ? null : { e164, extension };
};

/**
 * The user part of the Request-URI that dials this key: '+12125551212' or '+12125551212;ext=12'.
 * It is built from the key, so that the number dialled is the number decided (C1), and holds only
 * '+', digits and ';ext=', all legal in a SIP user part unescaped (RFC 3261 section 25.1).
 */
export const toRequestUriUser = (key: NumberKey): string => numberKeyText(key);
