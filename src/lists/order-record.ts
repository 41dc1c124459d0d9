import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Locked, Order, OrderGiven } from '../call/talk.js';
import { type CallId, parseCallerId, parseCallId, parseFacilityId, type WallMs } from '../core/leg.js';
import type { EntryId } from '../core/lists.js';
import { numberKeyText, parseNumberKeyText } from '../core/number.js';

/**
 * One order as it is kept: on this host, in Redis and in the memory of every controller. Of several for the same
 * subject the one with the greatest (at, node) holds, wherever it was read and in whatever order.
 */
export interface OrderRecord {
  /** What the order is about, in one line of text without spaces. Holds a number for 'pending' and 'block'. */
  readonly subject: string;
  readonly order: Order;
  /** 'off' is kept too: otherwise another controller would bring the order back. */
  readonly state: 'on' | 'off';
  readonly at: WallMs;
  /** The controller that took the order. */
  readonly node: string;
  /** Random: names the order in evidence without its number. */
  readonly id: EntryId;
  readonly by: string;
  readonly why: string;
  readonly callId: CallId | null;
}

export const orderErrorCodes = [
  'order-malformed',
  'orders-full',
  'orders-busy',
  'orders-clock',
  'orders-closed',
  'orders-not-durable',
  'orders-corrupt',
  'orders-unreadable',
  'orders-unwritable',
] as const;
export type OrderErrorCode = (typeof orderErrorCodes)[number];

/** No message of it ever holds what the order is about. */
export class OrderError extends Error {
  readonly code: OrderErrorCode;
  constructor(code: OrderErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'OrderError';
    this.code = code;
  }
}

/** Longest value in bytes: 64 characters of name and 300 of reason, all escaped, and what goes with them. */
export const maxOrderBytes = 4096;
const maxSubject = 400;
// The year 9999: what is beyond is no time, and no order could ever follow it.
const maxAt = 253_402_300_799_999;
const maxPlaceName = 64;
const nodeShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const valueShape = /^([1-9]\d{0,15}) (\S{1,64}) (\{.+\})$/s;

/** The name of a controller: 1-64 characters of A-Z a-z 0-9 . _ - . Throws a RangeError. */
export const checkNodeName = (node: string): string => {
  if (!nodeShape.test(node)) throw new RangeError('node: 1 to 64 characters of A-Z a-z 0-9 . _ -');
  return node;
};

// ---- subjects

/** Never throws: half a surrogate pair is no text, and becomes the mark for that. */
const escaped = (name: string): string => encodeURIComponent(name.replace(/[\ud800-\udfff]/gu, '\ufffd'));

const placeSubject = (place: Locked): string => {
  switch (place.level) {
    case 'global':
      return 'lockdown|global';
    case 'facility':
      return `lockdown|facility|${place.facility}`;
    case 'unit':
      return `lockdown|unit|${place.facility}|${escaped(place.unit)}`;
    case 'phone':
      return `lockdown|phone|${place.facility}|${escaped(place.phone)}`;
    default: {
      const never: never = place;
      return never;
    }
  }
};

/** The cause is part of it: taking back the one does not take back the other. */
export const subjectOf = (order: Order): string => {
  switch (order.kind) {
    case 'pending':
    case 'block':
      return `${order.kind}|${numberKeyText(order.key)}|${order.cause}`;
    case 'lockdown':
      return placeSubject(order.place);
    case 'suspension':
      return `suspension|${order.caller}`;
    default: {
      const never: never = order;
      return never;
    }
  }
};

const named = (text: string | undefined): string | null => {
  if (text === undefined) return null;
  try {
    const name = decodeURIComponent(text);
    return name.length > 0 && name.length <= maxPlaceName ? name : null;
  } catch {
    return null;
  }
};

const parsePlace = (parts: readonly string[]): Locked | null => {
  const [level, where = '', name] = parts;
  const facility = parseFacilityId(where);
  if (level === 'global') return { level };
  if (facility === null) return null;
  const inside = named(name);
  if (level === 'facility') return { level, facility };
  if (level === 'unit') return inside === null ? null : { level, facility, unit: inside };
  if (level === 'phone') return inside === null ? null : { level, facility, phone: inside };
  return null;
};

const parseOrder = (subject: string): Order | null => {
  const [kind, second = '', third = '', ...rest] = subject.split('|');
  if (kind === 'lockdown') {
    const place = parsePlace([second, third, ...rest]);
    return place === null ? null : { kind, place };
  }
  if (kind === 'suspension') {
    const caller = parseCallerId(second);
    return caller === null ? null : { kind, caller };
  }
  const key = parseNumberKeyText(second);
  if (key === null) return null;
  if (kind === 'pending' && (third === 'caller-claim' || third === 'called-claim')) {
    return { kind, key, cause: third };
  }
  if (kind === 'block' && (third === 'called-party' || third === 'security')) {
    return { kind, key, cause: third };
  }
  return null;
};

/** Reads exactly what `subjectOf` writes; null for anything else. */
export const parseSubject = (subject: string): Order | null => {
  if (subject.length > maxSubject) return null;
  const order = parseOrder(subject);
  return order !== null && subjectOf(order) === subject ? order : null;
};

// ---- values

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here.
const clean = /^[^\u0000-\u001f\u007f]*$/;
const body = z.strictObject({
  state: z.enum(['on', 'off']),
  id: z.string().regex(/^[A-Za-z0-9_-]{16}$/),
  by: z.string().min(1).max(64).regex(clean),
  why: z.string().max(300).regex(clean),
  callId: z
    .string()
    .refine((text) => parseCallId(text) !== null)
    .nullable(),
});

export const recordText = ({ at, node, state, id, by, why, callId }: OrderRecord): string =>
  `${at} ${node} ${JSON.stringify({ state, id, by, why, callId })}`;

/** Reads a record; null where anything about it is not as `recordText` and `subjectOf` write it. */
export const parseRecord = (subject: string, value: string): OrderRecord | null => {
  const order = parseSubject(subject);
  const [, atText, node = '', json = ''] =
    (value.length <= maxOrderBytes ? valueShape.exec(value) : null) ?? [];
  const at = Number(atText);
  if (order === null || !(at <= maxAt) || !nodeShape.test(node)) return null;
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    return null;
  }
  const read = body.safeParse(found);
  if (!read.success) return null;
  const { state, id, by, why, callId } = read.data;
  return {
    subject,
    order,
    state,
    at: at as WallMs,
    node,
    id: id as EntryId,
    by,
    why,
    callId: callId === null ? null : parseCallId(callId),
  };
};

/**
 * The record of an order given now. `after` is the time of what it replaces (0 for none): the new one is always
 * later, whatever the clocks say. Throws OrderError 'order-malformed' or 'orders-clock'.
 */
export const recordOf = (given: OrderGiven, node: string, now: number, after: number): OrderRecord => {
  const at = Math.max(Math.trunc(now), after + 1);
  if (!(at <= maxAt)) throw new OrderError('orders-clock', 'there is no time that an order could have');
  const { order, state, by, why, callId } = given;
  const id = randomBytes(12).toString('base64url') as EntryId;
  const record = { subject: subjectOf(order), order, state, at: at as WallMs, node, id, by, why, callId };
  // What this process writes it must be able to read again, on every controller.
  if (parseRecord(record.subject, recordText(record)) === null) {
    throw new OrderError('order-malformed', 'a name, a reason or a place is too long or not clean text');
  }
  return record;
};

/** Positive where `a` holds over `b`. */
export const compareStamps = (
  a: Pick<OrderRecord, 'at' | 'node'>,
  b: Pick<OrderRecord, 'at' | 'node'>,
): number => a.at - b.at || (a.node < b.node ? -1 : a.node > b.node ? 1 : 0);

const forgetMs = 400 * 86_400_000;

/** True for what was taken back so long ago that no controller could still bring it back. */
export const isForgotten = ({ state, at }: OrderRecord, now: number): boolean =>
  state === 'off' && at < now - forgetMs;
