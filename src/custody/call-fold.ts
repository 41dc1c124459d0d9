import { type CallId, parseCallId, parseFacilityId } from '../core/leg.js';
import { parseNumberKeyText } from '../core/number.js';
import type { JournalRow } from '../journal/row.js';

/** What its CDR says a call left behind. */
export type Expected =
  /** Nothing that could be missed: it was not up, or nothing was said. */
  | { readonly kind: 'nothing' }
  /** A recording; the digest is null where the CDR does not tell it. */
  | { readonly kind: 'ordinary' | 'sealed'; readonly manifestSha256: string | null }
  /** It was up and monitored, and nothing came of its recording. */
  | { readonly kind: 'none'; readonly code: string };

/** A call of which there may be a recording, as the journal has it. */
export interface CustodyCall {
  readonly callId: CallId;
  readonly facility: string;
  /** When it came in, and when it ended, ms since 1970; null while its CDR is not written. */
  readonly began: number;
  readonly ended: number | null;
  /** When its CDR was written, which after a crash may be much later. */
  readonly told: number | null;
  /** Of everybody who was reached in it while it was monitored, as numberKeyText writes them. */
  readonly numbers: readonly string[];
  /** Ids of privileged entries that stood in the lists then, in force or not. */
  readonly listed: readonly string[];
  /** It ended as a private call. */
  readonly becamePrivate: boolean;
  readonly expected: Expected;
}

interface OpenCall {
  readonly callId: CallId;
  facility: string;
  readonly began: number;
  readonly numbers: Set<string>;
  readonly listed: Set<string>;
  monitored: boolean;
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const objectOf = (value: unknown): Json => (isObject(value) ? value : {});
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const isHex = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

const timeOf = (value: unknown, otherwise: string): number => {
  const at = Date.parse(textOf(value) ?? '');
  return Number.isNaN(at) ? Date.parse(otherwise) : at;
};

const numberOf = (dialled: unknown): string | null => {
  const text = textOf(objectOf(dialled).number);
  return text !== null && parseNumberKeyText(text) !== null ? text : null;
};

const listedIn = (lists: unknown): readonly string[] =>
  [objectOf(lists).privileged, objectOf(lists).snapshot].flatMap((answer) => {
    const { entries } = objectOf(answer);
    return Array.isArray(entries) ? entries.flatMap((one: unknown) => textOf(objectOf(one).id) ?? []) : [];
  });

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** As the controller judges it (effects-end.ts): nothing of the caller, and of the called party a second at most. */
const nothingSaid = (body: Json): boolean => {
  const { packets } = objectOf(body.media);
  return isObject(packets) && count(packets.caller) === 0 && count(packets.called) <= 50;
};

const expectedOf = (body: Json): Expected => {
  const spool = objectOf(body.spool);
  const sealed = objectOf(body.sealed);
  const digest = (part: Json): string | null => (isHex(part.manifestSha256) ? part.manifestSha256 : null);
  if (sealed.state === 'recording-sealed') return { kind: 'sealed', manifestSha256: digest(sealed) };
  if (spool.state === 'recording-sealed') return { kind: 'sealed', manifestSha256: digest(spool) };
  if (spool.state === 'recording-finished') return { kind: 'ordinary', manifestSha256: digest(spool) };
  if (body.verdict !== 'monitored' || count(body.connectedMs) <= 0) return { kind: 'nothing' };
  // A CDR that the journal would not take whole says nothing of the recording, which may be there all the same.
  if (body.reduced !== undefined) return { kind: 'ordinary', manifestSha256: null };
  const code = textOf(spool.code) ?? 'unknown';
  return code === 'no-audio' && nothingSaid(body) ? { kind: 'nothing' } : { kind: 'none', code };
};

/**
 * Rows of one controller's journal folded into calls that may have left a recording. Memory is bounded by the calls
 * under way: those whose CDR never came are kept up to a bound, the oldest forgotten first.
 */
export class CallFold {
  readonly #open = new Map<string, OpenCall>();

  /** The call whose CDR this row is, where it was ever monitored; null for every other row. */
  take({ kind, at, body }: Pick<JournalRow, 'kind' | 'at' | 'body'>): CustodyCall | null {
    const callId = parseCallId(textOf(body.callId) ?? '');
    if (callId === null) return null;
    if (kind === 'decision') this.#decided(callId, at, body);
    return kind === 'cdr' ? this.#ended(callId, at, body) : null;
  }

  /** Calls without a CDR that are or were monitored: under way, or left by a crash. */
  *open(): Generator<CustodyCall, void, undefined> {
    for (const call of this.#open.values()) {
      if (call.monitored) yield asOpen(call);
    }
  }

  has(callId: string): boolean {
    return this.#open.get(callId)?.monitored === true;
  }

  /** For the cursor: what is open when somebody reads on later. */
  toJson(): readonly unknown[] {
    return [...this.#open.values()].map((call) => ({
      ...call,
      numbers: [...call.numbers],
      listed: [...call.listed],
    }));
  }

  static from(saved: readonly unknown[]): CallFold {
    const fold = new CallFold();
    for (const one of saved.map(objectOf)) {
      const callId = parseCallId(textOf(one.callId) ?? '');
      if (callId === null || typeof one.began !== 'number') continue;
      const texts = (value: unknown): Set<string> =>
        new Set(Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []);
      fold.#open.set(callId, {
        callId,
        facility: textOf(one.facility) ?? '',
        began: one.began,
        numbers: texts(one.numbers),
        listed: texts(one.listed),
        monitored: one.monitored === true,
      });
    }
    return fold;
  }

  #decided(callId: CallId, at: string, body: Json): void {
    const call = this.#open.get(callId) ?? this.#begin(callId, at, body);
    call.facility = textOf(body.facility) ?? call.facility;
    if (body.verdict === 'monitored') call.monitored = true;
    // Another party that was refused was never in the call. The called party itself was, whatever is decided again.
    if (body.other !== undefined && body.verdict !== 'monitored') return;
    const number = numberOf(body.dialled);
    if (number !== null) call.numbers.add(number);
    for (const id of listedIn(body.lists)) call.listed.add(id);
  }

  #begin(callId: CallId, at: string, body: Json): OpenCall {
    if (this.#open.size >= MAX_OPEN) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    const began = timeOf(body.decidedAt, at);
    const call = {
      callId,
      facility: '',
      began,
      numbers: new Set<string>(),
      listed: new Set<string>(),
      monitored: false,
    };
    this.#open.set(callId, call);
    return call;
  }

  #ended(callId: CallId, at: string, body: Json): CustodyCall | null {
    const open = this.#open.get(callId);
    this.#open.delete(callId);
    const expected = expectedOf(body);
    if (open?.monitored !== true && body.verdict !== 'monitored' && expected.kind === 'nothing') return null;
    const numbers = new Set(open?.numbers);
    const number = numberOf(body.dialled);
    if (number !== null) numbers.add(number);
    const began = timeOf(body.arrivedAt, at);
    const told = Date.parse(at);
    const { durationMs } = body;
    return {
      callId,
      facility: parseFacilityId(textOf(body.facility) ?? '') ?? open?.facility ?? '',
      began,
      ended: typeof durationMs === 'number' ? Math.max(began, began + durationMs) : told,
      told,
      numbers: [...numbers],
      listed: [...(open?.listed ?? [])],
      becamePrivate: body.verdict === 'private',
      expected,
    };
  }
}

/** More calls than any site has under way at one time. */
const MAX_OPEN = 50_000;

const asOpen = ({ callId, facility, began, numbers, listed }: OpenCall): CustodyCall => ({
  ...{ callId, facility, began, ended: null, told: null },
  ...{ becamePrivate: false, expected: { kind: 'nothing' } },
  numbers: [...numbers],
  listed: [...listed],
});
