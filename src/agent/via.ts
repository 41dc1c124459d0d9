import {
  COMMA,
  EQUALS,
  isHostName,
  isTokenCode,
  QUOTE,
  quotedEnd,
  SEMICOLON,
  SLASH,
  SPACE,
  skipSpace,
  TAB,
  tokenEnd,
} from './scan.js';
import { bracket, parseHostPort } from './uri.js';

/** The topmost Via value of a message (RFC 3261 section 20.42). */
export interface Via {
  /** Upper case: UDP, TCP, ... */
  readonly transport: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly branch: string | undefined;
  readonly params: readonly (readonly [name: string, value: string | undefined])[];
  /** Index in the value after this element (at a comma, or the end). */
  readonly end: number;
}

/** The index behind this token (in capitals) and a "/" with optional space around it; -1 if they are not there. */
function behind(token: string, value: string, at: number): number {
  const end = tokenEnd(value, at);
  if (value.slice(at, end).toUpperCase() !== token) return -1;
  const slash = skipSpace(value, end);
  return value.charCodeAt(slash) === SLASH ? skipSpace(value, slash + 1) : -1;
}

function parseViaParams(
  value: string,
  at: number,
): { params: [string, string | undefined][]; end: number } | undefined {
  const params: [string, string | undefined][] = [];
  let i = skipSpace(value, at);
  while (i < value.length && value.charCodeAt(i) === SEMICOLON) {
    i = skipSpace(value, i + 1);
    const nameEnd = tokenEnd(value, i);
    if (nameEnd === i) return undefined;
    const name = value.slice(i, nameEnd).toLowerCase();
    i = skipSpace(value, nameEnd);
    if (value.charCodeAt(i) !== EQUALS) {
      params.push([name, undefined]);
      continue;
    }
    i = skipSpace(value, i + 1);
    const start = i;
    if (value.charCodeAt(i) === QUOTE) {
      i = quotedEnd(value, i);
      if (i < 0) return undefined;
    } else {
      while (i < value.length) {
        const code = value.charCodeAt(i);
        if (!isTokenCode(code) && code !== 58 && code !== 91 && code !== 93) break;
        i++;
      }
    }
    params.push([name, value.slice(start, i)]);
    i = skipSpace(value, i);
  }
  return i < value.length && value.charCodeAt(i) !== COMMA ? undefined : { params, end: i };
}

/** Parses the first Via of a header value; undefined if malformed. */
export function parseVia(value: string): Via | undefined {
  const versionAt = behind('SIP', value, 0);
  if (versionAt < 0) return undefined;
  const transportAt = behind('2.0', value, versionAt);
  if (transportAt < 0) return undefined;
  const transportEnd = tokenEnd(value, transportAt);
  const hostAt = skipSpace(value, transportEnd);
  if (hostAt === transportEnd) return undefined;
  let hostEnd = hostAt;
  while (hostEnd < value.length) {
    const code = value.charCodeAt(hostEnd);
    if (code === SEMICOLON || code === COMMA || code === SPACE || code === TAB) break;
    hostEnd++;
  }
  let sentBy = value.slice(hostAt, hostEnd);
  // COLON may have space around it: "host : 5060".
  let next = skipSpace(value, hostEnd);
  const apart = value.charAt(next) === ':';
  if (apart || sentBy.endsWith(':')) {
    const start = apart ? skipSpace(value, next + 1) : next;
    next = start;
    while (isHostName(value.charAt(next))) next++;
    sentBy = (apart ? `${sentBy}:` : sentBy) + value.slice(start, next);
  }
  const hostPort = parseHostPort(sentBy);
  if (hostPort === undefined) return undefined;
  const rest = parseViaParams(value, next);
  if (rest === undefined) return undefined;
  let branch: string | undefined;
  for (const [name, param] of rest.params) if (name === 'branch') branch = param;
  return {
    transport: value.slice(transportAt, transportEnd).toUpperCase(),
    host: hostPort.host,
    port: hostPort.port,
    branch: branch === '' ? undefined : branch,
    params: rest.params,
    end: rest.end,
  };
}

/** True if the sender asks for symmetric response routing (RFC 3581 section 3). */
const wantsRport = (via: Via): boolean => via.params.some(([name]) => name === 'rport');

/**
 * The Via header value as a response must carry it: `received` if the sender's address is not what it wrote (RFC 3261
 * section 18.2.1), `rport` filled in if it asked (RFC 3581 section 4). The other elements of the value stay as they are.
 */
export function stampVia(value: string, via: Via, address: string, port: number): string {
  const rport = wantsRport(via);
  const foreign = via.params.some(([name]) => name === 'received');
  if (!rport && !foreign && via.host === address) return value;
  let out = `SIP/2.0/${via.transport} ${bracket(via.host)}`;
  if (via.port !== undefined) out += ':' + via.port;
  for (const [name, param] of via.params) {
    if (name === 'received' || name === 'rport') continue;
    out += param === undefined ? ';' + name : `;${name}=${param}`;
  }
  if (rport || via.host !== address) out += ';received=' + address;
  if (rport) out += ';rport=' + port;
  return out + value.slice(via.end);
}
