import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** What a hash costs; it stands in the hash, so that it can rise without anybody losing a password. */
export interface Cost {
  /** log2 of N. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP's choice of 2^15, 8, 3: 32 MiB and some 200 ms here. */
export const ownCost: Cost = { n: 15, r: 8, p: 3 };
const BYTES = 32;
const AT_ONCE = 2;
const MOST_WAITING = 16;

export class TooBusy extends Error {}

let running = 0;
const waiting: (() => void)[] = [];

/** Each takes memory and a thread: a flood of sign-ins must not take all of them. Rejects with TooBusy. */
const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
  if (running >= AT_ONCE) {
    if (waiting.length >= MOST_WAITING) throw new TooBusy('too many passwords are being checked');
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running += 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
};

const derived = (password: string, salt: Buffer, { n, r, p }: Cost): Promise<Buffer> =>
  inTurn(
    () =>
      new Promise((resolve, reject) => {
        const options: ScryptOptions = { N: 2 ** n, r, p, maxmem: 256 * 2 ** n * r };
        // The same letters can be written in two ways: they are the same password.
        scrypt(password.normalize('NFKC'), salt, BYTES, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      }),
  );

/** `scrypt$15$8$3$salt$key`. */
export const hashPassword = async (password: string, cost: Cost = ownCost): Promise<string> => {
  const salt = randomBytes(16);
  const key = await derived(password, salt, cost);
  return ['scrypt', cost.n, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join('$');
};

const shape = /^scrypt\$(\d{2})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]{22})\$([A-Za-z0-9_-]{43})$/;

/**
 * Whether the password is the one of this hash. Where there is no hash it takes as long and is false: nobody learns
 * from the time which accounts there are.
 */
export const checkPassword = async (password: string, hash: string | null): Promise<boolean> => {
  const match = shape.exec(hash ?? '');
  const [n, r, p] = match === null ? [ownCost.n, ownCost.r, ownCost.p] : match.slice(1, 4).map(Number);
  const salt = Buffer.from(match?.[4] ?? 'AAAAAAAAAAAAAAAAAAAAAA', 'base64url');
  // What is stored cannot ask for more than this, whoever wrote it.
  const cost = {
    n: Math.min(n ?? ownCost.n, 18),
    r: Math.min(r ?? ownCost.r, 16),
    p: Math.min(p ?? ownCost.p, 8),
  };
  const key = await derived(password, salt, cost);
  return match !== null && timingSafeEqual(key, Buffer.from(match[5] ?? '', 'base64url'));
};

export const MIN_PASSWORD = 12;
export const MAX_PASSWORD = 256;

const easy = /^(.)\1*$|password|sallyport|123456|qwerty/i;

/** Why this is no password, or null (NIST SP 800-63B section 5.1.1: length, and not what is tried first; no rules of signs). */
export const passwordProblem = (password: string, name: string): string | null => {
  const { length } = [...password];
  if (length < MIN_PASSWORD) return `at least ${MIN_PASSWORD} characters`;
  if (length > MAX_PASSWORD) return `at most ${MAX_PASSWORD} characters`;
  if (easy.test(password) || password.toLowerCase().includes(name)) return 'too easy to guess';
  return null;
};
