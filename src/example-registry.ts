import { parseTime } from './core/times.js';
import { kindOfFile, type RawRow } from './lists/file-kinds.js';
import { readCsv } from './lists/files-csv.js';
import { Problems } from './lists/problems.js';
import type { Registry } from './registry/registry.js';

/** Who kept and who checked the lists of a site for trying things out. Both can be looked up in the console. */
const maker = 'demo.registrar';
const checker = 'demo.approver';

const optional = (text: string): string | null => (text === '' ? null : text);

const time = (text: string, edge: 'from' | 'to'): string | null => {
  const at = parseTime(text, edge);
  return at === null ? null : new Date(at).toISOString();
};

const targetOf = (row: RawRow): object => {
  const [number, range, prefix, alias] = ['number', 'range', 'prefix', 'alias'].map((one) => row.get(one));
  if (range !== '') return { form: 'range', range };
  if (prefix !== '') return { form: 'prefix', prefix };
  if (alias !== '') return { form: 'alias', number: alias, of: row.get('of') };
  return { form: 'number', number };
};

const stepOf = (row: RawRow): object => {
  const number = row.get('number');
  switch (row.kind) {
    case 'privileged':
      return {
        ...{ op: 'privileged-add', target: targetOf(row), class: row.get('class') },
        ...{ scope: row.get('scope') || 'global', note: row.get('note'), evidence: row.get('evidence') },
        validFrom: time(row.get('valid_from'), 'from'),
        validTo: time(row.get('valid_to'), 'to'),
      };
    case 'block':
      return {
        ...{ op: 'block-add', number, cause: row.get('cause'), note: row.get('note') },
        ...{ facility: optional(row.get('facility')), expires: time(row.get('expiry'), 'to') },
      };
    case 'pending':
      return { op: 'pending-add', number, note: row.get('note') };
    case 'allow': {
      const caller = row.get('caller');
      const facility = row.get('facility');
      return caller === '*'
        ? { op: 'allow-add', caller: null, facility, number }
        : { op: 'allow-add', caller, number };
    }
    default: {
      const never: never = row.kind;
      return never;
    }
  }
};

interface Place {
  readonly facility: string;
  readonly timeZone: string;
}

const bookings = (rows: readonly RawRow[]): readonly object[] => {
  const booked = new Map(
    rows
      .filter(({ kind }) => kind === 'allow')
      .map((row) => [row.get('caller'), row.get('facility')] as const)
      .filter(([caller]) => caller !== '*'),
  );
  return [...booked].flatMap(([caller, facility], at) => [
    { op: 'caller-put', caller },
    { op: 'booking-open', caller, booking: `DEMO-${String(at + 1).padStart(4, '0')}`, facility },
  ]);
};

/**
 * Fills a registry that knows no facility yet with the lists of files, by the ways people go: places and protections by
 * one person, allowed numbers by two. Rejects with RegistryError.
 *
 * `files`: CSV files, their kind in their names. `places`: the facilities of the configuration.
 */
export const fillRegistry = async (
  registry: Registry,
  places: readonly Place[],
  files: readonly string[],
): Promise<void> => {
  const rows: RawRow[] = [];
  const problems = new Problems();
  for (const path of files) {
    const kind = kindOfFile(path);
    if (kind !== null) await readCsv(path, kind, problems, (row) => rows.push(row));
  }
  const facilities = places.map(({ facility, timeZone }) => ({
    ...{ op: 'facility-put', facility, timeZone },
    name: `${facility.slice(0, 1).toUpperCase()}${facility.slice(1)} county`,
  }));
  await registry.propose(maker, 'the example site: places and people', [...facilities, ...bookings(rows)]);
  const stepsOf = (allowed: boolean): readonly object[] =>
    rows.filter(({ kind }) => (kind === 'allow') === allowed).map(stepOf);
  await registry.propose(maker, 'the example lists: who is protected or blocked', stepsOf(false));
  const { id } = await registry.propose(maker, 'the example lists: whom callers may call', stepsOf(true));
  await registry.say(checker, id, 'approve', 'looked at');
};
