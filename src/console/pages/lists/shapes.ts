/** What the API answers about lists; docs/api.md and `/v1/openapi.json` have the same shapes. */

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly total: number;
  readonly totalIsExact: boolean;
  readonly next: string | null;
}

export const listNames = ['privileged', 'allowed', 'blocked', 'pending', 'callers', 'places'] as const;
export type ListName = (typeof listNames)[number];

export interface Hit {
  readonly list: Exclude<ListName, 'places'>;
  readonly id: string;
  readonly what: string;
  readonly form: string | null;
  readonly of: string | null;
  readonly class: string | null;
  readonly cause: string | null;
  readonly caller: string | null;
  readonly facility: string | null;
  readonly note: string;
  readonly evidence: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly version: number | null;
  readonly change: string | null;
}

export interface PlaceHit {
  readonly id: string;
  readonly kind: 'facility' | 'unit' | 'phone';
  readonly facility: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly name: string;
}

export interface FieldChange {
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface Step {
  readonly step: number;
  readonly op: string;
  readonly words: string;
  readonly subject: string;
  readonly fields: readonly FieldChange[];
  readonly entry: string | null;
  readonly missing: boolean;
}

export type Effect = 'place' | 'closes' | 'protects' | 'alters' | 'opens' | 'ends-protection';
export type Allowance =
  | 'yes'
  | 'not-allowed'
  | 'own-change'
  | 'approved-already'
  | 'change-over'
  | 'not-the-maker';
export interface Needs {
  readonly approvals: number;
  readonly delayMs: number;
}

export interface ProposalRow {
  readonly id: string;
  readonly maker: string;
  readonly reason: string;
  readonly state: 'proposed' | 'waiting' | 'applied' | 'rejected' | 'withdrawn';
  readonly needs: Needs;
  readonly approvers: readonly string[];
  readonly proposedAt: string;
  readonly dueAt: string | null;
  readonly overAt: string | null;
  readonly steps: number;
  readonly version: string;
  readonly gravest: Effect;
  readonly subjects: readonly { readonly op: string; readonly subject: string }[];
  readonly epoch: number | null;
  readonly may: Readonly<Record<'approve' | 'reject' | 'withdraw', Allowance>>;
}

export interface Proposal extends ProposalRow {
  readonly voices: readonly {
    readonly who: string;
    readonly says: 'approve' | 'reject' | 'withdraw';
    readonly why: string;
    readonly at: string;
  }[];
  readonly diff: readonly Step[];
  readonly stopped: { readonly code: string; readonly step: number | null; readonly words: string } | null;
  readonly consequences: readonly { readonly step: number; readonly code: string; readonly count: number }[];
}

export interface Fault {
  readonly step: number;
  readonly field: string;
  readonly code: string;
  readonly words: string;
}

export interface Checked {
  readonly ok: boolean;
  readonly faults: readonly Fault[];
  readonly needs: Needs | null;
  readonly gravest: Effect | null;
  readonly diff: readonly Step[];
  readonly warnings: readonly { readonly step: number; readonly code: string; readonly number: string }[];
}

export interface EntryEvent {
  readonly change: string;
  readonly what: 'made' | 'amended' | 'removed';
  readonly maker: string;
  readonly reason: string;
  readonly approvers: readonly string[];
  readonly proposedAt: string;
  readonly doneAt: string | null;
  readonly epoch: number | null;
  readonly fields: readonly FieldChange[];
}

export interface EntryRecord {
  readonly list: 'privileged' | 'blocked' | 'pending' | 'allowed';
  readonly id: string;
  readonly stands: boolean;
  readonly version: number | null;
  readonly fields: readonly { readonly field: string; readonly value: string }[];
  readonly raw: Readonly<Record<string, unknown>>;
  readonly history: readonly EntryEvent[];
  readonly open: readonly {
    readonly id: string;
    readonly maker: string;
    readonly reason: string;
    readonly state: string;
  }[];
}

export interface CallerRecord {
  readonly id: string;
  readonly language: string | null;
  readonly since: string;
  readonly numbers: number;
  readonly bookings: readonly {
    readonly booking: string;
    readonly facility: string;
    readonly unit: string | null;
    readonly opened: string;
    readonly closed: string | null;
  }[];
}

export interface Publication {
  readonly epoch: number;
  readonly at: string;
  readonly digest: string;
  readonly by: readonly string[];
  readonly added: number;
  readonly removed: number;
  readonly changes: number;
}

export interface PublicationShown extends Omit<Publication, 'changes'> {
  readonly changes: readonly {
    readonly id: string;
    readonly maker: string;
    readonly reason: string;
    readonly steps: number;
  }[];
  readonly changesMore: boolean;
}

export interface LookBack {
  readonly id: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly code: string | null;
  readonly rows: number;
  readonly from: string;
  readonly to: string;
  readonly found: {
    readonly decisions: number;
    readonly touched: number;
    readonly truncated: boolean;
    readonly counts: Readonly<Record<string, number>>;
    readonly same: number;
    readonly recordings: number;
    readonly connectedMs: number;
    readonly notReplayable: Readonly<Record<string, number>>;
    readonly calls: readonly {
      readonly callId: string;
      readonly at: string;
      readonly facility: string;
      readonly number: string;
      readonly change: string;
      readonly happened: string;
      readonly today: string;
      readonly would: string;
      readonly connectedMs: number | null;
      readonly recording: boolean | null;
    }[];
    readonly near: readonly {
      readonly number: string;
      readonly why: string;
      readonly to: string;
      readonly calls: number;
      readonly callers: number;
      readonly last: string;
    }[];
    readonly nearTotal: number;
  } | null;
}

/** What stands about one number: `POST /v1/lists/lookup`. */
export interface Lookup {
  readonly number: string;
  readonly privileged: readonly {
    readonly id: string;
    readonly form: string;
    readonly value: string;
    readonly class: string;
    readonly match: string;
  }[];
  readonly blocked: readonly { readonly id: string; readonly cause: string }[];
  readonly pending: readonly { readonly id: string }[];
  readonly allowed: readonly {
    readonly id: string;
    readonly caller: string | null;
    readonly facility: string | null;
  }[];
}
