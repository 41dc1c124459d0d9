import type { Readable } from 'node:stream';
import type { CanaryView, CodeCallAsked, FollowedEvent, NodeView, OrderView } from '../api/control.js';
import type { CallView } from '../call/controller.js';
import type { Locked as LockedPlace } from '../call/talk.js';
import type { Facilities } from '../registry/accounts/facilities.js';

/** What the API needs of the other parts. Each is filled where everything is wired; nothing here decides who may. */

/** A row of a journal, as far as it is shown. */
export interface ShownRow {
  readonly journal: string;
  readonly node: string;
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The API's own journal. */
export interface OwnJournal {
  /** Durable when it resolves. */
  append(
    kind: AccessRowKind,
    body: Readonly<Record<string, string | number | boolean | null>>,
  ): Promise<void>;
}

/** Rows of the API's journal. The statement counts each of them (statement/access.ts). */
export const accessRowKinds = [
  'http-signed-in',
  'http-sign-in-failed',
  'http-sign-ins-not-listed',
  'http-signed-out',
  'http-webhook-changed',
  'http-privileged-read',
  'http-number-asked',
  'http-recording-asked',
  'http-recording-read',
  'http-evidence-read',
  'http-call-read',
  'http-statement-made',
  'http-order',
  'http-code-asked',
  'http-code-entered',
  'http-counsel-decided',
  'http-search',
  'http-search-read',
  'http-search-log-read',
  'http-hot-number-refused',
  'http-export-asked',
  'http-export-made',
  'http-export-read',
] as const;
export type AccessRowKind = (typeof accessRowKinds)[number];

/** A refusal of another part: its code, and words that hold no number. */
export class PartError extends Error {
  readonly code: string;
  /** Whether it is not known what was done. */
  readonly uncertain: boolean;
  readonly unreachable: boolean;
  constructor(
    code: string,
    message: string,
    state: { readonly uncertain?: boolean; readonly unreachable?: boolean } = {},
  ) {
    super(message);
    this.name = 'PartError';
    this.code = code;
    this.uncertain = state.uncertain === true;
    this.unreachable = state.unreachable === true;
  }
}

/** The running controller. All reject with PartError. */
export interface ControllerPort {
  calls(): Promise<readonly CallView[]>;
  orders(): Promise<readonly OrderView[]>;
  canaries(): Promise<readonly CanaryView[]>;
  nodes(): Promise<readonly NodeView[]>;
  /** Ends one call. A sentence on what came of it, or null. */
  end(callId: string, by: string, why: string): Promise<string | null>;
  lockdown(place: LockedPlace, state: 'on' | 'off', by: string, why: string): Promise<string | null>;
  /** The id of the call that tells the code; null where another controller of its host took it. */
  codeCall(call: CodeCallAsked, by: string): Promise<string | null>;
  /** Until it is aborted or the controller goes. */
  follow(
    told: {
      readonly calls: (calls: readonly CallView[]) => void;
      readonly event: (event: FollowedEvent) => void;
    },
    stop: AbortSignal,
  ): Promise<void>;
  /** `/ready` of the controller; null where it does not answer. */
  ready(): Promise<{
    readonly ready: boolean;
    readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly why: string }[];
  } | null>;
  /** `/metrics` of the controller; null where it does not answer. */
  metrics(): Promise<string | null>;
}

export interface ExplainedRow {
  readonly order: number;
  readonly question: string;
  readonly outcome: string;
  readonly said: 'no' | 'decides' | 'not-asked';
}

/** What one list said of the number: the entries that matched, none of which holds the number itself. */
export interface ExplainedList {
  readonly list: 'privileged' | 'snapshot' | 'pending' | 'block' | 'allow';
  readonly state: 'listed' | 'absent' | 'unknown';
  /** Why it is unknown. */
  readonly why: string | null;
  readonly entries: readonly {
    readonly id: string;
    readonly class: string | null;
    readonly match: string | null;
    readonly scope: string | null;
    readonly cause: string | null;
  }[];
}

export interface ListsState {
  readonly armed: boolean;
  readonly why: string;
  readonly epoch: { readonly id: number; readonly digest: string } | null;
  readonly heartbeatAgeMs: number | null;
}

export interface Explained {
  readonly number: string;
  readonly verdict: 'monitored' | 'private' | 'refused';
  readonly class: string | null;
  readonly ending: string | null;
  readonly row: number;
  readonly reasons: readonly {
    readonly code: string;
    readonly detail: string | null;
    readonly words: string;
  }[];
  readonly epoch: { readonly id: number; readonly digest: string } | null;
  readonly heartbeatAgeMs: number | null;
  readonly policy: string;
  readonly rows: readonly ExplainedRow[];
  readonly lists: readonly ExplainedList[];
}

export interface Explainer {
  /** Rejects with PartError. */
  state(): Promise<ListsState>;
  /** Rejects with PartError. */
  explain(question: {
    readonly number: string;
    readonly caller: string;
    readonly facility: string;
  }): Promise<Explained>;
}

export interface JournalsPort {
  /** Names of the controllers' journals. */
  readonly calls: readonly string[];
  /** The rows a journal has grown by since it was asked last; all of them at first. Rejects with PartError. */
  grown(journal: string): AsyncIterable<ShownRow>;
  /** The rows of one call from a number on. Rejects with PartError. */
  ofCall(journal: string, callId: string, fromSeq: number): AsyncIterable<ShownRow>;
  /** The rows with these numbers, in order, as far as they are there. Rejects with PartError. */
  rowsAt(journal: string, seqs: readonly number[]): AsyncIterable<ShownRow>;
  heads(): Promise<
    readonly {
      readonly journal: string;
      readonly part: string;
      readonly head: {
        readonly size: number;
        readonly root: string;
        readonly at: string;
        readonly key: string;
      } | null;
      readonly problem: string | null;
    }[]
  >;
  /** Rejects with PartError. */
  evidence(callId: string): Promise<Buffer>;
}

export interface RecordingShown {
  readonly callId: string;
  readonly facility: string;
  readonly receivedAt: string;
  readonly createdAt: string;
  readonly seconds: number;
  readonly complete: boolean;
  readonly sealed: { readonly why: string; readonly at: string } | null;
  readonly canary: boolean;
  readonly keys: readonly { readonly id: string; readonly role: string }[];
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  readonly manifestSha256: string;
}

export interface RecordingsPort {
  /** The newest first; at most so many are looked at. */
  list(filter: {
    readonly facility: string | null;
    /** Those of other facilities are passed over. */
    readonly within: Facilities;
    readonly sealed: boolean | null;
    readonly after: string | null;
    readonly limit: number;
    /** Which of these calls may be shown at all; null: all. What may not leaves no gap, and no place in a cursor. */
    readonly shown: ((callIds: readonly string[]) => Promise<ReadonlySet<string>>) | null;
  }): Promise<{
    readonly rows: readonly RecordingShown[];
    /** Where the next page begins; null where there is none. */
    readonly next: string | null;
    readonly unreadable: number;
  }>;
  /** Null where there is none. Rejects with PartError. */
  find(callId: string): Promise<RecordingShown | null>;
  /** The encrypted bytes as they are stored, from and up to (exclusive). */
  read(recording: RecordingShown, file: string, from: number, to: number): Readable;
}

export interface StatementMade {
  readonly id: string;
  readonly period: { readonly from: string; readonly to: string };
  readonly facility: string | null;
}

export interface StatementsPort {
  /** Null where the configuration has no key to sign them with. */
  readonly keyId: string | null;
  /** The period that was asked for; `soFar`: it need not be over. Throws PartError. */
  period(
    asked: {
      readonly from?: string | undefined;
      readonly to?: string | undefined;
      readonly last?: string | undefined;
    },
    soFar: boolean,
  ): { readonly from: string; readonly to: string };
  /** What the statement would say, as its JSON: not signed, and kept nowhere. */
  preview(made: StatementMade, progress: (rows: number) => void): Promise<Buffer>;
  make(made: StatementMade, progress: (rows: number) => void): Promise<Readonly<Record<string, string>>>;
  /** Statements that are there, the newest first; at most 500. */
  list(): Promise<readonly (StatementMade & { readonly digests: Readonly<Record<string, string>> })[]>;
  read(id: string, file: string): Promise<Buffer | null>;
}

export interface CustodyPort {
  /** What custody says of itself, or null where it says nothing. */
  status(): Promise<{
    readonly at: string;
    readonly round: string | null;
    readonly epoch: number | null;
    readonly last: Readonly<
      Record<string, { readonly at: string; readonly found: Readonly<Record<string, number>> }>
    >;
    readonly alarms: Readonly<Record<string, number>>;
  } | null>;
}

/** What the lists of call time say of a number at this moment. `claimed`: pending, refused to everybody meanwhile. */
export type ListedNow = 'privileged' | 'claimed' | 'free' | 'unknown';

/** The lists as a controller has them, and custody's seal: what an export asks before anything leaves. */
export interface GatePort {
  /** Each number asked about, in the order given. Never rejects: what cannot be asked is unknown. */
  listed(numbers: readonly string[], facility: string): Promise<readonly ListedNow[]>;
  /** Seals the recordings of calls whose number proved privileged, the way custody does. Rejects with PartError. */
  seal(
    calls: readonly { readonly callId: string; readonly facility: string; readonly began: Date }[],
  ): Promise<void>;
  /** Whether a recording is marked to be sealed, by the vault or by custody's journal. Rejects with PartError. */
  sealing(callId: string): Promise<boolean>;
}

/** One thing to be put into a bundle. */
export interface BundlePart {
  readonly name: string;
  readonly bytes: number;
  readonly read: () => AsyncIterable<Buffer>;
}

/** Where bundles lie, and who signs them. */
export interface BundlesPort {
  /** Null where there is no key to sign with. */
  readonly keyId: string | null;
  readonly maxCalls: number;
  readonly maxBytes: number;
  readonly keptMs: number;
  /** Signs bytes and writes nothing. */
  sign(bytes: Buffer): Buffer;
  /** Writes the bundle of an export; resolves with its size and digest. Rejects with PartError. */
  write(id: string, parts: readonly BundlePart[], progress: (bytes: number) => void): Promise<Written>;
  /** Null where there is none. */
  read(id: string, from: number, to: number): Promise<Readable | null>;
  remove(id: string): Promise<void>;
}
export interface Written {
  readonly bytes: number;
  readonly sha256: string;
}
