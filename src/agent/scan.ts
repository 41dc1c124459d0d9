/**
 * Character classes and small scanners over latin1 text: one character is one byte of the message, so UTF-8
 * passes through untouched. Everything here is a single pass over its input; nothing backtracks.
 */
const TOKEN = 1;
const WORD = 2;
const URI = 4;
const DIGIT = 8;
const HOST = 16;

const classes = new Uint8Array(256);
function mark(bit: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    classes[code] = (classes[code] ?? 0) | bit;
  }
}
const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
// RFC 3261 section 25.1: token, word (the two halves of a Call-ID), digits.
mark(TOKEN | WORD, alphanumeric + "-.!%*_+`'~");
mark(WORD, '()<>:\\"/[]?{}');
mark(DIGIT, '0123456789');
mark(HOST, alphanumeric + '-._');
// Printable ASCII without space, angle brackets and double quote: what may stand in a URI at all.
for (let code = 0x21; code < 0x7f; code++) {
  if (code !== 0x22 && code !== 0x3c && code !== 0x3e) classes[code] = (classes[code] ?? 0) | URI;
}

export const TAB = 9;
export const SPACE = 32;
export const QUOTE = 34;
export const COMMA = 44;
export const SLASH = 47;
export const COLON = 58;
export const SEMICOLON = 59;
export const LESS = 60;
export const EQUALS = 61;
export const GREATER = 62;
export const QUESTION = 63;
const BACKSLASH = 92;

const has = (code: number, bit: number): boolean => ((classes[code] ?? 0) & bit) !== 0;

export const isTokenCode = (code: number): boolean => has(code, TOKEN);
export const isUriCode = (code: number): boolean => has(code, URI);

function all(text: string, bit: number): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) if (!has(text.charCodeAt(i), bit)) return false;
  return true;
}

export const isToken = (text: string): boolean => all(text, TOKEN);
const isDigits = (text: string): boolean => all(text, DIGIT);
export const isHostName = (text: string): boolean => all(text, HOST);
export const isUriText = (text: string): boolean => all(text, URI);

/** callid = word [ "@" word ] (RFC 3261 section 25.1). */
export function isCallId(text: string): boolean {
  const at = text.indexOf('@');
  if (at < 0) return all(text, WORD);
  return all(text.slice(0, at), WORD) && all(text.slice(at + 1), WORD);
}

/** The index of the first character at or after `at` that is no space or tab. */
export function skipSpace(text: string, at: number): number {
  let i = at;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code !== SPACE && code !== TAB) break;
    i++;
  }
  return i;
}

/** The index after the token that starts at `at` (equal to `at` if there is none). */
export function tokenEnd(text: string, at: number): number {
  let i = at;
  while (i < text.length && has(text.charCodeAt(i), TOKEN)) i++;
  return i;
}

/** The index after the closing quote of the quoted string that starts at `at`, or -1 if it never closes. */
export function quotedEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return -1;
}

/** Without spaces and tabs at both ends. */
export function trimSpace(text: string): string {
  const start = skipSpace(text, 0);
  let end = text.length;
  while (end > start) {
    const code = text.charCodeAt(end - 1);
    if (code !== SPACE && code !== TAB) break;
    end--;
  }
  return text.slice(start, end);
}

/** Splits a header value at commas outside quotes and angle brackets. */
export function splitList(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let inAngle = false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === QUOTE) {
      const end = quotedEnd(value, i);
      if (end < 0) break;
      i = end - 1;
    } else if (code === LESS) inAngle = true;
    else if (code === GREATER) inAngle = false;
    else if (code === COMMA && !inAngle) {
      parts.push(trimSpace(value.slice(start, i)));
      start = i + 1;
    }
  }
  parts.push(trimSpace(value.slice(start)));
  return parts;
}

/** A decimal number of at most ten digits, or undefined. */
export function decimal(text: string): number | undefined {
  // Leading zeros are legal (RFC 4475 section 3.1.1.1 has "0009"), so the length is judged without them.
  let start = 0;
  while (text.charCodeAt(start) === 48) start++;
  if (text.length - start > 10 || !isDigits(text)) return undefined;
  return Number(text);
}

/**
 * A copy that shares no memory with the message it was cut from. V8 keeps a whole message alive for a substring of
 * it; what outlives its message (a dialog's state) is detached first.
 */
export const detach = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** True if the text has a character that may never stand in a header value: NUL, CR or LF. */
export function hasBreak(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code === 10 || code === 13) return true;
  }
  return false;
}
