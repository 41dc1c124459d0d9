import { createHmac, randomBytes } from 'node:crypto';
import { base32, fromBase32, sameText } from './secrets.js';

/** Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, as every authenticator knows them. */
const STEP_SECONDS = 30;
const DIGITS = 6;
/** Steps before and after now that are taken: clocks of telephones are off by some seconds (section 5.2). */
const LEEWAY = 1;

export const newTotpSecret = (): string => base32(randomBytes(20));

/** The code of one step (RFC 4226 section 5.3). */
export const totpAt = (secret: string, step: number): string => {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', fromBase32(secret)).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  const value = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(value % 10 ** DIGITS).padStart(DIGITS, '0');
};

export const stepOf = (wallMs: number): number => Math.floor(wallMs / 1000 / STEP_SECONDS);

/** Which step a code is of, the latest first; null where it is none of now. The step must then be spent. */
export const totpStep = (secret: string, code: string, wallMs: number): number | null => {
  const now = stepOf(wallMs);
  let found: number | null = null;
  // All of them are looked at, so that the time it takes says nothing.
  for (let step = now - LEEWAY; step <= now + LEEWAY; step += 1)
    if (sameText(totpAt(secret, step), code)) found = step;
  return found;
};

/** What authenticators read as a QR code. */
export const otpauthUri = (name: string, secret: string): string =>
  `otpauth://totp/Sallyport:${encodeURIComponent(name)}?secret=${secret}&issuer=Sallyport`;
