import { randomBytes } from 'node:crypto';
import { reasonOf, toBytes } from './compose.js';
import type { ShedWhy } from './door.js';
import { trimSpace } from './scan.js';
import { parseVia, stampVia, type Via } from './via.js';

/** What a response repeats of a request (RFC 3261 section 8.2.6.2), read off its text without the message being parsed. */
export interface QuickHead {
  readonly method: string;
  readonly vias: readonly string[];
  readonly via: Via;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: string;
}

/** Header names by their first letter, as they are written in nearly every message, and in their compact form. */
const names: Readonly<Record<string, 'via' | 'from' | 'to' | 'call-id' | 'cseq'>> = {
  via: 'via',
  v: 'via',
  from: 'from',
  f: 'from',
  to: 'to',
  t: 'to',
  'call-id': 'call-id',
  i: 'call-id',
  cseq: 'cseq',
};
/** First letters of those names: nothing else is looked at. */
const initials = new Set([...'vfticVFTIC'].map((letter) => letter.charCodeAt(0)));
const longest = 7;
const maxVias = 70;
/** Longer values than any ordinary request has are for the parser that refuses them. */
const maxValue = 1024;
const tagParam = /;[ \t]{0,8}tag[ \t]{0,8}=/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not be repeated.
const unprintable = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * Reads what it takes to turn a new request away, in one pass over the lines of its head. Undefined for everything out
 * of the ordinary (folded lines, repeated headers, a To tag, control characters): the parser is there for that.
 */
export function quickHead(text: string): QuickHead | undefined {
  const startEnd = text.indexOf('\r\n');
  const space = text.indexOf(' ');
  if (space < 3 || startEnd < 0 || startEnd > 2 * maxValue) return undefined;
  if (!text.startsWith(' SIP/2.0', startEnd - 8) || startEnd - 8 <= space) return undefined;
  const vias: string[] = [];
  const found: Partial<Record<'from' | 'to' | 'call-id' | 'cseq', string>> = {};
  for (let at = startEnd + 2; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return undefined;
    if (end === at) break;
    const first = text.charCodeAt(at);
    if (first === 32 || first === 9) return undefined;
    if (initials.has(first)) {
      const colon = text.indexOf(':', at);
      if (colon < 0 || colon > end) return undefined;
      const isLong = colon - at > longest + 4;
      // One of ours with much space behind it.
      if (isLong && text.charCodeAt(colon - 1) <= 32) return undefined;
      const name = isLong ? undefined : names[trimSpace(text.slice(at, colon)).toLowerCase()];
      if (name !== undefined) {
        const value = trimSpace(text.slice(colon + 1, end));
        if (value.length > maxValue || value === '' || unprintable.test(value)) return undefined;
        if (name === 'via') vias.push(value);
        else if (found[name] !== undefined) return undefined;
        else found[name] = value;
      }
    }
    at = end + 2;
  }
  const { from, to, cseq, 'call-id': callId } = found;
  const [top] = vias;
  if (top === undefined || vias.length > maxVias) return undefined;
  if (from === undefined || to === undefined || callId === undefined || cseq === undefined) return undefined;
  const via = parseVia(top);
  if (via?.branch === undefined || !/^z9hG4bK./.test(via.branch) || tagParam.test(to)) return undefined;
  return {
    method: text.slice(0, space),
    vias,
    via,
    from,
    to,
    callId,
    cseq,
  };
}

/** FNV-1a over a text, from a start nobody outside knows. */
function hash(text: string, start: number): number {
  let sum = start;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 16777619);
  return sum >>> 0;
}

/** Of each of the two generations; what was turned away before that is judged anew. */
const remembered = 16_384;
const generationMs = 1000;

/**
 * What requests were turned away lately. A retransmission that crosses its refusal must be refused as well: let in, it
 * would ring somebody for a caller who has been told that there is no call. Round trips are over in a second; what
 * comes again later was not answered, and may be let in.
 */
class Lately {
  #now = new Map<number, ShedWhy>();
  #before = new Map<number, ShedWhy>();
  #since = 0;

  of(key: number, now: number): ShedWhy | undefined {
    this.#turn(now);
    return this.#now.get(key) ?? this.#before.get(key);
  }

  add(key: number, why: ShedWhy, now: number): void {
    this.#turn(now);
    if (this.#now.size >= remembered) this.#swap(now);
    this.#now.set(key, why);
  }

  #turn(now: number): void {
    if (now - this.#since < generationMs) return;
    if (now - this.#since >= 2 * generationMs) this.#now.clear();
    this.#swap(now);
  }

  #swap(now: number): void {
    this.#since = now;
    this.#before.clear();
    [this.#now, this.#before] = [this.#before, this.#now];
  }
}

/** Answers requests that are turned away at the door, without a transaction, and knows their ACKs when they come. */
export class QuickRefusals {
  readonly #seed = randomBytes(4).readUInt32LE();
  /** Begins every To tag given here: nobody else's begin so. */
  readonly #mark = randomBytes(6).toString('hex');
  readonly #lately = new Lately();

  /** True for the ACK of a refusal made here (RFC 3261 section 17.1.1.3: it repeats the To header with our tag). */
  acknowledges(text: string): boolean {
    return text.startsWith('ACK ') && text.includes(`;tag=${this.#mark}`);
  }

  /** The key under which a refusal is remembered, of the key of the transaction there would have been. */
  keyOf(transactionKey: string): number {
    return hash(transactionKey, this.#seed);
  }

  /** Why it was turned away in the last second, if it was. */
  refusedLately(key: number, now: number): ShedWhy | undefined {
    return this.#lately.of(key, now);
  }

  remember(key: number, why: ShedWhy, now: number): void {
    this.#lately.add(key, why, now);
  }

  /** The To tag of that refusal: the same each time, as RFC 3261 section 8.2.7 asks of who keeps no transaction. */
  tag(key: number): string {
    return this.#mark + key.toString(16).padStart(8, '0');
  }

  /** The response as bytes. `extra`: whole header lines with their line ends. */
  response(
    head: QuickHead,
    key: number,
    status: number,
    extra: string,
    address: string,
    port: number,
  ): Buffer {
    let vias = '';
    for (const [i, value] of head.vias.entries()) {
      vias += `Via: ${i === 0 ? stampVia(value, head.via, address, port) : value}\r\n`;
    }
    return toBytes(
      `SIP/2.0 ${status} ${reasonOf(status)}\r\n${vias}From: ${head.from}\r\nTo: ${head.to};tag=${this.tag(key)}\r\n` +
        `Call-ID: ${head.callId}\r\nCSeq: ${head.cseq}\r\n${extra}Content-Length: 0\r\n\r\n`,
    );
  }
}
