import { JournalError } from './errors.js';

/** What a row may hold: JSON and nothing else. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export type JsonObject = { readonly [key: string]: JsonValue };

export interface CanonicalLimits {
  /** How many arrays and objects may enclose a value. Default 32. */
  readonly maxDepth?: number;
  /** The largest output, in UTF-8 bytes. Default 1 MiB. */
  readonly maxBytes?: number;
}

interface Walk {
  left: number;
  readonly maxDepth: number;
  /** The arrays and objects we are inside of: finds cycles, and names the place in an error. */
  readonly inside: object[];
  readonly path: (string | number)[];
}

const DEFAULT_MAX_DEPTH = 32;
const DEFAULT_MAX_BYTES = 1024 * 1024;
/** Text that is its own JSON form, which nearly all of it is. */
const PLAIN = /^[ !#-[\]-~]*$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** A key which reads like a field name. Others could be data, such as a number somebody dialled. */
const FIELD_NAME = /^[a-z][A-Za-z]{0,31}$/;

/**
 * The one text of a JSON value (RFC 8785): members sorted by UTF-16 code units, no white space,
 * numbers as ECMAScript prints them. Equal values give equal bytes, so a hash over them means something.
 *
 * Nothing is dropped or converted in silence: `undefined`, functions, symbols, bigint, NaN, infinities,
 * Date, Map and every other class instance, cycles and text that is not well-formed Unicode (which
 * RFC 8785 section 3.2.2.2 forbids) throw a {@link JournalError} `row-invalid` with a `detail`; a value
 * over `maxBytes` throws `row-too-large`. The only value that does not come back as it was is -0,
 * which is written 0 (RFC 8785 section 3.2.2.3).
 */
export function canonicalJson(value: unknown, limits: CanonicalLimits = {}): string {
  const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
  const walk: Walk = {
    left: maxBytes,
    maxDepth: limits.maxDepth ?? DEFAULT_MAX_DEPTH,
    inside: [],
    path: [],
  };
  const text = write(value, walk);
  // The walk counts UTF-16 units, which never exceed the bytes; this is the exact count.
  if (Buffer.byteLength(text) > maxBytes) throw tooLarge();
  return text;
}

function write(value: unknown, walk: Walk): string {
  switch (typeof value) {
    case 'string':
      return writeString(value, walk);
    case 'number':
      if (!Number.isFinite(value)) throw invalid('not-finite', 'a number is not finite', walk);
      return spend(String(value === 0 ? 0 : value), walk);
    case 'boolean':
      return spend(value ? 'true' : 'false', walk);
    case 'object':
      if (value === null) return spend('null', walk);
      return Array.isArray(value) ? writeArray(value, walk) : writeObject(value, walk);
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      throw invalid('unsupported-type', `${typeof value} has no place in JSON`, walk);
    default: {
      const never: never = typeof value as never;
      throw invalid('unsupported-type', String(never), walk);
    }
  }
}

function writeString(text: string, walk: Walk): string {
  if (text.length > walk.left) throw tooLarge();
  if (PLAIN.test(text)) return spend(`"${text}"`, walk);
  if (LONE_SURROGATE.test(text)) {
    throw invalid('lone-surrogate', 'a string is not well-formed Unicode', walk);
  }
  return spend(JSON.stringify(text), walk);
}

function writeArray(values: readonly unknown[], walk: Walk): string {
  enter(values, walk);
  let text = '[';
  for (let index = 0; index < values.length; index += 1) {
    walk.path.push(index);
    if (index > 0) text += ',';
    text += write(values[index], walk);
    walk.path.pop();
  }
  walk.inside.pop();
  spend('[]', walk);
  return text + ']';
}

function writeObject(value: object, walk: Walk): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw invalid('unsupported-type', 'an object is not a plain object', walk);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw invalid('unsupported-type', 'a symbol key has no place in JSON', walk);
  }
  enter(value, walk);
  // The default sort compares UTF-16 code units, which is the order RFC 8785 section 3.2.3 asks for.
  const keys = Object.keys(value).sort();
  const members = value as Record<string, unknown>;
  let text = '{';
  for (const key of keys) {
    walk.path.push(key);
    if (text.length > 1) text += ',';
    text += writeString(key, walk) + ':' + write(members[key], walk);
    walk.path.pop();
  }
  walk.inside.pop();
  spend('{}', walk);
  return text + '}';
}

function enter(value: object, walk: Walk): void {
  if (walk.inside.includes(value)) throw invalid('cycle', 'a value holds itself', walk);
  if (walk.inside.length >= walk.maxDepth) throw invalid('too-deep', 'a value is nested too deep', walk);
  walk.inside.push(value);
}

/** Counts output against the bound, so that a huge value is refused before it is all in memory. Commas and colons wait for the exact count. */
function spend(text: string, walk: Walk): string {
  walk.left -= text.length;
  if (walk.left < 0) throw tooLarge();
  return text;
}

function invalid(detail: string, what: string, walk: Walk): JournalError {
  const path = walk.path.map((step) =>
    typeof step === 'number' ? `[${step}]` : FIELD_NAME.test(step) ? `.${step}` : '.*',
  );
  return new JournalError('row-invalid', `${what} at $${path.join('')}`, { detail });
}

function tooLarge(): JournalError {
  return new JournalError('row-too-large', 'the value is larger than its bound');
}
