import type { AccessPart } from './access.js';
import type { Incident } from './calls.js';
import type { CanariesJson } from './canaries.js';
import type { CustodyJson } from './custody.js';
import type { OrdersJson } from './orders.js';
import type { OutagesJson } from './outages.js';
import type { RetentionPart } from './retention.js';
import type { Counts, Listing, Place } from './tally.js';

/** `statement.json`, format 1. Times are RFC 3339 in UTC, lengths of time are ms, and everything is from journal rows. */
export interface Statement {
  readonly format: 1;
  readonly product: 'sallyport';
  /** Of the program that made it: another version may count or word otherwise. */
  readonly version: string;
  readonly period: { readonly from: string; readonly to: string };
  /** A facility, or null for all whose calls these controllers carried. */
  readonly facility: string | null;
  readonly facilities: readonly string[];
  /** Whether operators' words are shown, with what may be a name or a number left out. */
  readonly words: 'masked' | 'withheld';
  readonly controllers: readonly ControllerPart[];
  readonly calls: CallsPart;
  readonly privateCalls: {
    readonly byClass: Readonly<Record<string, Counts>>;
    /** What the disks showed after the call, by whether the parties heard each other. */
    readonly absence: Readonly<Record<string, Counts>>;
  };
  readonly monitoredCalls: {
    readonly recordings: Counts;
    readonly withoutRecording: Counts;
    readonly armings: number;
    /** Not connected because the recording could not be proved. */
    readonly unproved: number;
  };
  readonly otherCallsOnDisk: Counts;
  readonly sealed: Counts;
  /** What was found and done after the calls, where custody's journals were given. */
  readonly custody: CustodyJson;
  readonly incidents: {
    readonly counts: Counts;
    readonly listed: Readonly<Record<string, Listing<Incident>>>;
  };
  readonly lists: ListsPart;
  readonly outages: OutagesJson;
  readonly attestation: Readonly<Record<string, Counts>>;
  readonly orders: OrdersJson;
  readonly canaries: CanariesJson;
  readonly alarms: Counts;
  readonly otherParties: Counts;
  readonly decidedAgain: Counts;
  readonly starts: Listing<StartPart>;
  /** Only where journals of custody were given. */
  readonly retention?: RetentionPart;
  /** Only where journals of the API or of registries were given. */
  readonly access?: AccessPart;
  readonly notKept: readonly NotKept[];
  readonly rows: { readonly kinds: Counts; readonly abandoned: number; readonly notInterpreted: Counts };
}

/** A controller's journal: its rows of the period stand in one chain from the first row it ever wrote. */
export interface ControllerPart {
  readonly node: string;
  readonly rows: number;
  readonly first: HeadPart | null;
  readonly last: HeadPart | null;
  /** `prev` of the first row: the hash of the row before the period. */
  readonly before: string | null;
  /** The journal itself begins within the period. */
  readonly begins: string | null;
  /** How often a row of the period was older than the one before it. */
  readonly clockWentBack: number;
}

export interface HeadPart {
  readonly seq: number;
  readonly hash: string;
  readonly at: string;
}

export interface CallsPart {
  readonly byVerdict: Readonly<Record<string, Counts>>;
  readonly byFacility: Readonly<Record<string, Counts>>;
  readonly reasons: Readonly<Record<string, Counts>>;
  readonly refusedByFacility: Readonly<Record<string, Counts>>;
  readonly endings: Readonly<Record<string, Counts>>;
  readonly dispositions: Readonly<Record<string, Counts>>;
  readonly buckets: {
    readonly unit: 'day' | 'week' | 'month';
    readonly rows: readonly { readonly from: string; readonly counts: Counts }[];
  };
  readonly underWayAtEnd: number;
  readonly withoutRecord: Counts;
  readonly turnedAway: { readonly counted: Counts; readonly beyondTheBound: number };
  readonly threeWaySuspected: number;
  readonly reducedRecords: number;
}

export interface ListsPart {
  readonly epochs: Listing<{
    readonly epoch: number;
    readonly digest: string;
    /** First and last call decided by it in the period. */
    readonly from: string;
    readonly to: string;
    readonly calls: number;
  }>;
  /** Moments at which a controller took an epoch into use. */
  readonly taken: Listing<TakenPart>;
}

/** A publication taken into use, in the words of its signed manifest. Null: the row is of a version that did not keep it. */
export interface TakenPart extends Place {
  readonly epoch: number;
  readonly digest: string | null;
  /** Accounts; `withheld` where it is none. */
  readonly by: string | null;
  readonly approvedBy: readonly string[] | null;
  /** It took so many privileged entries away that two people had to approve it. */
  readonly secondApproval: boolean | null;
  /** Privileged entries in it, and what became of those of the publication before. */
  readonly privileged: number | null;
  readonly change: { readonly added: number; readonly removed: number; readonly lost: number } | null;
}

export interface StartPart extends Place {
  readonly version: string | null;
  readonly policy: string | null;
  readonly configuration: string | null;
  /** True where it started before the period and ran into it. */
  readonly before: boolean;
}

/** What a complete statement would tell and this version's journal has no row of. */
export interface NotKept {
  readonly what: string;
  readonly where: string;
}
