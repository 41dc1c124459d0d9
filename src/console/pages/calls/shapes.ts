/** What the API answers about calls. Members are those of docs/api.md. */

export interface PastCall {
  readonly callId: string;
  readonly node: string;
  readonly endedAt: string;
  readonly arrivedAt: string | null;
  readonly facility: string;
  readonly trunk: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly caller: string | null;
  readonly dialled: string;
  readonly number: string | null;
  readonly numberShown: boolean;
  readonly verdict: string;
  readonly class: string | null;
  readonly reasons: readonly { readonly code: string; readonly words: string }[];
  readonly ending: string;
  readonly disposition: string;
  readonly fault: string;
  readonly durationMs: number;
  readonly connectedMs: number;
  readonly recording: string | null;
}

export interface Found {
  readonly rows: readonly PastCall[];
  readonly total: number;
  readonly totalIsExact: boolean;
  readonly next: string | null;
  /** Calls that ended before are not looked at; null: all are. */
  readonly oldest: string | null;
}

export interface Row {
  readonly at: string;
  readonly node: string;
  readonly seq: number;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface OneCall {
  readonly call: PastCall | null;
  readonly rows: readonly Row[];
  readonly context: readonly Row[];
  readonly more: boolean;
}

/** Codes are words with hyphens: `called-hung-up`. */
export const plainWords = (code: string): string => code.replaceAll('-', ' ');

export type Fields = Readonly<Record<string, unknown>>;
export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const countOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
