/** Messages larger than this are not read (RFC 3261 section 18.1.1 expects 64 KiB at most over UDP). */
export const MAX_MESSAGE_BYTES = 65_535;

const MAX_HEADERS = 256;

/** Compact forms (RFC 3261 section 7.3.3 and the IANA registry) that are read. */
const compactNames: Readonly<Record<string, string>> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
  s: 'subject',
  k: 'supported',
  e: 'content-encoding',
  o: 'event',
  r: 'refer-to',
  b: 'referred-by',
  u: 'allow-events',
  x: 'session-expires',
};

function canonical(name: string): string {
  const lower = name.toLowerCase();
  return lower.length === 1 ? (compactNames[lower] ?? lower) : lower;
}

/** Header fields in the order of the message. Names are matched in any case and in compact form. */
export class SipHeaders {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  add(name: string, value: string): void {
    this.#names.push(canonical(name));
    this.#values.push(value);
  }

  /** The value of the first such field. */
  get(name: string): string | undefined {
    const index = this.#names.indexOf(canonical(name));
    return index < 0 ? undefined : this.#values[index];
  }

  /** The values of all such fields, one for each line, not split at commas. */
  all(name: string): string[] {
    const wanted = canonical(name);
    return this.#values.filter((_, index) => this.#names[index] === wanted);
  }

  /** The values of a list header (Via, Route, Record-Route, Contact), split at its commas. */
  list(name: string): string[] {
    return this.all(name).flatMap(splitList);
  }

  /** Appends to the last field: a folded line (RFC 3261 section 7.3.1). */
  fold(more: string): boolean {
    const last = this.#values.length - 1;
    if (last < 0) return false;
    this.#values[last] = `${this.#values[last]} ${more}`;
    return true;
  }

  get size(): number {
    return this.#names.length;
  }
}

/** Splits at commas that stand outside quotes and angle brackets. */
function splitList(value: string): string[] {
  if (!value.includes(',')) return [value];
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  let angled = false;
  for (let at = 0; at < value.length; at++) {
    const letter = value[at];
    if (letter === '"' && value[at - 1] !== '\\') quoted = !quoted;
    else if (quoted) continue;
    else if (letter === '<') angled = true;
    else if (letter === '>') angled = false;
    else if (letter === ',' && !angled) {
      parts.push(value.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(value.slice(start).trim());
  return parts.filter((part) => part !== '');
}

export interface SipRequest {
  readonly kind: 'request';
  readonly method: string;
  /** The Request-URI exactly as it stood in the message. */
  readonly uri: string;
  readonly headers: SipHeaders;
  readonly body: string;
  /** The whole message exactly as received. */
  readonly text: string;
}

export interface SipResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
  readonly headers: SipHeaders;
  readonly body: string;
  readonly text: string;
}

export type SipMessage = SipRequest | SipResponse;

/** Header lines read one by one; undefined when a line is none. */
function parseHeaders(head: string, start: number): SipHeaders | undefined {
  const headers = new SipHeaders();
  let at = start;
  while (at < head.length) {
    let end = head.indexOf('\r\n', at);
    if (end < 0) end = head.length;
    const first = head.charCodeAt(at);
    if (first === 0x20 || first === 0x09) {
      if (!headers.fold(head.slice(at, end).trim())) return undefined;
    } else {
      const colon = head.indexOf(':', at);
      if (colon < 0 || colon >= end || headers.size >= MAX_HEADERS) return undefined;
      headers.add(head.slice(at, colon).trim(), head.slice(colon + 1, end).trim());
    }
    at = end + 2;
  }
  return headers;
}

/**
 * Reads one message: its head (without the empty line) and its body. Undefined for anything that is not SIP/2.0 with
 * the fields every message needs (RFC 3261 section 8.1.1): the phones ignore it, and count it.
 */
export function parseSip(head: string, body: string): SipMessage | undefined {
  let firstEnd = head.indexOf('\r\n');
  if (firstEnd < 0) firstEnd = head.length;
  const startLine = head.slice(0, firstEnd);
  const headers = parseHeaders(head, firstEnd + 2);
  if (headers === undefined) return undefined;
  if (!['via', 'from', 'to', 'call-id', 'cseq'].every((name) => headers.get(name) !== undefined))
    return undefined;
  const text = `${head}\r\n\r\n${body}`;
  if (startLine.startsWith('SIP/2.0 ')) {
    const status = Number(startLine.slice(8, 11));
    if (!Number.isInteger(status) || status < 100 || status > 699) return undefined;
    return { kind: 'response', status, reason: startLine.slice(12), headers, body, text };
  }
  const methodEnd = startLine.indexOf(' ');
  const uriEnd = startLine.lastIndexOf(' ');
  if (methodEnd <= 0 || uriEnd <= methodEnd || startLine.slice(uriEnd + 1) !== 'SIP/2.0') return undefined;
  const method = startLine.slice(0, methodEnd);
  return { kind: 'request', method, uri: startLine.slice(methodEnd + 1, uriEnd), headers, body, text };
}

/** Writes a message: Content-Length (in bytes) is added, everything else is as given. */
export function writeSip(
  startLine: string,
  headers: readonly (readonly [string, string])[],
  body: string,
): string {
  let text = startLine + '\r\n';
  for (const [name, value] of headers) text += name + ': ' + value + '\r\n';
  return text + 'Content-Length: ' + Buffer.byteLength(body) + '\r\n\r\n' + body;
}

/** The number and the method of a CSeq value. */
export function parseCseq(value: string | undefined): { number: number; method: string } {
  const [number = '', method = ''] = (value ?? '').split(/\s+/, 2);
  return { number: Number.parseInt(number, 10), method };
}

/** A parameter after the closing bracket of a name-addr, or of a Via: `parameter(to, 'tag')`. */
export function parameter(value: string, name: string): string | undefined {
  const start = value.lastIndexOf('>') + 1;
  for (const piece of value.slice(start).split(';').slice(1)) {
    const equals = piece.indexOf('=');
    const key = (equals < 0 ? piece : piece.slice(0, equals)).trim();
    if (key.toLowerCase() === name) return equals < 0 ? '' : piece.slice(equals + 1).trim();
  }
  return undefined;
}

/** The URI inside a name-addr or addr-spec. */
export function uriOf(value: string): string {
  const open = value.indexOf('<', value.startsWith('"') ? value.indexOf('"', 1) : 0);
  if (open >= 0) return value.slice(open + 1, value.indexOf('>', open));
  const semicolon = value.indexOf(';');
  return semicolon < 0 ? value.trim() : value.slice(0, semicolon).trim();
}

/** Where the URI points: host and port (5060 when absent), and its transport parameter. */
export function targetOf(uri: string): { host: string; port: number } {
  const scheme = uri.indexOf(':');
  const question = uri.indexOf('?');
  const bare = question < 0 ? uri : uri.slice(0, question);
  // The user part may hold ';' and ':', so the host starts after the last '@'.
  const at = bare.lastIndexOf('@');
  const rest = bare.slice((at < 0 ? scheme : at) + 1);
  const semicolon = rest.indexOf(';');
  return hostPort(semicolon < 0 ? rest : rest.slice(0, semicolon));
}

/** 'host:port', 'host' or '[v6]:port'; the port is 5060 when absent. */
export function hostPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const bracket = text.lastIndexOf(']');
  if (colon < 0 || colon < bracket) return { host: text.replace(/^\[|\]$/g, ''), port: 5060 };
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) || 5060 };
}
