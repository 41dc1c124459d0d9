import type { Brand, NonEmpty } from './brand.js';
import type { WallMs } from './leg.js';

/**
 * The classes of privileged numbers. This is the only place that names them: two near-synonym flags in two places
 * is how protected numbers were lost in an upgrade (facts: field, Charlotte County).
 */
export const privilegedClasses = [
  'attorney',
  'public-defender',
  'court',
  'physician',
  'clergy',
  'consulate',
  'ombuds',
  'legislator',
  'hotline',
  'relay',
] as const;
export type PrivilegedClass = (typeof privilegedClasses)[number];

/** Why a number is blocked. A note is mandatory in the list file; it is not carried into the call path. */
export const blockCauses = ['facility', 'security', 'called-party', 'court-order', 'billing'] as const;
export type BlockCause = (typeof blockCauses)[number];

/** A publication's number: strictly rising. */
export type EpochId = Brand<number, 'EpochId'>;
/** Stable id of one list row (a digest of its content), so that evidence can name it without the number. */
export type EntryId = Brand<string, 'EntryId'>;

export interface EpochRef {
  readonly id: EpochId;
  /** sha256 (hex) of the publication's content. */
  readonly digest: string;
}

/** How the entry came to match what was dialled. */
export type MatchKind = 'number' | 'extension' | 'main-number-of-extension' | 'range' | 'prefix' | 'alias';

export interface PrivilegedEntry {
  readonly id: EntryId;
  readonly class: PrivilegedClass;
  readonly match: MatchKind;
  /** The scope it was entered under ('global' or a facility). Shown in evidence; never narrows protection. */
  readonly scope: string;
  readonly validFrom: WallMs | null;
  readonly validTo: WallMs | null;
}

export interface BlockEntry {
  readonly id: EntryId;
  readonly cause: BlockCause;
  readonly expires: WallMs | null;
  /** Ordered on the spot, in no list file: it stands whatever is published. */
  readonly ordered?: true;
}

export interface PendingEntry {
  readonly id: EntryId;
  /** As in BlockEntry. */
  readonly ordered?: true;
}

export interface AllowEntry {
  readonly id: EntryId;
  /** 'caller': on this caller's own list; 'facility': on the list of the whole facility. */
  readonly scope: 'caller' | 'facility';
}

export const unknownWhys = [
  'unreachable',
  'timeout',
  'malformed',
  'no-epoch',
  'unarmed',
  'stale',
  'bad-signature',
  'clock',
] as const;
/** Why a list could not be asked. */
export type UnknownWhy = (typeof unknownWhys)[number];

/** Unknown is a third answer, never "absent": a list that could not be read says nothing about a number. */
export type Answer<E> =
  | { readonly state: 'listed'; readonly entries: NonEmpty<E> }
  | { readonly state: 'absent' }
  | { readonly state: 'unknown'; readonly why: UnknownWhy };

/** What the lists say about one caller and one number, all from one epoch and one round trip. */
export interface ListAnswers {
  /** The epoch that answered, or null where none could. */
  readonly epoch: EpochRef | null;
  /** Age of the publisher's signed heartbeat in milliseconds, or null where none could be read. */
  readonly heartbeatAgeMs: number | null;
  readonly privileged: Answer<PrivilegedEntry>;
  /** The same question put to the local signed snapshot (in memory; at most `maxSnapshotAge` old). */
  readonly snapshot: Answer<PrivilegedEntry>;
  readonly pending: Answer<PendingEntry>;
  readonly block: Answer<BlockEntry>;
  readonly allow: Answer<AllowEntry>;
}

/** True where the entry protects at that time. An entry without bounds protects always. */
export const inForce = (entry: PrivilegedEntry, now: WallMs): boolean =>
  (entry.validFrom === null || entry.validFrom <= now) && (entry.validTo === null || now < entry.validTo);

/** Every answer unknown for one reason: what an adapter returns when it could not ask at all. */
export const allUnknown = (why: UnknownWhy, snapshot: Answer<PrivilegedEntry>): ListAnswers => {
  const unknown = { state: 'unknown', why } as const;
  return {
    epoch: null,
    heartbeatAgeMs: null,
    privileged: unknown,
    snapshot,
    pending: unknown,
    block: unknown,
    allow: unknown,
  };
};
