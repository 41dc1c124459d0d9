import type { Brand } from './brand.js';
export type E164 = Brand<string, 'E164'>;
export type Extension = Brand<string, 'Extension'>;
export interface NumberKey {
  readonly e164: E164;
  readonly extension: Extension | null;
}
export type NumberType = 'ordinary' | 'toll-free' | 'premium' | 'shared-cost';
export type Dialled =
  | { readonly kind: 'number'; readonly key: NumberKey; readonly type: NumberType }
  | { readonly kind: 'emergency'; readonly code: string }
  | { readonly kind: 'service'; readonly code: string; readonly service: string }
  | { readonly kind: 'hotline'; readonly code: string; readonly key: NumberKey }
  | { readonly kind: 'unparseable'; readonly reason: string };
export const numberKeyText = (key: NumberKey): string =>
  key.extension === null ? key.e164 : `${key.e164};ext=${key.extension}`;
export interface DialPlan {
  readonly country: string;
}
export declare const parseDialled: (text: string, plan: DialPlan) => Dialled;
export declare const toRequestUriUser: (key: NumberKey) => string;
