import type { JsonObject } from '../journal/canonical.js';
import type { RedisEndpoint } from '../lists/redis.js';
import type { Store } from '../vault/store.js';
import type { VaultKey } from '../vault/vault.js';
import type { PrivilegedNow } from './privileged-now.js';

/** Where the lists are, as a reader of them needs to know. */
export interface ListsPlace {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  /** PEM. */
  readonly publisherKeys: readonly string[];
  readonly snapshot: string;
}

/** What custody appends to its journal while it has it open. */
export interface Rows {
  append(kind: string, body: JsonObject): Promise<unknown>;
}

/** Alarms of custody; the same codes as the controller's where they mean the same. */
export type CustodyAlarm =
  | 'recording-privileged'
  | 'seal-failed'
  | 'recording-missing'
  | 'stray-file'
  | 'custody-blind';

/** What custody looks at, and what it may do. Folders are paths on this host. */
export interface CustodyParts {
  readonly store: Store;
  /** Public escrow keys. */
  readonly escrow: readonly VaultKey[];
  /** The controllers' journals: of all whose recordings are in the vault. */
  readonly journals: readonly string[];
  /** Custody's own journal, as a reader. */
  readonly own: string;
  /** The journal of readings. */
  readonly readings: string;
  /** Recording folders of media nodes on this host. */
  readonly spools: readonly string[];
  /** Folder of the index of calls. */
  readonly state: string;
  readonly lists: () => Promise<PrivilegedNow | null>;
  /** Opens custody's journal, which has one writer at a time: whoever has it may change the vault. */
  readonly write: <T>(use: (rows: Rows) => Promise<T>) => Promise<T>;
  readonly alarm: (alarm: CustodyAlarm, callId: string | null, detail: string) => void;
  /** Most bytes of recordings read in a second to verify them. */
  readonly bytesPerSecond: number;
  readonly wall: () => number;
  /** Told whenever something was done: the sign of life. */
  readonly alive: () => void;
}
