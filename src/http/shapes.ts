import { z } from 'zod';
import {
  type CallerId,
  type CallId,
  type FacilityId,
  parseCallerId,
  parseCallId,
  parseFacilityId,
} from '../core/leg.js';
import type { Facilities } from '../registry/accounts/facilities.js';
import { Problem } from './problems.js';

/** Shapes that several routes share. Those of requests make branded ids; those of answers are plain. */

const branded = <T extends string>(shape: RegExp, read: (text: string) => T | null) =>
  z
    .string()
    .regex(shape)
    .transform((text, context): T => {
      const id = read(text);
      if (id !== null) return id;
      context.addIssue({ code: 'custom', message: 'malformed' });
      return z.NEVER;
    });
export const callId = branded<CallId>(/^c[a-z2-7]{26}$/, parseCallId);
export const facilityId = branded<FacilityId>(/^[a-z0-9][a-z0-9-]{0,47}$/, parseFacilityId);
export const callerId = branded<CallerId>(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, parseCallerId);
export const placeName = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/);
export const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
export const accountName = z.string().regex(/^[a-z0-9][a-z0-9._@-]{0,63}$/);
/** A number as people write it; what it means is found out later, and never guessed. */
export const writtenNumber = z
  .string()
  .min(1)
  .max(80)
  .regex(/^[^\p{Cc}]*$/u);
/** Words of people, as the registry and the controller take them. */
export const words = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'holds control characters');
export const moment = z.iso.datetime({ offset: true });
/** In a query all is text. */
export const limit = z.coerce.number().int().min(1).max(200).default(50);
export const cursor = z
  .string()
  .max(400)
  .regex(/^[A-Za-z0-9_-]+$/)
  .optional();

export const pageOf = <T extends z.ZodType>(row: T) =>
  z.strictObject({
    rows: z.array(row),
    /** Counted up to a bound. */
    total: z.int().min(0),
    totalIsExact: z.boolean(),
    next: z.string().nullable().describe('Cursor of the next page; null on the last one.'),
  });

/** A cursor: opaque to its holder, and read with as much doubt as any other input. */
export const cursorText = (place: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(place)).toString('base64url');
export const cursorOf = <T extends z.ZodType>(text: string | undefined, shape: T): z.output<T> | null => {
  if (text === undefined) return null;
  try {
    const read = shape.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    if (read.success) return read.data;
  } catch {
    // Told below.
  }
  throw new Problem('cursor-malformed');
};

/** A page of rows that have ids, of which one more than the limit was asked for. */
export const paged = <T extends { readonly id: string }, S>(
  { rows, total }: { readonly rows: readonly T[]; readonly total: number },
  limitOf: number,
  bound: number,
  shown: (row: T) => S,
) => {
  const here = rows.slice(0, limitOf);
  const last = here.at(-1);
  return {
    rows: here.map(shown),
    total: Math.min(total, bound),
    totalIsExact: total <= bound,
    next: rows.length > limitOf && last !== undefined ? cursorText([last.id]) : null,
  };
};

/** What an account acts for, in answers. */
export const facilitiesShown = z
  .union([z.literal('all'), z.array(z.string())])
  .describe('`all`, or the facilities; none of them: nothing.');
export const shownFacilities = (of: Facilities): 'all' | string[] => (of === 'all' ? 'all' : [...of]);

export const iso = (at: Date | null): string | null => at?.toISOString() ?? null;
