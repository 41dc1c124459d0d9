import type { AgentLimits } from './limits.js';
import type { Fault, SipMessage } from './message.js';
import { decimal, isCallId, isToken, isUriText, SPACE, splitList, TAB, trimSpace } from './scan.js';
import { type NameAddr, parseAddrList, parseOneAddr, parseSipUri, schemeOf } from './uri.js';
import { parseVia, type Via } from './via.js';

/** What the transaction and dialog layers read of every message. */
export interface Parts {
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly seq: number;
  readonly seqMethod: string;
}

type Checked = { readonly ok: true; readonly parts: Parts } | { readonly ok: false; readonly fault: Fault };

const bad = (reason: string, status: Fault['status'] = 400): Checked => ({
  ok: false,
  fault: { status, reason },
});

/** Headers that may stand once only (RFC 3261 section 7.3.1); a second one is ambiguous and refused (RFC 4475 3.3.8). */
const singletons: readonly string[] = ['from', 'to', 'call-id', 'cseq', 'max-forwards'];

/**
 * Headers of requests whose values must be addresses. From, To and Contact the agent needs itself; the others are
 * checked because the application's library reads them with a pattern that is cubic on malformed text.
 */
const addressHeaders = new Set([
  'contact',
  'route',
  'record-route',
  'path',
  'refer-to',
  'referred-by',
  'p-asserted-identity',
  'p-preferred-identity',
  'remote-party-id',
  'diversion',
]);

/** Of responses only what the agent and the library read by themselves: a call should not fail for the rest. */
const responseAddressHeaders = new Set(['contact', 'record-route']);

function parseCSeq(value: string): { seq: number; method: string } | undefined {
  let i = 0;
  while (i < value.length && value.charCodeAt(i) !== SPACE && value.charCodeAt(i) !== TAB) i++;
  const seq = decimal(value.slice(0, i));
  const method = trimSpace(value.slice(i));
  // RFC 3261 section 8.1.1.5: the number is less than 2**31.
  if (seq === undefined || seq >= 2 ** 31 || !isToken(method)) return undefined;
  return { seq, method };
}

function checkAddresses(message: SipMessage, uriBytes: number): string | undefined {
  const checked = message.isRequest ? addressHeaders : responseAddressHeaders;
  for (const line of message.headers) {
    if (!checked.has(line.name)) continue;
    if (line.name === 'contact' && line.value === '*' && message.method === 'REGISTER') continue;
    const list = parseAddrList(line.value);
    if (list === undefined) return line.name;
    for (const addr of list) if (addr.uri.length > uriBytes) return line.name;
  }
  return undefined;
}

function tooManyVias(message: SipMessage, limit: number): boolean {
  let count = 0;
  for (const line of message.headers) {
    if (line.name === 'via') count += splitList(line.value).length;
  }
  return count > limit;
}

/** Checks what every message must have, request or response. */
export function checkParts(message: SipMessage, limits: AgentLimits): Checked {
  const viaValue = message.get('via');
  const fromValue = message.get('from');
  const toValue = message.get('to');
  const callId = message.get('call-id');
  const cseqValue = message.get('cseq');
  if (viaValue === undefined || fromValue === undefined || toValue === undefined)
    return bad('Missing mandatory header');
  if (callId === undefined || cseqValue === undefined) return bad('Missing mandatory header');
  for (const name of singletons) {
    let count = 0;
    for (const line of message.headers) if (line.name === name) count++;
    if (count > 1) return bad('Repeated header');
  }
  const via = parseVia(viaValue);
  if (via === undefined) return bad('Malformed Via');
  if (tooManyVias(message, limits.viaValues)) return bad('Too many Via headers', 513);
  const from = parseOneAddr(fromValue);
  if (from === undefined || from.uri.length > limits.uriBytes) return bad('Malformed From');
  const to = parseOneAddr(toValue);
  if (to === undefined || to.uri.length > limits.uriBytes) return bad('Malformed To');
  if (!isCallId(callId)) return bad('Malformed Call-ID');
  const cseq = parseCSeq(cseqValue);
  if (cseq === undefined) return bad('Malformed CSeq');
  const malformed = checkAddresses(message, limits.uriBytes);
  if (malformed !== undefined) return bad(`Malformed ${malformed}`);
  return {
    ok: true,
    parts: { via, from, to, callId, seq: cseq.seq, seqMethod: cseq.method },
  };
}

/** URI schemes that may be called: SIP, telephone numbers, and services such as urn:service:sos (RFC 5031). */
const schemes = new Set(['sip', 'sips', 'tel', 'urn']);

function checkRequestUri(uri: string): Checked | undefined {
  if (!isUriText(uri)) return bad('Malformed Request-URI');
  const scheme = schemeOf(uri);
  if (!isToken(scheme)) return bad('Malformed Request-URI');
  if (!schemes.has(scheme)) return bad('Unsupported URI Scheme', 416);
  if (scheme !== 'sip' && scheme !== 'sips') return undefined;
  const parsed = parseSipUri(uri);
  // Header fields are not allowed in a Request-URI (RFC 3261 section 19.1.1, RFC 4475 section 3.1.2.11).
  return parsed === undefined || parsed.hasHeaders ? bad('Malformed Request-URI') : undefined;
}

/** Checks a request from the network. */
export function checkRequest(message: SipMessage, limits: AgentLimits): Checked {
  const checked = checkParts(message, limits);
  if (!checked.ok) return checked;
  if (checked.parts.seqMethod !== message.method) return bad('CSeq method mismatch');
  const uri = checkRequestUri(message.uri);
  if (uri !== undefined) return uri;
  const hops = message.get('max-forwards');
  if (hops !== undefined) {
    const value = decimal(hops);
    if (value === undefined || value > 255) return bad('Malformed Max-Forwards');
  }
  if (message.method === 'INVITE' || message.method === 'SUBSCRIBE') {
    // Without a Contact there is nowhere to send the requests of the dialog (RFC 3261 section 8.1.1.8).
    const contact = message.get('contact');
    if (contact === undefined) return bad('Missing Contact');
    if (parseSipUri(parseAddrList(contact)?.[0]?.uri ?? '') === undefined) return bad('Malformed contact');
  }
  return checked;
}
