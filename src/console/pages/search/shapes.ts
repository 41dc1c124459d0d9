/** What the API's routes of the search answer (docs/api.md). */

export const flagNames = [
  'review',
  'threat',
  'contraband',
  'witness',
  'third-party',
  'violence',
  'evidence',
  'cleared',
] as const;
export type FlagName = (typeof flagNames)[number];

export interface FoundCall {
  readonly callId: string;
  readonly began: string;
  readonly ended: string;
  readonly facility: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly caller: string | null;
  readonly numbers: readonly string[];
  readonly ending: string;
  readonly endingText: string;
  readonly connectedMs: number;
  readonly threeWay: number;
  readonly recording: string | null;
  readonly flags: readonly FlagName[];
  readonly notes: number;
}

export interface FoundPage {
  readonly rows: readonly FoundCall[];
  readonly total: number;
  readonly totalIsExact: boolean;
  readonly next: string | null;
  readonly asOf: string | null;
}

export interface Note {
  readonly id: string;
  readonly author: string;
  readonly at: string;
  readonly text: string;
  readonly corrects: string | null;
}

export interface Mark {
  readonly flag: FlagName;
  readonly state: 'set' | 'cleared';
  readonly who: string;
  readonly at: string;
  readonly why: string;
}

export interface OneCall {
  readonly call: FoundCall;
  readonly notes: readonly Note[];
  readonly marks: readonly Mark[];
}

export interface LinkRow {
  readonly caller: string;
  readonly number: string;
  readonly calls: number;
  readonly connectedMs: number;
  readonly first: string;
  readonly last: string;
}

export interface LinkView {
  readonly of: { readonly kind: 'caller' | 'number'; readonly value: string };
  readonly links: readonly LinkRow[];
  readonly further: readonly LinkRow[];
  readonly more: boolean;
}

export interface HotNumber {
  readonly id: string;
  readonly number: string;
  readonly reason: string;
  readonly state: 'proposed' | 'watched' | 'expired' | 'ended';
  readonly proposedBy: string;
  readonly expires: string;
  readonly approvedBy: string | null;
  readonly endedWhy: string | null;
}

export interface HotAlert {
  readonly hot: string;
  readonly callId: string;
  readonly at: string;
  readonly facility: string;
  readonly caller: string | null;
  readonly number: string;
}

export interface ExportJob {
  readonly id: string;
  readonly state: 'waiting' | 'checking' | 'writing' | 'done' | 'failed' | 'gone';
  readonly by: string;
  readonly case: string;
  readonly askedAt: string;
  readonly calls: number;
  readonly checked: number;
  readonly exported: readonly string[];
  readonly withheld: readonly string[];
  readonly without: readonly string[];
  readonly bytes: number;
  readonly sha256: string | null;
  readonly code: string | null;
}

export interface LogRow {
  readonly at: string;
  readonly kind: string;
  readonly who: string;
  readonly why: string | null;
  readonly body: Readonly<Record<string, unknown>>;
  readonly journal: string;
  readonly seq: number;
}
