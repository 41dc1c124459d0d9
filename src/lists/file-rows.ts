import { type FacilityId, parseCallerId, parseFacilityId, type WallMs } from '../core/leg.js';
import { blockCauses, type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import {
  type DialPlan,
  type NumberKey,
  numberKeyText,
  parseListed,
  parseListedPrefix,
  parseListedRange,
} from '../core/number.js';
import { parseTime } from '../core/times.js';
import type { BlockItem, PendingItem, Target } from './entries.js';
import type { RawRow } from './file-kinds.js';
import { wholeFacility } from './layout.js';
import type { Place, ProblemCode, Problems } from './problems.js';
import { facilityShape, globalScope } from './shapes.js';

/** A privileged row before it is known what an alias stands for. */
export interface PrivilegedDraft {
  readonly target: Target;
  /** Null only for an alias that takes the class of its number. */
  readonly class: PrivilegedClass | null;
  readonly scope: string;
  readonly validFrom: WallMs | null;
  readonly validTo: WallMs | null;
  readonly place: Place;
  readonly column: number | null;
}

export interface AllowDraft {
  readonly facility: FacilityId;
  readonly caller: ReturnType<typeof parseCallerId>;
  readonly key: NumberKey;
}

const rememberedNumbers = 65_536;

/** Turns rows of text into entries. What cannot be one becomes a problem; a reader never guesses. */
export class RowReader {
  readonly #plan: DialPlan;
  readonly #problems: Problems;
  /** The same numbers stand on many callers' lists, and reading one costs more than all else in its row. */
  readonly #remembered = new Map<string, NumberKey>();

  constructor(plan: DialPlan, problems: Problems) {
    this.#plan = plan;
    this.#problems = problems;
  }

  #fault(code: ProblemCode, row: RawRow, column: string, detail?: string): null {
    this.#problems.add(code, row, row.columnOf(column), row.get(column) || null, detail);
    return null;
  }

  #number(row: RawRow, column: string): NumberKey | null {
    const text = row.get(column);
    if (text === '') return this.#fault('field-missing', row, column, `Missing: ${column}.`);
    const remembered = this.#remembered.get(text);
    if (remembered !== undefined) return remembered;
    const read = parseListed(text, this.#plan);
    switch (read.kind) {
      case 'number':
      case 'hotline':
        if (this.#remembered.size >= rememberedNumbers) this.#remembered.clear();
        this.#remembered.set(text, read.key);
        return read.key;
      case 'emergency':
      case 'service':
        return this.#fault('number-not-ordinary', row, column);
      case 'unparseable':
        return this.#fault('number-malformed', row, column, `${read.message} (${read.reason})`);
      default: {
        const never: never = read;
        return never;
      }
    }
  }

  #facility(row: RawRow): FacilityId | null {
    const text = row.get('facility');
    if (text === '') return this.#fault('field-missing', row, 'facility', 'Missing: facility.');
    return parseFacilityId(text) ?? this.#fault('facility-malformed', row, 'facility');
  }

  allow(row: RawRow): AllowDraft | null {
    const facility = this.#facility(row);
    const who = row.get('caller');
    const caller = who === wholeFacility ? null : parseCallerId(who);
    if (caller === null && who !== wholeFacility) this.#fault('caller-malformed', row, 'caller');
    const key = this.#number(row, 'number');
    if (facility === null || key === null || (caller === null && who !== wholeFacility)) return null;
    return { facility, caller, key };
  }

  pending(row: RawRow): PendingItem | null {
    const key = this.#number(row, 'number');
    return key === null ? null : { key };
  }

  block(row: RawRow): BlockItem | null {
    const key = this.#number(row, 'number');
    const cause = blockCauses.find((known) => known === row.get('cause'));
    if (cause === undefined) this.#fault('cause-unknown', row, 'cause');
    const note = row.get('note') !== '';
    if (!note) this.#fault('field-missing', row, 'note', 'Missing: note.');
    const expires = this.#time(row, 'expiry', 'to');
    const facility = row.get('facility') === '' ? null : this.#facility(row);
    const wrongFacility = facility === null && row.get('facility') !== '';
    if (key === null || cause === undefined || !note || expires === undefined || wrongFacility) return null;
    return { key, cause, expires, facility };
  }

  privileged(row: RawRow): PrivilegedDraft | null {
    const kinds = ['number', 'range', 'prefix', 'alias'].filter((column) => row.get(column) !== '');
    const [column] = kinds;
    const name = row.get('class');
    const cls = privilegedClasses.find((known) => known === name) ?? null;
    const inherits = column === 'alias' && name === '';
    if (cls === null && !inherits) this.#fault('class-unknown', row, 'class');
    const scope = row.get('scope') === '' ? globalScope : row.get('scope');
    if (!facilityShape.test(scope)) this.#fault('facility-malformed', row, 'scope');
    const validFrom = this.#time(row, 'valid_from', 'from');
    const validTo = this.#time(row, 'valid_to', 'to');
    const ordered = typeof validFrom !== 'number' || typeof validTo !== 'number' || validFrom < validTo;
    if (!ordered) this.#fault('time-order', row, 'valid_to');
    if (column === undefined || kinds.length > 1) return this.#fault('target-count', row, column ?? 'number');
    if (column !== 'alias' && row.get('of') !== '') return this.#fault('of-without-alias', row, 'of');
    const target = this.#target(row, column);
    if (target === null || (cls === null && !inherits) || !facilityShape.test(scope) || !ordered) return null;
    if (validFrom === undefined || validTo === undefined) return null;
    const place = { file: row.file, line: row.line };
    return { target, class: cls, scope, validFrom, validTo, place, column: row.columnOf(column) };
  }

  #target(row: RawRow, column: string): Target | null {
    switch (column) {
      case 'range': {
        const read = parseListedRange(row.get('range'), this.#plan);
        if (read.kind === 'range') return read;
        return this.#fault('range-malformed', row, 'range', `${read.message} (${read.reason})`);
      }
      case 'prefix': {
        const read = parseListedPrefix(row.get('prefix'), this.#plan);
        if (read.kind === 'prefix') return read;
        return this.#fault('prefix-malformed', row, 'prefix', `${read.message} (${read.reason})`);
      }
      case 'alias': {
        const key = this.#number(row, 'alias');
        const of = this.#number(row, 'of');
        return key === null || of === null ? null : { kind: 'alias', key, of };
      }
      default: {
        const key = this.#number(row, 'number');
        return key === null ? null : { kind: 'number', key };
      }
    }
  }

  /** Null where none is given, undefined where it is malformed. */
  #time(row: RawRow, column: string, edge: 'from' | 'to'): WallMs | null | undefined {
    const text = row.get(column);
    if (text === '') return null;
    const time = parseTime(text, edge);
    if (time !== null) return time;
    this.#fault('time-malformed', row, column);
    return undefined;
  }
}

export const keyName = (key: NumberKey): string => numberKeyText(key);
