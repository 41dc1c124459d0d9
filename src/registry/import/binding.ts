import { type ImportProblem, problem } from './problems.js';
import { headerKey, type ImportField, type Profile } from './profile.js';

/** Where in a row each field stands: found once from the header. */
export interface Binding {
  readonly width: number;
  readonly headers: readonly string[];
  readonly places: ReadonlyMap<ImportField, number>;
  readonly flags: readonly (number | null)[];
}

/**
 * Holds the names of a file's columns against the profile. Null where a column that is needed is missing or stands
 * twice: then no row is read, because nobody knows what its fields mean.
 */
export const bind = (
  headers: readonly string[],
  profile: Profile,
  tell: (found: ImportProblem) => void,
): Binding | null => {
  const keys = headers.map(headerKey);
  const fieldOf = new Map<string, ImportField | number>();
  for (const [field, column] of Object.entries(profile.columns))
    for (const name of column.headers) fieldOf.set(headerKey(name), field as ImportField);
  for (const [at, column] of (profile.flags?.columns ?? []).entries())
    for (const name of column.headers) fieldOf.set(headerKey(name), at);
  const ignored = new Set(profile.ignore.map(headerKey));
  const places = new Map<ImportField, number>();
  const flags: (number | null)[] = (profile.flags?.columns ?? []).map(() => null);
  let sound = true;
  for (const [at, key] of keys.entries()) {
    const place = { column: at + 1, field: (headers[at] ?? '').slice(0, 100) };
    const field = fieldOf.get(key);
    if (field === undefined) {
      if (!ignored.has(key)) tell(problem('column-unknown', 1, place));
      continue;
    }
    const taken = typeof field === 'number' ? flags[field] !== null : places.has(field);
    if (taken) {
      tell(problem('column-repeated', 1, place));
      sound = false;
    } else if (typeof field === 'number') flags[field] = at;
    else places.set(field, at);
  }
  for (const name of missing(profile, places, flags)) {
    tell(problem('column-missing', 1, { field: name, detail: `Missing: ${name}.` }));
    sound = false;
  }
  return sound ? { width: headers.length, headers, places, flags } : null;
};

const optional: ReadonlySet<ImportField> = new Set([
  ...(['extension', 'extensions', 'range', 'rangeFrom', 'rangeTo', 'prefix', 'aliases', 'scope'] as const),
  ...(['validFrom', 'validTo', 'effectiveFrom', 'note', 'unit', 'at', 'language', 'expires'] as const),
  ...(['booking', 'facility'] as const),
]);

/** A column of a flag that is not there is no “no”: the whole file would be without protection and nobody would see it. */
const missing = (
  { columns, flags: asked, list }: Profile,
  places: ReadonlyMap<ImportField, number>,
  flags: readonly (number | null)[],
): readonly string[] => {
  const first = (headers: readonly string[]): string => headers[0] ?? '';
  const found: string[] = [];
  for (const [field, { headers }] of Object.entries(columns) as [ImportField, { headers: string[] }][]) {
    const may =
      optional.has(field) ||
      (field === 'number' && list === 'privileged') ||
      (field === 'caller' && list === 'allowed');
    if (!places.has(field) && !may) found.push(first(headers));
  }
  if (
    list === 'privileged' &&
    !(['number', 'range', 'rangeFrom', 'prefix'] as const).some((one) => places.has(one))
  )
    found.push(first(columns.number?.headers ?? columns.range?.headers ?? []));
  if (list === 'allowed' && columns.caller !== undefined && !places.has('caller') && !places.has('facility'))
    found.push(first(columns.caller.headers));
  for (const [at, place] of flags.entries())
    if (place === null) found.push(first(asked?.columns[at]?.headers ?? []));
  return found;
};
