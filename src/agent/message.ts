import { canonicalName, type HeaderLine, labelOf } from './header-names.js';
import type { AgentLimits } from './limits.js';
import { COLON, isToken, SPACE, skipSpace, TAB, tokenEnd, trimSpace } from './scan.js';

/** Why a message is not acceptable: the status a request is answered with, and a short text for the status line. */
export interface Fault {
  readonly status: 400 | 414 | 416 | 505 | 513;
  readonly reason: string;
}

/**
 * A parsed SIP message. All text is latin1: one character is one byte as it was on the wire.
 */
export class SipMessage {
  method = '';
  uri = '';
  status = 0;
  reason = '';
  readonly headers: HeaderLine[] = [];
  body = '';
  /** The message as it may be handed on unchanged, or undefined if it must be written anew (see appText). */
  plain: string | undefined;

  get isRequest(): boolean {
    return this.status === 0;
  }

  /** The value of the first line with this canonical name. */
  get(name: string): string | undefined {
    for (const line of this.headers) if (line.name === name) return line.value;
    return undefined;
  }

  /** The values of all lines with this canonical name, in order. */
  all(name: string): string[] {
    const values: string[] = [];
    for (const line of this.headers) if (line.name === name) values.push(line.value);
    return values;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }
}

/** How the end of a message is known: the datagram, the Content-Length of a stream, or an application's frame. */
export type Framing = 'datagram' | 'stream' | 'frame';

export interface Parsed {
  /** What could be read, also if there is a fault; undefined if it is not SIP at all. */
  readonly message: SipMessage | undefined;
  readonly fault: Fault | undefined;
}

const fault = (reason: string, status: Fault['status'] = 400): Fault => ({ status, reason });

function parseStatusLine(line: string, message: SipMessage): Fault | undefined {
  // Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; the reason may be empty.
  const code = line.slice(8, 11);
  const next = line.charAt(11);
  if (
    line.slice(0, 8).toUpperCase() !== 'SIP/2.0 ' ||
    (next !== ' ' && next !== '') ||
    !/^[1-6][0-9][0-9]$/.test(code)
  ) {
    message.status = 999;
    return fault('Malformed status line');
  }
  message.status = Number(code);
  // U+2028 and U+2029 (here in their UTF-8 bytes) end a line for the application's library, which then reads no status.
  message.reason = line.slice(12).replace(/\xe2\x80[\xa8\xa9]/g, ' ');
  return undefined;
}

/** True for SIP "/" digits "." digits in any case. */
function isSipVersion(text: string): boolean {
  if (text.length > 20 || text.slice(0, 4).toUpperCase() !== 'SIP/') return false;
  return /^[0-9]+\.[0-9]+$/.test(text.slice(4));
}

function parseRequestLine(line: string, message: SipMessage, uriBytes: number): Fault | undefined {
  const first = line.indexOf(' ');
  message.method = first < 0 ? line : line.slice(0, first);
  if (first < 0 || !isToken(message.method)) return fault('Malformed request line');
  const last = line.lastIndexOf(' ');
  message.uri = line.slice(first + 1, last > first ? last : line.length);
  const version = last > first ? line.slice(last + 1) : '';
  if (!isSipVersion(version)) return fault('Malformed request line');
  if (version.slice(4) !== '2.0') return fault('Version Not Supported', 505);
  if (message.uri === '' || message.uri.includes(' ') || message.uri.includes('\t'))
    return fault('Malformed Request-URI');
  return message.uri.length > uriBytes ? fault('Request-URI Too Long', 414) : undefined;
}

/**
 * True if a NUL, a bare CR or a bare LF stands in the head (which is known to have CRLF line ends). A head that begins
 * with a LF has no start line, which is found before.
 */
const brokenLine = /\0|\r(?!\n)|[^\r]\n/;

/**
 * Splits the head into header lines, unfolding continuation lines to one space (RFC 3261 section 7.3.1).
 * Returns the first fault; what could be read before and after it is in the message. `end` is where the CRLF CRLF begins,
 * or the end of the text: no line goes beyond it.
 */
function parseHeaders(text: string, from: number, end: number, message: SipMessage, limits: AgentLimits) {
  let found: Fault | undefined;
  let plain = true;
  let at = from;
  while (at < end) {
    let lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) lineEnd = end;
    let folded: string[] | undefined;
    let next = lineEnd + 2;
    while (next < end && (text.charCodeAt(next) === SPACE || text.charCodeAt(next) === TAB)) {
      let foldEnd = text.indexOf('\r\n', next);
      if (foldEnd < 0) foldEnd = end;
      folded ??= [];
      folded.push(trimSpace(text.slice(next, foldEnd)));
      next = foldEnd + 2;
    }
    const nameEnd = tokenEnd(text, at);
    const colon = skipSpace(text, nameEnd);
    if (nameEnd === at || text.charCodeAt(colon) !== COLON) {
      found ??= fault('Malformed header line');
    } else if (next - at > limits.headerLineBytes) {
      found ??= fault('Header line too long', 513);
    } else {
      let value = trimSpace(text.slice(colon + 1, lineEnd));
      if (folded !== undefined) {
        value = trimSpace(value + ' ' + folded.join(' '));
        plain = false;
      }
      const label = text.slice(at, nameEnd);
      const name = canonicalName(label);
      // Compact forms are spelt out for the application, whose library knows only some of them; a name with "%" would be
      // unescaped by it into another header, and two names collide with properties of its objects.
      if (label.length === 1 || colon !== nameEnd || label.includes('%')) plain = false;
      else if (name === '__proto__' || name === 'constructor') plain = false;
      if (message.headers.length >= limits.headerLines)
        return { found: found ?? fault('Too many headers', 513), plain };
      message.headers.push({ name, label, value });
    }
    at = next;
  }
  return { found, plain };
}

/** Content-Length of the message: a number, 'absent', or 'bad' (malformed, or several that differ). */
function contentLength(message: SipMessage): number | 'absent' | 'bad' {
  let length: number | 'absent' | 'bad' = 'absent';
  for (const line of message.headers) {
    if (line.name !== 'content-length') continue;
    const value = line.value.length <= 9 && /^[0-9]+$/.test(line.value) ? Number(line.value) : undefined;
    // Even equal repetitions are a sign of smuggling (RFC 4475 section 3.3.9).
    if (value === undefined || length !== 'absent') return 'bad';
    length = value;
  }
  return length;
}

/** UTF-16 length of latin1-held UTF-8 text: what drachtio-srf writes as Content-Length (facts, section 1). */
function characters(body: string): number {
  return Buffer.from(body, 'latin1').toString('utf8').length;
}

/** Cuts the body by Content-Length and says what is wrong with it. */
function takeBody(message: SipMessage, rest: string, framing: Framing): Fault | undefined {
  const length = contentLength(message);
  if (length === 'bad') return fault('Bad Content-Length');
  if (framing === 'frame') {
    // The rest of the frame is the body. A length that fits neither bytes nor characters means that an empty line
    // was smuggled into a header, which would turn headers into body.
    message.body = rest;
    if (length === 'absent') return rest === '' ? undefined : fault('Missing Content-Length');
    return length === rest.length || length === characters(rest)
      ? undefined
      : fault('Content-Length mismatch');
  }
  if (length === 'absent') {
    message.body = rest;
    return framing === 'stream' ? fault('Missing Content-Length') : undefined;
  }
  if (length > rest.length) {
    message.body = rest;
    return fault('Content-Length mismatch');
  }
  message.body = rest.slice(0, length);
  return undefined;
}

/**
 * Parses one message from latin1 text in one pass. Never throws, never takes more than linear time.
 */
export function parseMessage(text: string, limits: AgentLimits, framing: Framing): Parsed {
  let start = 0;
  // RFC 3261 section 7.5: CRLFs before the start line are ignored.
  while (text.startsWith('\r\n', start)) start += 2;
  const lineEnd = text.indexOf('\r\n', start);
  if (lineEnd < 0) return { message: undefined, fault: fault('No SIP message') };
  const message = new SipMessage();
  const startLine = text.slice(start, lineEnd);
  let found: Fault | undefined;
  if (isSipVersion(startLine.slice(0, 7))) {
    found = parseStatusLine(startLine, message);
  } else {
    if (startLine.charCodeAt(0) === SPACE || startLine.length > limits.messageBytes) {
      return { message: undefined, fault: fault('No SIP message') };
    }
    found = parseRequestLine(startLine, message, limits.uriBytes);
  }
  let headEnd = text.indexOf('\r\n\r\n', lineEnd);
  let bodyAt = headEnd + 4;
  if (headEnd < 0) {
    headEnd = text.length;
    bodyAt = text.length;
    found ??= fault('Missing end of headers');
  }
  if (brokenLine.test(text.slice(start, headEnd))) found ??= fault('Illegal character');
  const headers = parseHeaders(text, lineEnd + 2, headEnd, message, limits);
  found ??= headers.found;
  const rest = text.slice(bodyAt);
  found ??= takeBody(message, rest, framing);
  // The version may come in any case (RFC 3261 section 7.1) and is handed on in upper case: the library reads no other.
  const same = startLine === startLineOf(message);
  if (found === undefined && same && headers.plain && message.has('content-length')) {
    message.plain =
      start === 0 && message.body.length === rest.length ? text : text.slice(start, bodyAt) + message.body;
  }
  return { message, fault: found };
}

function startLineOf(message: SipMessage): string {
  return message.isRequest
    ? `${message.method} ${message.uri} SIP/2.0`
    : `SIP/2.0 ${message.status} ${message.reason}`;
}

/** The message as the application gets it: its start line in our spelling, unfolded, long header names, a right Content-Length, nothing after the body. */
export function appText(message: SipMessage): string {
  if (message.plain !== undefined) return message.plain;
  let text = `${startLineOf(message)}\r\n`;
  for (const line of message.headers) {
    if (line.name === 'content-length' || line.label.includes('%')) continue;
    if (line.name === '__proto__' || line.name === 'constructor') continue;
    text += `${line.label.length === 1 ? labelOf(line) : line.label}: ${line.value}\r\n`;
  }
  return `${text}Content-Length: ${message.body.length}\r\n\r\n${message.body}`;
}
