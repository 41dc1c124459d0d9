import {
  COMMA,
  EQUALS,
  GREATER,
  isHostName,
  isTokenCode,
  isUriCode,
  isUriText,
  LESS,
  QUESTION,
  QUOTE,
  quotedEnd,
  SEMICOLON,
  SPACE,
  skipSpace,
  TAB,
  tokenEnd,
} from './scan.js';

/** What routing needs of a SIP or SIPS URI (RFC 3261 section 19.1). */
export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  readonly user: string | undefined;
  /** Lower case, IPv6 without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly transport: string | undefined;
  readonly maddr: string | undefined;
  readonly lr: boolean;
  /** True if header fields are embedded ("?Route=..."). */
  readonly hasHeaders: boolean;
}

/** The scheme of any URI in lower case, or '' if there is none. */
export function schemeOf(uri: string): string {
  const colon = uri.indexOf(':');
  return colon > 0 ? uri.slice(0, colon).toLowerCase() : '';
}

/** host [":" port] as in a URI or a Via's sent-by; IPv6 in brackets. Undefined if malformed. */
export function parseHostPort(text: string): { host: string; port: number | undefined } | undefined {
  let host = text;
  let rest = '';
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return undefined;
    host = text.slice(1, close);
    rest = text.slice(close + 1);
    for (let i = 0; i < host.length; i++)
      if (!'0123456789abcdefABCDEF:.'.includes(host.charAt(i))) return undefined;
    if (!host.includes(':')) return undefined;
  } else {
    const colon = text.indexOf(':');
    if (colon >= 0) {
      host = text.slice(0, colon);
      rest = text.slice(colon);
    }
    if (!isHostName(host)) return undefined;
  }
  if (rest === '') return { host: host.toLowerCase(), port: undefined };
  if (!rest.startsWith(':') || rest.length > 6) return undefined;
  let port = 0;
  for (let i = 1; i < rest.length; i++) {
    const digit = rest.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
  }
  if (port < 1 || port > 65535) return undefined;
  return { host: host.toLowerCase(), port };
}

/** Parses a SIP or SIPS URI; undefined for other schemes and for anything malformed. */
export function parseSipUri(uri: string): SipUri | undefined {
  const scheme = schemeOf(uri);
  if ((scheme !== 'sip' && scheme !== 'sips') || !isUriText(uri)) return undefined;
  const bodyStart = scheme.length + 1;
  // "@" may stand unescaped only between userinfo and host (section 25.1), so there is at most one.
  const at = uri.indexOf('@', bodyStart);
  if (at >= 0 && uri.indexOf('@', at + 1) >= 0) return undefined;
  const user = at < 0 ? undefined : uri.slice(bodyStart, at);
  if (user === '') return undefined;
  const hostStart = at < 0 ? bodyStart : at + 1;
  const question = uri.indexOf('?', hostStart);
  const end = question < 0 ? uri.length : question;
  let hostEnd = uri.indexOf(';', hostStart);
  if (hostEnd < 0 || hostEnd > end) hostEnd = end;
  const hostPort = parseHostPort(uri.slice(hostStart, hostEnd));
  if (hostPort === undefined) return undefined;

  let transport: string | undefined;
  let maddr: string | undefined;
  let lr = false;
  if (hostEnd < end) {
    for (const param of uri.slice(hostEnd + 1, end).split(';')) {
      if (param === '') return undefined;
      const eq = param.indexOf('=');
      const name = (eq < 0 ? param : param.slice(0, eq)).toLowerCase();
      if (name === 'lr') lr = true;
      else if (name === 'transport' && eq >= 0) transport = param.slice(eq + 1).toLowerCase();
      else if (name === 'maddr' && eq >= 0) maddr = param.slice(eq + 1).toLowerCase();
    }
  }
  return {
    scheme,
    user,
    host: hostPort.host,
    port: hostPort.port,
    transport,
    maddr,
    lr,
    hasHeaders: question >= 0,
  };
}

/** One name-addr or addr-spec with its header parameters (From, To, Contact, Route ...). */
export interface NameAddr {
  readonly uri: string;
  /** Where the URI stands in the value. */
  readonly uriStart: number;
  readonly uriEnd: number;
  /** The tag parameter, or undefined. */
  readonly tag: string | undefined;
  /** Index after this element: the end of the value, or at a comma. */
  readonly end: number;
}

/** The URI between angle brackets, or -1; `at` is behind the "<". Spaces are not allowed inside (RFC 4475 3.1.2.14). */
function bracketedEnd(value: string, at: number): number {
  let i = at;
  while (i < value.length && isUriCode(value.charCodeAt(i))) i++;
  return value.charCodeAt(i) === GREATER ? i : -1;
}

/** Finds the "<" after an optional display name; -1 if there is none: an addr-spec without brackets, or malformed. */
function findAngle(value: string, at: number): number {
  if (value.charCodeAt(at) === QUOTE) {
    const close = quotedEnd(value, at);
    if (close < 0) return -1;
    const angle = skipSpace(value, close);
    return value.charCodeAt(angle) === LESS ? angle : -1;
  }
  let i = at;
  for (;;) {
    const code = value.charCodeAt(i);
    if (code === LESS) return i;
    const end = tokenEnd(value, i);
    if (end === i) return -1;
    i = skipSpace(value, end);
  }
}

interface Params {
  readonly tag: string | undefined;
  readonly end: number;
}

/** *( SEMI generic-param ) up to a comma or the end; undefined if malformed. */
function parseParams(value: string, at: number): Params | undefined {
  let tag: string | undefined;
  let i = skipSpace(value, at);
  while (i < value.length && value.charCodeAt(i) === SEMICOLON) {
    i = skipSpace(value, i + 1);
    const nameEnd = tokenEnd(value, i);
    if (nameEnd === i) return undefined;
    const name = value.slice(i, nameEnd);
    i = skipSpace(value, nameEnd);
    if (value.charCodeAt(i) !== EQUALS) continue;
    i = skipSpace(value, i + 1);
    const start = i;
    if (value.charCodeAt(i) === QUOTE) {
      i = quotedEnd(value, i);
      if (i < 0) return undefined;
    } else {
      // gen-value is token, host or quoted-string; IPv6 hosts bring brackets and colons.
      while (i < value.length) {
        const code = value.charCodeAt(i);
        if (!isTokenCode(code) && code !== 58 && code !== 91 && code !== 93) break;
        i++;
      }
      if (i === start) return undefined;
    }
    if (name.toLowerCase() === 'tag') {
      // A tag becomes part of the dialog id on the application's wire, so it must be the token it has to be.
      tag = value.slice(start, i);
      if (tokenEnd(tag, 0) !== tag.length) return undefined;
    }
    i = skipSpace(value, i);
  }
  if (i < value.length && value.charCodeAt(i) !== COMMA) return undefined;
  return { tag, end: i };
}

/**
 * Parses the name-addr or addr-spec at `at`. Strict: what is not in the grammar is undefined, because the
 * application's own parser is slow on such text (facts: drachtio-srf's address pattern is cubic).
 */
export function parseNameAddr(value: string, at = 0): NameAddr | undefined {
  const start = skipSpace(value, at);
  const angle = findAngle(value, start);
  let uriStart: number;
  let uriEnd: number;
  let paramsAt: number;
  if (angle >= 0) {
    uriStart = angle + 1;
    uriEnd = bracketedEnd(value, uriStart);
    if (uriEnd < 0) return undefined;
    paramsAt = uriEnd + 1;
  } else {
    // RFC 3261 section 20.10: without brackets, everything from the first ";" on belongs to the header, and a URI with
    // "," or "?" needs brackets. What begins with a quote has no URI code there and is refused here.
    uriStart = start;
    uriEnd = start;
    while (uriEnd < value.length) {
      const code = value.charCodeAt(uriEnd);
      if (code === SEMICOLON || code === COMMA || code === SPACE || code === TAB) break;
      if (code === QUESTION || !isUriCode(code)) return undefined;
      uriEnd++;
    }
    paramsAt = uriEnd;
  }
  const uri = value.slice(uriStart, uriEnd);
  const scheme = schemeOf(uri);
  if (scheme === '' || tokenEnd(scheme, 0) !== scheme.length) return undefined;
  if ((scheme === 'sip' || scheme === 'sips') && parseSipUri(uri) === undefined) return undefined;
  const params = parseParams(value, paramsAt);
  if (params === undefined) return undefined;
  return { uri, uriStart, uriEnd, tag: params.tag, end: params.end };
}

/** Parses a header that holds exactly one address. */
export function parseOneAddr(value: string): NameAddr | undefined {
  const addr = parseNameAddr(value);
  return addr !== undefined && addr.end === value.length ? addr : undefined;
}

/** Parses a comma separated list of addresses; undefined if any is malformed. */
export function parseAddrList(value: string): NameAddr[] | undefined {
  const list: NameAddr[] = [];
  let at = 0;
  for (;;) {
    const addr = parseNameAddr(value, at);
    if (addr === undefined) return undefined;
    list.push(addr);
    if (addr.end >= value.length) return list;
    at = addr.end + 1;
  }
}

/**
 * Replaces the host `localhost` of a header's URI (facts page, section 6: the agent puts its own in its place). With
 * `params` (";transport=tcp") the URI gets them too, in brackets, since without brackets they would be the header's.
 */
export function replaceLocalhost(value: string, hostPort: string, params = ''): string {
  if (!value.includes('localhost')) return value;
  const addr = parseNameAddr(value);
  const parsed = addr === undefined ? undefined : parseSipUri(addr.uri);
  if (addr === undefined || parsed?.host !== 'localhost') return value;
  const at = addr.uri.indexOf('@');
  const hostStart = at >= 0 ? at + 1 : addr.uri.indexOf(':') + 1;
  let hostEnd = hostStart;
  while (hostEnd < addr.uri.length) {
    const code = addr.uri.charCodeAt(hostEnd);
    if (code === SEMICOLON || code === QUESTION) break;
    hostEnd++;
  }
  const extra = parsed.transport === undefined ? params : '';
  const uri = addr.uri.slice(0, hostStart) + hostPort + extra + addr.uri.slice(hostEnd);
  const bracketed = value.charCodeAt(addr.uriStart - 1) === LESS || extra === '';
  return value.slice(0, addr.uriStart) + (bracketed ? uri : `<${uri}>`) + value.slice(addr.uriEnd);
}

/** An IP address as it stands in a URI or a Via: IPv6 in brackets. */
export const bracket = (host: string): string => (host.includes(':') ? `[${host}]` : host);
