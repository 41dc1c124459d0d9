import type { EndingCode } from '../core/ending.js';
import { parseWeights } from './spec.js';

/** What the lists say of the number that is dialled; everything a fault may excuse depends on it. */
export type Side = 'monitored' | 'private' | 'refused';

export const kinds = [
  'monitored',
  'private',
  'monitored-held',
  'private-held',
  'busy',
  'declined',
  'unanswered',
  'private-unanswered',
  'cancelled',
  'private-cancelled',
  'blocked',
  'unlisted',
  'pending',
  'emergency',
  'malformed',
] as const;
export type Kind = (typeof kinds)[number];

/** One kind of call: what is dialled, what the parties do, and what must come of it while nothing is broken. */
export interface KindFacts {
  readonly side: Side;
  /** What the called party does with it; `rings` and never answers. */
  readonly called: 'answers' | 'busy' | 'declines' | 'rings';
  /** The caller gives up: `ringing` after some seconds, `early` while it is being set up, or even when it is up. */
  readonly gives: 'never' | 'ringing' | 'early';
  readonly holds: boolean;
  /** Final responses the caller may get. */
  readonly statuses: readonly number[];
  readonly endings: readonly EndingCode[];
  readonly words: string;
}

const up: readonly EndingCode[] = ['caller-hung-up', 'called-hung-up'];

const call = (side: Side, words: string, more: Partial<KindFacts> = {}): KindFacts => ({
  side,
  called: 'answers',
  gives: 'never',
  holds: false,
  statuses: [200],
  endings: up,
  words,
  ...more,
});

const refused = (words: string, status: number, ending: EndingCode): KindFacts =>
  call('refused', words, { statuses: [status], endings: [ending] });

const early: Partial<KindFacts> = {
  gives: 'early',
  // A CANCEL and a 200 may cross: then the caller acknowledges and hangs up. The called party may have done so first.
  statuses: [200, 487],
  endings: ['caller-cancelled', ...up],
};
const rung: Partial<KindFacts> = {
  called: 'rings',
  gives: 'ringing',
  statuses: [487],
  endings: ['caller-cancelled'],
};

export const kindFacts: Readonly<Record<Kind, KindFacts>> = {
  monitored: call('monitored', 'an allowed number: connected and recorded'),
  private: call('private', 'an attorney: connected, never recorded'),
  'monitored-held': call('monitored', 'held and resumed by the caller, recorded', { holds: true }),
  'private-held': call('private', 'held and resumed by the caller, never recorded', { holds: true }),
  busy: call('monitored', 'the called party is busy', {
    called: 'busy',
    statuses: [486],
    endings: ['called-busy'],
  }),
  declined: call('monitored', 'the called party declines', {
    called: 'declines',
    statuses: [603],
    endings: ['called-rejected'],
  }),
  unanswered: call('monitored', 'rings until the caller gives up', rung),
  'private-unanswered': call('private', 'an attorney’s phone rings until the caller gives up', rung),
  cancelled: call('monitored', 'the caller gives up while it is being set up', early),
  'private-cancelled': call('private', 'the same to an attorney', early),
  blocked: refused('a blocked number', 603, 'blocked'),
  unlisted: refused('a number on no list', 403, 'not-allowed'),
  pending: refused('a number whose registration is pending', 403, 'review-pending'),
  emergency: refused('an emergency number: refused with an alarm', 403, 'emergency-number'),
  malformed: refused('digits that are no number', 484, 'number-unparseable'),
};

export type Mix = Readonly<Partial<Record<Kind, number>>>;

/** What a facility's day looks like, with more of the rare than there is. */
export const defaultMix: Mix = {
  monitored: 34,
  private: 22,
  'monitored-held': 4,
  'private-held': 3,
  busy: 3,
  declined: 2,
  unanswered: 5,
  'private-unanswered': 3,
  cancelled: 4,
  'private-cancelled': 3,
  blocked: 4,
  unlisted: 8,
  pending: 2,
  emergency: 1,
  malformed: 2,
};

/** `monitored=40,private=20,…`; `default`. Throws SpecError `mix-malformed`. */
export const parseMix = (text: string): Mix =>
  text.trim() === 'default' ? defaultMix : parseWeights(text, kinds, 'mix-malformed');
