import { parseCallerId, parseFacilityId } from '../../core/leg.js';
import { blockCauses, privilegedClasses } from '../../core/lists.js';
import type { DialPlan } from '../../core/number.js';
import { parseTime } from '../../core/times.js';
import { RegistryError } from '../errors.js';
import { canonicalNumber, canonicalTarget, type StoredTarget, type WrittenTarget } from '../target.js';
import type { Binding } from './binding.js';
import { type ImportProblem, type ImportProblemCode, problem } from './problems.js';
import { headerKey, type ImportField, type ImportList, type Profile } from './profile.js';
import type { FileRecord } from './records.js';

/** One thing that a row of a file says, in its one canonical writing. */
export interface StagedRow {
  readonly list: ImportList;
  /** What it is about: two rows with one key are about the same. */
  readonly key: string;
  /** What of it may not differ between two rows of one file. */
  readonly essence: string;
  readonly body: Readonly<Record<string, string | null>>;
}

/** Things that one row of a file may say: a number, its extensions and further numbers. */
export const maxThings = 32;
const maxField = 500;
const rememberedNumbers = 65_536;
const events = ['booked', 'transferred', 'released'] as const;
const everybody = '*';

class Fault extends Error {
  readonly field: ImportField;
  readonly code: ImportProblemCode;
  readonly detail: string | null;
  constructor(field: ImportField, code: ImportProblemCode, detail: string | null = null) {
    super(code);
    this.field = field;
    this.code = code;
    this.detail = detail;
  }
}

const usDate = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/;

/** Reads rows by one profile. What cannot be read becomes a problem; nothing is guessed. */
export class RowReader {
  readonly #profile: Profile;
  readonly #plan: DialPlan;
  readonly #tell: (found: ImportProblem) => void;
  readonly #values: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly #yes: ReadonlySet<string>;
  readonly #no: ReadonlySet<string>;
  /** The same numbers stand on many callers' lists, and reading one costs more than all else in its row. */
  readonly #remembered = new Map<string, string>();
  readonly #unknownMembers = new Set<string>();
  readonly #members: ReadonlyMap<string, ImportField | number>;
  readonly #ignored: ReadonlySet<string>;

  constructor(profile: Profile, plan: DialPlan, tell: (found: ImportProblem) => void) {
    this.#profile = profile;
    this.#plan = plan;
    this.#tell = tell;
    const lower = (text: string): string => text.trim().toLowerCase();
    this.#values = new Map(
      Object.entries(profile.values).map(([field, values]) => [
        field,
        new Map(Object.entries(values).map(([from, to]) => [lower(from), to])),
      ]),
    );
    this.#yes = new Set(profile.flags?.yes.map(lower));
    this.#no = new Set(profile.flags?.no.map(lower));
    this.#ignored = new Set(profile.ignore.map(headerKey));
    this.#members = new Map<string, ImportField | number>([
      ...Object.entries(profile.columns).flatMap(([field, { headers }]) =>
        headers.map((name): [string, ImportField] => [headerKey(name), field as ImportField]),
      ),
      ...(profile.flags?.columns ?? []).flatMap(({ headers }, at) =>
        headers.map((name): [string, number] => [headerKey(name), at]),
      ),
    ]);
  }

  /** What a row says; empty where it says nothing, or where something is wrong with it, which is told. */
  read(record: FileRecord, binding: Binding | null): readonly StagedRow[] {
    const row = Array.isArray(record.fields)
      ? this.#ofFields(record as FileRecord & { readonly fields: readonly string[] }, binding)
      : this.#ofMembers(record as FileRecord & { readonly fields: Readonly<Record<string, unknown>> });
    if (row === null) return [];
    try {
      return this.#things(row);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const { field, code, detail } = error;
      this.#tell(
        problem(code, record.line, {
          ...{ column: row.columnOf(field), field: row.nameOf(field) },
          ...(detail === null ? {} : { detail }),
        }),
      );
      return [];
    }
  }

  #ofFields(
    { fields, line }: FileRecord & { readonly fields: readonly string[] },
    binding: Binding | null,
  ): Row | null {
    if (binding === null) return null;
    if (fields.length !== binding.width) {
      this.#tell(problem('field-count', line));
      return null;
    }
    let sound = true;
    const { places, flags } = binding;
    // What the profile does not take may hold what it likes: addresses of several lines, letters of a page.
    for (const at of [...places.values(), ...flags]) {
      const code = at === null ? null : faultOf(fields[at] ?? '');
      if (at === null || code === null) continue;
      this.#tell(problem(code, line, { column: at + 1, field: (binding.headers[at] ?? '').slice(0, 100) }));
      sound = false;
    }
    if (!sound) return null;
    return {
      text: (field) => {
        const place = places.get(field);
        return place === undefined ? '' : (fields[place] ?? '').trim();
      },
      flag: (at) => {
        const place = flags[at];
        return place === null || place === undefined ? null : (fields[place] ?? '').trim();
      },
      columnOf: (field) => {
        const place = places.get(field);
        return place === undefined ? null : place + 1;
      },
      nameOf: (field) => {
        const place = places.get(field);
        return place === undefined ? field : (binding.headers[place] ?? field);
      },
      line,
    };
  }

  #ofMembers({
    fields,
    line,
  }: FileRecord & { readonly fields: Readonly<Record<string, unknown>> }): Row | null {
    const texts = new Map<ImportField | number, string>();
    let sound = true;
    for (const [name, value] of Object.entries(fields)) {
      const shown = name.slice(0, 100);
      const field = this.#members.get(headerKey(name));
      if (field === undefined) {
        this.#unknown(shown, line);
        continue;
      }
      const text = textOf(value);
      const code = text === null ? 'field-not-text' : texts.has(field) ? 'column-repeated' : faultOf(text);
      if (code !== null) {
        this.#tell(problem(code, line, { field: shown.replace(/\p{Cc}/gu, '') }));
        sound = false;
      } else texts.set(field, (text ?? '').trim());
    }
    if (!sound) return null;
    return {
      text: (field) => texts.get(field) ?? '',
      flag: (at) => texts.get(at) ?? null,
      columnOf: () => null,
      nameOf: (field) => this.#profile.columns[field]?.headers[0] ?? field,
      line,
    };
  }

  #unknown(name: string, line: number): void {
    const key = headerKey(name);
    if (this.#ignored.has(key) || this.#unknownMembers.has(key) || this.#unknownMembers.size >= 200) return;
    this.#unknownMembers.add(key);
    this.#tell(problem('column-unknown', line, { field: name.replace(/\p{Cc}/gu, '') }));
  }

  #things(row: Row): readonly StagedRow[] {
    const { list, flags } = this.#profile;
    switch (list) {
      case 'privileged':
        if (flags === undefined || this.#flagged(row)) return this.#privileged(row);
        return flags.otherwise === 'skip' ? [] : [this.#allowed(row)];
      case 'allowed':
        return [this.#allowed(row)];
      case 'bookings':
        return [this.#booking(row)];
      case 'blocked':
        return [this.#blocked(row)];
      default: {
        const never: never = list;
        return never;
      }
    }
  }

  /** One flag is enough. A flag that says neither yes nor no is a fault, also beside one that says yes. */
  #flagged(row: Row): boolean {
    let flagged = false;
    for (const [at, { headers }] of (this.#profile.flags?.columns ?? []).entries()) {
      const value = row.flag(at)?.toLowerCase();
      if (value !== undefined && this.#yes.has(value)) flagged = true;
      else if (value === undefined || !this.#no.has(value))
        throw new Fault('class', 'flag-unknown', `Neither yes nor no: ${headers[0] ?? ''}.`);
    }
    return flagged;
  }

  #text(row: Row, field: ImportField): string {
    const always = this.#profile.always[field];
    if (always !== undefined) return always;
    const text = row.text(field);
    if (text === '') return '';
    const mapped = this.#values.get(field)?.get(text.toLowerCase());
    return `${this.#profile.columns[field]?.before ?? ''}${mapped ?? text}`;
  }

  #needed(row: Row, field: ImportField): string {
    const text = this.#text(row, field);
    if (text === '') throw new Fault(field, 'field-missing');
    return text;
  }

  #oneOf<T extends string>(row: Row, field: ImportField, values: readonly T[]): T {
    const text = this.#needed(row, field);
    const found = values.find((one) => one === text.toLowerCase());
    if (found === undefined) throw new Fault(field, 'value-unknown');
    return found;
  }

  #number(text: string, field: ImportField): string {
    const known = this.#remembered.get(text);
    if (known !== undefined) return known;
    const number = this.#canonical(field, () => canonicalNumber(text, this.#plan, 0));
    if (this.#remembered.size >= rememberedNumbers) this.#remembered.clear();
    this.#remembered.set(text, number);
    return number;
  }

  #canonical<T>(field: ImportField, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      throw new Fault(field, 'number-malformed', error.message.replace(/^[a-z-]+: /, ''));
    }
  }

  #withExtension(row: Row): string {
    const number = this.#needed(row, 'number');
    const extension = this.#text(row, 'extension');
    if (extension === '') return number;
    if (!/^\d{1,10}$/.test(extension))
      throw new Fault('extension', 'number-malformed', 'An extension is digits.');
    return `${number} x${extension}`;
  }

  #facility(row: Row, field: 'facility' | 'scope' = 'facility'): string {
    const text = this.#needed(row, field);
    const found = parseFacilityId(text);
    if (found === null) throw new Fault(field, 'id-malformed');
    return found;
  }

  #caller(row: Row): string {
    const found = parseCallerId(this.#needed(row, 'caller'));
    if (found === null) throw new Fault('caller', 'id-malformed');
    return found;
  }

  #time(row: Row, field: ImportField, edge: 'from' | 'to'): string | null {
    const text = this.#text(row, field);
    if (text === '') return null;
    const us = this.#profile.dates === 'us' ? usDate.exec(text) : null;
    const iso =
      us === null ? text : `${us[3]}-${(us[1] ?? '').padStart(2, '0')}-${(us[2] ?? '').padStart(2, '0')}`;
    const time = parseTime(iso, edge);
    if (time === null) throw new Fault(field, 'time-malformed');
    return new Date(time).toISOString();
  }

  #privileged(row: Row): readonly StagedRow[] {
    const cls = this.#oneOf(row, 'class', privilegedClasses);
    const scope = ['', 'global'].includes(this.#text(row, 'scope')) ? 'global' : this.#facility(row, 'scope');
    const [validFrom, validTo] = [this.#time(row, 'validFrom', 'from'), this.#time(row, 'validTo', 'to')];
    if (validFrom !== null && validTo !== null && validFrom >= validTo)
      throw new Fault('validTo', 'time-order');
    const body = {
      ...{ class: cls, scope, validFrom, validTo, effectiveFrom: this.#time(row, 'effectiveFrom', 'from') },
      ...{ note: this.#text(row, 'note'), evidence: this.#needed(row, 'evidence') },
    };
    const essence = JSON.stringify([cls, scope, validFrom, validTo, body.effectiveFrom]);
    const staged = ({ form, value, of }: StoredTarget): StagedRow => ({
      list: 'privileged',
      key: `${form} ${value}`,
      essence: JSON.stringify([essence, of]),
      body: { form, value, of, ...body },
    });
    return this.#targets(row).map(staged);
  }

  #targets(row: Row): readonly StoredTarget[] {
    const [from, to] = [this.#text(row, 'rangeFrom'), this.#text(row, 'rangeTo')];
    if ((from === '') !== (to === ''))
      throw new Fault(from === '' ? 'rangeFrom' : 'rangeTo', 'field-missing');
    const range = from === '' ? this.#text(row, 'range') : `${from} - ${to}`;
    const prefix = this.#text(row, 'prefix');
    const number = this.#text(row, 'number');
    if ([range, prefix, number].filter((text) => text !== '').length !== 1)
      throw new Fault('number', 'target-count');
    const one = (field: ImportField, target: WrittenTarget): StoredTarget =>
      this.#canonical(field, () => canonicalTarget(target, this.#plan, 0));
    if (range !== '') return [one(from === '' ? 'range' : 'rangeFrom', { form: 'range', range })];
    if (prefix !== '') return [one('prefix', { form: 'prefix', prefix })];
    const plain = (value: string): StoredTarget => ({ form: 'number', value, of: null });
    const extensions = this.#many(row, 'extensions');
    const main = this.#number(extensions.length > 0 ? number : this.#withExtension(row), 'number');
    const aliases = this.#many(row, 'aliases').map(
      (text): StoredTarget => ({ form: 'alias', value: this.#number(text, 'aliases'), of: main }),
    );
    const own =
      extensions.length === 0
        ? [plain(main)]
        : extensions.map((text) => {
            if (!/^\d{1,10}$/.test(text))
              throw new Fault('extensions', 'number-malformed', 'An extension is digits.');
            return plain(this.#number(`${number} x${text}`, 'extensions'));
          });
    return [...own, ...aliases];
  }

  #many(row: Row, field: ImportField): readonly string[] {
    const texts = this.#text(row, field)
      .split(/[;|]/)
      .map((text) => text.trim())
      .filter((text) => text !== '');
    if (texts.length > maxThings / 2 - 1) throw new Fault(field, 'too-many-aliases');
    return texts;
  }

  #allowed(row: Row): StagedRow {
    const number = this.#number(this.#withExtension(row), 'number');
    const who = this.#text(row, 'caller');
    if (who === everybody || (who === '' && this.#profile.columns.caller === undefined)) {
      const facility = this.#facility(row);
      return {
        list: 'allowed',
        key: `* ${facility} ${number}`,
        essence: '',
        body: { caller: null, facility, number },
      };
    }
    const caller = this.#caller(row);
    return {
      list: 'allowed',
      key: `${caller} ${number}`,
      essence: '',
      body: { caller, facility: null, number },
    };
  }

  #booking(row: Row): StagedRow {
    const caller = this.#caller(row);
    const event = this.#oneOf(row, 'event', events);
    const language = this.#text(row, 'language') === '' ? null : this.#oneOf(row, 'language', ['en', 'es']);
    const at = this.#time(row, 'at', 'from');
    const base = { caller, language, at };
    const staged = (body: StagedRow['body']): StagedRow => ({
      ...{ list: 'bookings', key: caller, body },
      essence: JSON.stringify([body.event, body.booking, body.facility, body.unit, at]),
    });
    if (event === 'released')
      return staged({ ...base, event: 'released', booking: null, facility: null, unit: null });
    const booking = this.#needed(row, 'booking');
    if (booking.length > 40) throw new Fault('booking', 'field-too-long');
    const unit = this.#text(row, 'unit');
    if (unit !== '' && parseFacilityId(unit) === null) throw new Fault('unit', 'id-malformed');
    return staged({
      ...base,
      ...{ event: 'booked', booking, facility: this.#facility(row), unit: unit === '' ? null : unit },
    });
  }

  #blocked(row: Row): StagedRow {
    const number = this.#number(this.#withExtension(row), 'number');
    const cause = this.#oneOf(row, 'cause', blockCauses);
    const note = this.#needed(row, 'note');
    const facility = this.#text(row, 'facility') === '' ? null : this.#facility(row);
    const expires = this.#time(row, 'expires', 'to');
    const body = { number, cause, note, facility, expires };
    return { list: 'blocked', key: `${number} ${cause} ${facility ?? '*'}`, essence: expires ?? '', body };
  }
}

interface Row {
  readonly line: number;
  text(field: ImportField): string;
  /** Null where the row does not have it. */
  flag(at: number): string | null;
  columnOf(field: ImportField): number | null;
  nameOf(field: ImportField): string;
}

const faultOf = (text: string): ImportProblemCode | null => {
  if (text.length > maxField) return 'field-too-long';
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? 'control-character' : null;
};

const textOf = (value: unknown): string | null => {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : null;
};
