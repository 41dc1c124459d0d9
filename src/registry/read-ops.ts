import type { DialPlan } from '../core/number.js';
import type { WrittenOp } from './ops.js';
import { canonicalNumber, canonicalTarget, type StoredTarget } from './target.js';

type Numbered = Extract<WrittenOp, { number: string }>;
type Targeted = Extract<WrittenOp, { target: unknown }>;

/** One step with its numbers in their canonical writing: what is kept, shown to approvers, and done. */
export type Op =
  | Exclude<WrittenOp, Numbered | Targeted>
  | Numbered
  | (Omit<Extract<Targeted, { op: 'privileged-add' }>, 'target'> & { readonly target: StoredTarget })
  | (Omit<Extract<Targeted, { op: 'privileged-amend' }>, 'target'> & { readonly target: StoredTarget });

/** Throws RegistryError `number-malformed` with the step it is in. */
export const readOps = (ops: readonly WrittenOp[], plan: DialPlan): readonly Op[] =>
  ops.map((op, at): Op => {
    if ('target' in op) return { ...op, target: canonicalTarget(op.target, plan, at) };
    if ('number' in op) return { ...op, number: canonicalNumber(op.number, plan, at) };
    return op;
  });

const times: ReadonlySet<string> = new Set(['validFrom', 'validTo', 'effectiveFrom', 'expires']);

/** Steps as the database gives them back: their times are text there. */
export const storedOps = (json: unknown): readonly Op[] =>
  JSON.parse(JSON.stringify(json), (key, value: unknown) =>
    times.has(key) && typeof value === 'string' ? new Date(value) : value,
  ) as readonly Op[];
