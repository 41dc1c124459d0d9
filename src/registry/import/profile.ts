import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { RegistryError } from '../errors.js';

/**
 * How a source writes its files: which columns say what, and what their values mean. What a profile does not say is
 * not guessed: an unknown column is told and left alone, an unknown value is a fault.
 */

const importLists = ['privileged', 'allowed', 'bookings', 'blocked'] as const;
export type ImportList = (typeof importLists)[number];

const importFields = [
  ...(['number', 'extension', 'extensions', 'range', 'rangeFrom', 'rangeTo', 'prefix', 'aliases'] as const),
  ...(['class', 'scope', 'validFrom', 'validTo', 'effectiveFrom', 'evidence', 'note'] as const),
  ...(['caller', 'facility', 'unit', 'booking', 'event', 'at', 'language'] as const),
  ...(['cause', 'expires'] as const),
] as const;
export type ImportField = (typeof importFields)[number];

const fieldsOf: Readonly<Record<ImportList, readonly ImportField[]>> = {
  privileged: importFields.slice(0, 15),
  allowed: ['caller', 'facility', 'number', 'extension'],
  bookings: ['caller', 'booking', 'facility', 'unit', 'event', 'at', 'language'],
  blocked: ['number', 'extension', 'cause', 'note', 'facility', 'expires'],
};
/** Of each of these one must be in the file, or said once for all rows. */
const neededOf: Readonly<Record<ImportList, readonly (readonly ImportField[])[]>> = {
  privileged: [['number', 'range', 'rangeFrom', 'prefix'], ['class'], ['evidence']],
  allowed: [['caller', 'facility'], ['number']],
  bookings: [['caller'], ['event']],
  blocked: [['number'], ['cause'], ['note']],
};

const header = z.string().trim().min(1).max(100);
const text = z
  .string()
  .max(500)
  .regex(/^[^\p{Cc}]*$/u);
const column = z.strictObject({
  /** What the column may be called. */
  headers: z.array(header).min(1).max(30),
  /** Written before what stands there, such as `bar no. `. */
  before: z
    .string()
    .max(40)
    .regex(/^[^\p{Cc}]*$/u)
    .default(''),
});
const field = z.enum(importFields);
const flagValues = z.array(z.string().max(40)).max(20);

const shape = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/),
  about: text.min(1),
  list: z.enum(importLists),
  /** `full`: what the source had before and has no more is taken away. `delta`: a file adds and changes, and no more. */
  mode: z.enum(['full', 'delta']),
  format: z.enum(['csv', 'json']).default('csv'),
  encoding: z.enum(['utf-8', 'latin-1', 'utf-16']).default('utf-8'),
  delimiter: z.enum([',', ';', '\t', '|']).default(','),
  /** `us`: dates are month/day/year. */
  dates: z.enum(['iso', 'us']).default('iso'),
  columns: z.partialRecord(field, column),
  /** Said once for all rows. */
  always: z.partialRecord(field, text.min(1)).default({}),
  /** What values mean, whatever their case. */
  values: z.partialRecord(field, z.record(z.string().max(100), text)).default({}),
  /** Flags of which one alone makes a number privileged: two names for one thing are how protection was lost before. */
  flags: z
    .strictObject({
      columns: z.array(column).min(1).max(8),
      yes: flagValues.default(['y', 'yes', '1', 'true', 'x']),
      no: flagValues.default(['n', 'no', '0', 'false', '']),
      /** What becomes of a number without any of them. */
      otherwise: z.enum(['skip', 'allowed']),
    })
    .optional(),
  /** Columns that are known and not wanted. */
  ignore: z.array(header).max(200).default([]),
});
export type Profile = z.infer<typeof shape>;

/** Names of columns are compared without case, and without what stands between words. */
export const headerKey = (name: string): string =>
  name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}#%]+/gu, ' ')
    .trim();

const malformed = (detail: string): RegistryError => new RegistryError('profile-malformed', detail);

const checked = (profile: Profile): Profile => {
  const { list, columns, always, flags } = profile;
  const may = new Set<string>([...fieldsOf[list], ...(flags?.otherwise === 'allowed' ? ['caller'] : [])]);
  const named = Object.keys(columns) as ImportField[];
  const said = Object.keys(always) as ImportField[];
  for (const one of [...named, ...said, ...(Object.keys(profile.values) as ImportField[])])
    if (!may.has(one)) throw malformed(`a list of kind ${list} has no ${one}`);
  for (const one of said)
    if (named.includes(one)) throw malformed(`${one} is a column and said once for all`);
  for (const ways of neededOf[list])
    if (!ways.some((one) => named.includes(one) || said.includes(one)))
      throw malformed(`no column says ${ways.join(' or ')}`);
  if (flags !== undefined && list !== 'privileged') throw malformed('flags make numbers privileged');
  if (flags?.otherwise === 'allowed' && !named.includes('caller'))
    throw malformed('numbers without a flag are on the list of a caller: no column says whose');
  const seen = new Set<string>();
  for (const { headers } of [...Object.values(columns), ...(flags?.columns ?? [])])
    for (const key of headers.map(headerKey)) {
      if (key === '' || seen.has(key)) throw malformed(`two columns would be called “${key}”`);
      seen.add(key);
    }
  const both = flags?.yes.find((one) => flags.no.some((no) => no.toLowerCase() === one.toLowerCase()));
  if (both !== undefined) throw malformed('a value of a flag means both yes and no');
  return profile;
};

/** A profile as an import keeps it, or as a file holds it. Throws RegistryError `profile-malformed`. */
export const profileOf = (value: unknown): Profile => {
  const read = shape.safeParse(value);
  if (read.success) return checked(read.data);
  const issue = read.error.issues[0];
  throw malformed(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`.slice(0, 200));
};

/** The text of a profile: YAML, of which JSON is a part. Throws RegistryError `profile-malformed`. */
export const parseProfile = (source: string): Profile => {
  if (source.length > 100_000) throw malformed('the profile is too long');
  let value: unknown;
  try {
    value = parseYaml(source, { maxAliasCount: 0 });
  } catch (error) {
    throw malformed(error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'no YAML');
  }
  return profileOf(value);
};
