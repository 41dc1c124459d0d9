import { z } from 'zod';
import { parseRecipient } from '../vault/age-keys.js';

/** The shapes of single values that several parts of the configuration share. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'must be 1-48 of a-z, 0-9 and hyphen, starting with a letter or digit');
export const port = z.int().min(1).max(65535);
export const seconds = (max: number) => z.number().positive().max(max);
/** An IPv6 address as sockets show it, in lower case and shortest form: addresses are compared as text. */
const isCanonical = (text: string): boolean =>
  !text.includes(':') || new URL(`http://[${text}]`).hostname === `[${text}]`;
export const address = z
  .union([z.ipv4(), z.ipv6()], 'must be an IPv4 or IPv6 address')
  .refine(isCanonical, 'an IPv6 address must be written in its shortest form, in lower case');
export const loopback = z.union([z.ipv4().regex(/^127\./, 'must be a loopback address'), z.literal('::1')]);
export const e164 = z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be an E.164 number with +');
export const headerName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be a header name');
export const path = z.string().min(1).max(1024);
export const transport = z.enum(['udp', 'tcp', 'tls']);
/** What may stand in a Digest without a doubt of how it is to be read. */
export const digestText = z
  .string()
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]([\x20\x21\x23-\x5b\x5d-\x7e]{0,126}[\x21\x23-\x5b\x5d-\x7e])?$/,
    'must be printable ASCII without quotes',
  );
/** A host name as a certificate tells it: RFC 5922 section 7.2 knows no wildcards. */
export const hostName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'must be a host name in lower case',
  );

/** A host name that DNS can be asked for; whatever looks like an address is one, or is wrong. */
export const dnsName = hostName.regex(/(^|\.)[a-z][a-z0-9-]*$/, 'must be an address or a host name');

const isRecipient = (text: string): boolean => {
  try {
    parseRecipient(text);
    return true;
  } catch {
    return false;
  }
};
/** A mistyped key would lose every recording, and a private one must not stand here: it is not told back either. */
export const recipient = z
  .string()
  .refine(isRecipient, 'must be an age recipient (age1…), whole and well typed');

/** Where a value stands in the configuration. */
export type Path = readonly PropertyKey[];
