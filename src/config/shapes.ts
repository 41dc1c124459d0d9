import { z } from 'zod';

/** The shapes of single values that several parts of the configuration share. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'must be 1-48 of a-z, 0-9 and hyphen, starting with a letter or digit');
export const port = z.int().min(1).max(65535);
export const seconds = (max: number) => z.number().positive().max(max);
export const address = z.union([z.ipv4(), z.ipv6()]);
export const loopback = z.union([z.ipv4().regex(/^127\./, 'must be a loopback address'), z.literal('::1')]);
export const headerName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be a header name');
export const path = z.string().min(1).max(1024);
export const transport = z.enum(['udp', 'tcp']);
