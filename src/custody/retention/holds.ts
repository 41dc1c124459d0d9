import type { JsonObject } from '../../journal/canonical.js';
import type { CallFacts } from './call-facts.js';

/** What a hold is put on. */
export type HeldSubject =
  | { readonly kind: 'call'; readonly call: string }
  | { readonly kind: 'caller'; readonly caller: string }
  /** As `numberKeyText` writes it. */
  | { readonly kind: 'number'; readonly number: string }
  | { readonly kind: 'facility'; readonly facility: string };

/** A legal hold in force. `from` and `to` bound when calls began, RFC 3339: inclusive and exclusive. */
export interface Hold {
  readonly id: string;
  readonly subject: HeldSubject;
  readonly from: string | null;
  readonly to: string | null;
  readonly by: string;
  readonly why: string;
  readonly at: string;
}

/** What decides whether a recording is held. */
export interface Holdable {
  readonly callId: string;
  readonly facility: string;
  readonly receivedAt: number;
}

export const HOLD_KIND = 'legal-hold';
export const RELEASE_KIND = 'legal-hold-released';
const idShape = /^h[a-z2-7]{12}$/;
export const isHoldId = (text: string): boolean => idShape.test(text);

export const holdRow = ({ at: _at, subject, ...rest }: Hold): JsonObject => ({
  ...rest,
  subject: { ...subject },
});

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const timeOf = (value: unknown): string | null | undefined => {
  if (value === null) return null;
  return typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : undefined;
};

const subjectOf = (value: unknown): HeldSubject | null => {
  const { kind, call, caller, number, facility } = fieldsOf(value);
  const said = {
    call: textOf(call),
    caller: textOf(caller),
    number: textOf(number),
    facility: textOf(facility),
  };
  if (kind === 'call' && said.call !== null) return { kind, call: said.call };
  if (kind === 'caller' && said.caller !== null) return { kind, caller: said.caller };
  if (kind === 'number' && said.number !== null) return { kind, number: said.number };
  if (kind === 'facility' && said.facility !== null) return { kind, facility: said.facility };
  return null;
};

/** A hold as its row says it; null for a row that is none, which nobody may pass over. */
export const holdOf = (at: string, body: Fields): Hold | null => {
  const subject = subjectOf(body.subject);
  const [id, by, why] = [textOf(body.id), textOf(body.by), textOf(body.why)];
  const [from, to] = [timeOf(body.from), timeOf(body.to)];
  if (subject === null || id === null || by === null || why === null) return null;
  if (from === undefined || to === undefined || !isHoldId(id)) return null;
  return { id, subject, from, to, by, why, at };
};

/** A number without its extension: nobody knows whom the switchboard rang (docs/lists.md). */
const [MAIN, EXT] = [0, 1];
const partsOf = (number: string): readonly string[] => number.split(';ext=', 2);

/** A number without an extension covers each of them; one with an extension that one, and the main number. */
const sameNumber = (held: string, called: string): boolean => {
  const [one, other] = [partsOf(held), partsOf(called)];
  if (one[MAIN] !== other[MAIN]) return false;
  return one[EXT] === undefined || other[EXT] === undefined || one[EXT] === other[EXT];
};

const within = ({ from, to }: Hold, receivedAt: number): boolean =>
  (from === null || receivedAt >= Date.parse(from)) && (to === null || receivedAt < Date.parse(to));

/** Whether the journals of the controllers have to be asked who called whom. */
export const asksJournals = (hold: Hold, receivedAt: number): boolean =>
  (hold.subject.kind === 'caller' || hold.subject.kind === 'number') && within(hold, receivedAt);

/**
 * Whether a hold covers a recording. `unknown` where that depends on who called whom and no journal says it: such a
 * recording is kept, and reported.
 */
export const covers = (hold: Hold, one: Holdable, facts: CallFacts | null): 'yes' | 'no' | 'unknown' => {
  if (!within(hold, one.receivedAt)) return 'no';
  const { subject } = hold;
  switch (subject.kind) {
    case 'call':
      return subject.call === one.callId ? 'yes' : 'no';
    case 'facility':
      return subject.facility === one.facility ? 'yes' : 'no';
    case 'caller':
      if (facts === null || facts.callers.length === 0) return 'unknown';
      return facts.callers.includes(subject.caller) ? 'yes' : 'no';
    case 'number':
      if (facts === null || facts.numbers.length === 0) return 'unknown';
      return facts.numbers.some((number) => sameNumber(subject.number, number)) ? 'yes' : 'no';
    default: {
      const never: never = subject;
      return never;
    }
  }
};

/** The first hold that covers a recording; `unknown` where one may; null where none does. */
export const heldBy = (
  holds: Iterable<Hold>,
  one: Holdable,
  facts: CallFacts | null,
): Hold | 'unknown' | null => {
  let unknown = false;
  for (const hold of holds) {
    // Nobody knows whose a quarantined file is, so it may be anybody's: none expires while anything is held.
    if (one.callId.startsWith('q')) return hold;
    const answer = covers(hold, one, facts);
    if (answer === 'yes') return hold;
    if (answer === 'unknown') unknown = true;
  }
  return unknown ? 'unknown' : null;
};
