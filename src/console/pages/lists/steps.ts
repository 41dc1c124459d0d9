import type { words } from './words.js';

/** The steps that people can propose here, as forms: their fields, and what the API is sent of them. */

type Words = (typeof words)['en'];
export type FieldName = keyof Words['labels'];
export type Values = Readonly<Record<string, string>>;

export type Control =
  | { readonly kind: 'text' | 'area' | 'lines' | 'time' | 'number'; readonly max: number }
  | { readonly kind: 'class' | 'cause' | 'facility' | 'scope' | 'anywhere' | 'language' | 'form' };

export interface FieldSpec {
  /** Of the values, and of the step that is made of them. */
  readonly name: string;
  readonly label: FieldName;
  readonly hint?: FieldName;
  readonly control: Control;
  readonly optional?: boolean;
}

export const newOps = {
  protect: ['privileged-add', 'pending-add', 'block-add'],
  calls: ['allow-add'],
  people: [
    'caller-put',
    'booking-open',
    'booking-move',
    'booking-close',
    'facility-put',
    'unit-put',
    'phone-put',
  ],
} as const;
/** Steps on an entry that is there: they begin at the entry. */
const entryOps = [
  'privileged-amend',
  'privileged-remove',
  'pending-settle',
  'block-remove',
  'allow-remove',
] as const;
export type NewOp = (typeof newOps)[keyof typeof newOps][number];
export type FormOp = NewOp | (typeof entryOps)[number];
const all: readonly string[] = [...Object.values(newOps).flat(), ...entryOps];
export const isFormOp = (text: string | null): text is FormOp => text !== null && all.includes(text);

const text = (name: string, label: FieldName, hint?: FieldName, max = 80): FieldSpec => ({
  ...{ name, label, control: { kind: 'text', max } as const },
  ...(hint === undefined ? {} : { hint }),
});
const line: FieldSpec = {
  name: 'numbers',
  label: 'numbers',
  hint: 'numbersHint',
  control: { kind: 'lines', max: 20_000 },
};
const note = (optional: boolean): FieldSpec => ({
  ...{ name: 'note', label: 'note', control: { kind: 'area', max: 500 } as const, optional },
});
const facility: FieldSpec = { name: 'facility', label: 'facility', control: { kind: 'facility' } };
const caller = text('caller', 'caller', 'callerHint', 64);
const unit: FieldSpec = { ...text('unit', 'unit', 'unitHint', 48), optional: true };

const targetFields = (values: Values, many: boolean): readonly FieldSpec[] => {
  const form: FieldSpec = { name: 'form', label: 'number', control: { kind: 'form' } };
  const number: FieldSpec = {
    ...{ name: 'number', label: 'number', hint: 'numberHint', control: { kind: 'number', max: 80 } },
  };
  switch (values.form) {
    case 'range':
      return [form, text('range', 'range', 'rangeHint')];
    case 'prefix':
      return [form, text('prefix', 'prefix', 'prefixHint')];
    case 'alias':
      return [form, number, { ...number, name: 'of', label: 'of' }];
    default:
      return [form, many ? line : number];
  }
};
const time = (name: 'validFrom' | 'validTo' | 'effectiveFrom' | 'expires'): FieldSpec => ({
  ...{ name, label: name, hint: `${name}Hint`, control: { kind: 'time', max: 40 }, optional: true },
});
const privileged: readonly FieldSpec[] = [
  { name: 'class', label: 'class', control: { kind: 'class' } },
  { ...text('evidence', 'evidence', 'evidenceHint', 500), control: { kind: 'area', max: 500 } },
  { name: 'scope', label: 'scope', hint: 'scopeHint', control: { kind: 'scope' } },
  time('effectiveFrom'),
  time('validFrom'),
  time('validTo'),
  note(true),
];

/** The fields of a form; of some, what is picked in one decides of the others. */
export const fieldsOf = (op: FormOp, values: Values): readonly FieldSpec[] => {
  switch (op) {
    case 'privileged-add':
      return [...targetFields(values, true), ...privileged];
    case 'privileged-amend':
      return [...targetFields(values, false), ...privileged];
    case 'pending-add':
      return [line, note(false), { name: 'facility', label: 'facility', control: { kind: 'anywhere' } }];
    case 'block-add':
      return [
        line,
        { name: 'cause', label: 'cause', control: { kind: 'cause' } },
        note(false),
        { name: 'facility', label: 'facility', control: { kind: 'anywhere' } },
        time('expires'),
      ];
    case 'allow-add':
      return [
        { ...caller, label: 'callerOrNot', optional: true },
        ...(values.caller === undefined || values.caller === '' ? [facility] : []),
        line,
      ];
    case 'caller-put':
      return [caller, { name: 'language', label: 'language', control: { kind: 'language' } }];
    case 'booking-open':
      return [caller, text('booking', 'booking', undefined, 40), facility, unit];
    case 'booking-move':
      return [caller, facility, unit];
    case 'booking-close':
      return [caller];
    case 'facility-put':
      return [
        text('facility', 'facilityId', 'idHint', 48),
        text('name', 'name', undefined, 100),
        text('timeZone', 'timeZone', 'timeZoneHint', 60),
      ];
    case 'unit-put':
      return [facility, text('unit', 'unitId', 'idHint', 48), text('name', 'name', undefined, 100)];
    case 'phone-put':
      return [
        facility,
        text('unit', 'unitId', 'idHint', 48),
        text('phone', 'phoneId', 'idHint', 48),
        text('name', 'name', undefined, 100),
      ];
    case 'privileged-remove':
    case 'pending-settle':
    case 'block-remove':
    case 'allow-remove':
      return [];
    default: {
      const never: never = op;
      return never;
    }
  }
};

const given = (text_: string | undefined): string | null =>
  text_ === undefined || text_.trim() === '' ? null : text_.trim();

/** A moment out of a field of the browser's own time; what is none is sent as it is, and refused with its field. */
const moment = (text_: string | undefined): string | null => {
  const written = given(text_);
  if (written === null) return null;
  const at = new Date(written);
  return Number.isNaN(at.getTime()) ? written : at.toISOString();
};

/** The value of a date field for a moment: in the browser's own time, to the minute. */
export const localMoment = (at: unknown): string => {
  if (typeof at !== 'string') return '';
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
};

const lines = (text_: string | undefined): readonly string[] => {
  const found = (text_ ?? '')
    .split('\n')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  // Nothing at all is one step without a number: the API says what is wrong with it.
  return found.length === 0 ? [''] : found;
};

const targetsOf = (values: Values, many: boolean): readonly object[] => {
  switch (values.form) {
    case 'range':
      return [{ form: 'range', range: values.range ?? '' }];
    case 'prefix':
      return [{ form: 'prefix', prefix: values.prefix ?? '' }];
    case 'alias':
      return [{ form: 'alias', number: values.number ?? '', of: values.of ?? '' }];
    default:
      return many
        ? lines(values.numbers).map((number) => ({ form: 'number', number }))
        : [{ form: 'number', number: values.number ?? '' }];
  }
};

const protection = (values: Values): object => ({
  ...{ class: values.class ?? '', evidence: values.evidence ?? '', scope: given(values.scope) ?? 'global' },
  ...{ note: values.note ?? '', validFrom: moment(values.validFrom), validTo: moment(values.validTo) },
  effectiveFrom: moment(values.effectiveFrom),
});

/** The entry that a step is about, as the API gives it. */
export interface About {
  readonly entry: string;
  readonly version: number | null;
  readonly raw: Readonly<Record<string, unknown>>;
}

/** The steps that a filled form makes. Each line of numbers makes one. */
export const stepsOf = (op: FormOp, values: Values, about: About | null): readonly object[] => {
  const on = { entry: about?.entry, version: about?.version };
  const place = { facility: values.facility ?? '' };
  switch (op) {
    case 'privileged-add':
      return targetsOf(values, true).map((target) => ({ op, target, ...protection(values) }));
    case 'privileged-amend':
      return targetsOf(values, false).map((target) => ({ op, ...on, target, ...protection(values) }));
    case 'privileged-remove':
    case 'pending-settle':
    case 'block-remove':
      return [{ op, ...on }];
    case 'allow-remove': {
      const { number, caller: owner = null, facility: whole = null } = about?.raw ?? {};
      return [{ op, number, caller: owner, facility: whole }];
    }
    case 'pending-add':
      return lines(values.numbers).map((number) => ({
        ...{ op, number, note: values.note ?? '' },
        facility: given(values.facility),
      }));
    case 'block-add':
      return lines(values.numbers).map((number) => ({
        ...{ op, number, cause: values.cause ?? '', note: values.note ?? '' },
        ...{ facility: given(values.facility), expires: moment(values.expires) },
      }));
    case 'allow-add':
      return lines(values.numbers).map((number) => ({
        ...{ op, number, caller: given(values.caller) },
        facility: given(values.caller) === null ? given(values.facility) : null,
      }));
    case 'caller-put':
      return [{ op, caller: values.caller ?? '', language: given(values.language) }];
    case 'booking-open':
      return [
        {
          op,
          caller: values.caller ?? '',
          booking: values.booking ?? '',
          ...place,
          unit: given(values.unit),
        },
      ];
    case 'booking-move':
      return [{ op, caller: values.caller ?? '', ...place, unit: given(values.unit) }];
    case 'booking-close':
      return [{ op, caller: values.caller ?? '' }];
    case 'facility-put':
      return [{ op, ...place, name: values.name ?? '', timeZone: values.timeZone ?? '' }];
    case 'unit-put':
      return [{ op, ...place, unit: values.unit ?? '', name: values.name ?? '' }];
    case 'phone-put':
      return [{ op, ...place, unit: values.unit ?? '', phone: values.phone ?? '', name: values.name ?? '' }];
    default: {
      const never: never = op;
      return never;
    }
  }
};

/** What stands in a form at first: of an entry what it is, of a caller who it is. */
export const firstValues = (op: FormOp, about: About | null, query: URLSearchParams): Values => {
  const values: Record<string, string> = {
    form: 'number',
    scope: 'global',
    class: 'attorney',
    cause: 'facility',
  };
  const owner = query.get('caller');
  if (owner !== null) values.caller = owner;
  if (op !== 'privileged-amend' || about === null) return values;
  const { raw } = about;
  const plain = (name: string): string => (typeof raw[name] === 'string' ? raw[name] : '');
  const value = plain('value');
  return {
    ...values,
    ...{ form: plain('form'), class: plain('class'), scope: plain('scope') },
    ...{ evidence: plain('evidence'), note: plain('note'), of: plain('of') },
    ...{ number: value, range: value, prefix: value },
    validFrom: localMoment(raw.validFrom),
    validTo: localMoment(raw.validTo),
    effectiveFrom: localMoment(raw.effectiveFrom),
  };
};

/** The field of the form that a fault of the API belongs to: `target.number` is what the form calls a number, or numbers. */
export const fieldOfFault = (field: string, specs: readonly FieldSpec[]): string => {
  const name = field.replace(/^target\.?/, '');
  if (specs.some((one) => one.name === name)) return name;
  return name === 'number' && specs.some((one) => one.name === 'numbers') ? 'numbers' : '';
};
