import { isCanaryTrunk, parseCallId } from '../../core/leg.js';
import { parseNumberKeyText } from '../../core/number.js';
import type { PlacedRow } from './place.js';

/** A past call that was monitored from its first decision to its end. */
export interface MonitoredCall {
  readonly callId: string;
  readonly seq: number;
  readonly node: string;
  /** RFC 3339. */
  readonly began: string;
  readonly ended: string;
  readonly facility: string;
  readonly trunk: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly caller: string | null;
  /** The number that was dialled first, then those of other parties that came into the call. */
  readonly numbers: readonly string[];
  readonly ending: string;
  readonly disposition: string;
  readonly connectedMs: number;
  /** 0 to 100; 0 where nothing was heard. */
  readonly threeWay: number;
  readonly recording: string | null;
}

export type Told =
  | { readonly kind: 'call'; readonly call: MonitoredCall }
  /** Of this call nothing may be found, whatever was told before. */
  | { readonly kind: 'no-call'; readonly callId: string }
  /** The journal took rows back: calls told by them are told again, or were not. */
  | { readonly kind: 'taken-back'; readonly first: number; readonly last: number }
  /** A monitored call is being connected: its recording is armed. */
  | {
      readonly kind: 'connecting';
      readonly callId: string;
      readonly at: string;
      readonly facility: string;
      readonly caller: string | null;
      readonly numbers: readonly string[];
    };

interface OpenCall {
  facility: string;
  trunk: string;
  unit: string | null;
  phone: string | null;
  caller: string | null;
  numbers: string[];
  /** Something in it was, or claimed to be, private: it is never told of. */
  spoiled: boolean;
}

type Json = Readonly<Record<string, unknown>>;
const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value.slice(0, 200) : null);
const countOf = (value: unknown, most = 2_147_483_647): number =>
  typeof value === 'number' && Number.isFinite(value) ? Math.min(most, Math.max(0, Math.round(value))) : 0;

const MAX_OPEN = 50_000;
const MAX_NUMBERS = 32;
/** Endings after which somebody in the call was private, or says so. */
const privateEndings: ReadonlySet<string> = new Set(['became-private', 'called-protected']);

const numberOf = (dialled: unknown): string | null => {
  const { kind, number } = objectOf(dialled);
  return kind === 'number' && typeof number === 'string' && parseNumberKeyText(number) !== null
    ? number
    : null;
};

/** Whether the lists of a decision hold a privileged entry of the number that was not over by then. */
const standsPrivileged = (lists: unknown, at: string): boolean =>
  [objectOf(lists).privileged, objectOf(lists).snapshot].some((answer) => {
    const { entries } = objectOf(answer);
    return (
      Array.isArray(entries) &&
      entries.some((one: unknown) => {
        const { validTo } = objectOf(one);
        return typeof validTo !== 'number' || validTo > Date.parse(at);
      })
    );
  });

/**
 * Rows of one controller's journal folded into past monitored calls. A pure function of the rows in their order, so that
 * the same journal always makes the same calls. What is not plainly monitored is left out: a call whose decisions were
 * not seen, one of whose decisions was anything else, in which somebody claimed to be private, or of which anything was
 * sealed.
 */
export class MonitoredFold {
  readonly #open = new Map<string, OpenCall>();

  take({ seq, node, at, kind, body }: PlacedRow['row']): Told | null {
    if (kind === 'abandoned')
      return {
        kind: 'taken-back',
        first: countOf(body.firstSeq, 2 ** 52),
        last: countOf(body.lastSeq, 2 ** 52),
      };
    const callId = parseCallId(textOf(body.callId) ?? '');
    if (callId === null) return null;
    switch (kind) {
      case 'decision':
        this.#decided(callId, at, body);
        return null;
      case 'claim':
        return body.outcome === 'withdrawn' ? null : this.#spoil(callId);
      case 'answer':
        return body.answer === 'protected' ? this.#spoil(callId) : null;
      case 'armed':
        return this.#armed(callId, at);
      case 'cdr':
        return this.#ended(callId, { seq, node, at }, body);
      default:
        return null;
    }
  }

  toJson(): readonly unknown[] {
    return [...this.#open].map(([callId, open]) => ({ callId, ...open }));
  }

  /** What is not what this version wrote counts as spoiled. */
  static from(saved: readonly unknown[]): MonitoredFold {
    const fold = new MonitoredFold();
    for (const one of saved.map(objectOf)) {
      const { callId, facility, trunk, unit, phone, caller, numbers, spoiled } = one;
      if (typeof callId !== 'string') continue;
      fold.#open.set(callId, {
        facility: textOf(facility) ?? '',
        trunk: textOf(trunk) ?? '',
        unit: textOf(unit),
        phone: textOf(phone),
        caller: textOf(caller),
        numbers: Array.isArray(numbers)
          ? numbers.filter((each): each is string => typeof each === 'string')
          : [],
        spoiled: spoiled !== false,
      });
    }
    return fold;
  }

  #spoil(callId: string): null {
    const open = this.#open.get(callId);
    if (open !== undefined) open.spoiled = true;
    return null;
  }

  #decided(callId: string, at: string, body: Json): void {
    const open = this.#open.get(callId) ?? this.#begin(callId, body);
    if (standsPrivileged(body.lists, at) || body.verdict === 'private') open.spoiled = true;
    if (body.other === undefined) {
      if (body.verdict !== 'monitored') open.spoiled = true;
      // Who calls may be known only by the second decision, after a PIN.
      open.caller = textOf(body.caller) ?? open.caller;
      open.unit = textOf(body.unit) ?? open.unit;
      open.phone = textOf(body.phone) ?? open.phone;
    } else if (body.dialled === null || body.dialled === undefined) open.spoiled = true;
    else if (body.verdict !== 'monitored') return;
    const number = numberOf(body.dialled);
    if (number === null) open.spoiled = true;
    else if (!open.numbers.includes(number)) {
      if (open.numbers.length >= MAX_NUMBERS) open.spoiled = true;
      else open.numbers.push(number);
    }
  }

  #begin(callId: string, body: Json): OpenCall {
    if (this.#open.size >= MAX_OPEN) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    const open: OpenCall = {
      facility: textOf(body.facility) ?? '',
      trunk: textOf(body.trunk) ?? '',
      unit: null,
      phone: null,
      caller: null,
      numbers: [],
      spoiled: isCanaryTrunk(body.trunk),
    };
    this.#open.set(callId, open);
    return open;
  }

  #armed(callId: string, at: string): Told | null {
    const open = this.#open.get(callId);
    if (open === undefined || open.spoiled) return null;
    const { facility, caller, numbers } = open;
    return { kind: 'connecting', callId, at, facility, caller, numbers: [...numbers] };
  }

  #ended(callId: string, { seq, node, at }: { seq: number; node: string; at: string }, body: Json): Told {
    const open = this.#open.get(callId);
    this.#open.delete(callId);
    const ending = textOf(body.ending) ?? 'unknown';
    const spool = textOf(objectOf(body.spool).state);
    const sealed = body.sealed !== undefined && body.sealed !== null;
    const plain = open !== undefined && !open.spoiled && open.numbers.length > 0;
    if (
      !plain ||
      body.verdict !== 'monitored' ||
      sealed ||
      spool === 'recording-sealed' ||
      privateEndings.has(ending)
    )
      return { kind: 'no-call', callId };
    const told = new Date(at).toISOString();
    const arrived = textOf(body.arrivedAt);
    const began =
      arrived === null || Number.isNaN(Date.parse(arrived)) ? told : new Date(arrived).toISOString();
    const lasted =
      typeof body.durationMs === 'number' ? Date.parse(began) + countOf(body.durationMs) : Date.parse(told);
    return {
      kind: 'call',
      call: {
        ...{ callId, seq, node, began, ended: new Date(Math.max(Date.parse(began), lasted)).toISOString() },
        ...{
          facility: open.facility,
          trunk: open.trunk,
          unit: open.unit,
          phone: open.phone,
          caller: open.caller,
        },
        numbers: open.numbers,
        ...{ ending, disposition: textOf(body.disposition) ?? 'unknown' },
        connectedMs: countOf(body.connectedMs),
        threeWay: countOf(objectOf(body.threeWay).score, 100),
        recording: spool,
      },
    };
  }
}
