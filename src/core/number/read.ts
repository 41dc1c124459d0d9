import { isDigit, isLetter, isSeparator } from './characters.js';
import type { Extension } from './key.js';
import { parseExtension } from './key.js';
import type { PhoneContext } from './parameters.js';
import { HOST_PARAMETERS_REFUSED, pairsFrom, readParameters } from './parameters.js';
import type { Unreadable } from './reasons.js';
import { unreadable } from './reasons.js';

/**
 * The front end: takes a URI, a dial string or a list entry apart, strictly, in one pass and
 * without regular expressions. It knows nothing of numbering plans. The phone library cannot do
 * this: it makes +1911 of 911 and a Texan number of *67 (facts: libraries section 4).
 */

/** 'dialled': from the wire or a keypad. 'listed': typed by a person, so spaces and 'ext. 12' too. */
export type Mode = 'dialled' | 'listed';

export type Reading =
  | {
      readonly kind: 'read';
      /** Only '+', digits, '*' and '#': an optional '+' or star code first, separators removed. */
      readonly dial: string;
      readonly extension: Extension | null;
      readonly context: PhoneContext;
    }
  | { readonly kind: 'sos' }
  | Unreadable;

/** Longest text that is looked at. A SIP URI of a number is under 100 characters. */
export const MAX_TEXT = 256;

/** Most digits kept: an outside line, a carrier, an international prefix and fifteen are under 32. */
const MAX_DIAL = 32;

/**
 * Reads a Request-URI or dial string (mode 'dialled') or one entry of a list file (mode 'listed').
 * @param limit longest text accepted; only the test of linear time asks for another.
 */
export const readAddress = (text: string, mode: Mode, limit: number = MAX_TEXT): Reading => {
  if (text.length > limit) return unreadable('text-too-long');
  const bad = offendingCharacter(text, mode);
  if (bad !== null) return bad;
  // No other white space than a space is left by now. What is cut off is at the end, so columns stay.
  const whole = text.trimEnd();
  if (whole === '') return unreadable('empty');
  let start = 0;
  while (whole[start] === ' ') start++;
  const colon = whole.indexOf(':', start);
  if (colon === -1) return readBare(whole, start, mode);
  const scheme = whole.slice(start, colon).toLowerCase();
  switch (scheme) {
    case 'sip':
    case 'sips':
      return readSip(whole, colon + 1, mode);
    case 'tel':
      return readTel(whole, colon + 1, mode);
    case 'urn':
      return readUrn(whole.slice(colon + 1).toLowerCase());
    default:
      return isLetter(whole.charAt(start))
        ? unreadable('scheme-unknown', start)
        : unreadable('password-in-uri', colon);
  }
};

const offendingCharacter = (text: string, mode: Mode): Unreadable | null => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return unreadable('not-ascii', i);
    if (code < 0x20 || code === 0x7f) return unreadable('control-character', i);
    if (code === 0x20 && mode === 'dialled') return unreadable('space', i);
  }
  return null;
};

/** RFC 5031: a phone may ask for the emergency service by name. */
const readUrn = (name: string): Reading =>
  name === 'service:sos' || name.startsWith('service:sos.') ? { kind: 'sos' } : unreadable('scheme-unknown');

const readSip = (text: string, start: number, mode: Mode): Reading => {
  const at = text.indexOf('@', start);
  if (at === -1 || at === start) return unreadable('no-user');
  const second = text.indexOf('@', at + 1);
  if (second !== -1) return unreadable('uri-malformed', second);
  const wrongHost = readHost(text, at + 1);
  if (wrongHost !== null) return wrongHost;
  const user = text.slice(0, at);
  const colon = user.indexOf(':', start);
  if (colon !== -1) return unreadable('password-in-uri', colon);
  return readUser(user, start, mode, true);
};

const readTel = (text: string, start: number, mode: Mode): Reading => {
  for (const [i, c] of [...text.slice(start)].entries()) {
    if (c === '?') return unreadable('uri-headers', start + i);
    if (c === '@' || c === ':') return unreadable('uri-malformed', start + i);
  }
  return readUser(text, start, mode, true);
};

/** A bare dial string is a user part as it stood on the wire; a bare list entry is never encoded. */
const readBare = (text: string, start: number, mode: Mode): Reading => {
  const at = text.indexOf('@', start);
  if (at !== -1) return unreadable('uri-malformed', at);
  return readUser(text, start, mode, mode === 'dialled');
};

/** Where the first parameter begins, or the text ends. */
const parametersAt = (text: string, start: number): number => {
  const semicolon = text.indexOf(';', start);
  return semicolon === -1 ? text.length : semicolon;
};

const readHost = (text: string, start: number): Unreadable | null => {
  const question = text.indexOf('?', start);
  if (question !== -1) return unreadable('uri-headers', question);
  const hostEnd = parametersAt(text, start);
  if (hostEnd === start) return unreadable('host-malformed', start);
  for (const [i, c] of [...text.slice(start, hostEnd)].entries()) {
    if (!isDigit(c) && !isLetter(c) && !'.-:[]_'.includes(c)) return unreadable('host-malformed', start + i);
  }
  for (const { from, text: pair, name } of pairsFrom(text, hostEnd)) {
    if (name === '') return unreadable('uri-malformed', from - 1);
    for (const [i, c] of [...pair].entries()) {
      if ('<>" '.includes(c)) return unreadable('uri-malformed', from + i);
    }
    // A percent sign in a name could spell a refused one.
    if (name.includes('%') || HOST_PARAMETERS_REFUSED.has(name)) {
      return unreadable('parameter-changes-destination', from);
    }
  }
  return null;
};

const readUser = (text: string, start: number, mode: Mode, encoded: boolean): Reading => {
  const subscriberEnd = parametersAt(text, start);
  const subscriber = readSubscriber(text.slice(0, subscriberEnd), start, mode, encoded);
  if ('reason' in subscriber) return subscriber;
  const parameters = readParameters(text, subscriberEnd);
  if ('reason' in parameters) return parameters;
  if (subscriber.extension !== null && parameters.extension !== null) {
    return unreadable('parameter-repeated', subscriberEnd);
  }
  return {
    kind: 'read',
    dial: subscriber.dial,
    extension: subscriber.extension ?? parameters.extension,
    context: parameters.context,
  };
};

type Subscriber = {
  readonly dial: string;
  readonly extension: Extension | null;
};

const readSubscriber = (
  text: string,
  start: number,
  mode: Mode,
  encoded: boolean,
): Subscriber | Unreadable => {
  const kept: string[] = [];
  let digits = 0;
  for (let i = start; i < text.length; i++) {
    const index = i;
    let c = text.charAt(i);
    if (c === '%') {
      if (!encoded) return unreadable('character-not-allowed', i);
      const decoded = decodePercent(text, i);
      if (typeof decoded !== 'string') return decoded;
      c = decoded;
      i += 2;
    }
    if (kept.length > MAX_DIAL) return unreadable('too-long', index);
    if (isDigit(c)) {
      kept.push(c);
      digits++;
    } else if (c === '+') {
      if (kept.length > 0) return unreadable('plus-misplaced', index);
      kept.push(c);
    } else if (c === '*' || c === '#') {
      // A star may only belong to a code that begins the string: *67, #31#, **.
      const first = kept[0] ?? c;
      if (first !== '*' && first !== '#') return unreadable('character-not-allowed', index);
      kept.push(c);
    } else if (isLetter(c)) {
      return readLetters(text, index, mode, digits, kept);
    } else if (c === ',') {
      return unreadable('post-dial-string', index);
    } else if (!isSeparator(c) && c !== ' ') {
      return unreadable('character-not-allowed', index);
    }
  }
  if (kept.length === 0 || (digits === 0 && kept[0] === '+')) return unreadable('no-digits');
  return { dial: kept.join(''), extension: null };
};

/** Decodes '%XX' once. What decodes to a percent sign was encoded twice; nothing is decoded twice. */
const decodePercent = (text: string, index: number): string | Unreadable => {
  const high = hexValue(text[index + 1]);
  const low = hexValue(text[index + 2]);
  if (high < 0 || low < 0) return unreadable('percent-encoding-invalid', index);
  const code = high * 16 + low;
  if (code > 0x7f) return unreadable('not-ascii', index);
  if (code < 0x20 || code === 0x7f) return unreadable('control-character', index);
  if (code === 0x20) return unreadable('space', index);
  if (code === 0x25) return unreadable('percent-encoding-doubled', index);
  return String.fromCharCode(code);
};

const hexValue = (c: string | undefined): number =>
  c === undefined ? -1 : '0123456789abcdef'.indexOf(c.toLowerCase());

const EXTENSION_MARKS = ['extension', 'ext', 'x'] as const;

/** Letters end a number: as an extension in a list ('x12', 'ext. 12'), and as a refusal otherwise. */
const readLetters = (
  text: string,
  index: number,
  mode: Mode,
  digits: number,
  kept: readonly string[],
): Subscriber | Unreadable => {
  const letter = text.charAt(index).toLowerCase();
  if (mode === 'listed' && digits > 0) {
    const rest = text.slice(index).toLowerCase();
    const mark = EXTENSION_MARKS.find((m) => rest.startsWith(m));
    if (mark !== undefined) {
      let from = mark.length;
      if (rest[from] === '.') from++;
      while (rest[from] === ' ') from++;
      const extension = parseExtension(rest.slice(from).trimEnd());
      if (extension !== null) return { dial: kept.join(''), extension };
      // 'x' before more letters is a word, not an extension.
      return unreadable(isLetter(rest.charAt(from)) ? 'letters' : 'extension-malformed', index);
    }
  }
  const afterDigits = digits > 0 && (letter === 'p' || letter === 'w' || letter === 'x');
  const next = text.charAt(index + 1);
  return unreadable(afterDigits && !isLetter(next) ? 'post-dial-string' : 'letters', index);
};

/**
 * The digits a text begins with, whatever follows them: '911' of '911,,1', of '911:pw@host' and of
 * '911' with a full-width digit after it. Only for recognising an emergency in what is refused.
 */
export const leadingDial = (text: string): string => {
  let start = 0;
  while (text[start] === ' ') start++;
  const scheme = text.slice(start, start + 5).toLowerCase();
  if (scheme === 'sips:') start += 5;
  else if (scheme.startsWith('sip:') || scheme.startsWith('tel:')) start += 4;
  const kept: string[] = [];
  for (let i = start; i < text.length; i++) {
    let c = text.charAt(i);
    if (c === '%') {
      const decoded = decodePercent(text, i);
      if (typeof decoded !== 'string') break;
      c = decoded;
      i += 2;
    }
    if (isDigit(c) || c === '*' || c === '#' || (c === '+' && kept.length === 0)) kept.push(c);
    else if (!isSeparator(c) && c !== ' ') break;
  }
  return kept.join('');
};
