import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { type CallerId, parseCallerId } from '../core/leg.js';
import { type Language, languages } from '../core/prompt.js';

/** A PIN that was hashed: all that is ever kept of one. The parameters stand with it, so that they can be raised. */
export interface PinHash {
  readonly n: number;
  readonly r: number;
  readonly p: number;
  /** 16 bytes, base64url. */
  readonly salt: string;
  /** 32 bytes, base64url. */
  readonly hash: string;
}

/** Who a caller's number belongs to. */
export interface PinRecord extends PinHash {
  readonly caller: CallerId;
  readonly language: Language | null;
}

/** 16 MiB and about 50 ms of one core for each try. */
const cost = { n: 16_384, r: 8, p: 1 } as const;
const saltBytes = 16;
const hashBytes = 32;

export const maxRecordBytes = 1_024;

// Bounded: a record must not be able to ask for gigabytes, nor to be cheap to try.
const pinHash = {
  n: z.union([z.literal(16_384), z.literal(32_768), z.literal(65_536)]),
  r: z.literal(8),
  p: z.int().min(1).max(4),
  salt: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
};
const pinRecord = z.strictObject({
  caller: z.string().refine((text) => parseCallerId(text) !== null),
  language: z.enum(languages).nullable(),
  ...pinHash,
});

export const pinRecordText = ({ caller, language, n, r, p, salt, hash }: PinRecord): string =>
  JSON.stringify({ caller, language, n, r, p, salt, hash });

/** Null where the text is not one of `pinRecordText`. */
export const parsePinRecord = (text: string): PinRecord | null => {
  if (text.length > maxRecordBytes) return null;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  const read = pinRecord.safeParse(found);
  return read.success ? { ...read.data, caller: read.data.caller as CallerId } : null;
};

/** The form of a hash in a file: `scrypt$16384$8$1$<salt>$<hash>`. */
export const pinHashText = ({ n, r, p, salt, hash }: PinHash): string =>
  ['scrypt', n, r, p, salt, hash].join('$');

export const parsePinHash = (text: string): PinHash | null => {
  const [kind, n, r, p, salt, hash, ...more] = text.split('$');
  if (kind !== 'scrypt' || more.length > 0) return null;
  const read = z.strictObject(pinHash).safeParse({ n: Number(n), r: Number(r), p: Number(p), salt, hash });
  return read.success ? read.data : null;
};

const derive = (pin: string, salt: Buffer, { n, r, p }: Pick<PinHash, 'n' | 'r' | 'p'>): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options: ScryptOptions = { N: n, r, p, maxmem: 256 * n * r };
    scrypt(pin, salt, hashBytes, options, (error, key) => {
      if (error === null) resolve(key);
      // Not the library's error: nobody knows what a later version of it says about its arguments.
      else reject(new Error('scrypt failed'));
    });
  });

/** Hashes a PIN with a new salt. Takes as long as a try; the caller bounds how many run at once. */
export const hashPin = async (pin: string): Promise<PinHash> => {
  const salt = randomBytes(saltBytes);
  const key = await derive(pin, salt, cost);
  return { ...cost, salt: salt.toString('base64url'), hash: key.toString('base64url') };
};

/** Stands in for a record that is not there, so that it takes as long to say no. No PIN has this hash. */
export const nobodysHash = (): PinHash => ({
  ...cost,
  salt: randomBytes(saltBytes).toString('base64url'),
  hash: randomBytes(hashBytes).toString('base64url'),
});

/** Whether it is this PIN; takes the same time either way. */
export const isPin = async (pin: string, kept: PinHash): Promise<boolean> => {
  const key = await derive(pin, Buffer.from(kept.salt, 'base64url'), kept);
  const hash = Buffer.from(kept.hash, 'base64url');
  return hash.length === key.length && timingSafeEqual(hash, key);
};

/** Lets a few run at once; the others wait in the order they came. How many may wait is the caller's to bound. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
