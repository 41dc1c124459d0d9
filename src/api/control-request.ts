import { type CallerId, type FacilityId, parseCallerId, parseFacilityId } from '../core/leg.js';
import { parseNumberKeyText } from '../core/number.js';
import type { CallersChange, CodeCallAsked, LockedPlace, OnOff } from './control.js';

/** Bytes of one request, its newline not counted. */
export const maxLineBytes = 8 * 1024;
export const maxByLength = 64;
export const maxWhyLength = 200;
/** An abbreviated call id: 'c' and at least 25 of the id's 130 random bits. */
export const minPrefixLength = 6;

export type RequestId = string | number;

interface Signed {
  readonly by: string;
  readonly why: string;
}

/** One command, its fields checked. `call` is a call id or its beginning, which the server resolves. */
export type ControlCommand =
  | { readonly command: 'calls' }
  | { readonly command: 'follow' }
  | { readonly command: 'orders' }
  | { readonly command: 'canaries' }
  | { readonly command: 'nodes' }
  | ({ readonly command: 'drain'; readonly node: string; readonly state: OnOff } & Signed)
  /** Null: of every facility. */
  | { readonly command: 'canary-run'; readonly facility: FacilityId | null }
  | ({ readonly command: 'canary-clear'; readonly facility: FacilityId } & Signed)
  | ({ readonly command: 'end'; readonly call: string; readonly block: boolean } & Signed)
  | ({ readonly command: 'listen'; readonly call: string; readonly to: string } & Signed)
  | ({ readonly command: 'lockdown'; readonly place: LockedPlace; readonly state: OnOff } & Signed)
  | ({ readonly command: 'suspend'; readonly caller: CallerId; readonly state: OnOff } & Signed)
  | ({ readonly command: 'review'; readonly number: string; readonly verdict: 'clear' } & Signed)
  | {
      readonly command: 'code-call';
      readonly number: string;
      readonly code: string;
      readonly language: 'en' | 'es';
      readonly by: string;
    }
  | {
      readonly command: 'callers';
      readonly change: CallersChange;
      readonly by: string;
      readonly why: string | null;
    };

/** A request that is not carried out: a stable code, and a sentence that repeats nothing of what was sent. */
export interface RequestFault {
  readonly code:
    | 'line-invalid'
    | 'id-invalid'
    | 'command-unknown'
    | 'field-unknown'
    | 'by-invalid'
    | 'why-invalid'
    | 'call-invalid'
    | 'to-invalid'
    | 'place-invalid'
    | 'state-invalid'
    | 'block-invalid'
    | 'caller-invalid'
    | 'number-invalid'
    | 'verdict-invalid'
    | 'change-invalid'
    | 'code-invalid'
    | 'language-invalid'
    | 'node-invalid';
  readonly message: string;
}

export type ParsedRequest =
  | { readonly ok: true; readonly id: RequestId; readonly command: ControlCommand }
  /** `id` is null where the line does not even say that. */
  | { readonly ok: false; readonly id: RequestId | null; readonly fault: RequestFault };

/**
 * Printable text of 1 to `max` characters. Control and format characters (which could redraw a terminal or hide
 * what was written), private and unassigned ones and line separators are not printable; nor is a lone space.
 */
export const isPrintable = (text: string, max: number): boolean =>
  [...text].length <= max && /\S/u.test(text) && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);

/**
 * A supervisor's phone: user, host and port, and at most a transport. Passwords, headers and other parameters
 * would let an order do more than ring a phone (RFC 3261 section 19.1.1).
 */
export const isPhoneUri = (text: string): boolean =>
  text.length <= 256 &&
  /^sips?:[A-Za-z0-9_.!~*'()+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?(?:;transport=(?:udp|tcp|tls))?$/.test(
    text,
  );

/** Names of units and phones, as a trunk's header may give them (sip/leg-from-invite.ts). */
const placeName = /^[A-Za-z0-9._-]{1,64}$/;
const callPrefix = new RegExp(`^c[a-z2-7]{${minPrefixLength - 1},26}$`);

type Fields = Readonly<Record<string, unknown>>;

class Refused extends Error {
  readonly fault: RequestFault;
  constructor(code: RequestFault['code'], message: string) {
    super(message);
    this.fault = { code, message };
  }
}

/** A call id, or as much of its beginning as is sure to be meant. */
export const isCallPrefix = (text: string): boolean => callPrefix.test(text);

/** Reads one line. Never throws. */
export const parseRequest = (line: Uint8Array): ParsedRequest => {
  let id: RequestId | null = null;
  try {
    const fields = fieldsOf(line);
    id = idOf(fields.id);
    return { ok: true, id, command: commandOf(fields) };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, id, fault: error.fault };
    throw error;
  }
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const fieldsOf = (line: Uint8Array): Fields => {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(line));
  } catch {
    throw new Refused('line-invalid', 'a request is one line of JSON in UTF-8');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refused('line-invalid', 'a request is a JSON object');
  return value as Fields;
};

const idOf = (id: unknown): RequestId => {
  if (Number.isSafeInteger(id)) return id as number;
  if (typeof id === 'string' && isPrintable(id, 64)) return id;
  throw new Refused('id-invalid', 'a request has an id: a whole number, or 1 to 64 printable characters');
};

/** Refuses what the command does not know: a misspelt field must not be taken for one left out. */
const only = (fields: Fields, ...known: readonly string[]): void => {
  for (const name of Object.keys(fields))
    if (name !== 'id' && name !== 'command' && !known.includes(name))
      throw new Refused('field-unknown', 'the request has a field that this command does not know');
};

const commandOf = (fields: Fields): ControlCommand => {
  const { command } = fields;
  switch (command) {
    case 'calls':
    case 'follow':
    case 'orders':
    case 'canaries':
    case 'nodes':
      only(fields);
      return { command };
    case 'end': {
      only(fields, 'call', 'block', 'by', 'why');
      const { block = false } = fields;
      if (typeof block !== 'boolean') throw new Refused('block-invalid', 'block is true or false');
      return { command, call: callOf(fields), block, ...signed(fields) };
    }
    case 'listen':
      only(fields, 'call', 'to', 'by', 'why');
      return { command, call: callOf(fields), to: phoneOf(fields), ...signed(fields) };
    case 'lockdown':
      only(fields, 'place', 'state', 'by', 'why');
      return { command, place: placeOf(fields.place), state: stateOf(fields), ...signed(fields) };
    case 'suspend':
      only(fields, 'caller', 'state', 'by', 'why');
      return { command, caller: callerOf(fields), state: stateOf(fields), ...signed(fields) };
    case 'review':
      only(fields, 'number', 'verdict', 'by', 'why');
      return { command, ...reviewed(fields), ...signed(fields) };
    case 'drain':
      only(fields, 'node', 'state', 'by', 'why');
      return { command, node: nodeOf(fields), state: stateOf(fields), ...signed(fields) };
    case 'canary-run':
      only(fields, 'facility');
      return { command, facility: (fields.facility ?? null) === null ? null : facilityOf(fields) };
    case 'canary-clear':
      only(fields, 'facility', 'by', 'why');
      return { command, facility: facilityOf(fields), ...signed(fields) };
    case 'code-call': {
      only(fields, 'number', 'code', 'language', 'by');
      const { by } = signed({ ...fields, why: '-' });
      return { command, ...codeCallOf(fields), by };
    }
    case 'callers': {
      only(fields, 'change', 'facility', 'caller', 'callers', 'by', 'why');
      const { why = null } = fields;
      // A caller who forgot a PIN is reason enough: why is asked for where something is taken from somebody.
      const { by } = signed({ ...fields, why: why ?? '-' });
      return { command, change: changeOf(fields), by, why: why as string | null };
    }
    default:
      throw new Refused('command-unknown', 'there is no such command');
  }
};

const signed = ({ by, why }: Fields): Signed => {
  if (typeof by !== 'string' || !isPrintable(by, maxByLength))
    throw new Refused('by-invalid', `say who gives the order, in 1 to ${maxByLength} printable characters`);
  if (typeof why !== 'string' || !isPrintable(why, maxWhyLength))
    throw new Refused('why-invalid', `say why, in 1 to ${maxWhyLength} printable characters`);
  return { by, why };
};

const callOf = ({ call }: Fields): string => {
  if (typeof call === 'string' && isCallPrefix(call)) return call;
  throw new Refused(
    'call-invalid',
    `a call is named by its id, or by at least its first ${minPrefixLength} characters`,
  );
};

const phoneOf = ({ to }: Fields): string => {
  if (typeof to === 'string' && isPhoneUri(to)) return to;
  throw new Refused(
    'to-invalid',
    'the phone to ring is a SIP URI such as sip:desk1@10.0.0.5:5060;transport=udp',
  );
};

const facilityOf = ({ facility }: Fields): FacilityId => {
  const parsed = typeof facility === 'string' ? parseFacilityId(facility) : null;
  if (parsed !== null) return parsed;
  throw new Refused('place-invalid', 'a facility is named as the configuration names it');
};

const nodeOf = ({ node }: Fields): string => {
  if (typeof node === 'string' && /^[a-z0-9][a-z0-9-]{0,47}$/.test(node)) return node;
  throw new Refused('node-invalid', 'a node is named as the configuration names it');
};

const stateOf = ({ state }: Fields): OnOff => {
  if (state === 'on' || state === 'off') return state;
  throw new Refused('state-invalid', 'the state is on or off');
};

const callerOf = ({ caller }: Fields): CallerId => {
  const parsed = typeof caller === 'string' ? parseCallerId(caller) : null;
  if (parsed !== null) return parsed;
  throw new Refused(
    'caller-invalid',
    'a caller is 1-64 characters of letters, digits, dot, hyphen, underscore',
  );
};

const changeOf = ({ change, facility, caller = null, callers = null }: Fields): CallersChange => {
  const within = typeof facility === 'string' ? parseFacilityId(facility) : null;
  if (within === null) throw new Refused('place-invalid', 'callers are those of a facility');
  if (change !== 'publish' && change !== 'unlock' && change !== 'set-pin')
    throw new Refused('change-invalid', 'the change is publish, unlock or set-pin');
  if (callers !== null && !(Number.isSafeInteger(callers) && (callers as number) >= 0))
    throw new Refused('change-invalid', 'the number of callers is a whole number');
  if ((caller === null) !== (change === 'publish'))
    throw new Refused('caller-invalid', 'a publication is of all callers, any other change is of one');
  return {
    change,
    facility: within,
    caller: caller === null ? null : callerOf({ caller }),
    callers: callers as number | null,
  };
};

const reviewed = ({ number, verdict }: Fields): { number: string; verdict: 'clear' } => {
  if (typeof number !== 'string' || !isPrintable(number, 128))
    throw new Refused(
      'number-invalid',
      'a number is 1 to 128 printable characters, written as it would be dialled',
    );
  if (verdict !== 'clear') throw new Refused('verdict-invalid', 'the only verdict is clear');
  return { number, verdict };
};

const codeCallOf = ({ number, code, language }: Fields): CodeCallAsked => {
  if (typeof number !== 'string' || number.length > 32 || parseNumberKeyText(number) === null)
    throw new Refused('number-invalid', 'the number is one in its canonical writing');
  if (typeof code !== 'string' || !/^[0-9]{6}$/.test(code))
    throw new Refused('code-invalid', 'a code is six digits');
  if (language !== 'en' && language !== 'es')
    throw new Refused('language-invalid', 'the language is en or es');
  return { number, code, language };
};

/** Strict like all the rest: a place with a field too many could be meant narrower than it is read. */
const placeOf = (place: unknown): LockedPlace => {
  const refused = new Refused(
    'place-invalid',
    'a place is {level: global}, or a facility, or a unit or a phone of a facility',
  );
  if (typeof place !== 'object' || place === null || Array.isArray(place)) throw refused;
  const { level, facility, unit, phone, ...rest } = place as Fields;
  if (Object.keys(rest).length > 0) throw refused;
  if (level === 'global') {
    if (facility !== undefined || unit !== undefined || phone !== undefined) throw refused;
    return { level };
  }
  const within: FacilityId | null = typeof facility === 'string' ? parseFacilityId(facility) : null;
  if (within === null) throw refused;
  switch (level) {
    case 'facility':
      if (unit !== undefined || phone !== undefined) throw refused;
      return { level, facility: within };
    case 'unit':
      if (typeof unit !== 'string' || !placeName.test(unit) || phone !== undefined) throw refused;
      return { level, facility: within, unit };
    case 'phone':
      if (typeof phone !== 'string' || !placeName.test(phone) || unit !== undefined) throw refused;
      return { level, facility: within, phone };
    default:
      throw refused;
  }
};
