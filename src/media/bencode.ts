/**
 * Bencode, the encoding of rtpengine's NG protocol, within bounds: what comes from the socket cannot nest, grow or
 * trail beyond them.
 */
export type Bencodable = string | number | readonly Bencodable[] | { readonly [key: string]: Bencodable };
export type BencodeDict = { readonly [key: string]: Bencodable };

export const MAX_DEPTH = 16;
/** Longest message either way: what fits one UDP datagram. */
export const MAX_BYTES = 65_507;
const MAX_ITEMS = 10_000;
const MAX_DIGITS = 16;

export class BencodeError extends Error {
  constructor(what: string) {
    super(`bencode: ${what}`);
    this.name = 'BencodeError';
  }
}

const encodeInto = (parts: string[], value: Bencodable, depth: number): void => {
  if (depth > MAX_DEPTH) throw new BencodeError('too deep');
  if (typeof value === 'string') {
    parts.push(`${Buffer.byteLength(value, 'utf8')}:${value}`);
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new BencodeError('not an integer');
    parts.push(`i${value}e`);
  } else if (Array.isArray(value)) {
    parts.push('l');
    for (const item of value as readonly Bencodable[]) encodeInto(parts, item, depth + 1);
    parts.push('e');
  } else {
    parts.push('d');
    const dict = value as BencodeDict;
    for (const key of Object.keys(dict).sort()) {
      const item = dict[key];
      if (item === undefined) continue;
      encodeInto(parts, key, depth + 1);
      encodeInto(parts, item, depth + 1);
    }
    parts.push('e');
  }
};

/** Behind `prefix`, which is ASCII. Throws BencodeError over the bounds. */
export const encode = (value: Bencodable, prefix = ''): Buffer => {
  const parts: string[] = [prefix];
  encodeInto(parts, value, 0);
  const bytes = Buffer.from(parts.join(''), 'utf8');
  if (bytes.length > MAX_BYTES) throw new BencodeError('too long');
  return bytes;
};

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON = 0x3a; // ":"
const MINUS = 0x2d;
const [D, E, I, L] = [0x64, 0x65, 0x69, 0x6c];

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #items = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): Bencodable {
    if (depth > MAX_DEPTH) throw new BencodeError('too deep');
    if (++this.#items > MAX_ITEMS) throw new BencodeError('too many items');
    switch (this.#bytes[this.#at]) {
      case D:
        return this.#dict(depth);
      case L:
        return this.#list(depth);
      case I: {
        this.#at++;
        return this.#number(E, true);
      }
      default:
        return this.#string();
    }
  }

  #dict(depth: number): BencodeDict {
    this.#at++;
    // Without a prototype, a key such as "__proto__" is a key like any other.
    const dict: { [key: string]: Bencodable } = Object.create(null);
    while (!this.#ends()) {
      const key = this.#string();
      if (key in dict) throw new BencodeError('key twice');
      dict[key] = this.value(depth + 1);
    }
    return dict;
  }

  #list(depth: number): Bencodable[] {
    this.#at++;
    const list: Bencodable[] = [];
    while (!this.#ends()) list.push(this.value(depth + 1));
    return list;
  }

  #ends(): boolean {
    if (this.#bytes[this.#at] !== E) return false;
    this.#at++;
    return true;
  }

  #number(end: number, signed: boolean): number {
    const start = this.#at;
    const negative = signed && this.#bytes[this.#at] === MINUS;
    if (negative) this.#at++;
    const digits = this.#at;
    let value = 0;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new BencodeError('cut short');
      if (byte === end) break;
      if (byte < DIGIT_0 || byte > DIGIT_9) throw new BencodeError('not a number');
      if (this.#at - digits >= MAX_DIGITS) throw new BencodeError('number too long');
      value = value * 10 + (byte - DIGIT_0);
      this.#at++;
    }
    const length = this.#at - digits;
    // BEP 3: no empty number, no leading zero, no minus zero: one value has one form.
    if (length === 0 || (length > 1 && this.#bytes[digits] === DIGIT_0) || (negative && value === 0)) {
      throw new BencodeError(`number malformed at ${start}`);
    }
    if (!Number.isSafeInteger(value)) throw new BencodeError('number too large');
    this.#at++;
    return negative ? -value : value;
  }

  #string(): string {
    const first = this.#bytes[this.#at];
    if (first === undefined) throw new BencodeError('cut short');
    if (first < DIGIT_0 || first > DIGIT_9) throw new BencodeError('not a value');
    const length = this.#number(COLON, false);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new BencodeError('cut short');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return text;
  }
}

/** The one value these bytes hold; trailing bytes are an error. Throws BencodeError. */
export const decode = (bytes: Buffer): Bencodable => {
  if (bytes.length > MAX_BYTES) throw new BencodeError('too long');
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (!reader.done) throw new BencodeError('trailing bytes');
  return value;
};

export const isDict = (value: Bencodable | undefined): value is BencodeDict =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isList = (value: Bencodable | undefined): value is readonly Bencodable[] => Array.isArray(value);

/** The dictionary under a key, or null. */
export const dictAt = (dict: BencodeDict | null, key: string): BencodeDict | null => {
  const value = dict?.[key];
  return isDict(value) ? value : null;
};

/** The integer under a key (rtpengine sends some as text), or null. */
export const integerAt = (dict: BencodeDict | null, key: string): number | null => {
  const value = dict?.[key];
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : null;
};
