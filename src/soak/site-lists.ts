import type { FacilityId } from '../core/leg.js';
import { type DialPlan, parseListed } from '../core/number.js';
import { AllowLists, type ListSet } from '../lists/entries.js';
import type { Kind } from './mix.js';

const ranges = { monitored: 120, private: 140, blocked: 160, unlisted: 170, pending: 180 } as const;
const numbersOf = (list: keyof typeof ranges, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `+1646555${String(ranges[list] + i).padStart(4, '0')}`);

const monitored = numbersOf('monitored', 20);
const privileged = numbersOf('private', 20);
const blocked = numbersOf('blocked', 5);
const unlisted = numbersOf('unlisted', 5);
const pending = numbersOf('pending', 5);

/** What is dialled for each kind of call. */
export const soakNumbers: Readonly<Record<Kind, readonly string[]>> = {
  monitored,
  private: privileged,
  'monitored-held': monitored,
  'private-held': privileged,
  busy: monitored,
  declined: monitored,
  unanswered: monitored,
  'private-unanswered': privileged,
  cancelled: monitored,
  'private-cancelled': privileged,
  blocked,
  unlisted,
  pending,
  emergency: ['911'],
  malformed: ['12345', '999999'],
};

const classes = ['attorney', 'public-defender', 'court', 'clergy', 'physician'] as const;

/** The lists of the soak's site. A blocked number and a pending one are allowed besides: what forbids goes first. */
export const soakLists = (facility: FacilityId, plan: DialPlan): ListSet => {
  const key = (text: string) => {
    const read = parseListed(text, plan);
    if (read.kind !== 'number') throw new RangeError(`not a number of the dial plan: ${text}`);
    return read.key;
  };
  const allow = new AllowLists();
  for (const number of [...monitored, ...blocked, ...pending]) allow.add(facility, null, key(number));
  return {
    allow,
    privileged: privileged.map((number, i) => ({
      target: { kind: 'number', key: key(number) },
      class: classes[i % classes.length] ?? 'attorney',
      scope: 'global',
      validFrom: null,
      validTo: null,
    })),
    block: blocked.map((number) => ({
      key: key(number),
      cause: 'facility',
      expires: null,
      facility: null,
    })),
    pending: pending.map((number) => ({ key: key(number) })),
  };
};
