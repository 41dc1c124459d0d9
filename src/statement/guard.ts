/**
 * What of a row may stand in a statement. The journal is evidence and holds numbers, callers and what operators typed;
 * the statement leaves the house and holds none of them. So nothing is copied out of a row that has not the shape of a
 * code, of a name from the configuration, or of a call's own random id.
 */

type Fields = Readonly<Record<string, unknown>>;

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

const WORD = /^[a-z][a-z0-9.-]{0,63}$/;
/** Five digits in a row are no part of any code of ours, and of every number somebody could dial abroad. */
const DIGITS = /\d{5}/;

/** A stable code, or `unreadable` where it has not the shape of one. */
export const codeWord = (value: unknown): string =>
  typeof value === 'string' && WORD.test(value) && !DIGITS.test(value) ? value : 'unreadable';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A name the configuration gave to a facility, a unit, a media node or a trunk; else null. */
export const configured = (value: unknown): string | null =>
  typeof value === 'string' && NAME.test(value) && !/\d{7}/.test(value) ? value : null;

const ACCOUNT = /^[A-Za-z][A-Za-z0-9._@-]{0,63}$/;

/** Who gave an order, where it is an account's name: anything else somebody typed is withheld. */
export const accountOf = (value: unknown): string =>
  typeof value === 'string' && ACCOUNT.test(value) && !DIGITS.test(value) ? value : 'withheld';

const CALL_ID = /^c[a-z2-7]{26}$/;

/** The call's own random id; it says nothing of anybody. */
export const callIdOf = (value: unknown): string | null =>
  typeof value === 'string' && CALL_ID.test(value) ? value : null;

export const countOf = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;

const SHA256 = /^[0-9a-f]{64}$/;
export const digestOf = (value: unknown): string | null =>
  typeof value === 'string' && SHA256.test(value) ? value : null;

/** A version of the program or of a policy. */
export const versionOf = (value: unknown): string | null =>
  typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$/.test(value) ? value : null;

const MAX_WHY = 200;
/** What may stay of a word: small Latin letters, as no name is written and no number. */
const PLAIN_WORD = /^[("'‘“]*[a-zà-öø-ÿ]+(?:['’/-][a-zà-öø-ÿ]+)*[)"'’”.,;:!?]*$/;
const CUT = '[…]';

/**
 * The words with which an order was given, for a paper that leaves the house: a word with a capital letter or a digit
 * in it may be a name or a number, and so may one that is the caller's own id. Each is left out and shown as left out.
 * A name in small letters cannot be told from another word: docs/statement.md says so, and how to leave all words out.
 */
export const masked = (why: unknown, callers: readonly (string | null)[]): string => {
  if (typeof why !== 'string') return '';
  const secret = new Set(callers.flatMap((one) => (one === null ? [] : [one.toLowerCase()])));
  const words = why
    .slice(0, MAX_WHY)
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      const letters = word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
      return PLAIN_WORD.test(word) && !secret.has(letters) ? word : CUT;
    });
  return words.filter((word, i) => word !== CUT || words[i - 1] !== CUT).join(' ');
};
