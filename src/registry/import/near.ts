import { parseNumberKeyText } from '../../core/number.js';
import { type Listed, NearIndex, nearnesses } from '../../review/near-index.js';
import type { Database } from '../database.js';
import type { Step } from './compare.js';
import { reading } from './store.js';

/** A number that a file adds, beside one that is privileged: a slip of a typist, or another line of the same office. */
export interface NearFound {
  readonly line: number;
  readonly number: string;
  readonly near: string;
  readonly class: string;
  readonly why: string;
}

const most = 1_000;
const pageRows = 20_000;

/** Looks at what an import adds, with the privileged numbers of the registry as they stand. */
export class NearFinder {
  readonly #index: NearIndex;
  readonly #found = new Map<string, NearFound[]>();
  readonly #seen = new Map<string, boolean>();
  #total = 0;

  private constructor(index: NearIndex) {
    this.#index = index;
  }

  static async open(db: Database): Promise<NearFinder> {
    const listed: Listed[] = [];
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const at = after;
      const rows = await reading(db, (trx) =>
        trx
          .selectFrom('privileged')
          .select(['id', 'form', 'value', 'class'])
          .where('removed_by', 'is', null)
          .where('id', '>', at)
          .orderBy('id')
          .limit(pageRows)
          .execute(),
      );
      for (const { form, value, class: of } of rows) {
        const one = listedOf(form, value, of);
        if (one !== null) listed.push(one);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) break;
      after = last.id;
    }
    return new NearFinder(new NearIndex(listed));
  }

  take(step: Step): void {
    if (step.what !== 'added' || step.line === null) return;
    const number = numberOf(step);
    const key = number === null ? null : parseNumberKeyText(number);
    if (number === null || key === null) return;
    const before = this.#seen.get(number);
    if (before === false) return;
    const near = this.#index.near({ digits: key.e164.slice(1), extension: key.extension });
    if (this.#seen.size < 500_000) this.#seen.set(number, near.length > 0);
    const [first] = near;
    if (first === undefined) return;
    this.#total += 1;
    const kept = this.#found.get(first.why) ?? [];
    this.#found.set(first.why, kept);
    if (kept.length < most)
      kept.push({ line: step.line, number, near: first.to, class: first.class, why: first.why });
  }

  /** The strongest evidence first. */
  result(): { readonly total: number; readonly found: readonly NearFound[] } {
    const found = nearnesses.flatMap((why) => this.#found.get(why) ?? []).slice(0, most);
    return { total: this.#total, found };
  }
}

const numberOf = ({ list, ops, key }: Step): string | null => {
  if (list === 'allowed') return key.split(' ').at(-1) ?? null;
  if (list !== 'privileged' || ops.length !== 1) return null;
  const [form, value] = key.split(' ');
  return (form === 'number' || form === 'alias') && value !== undefined ? value : null;
};

const listedOf = (form: string, value: string, of: Listed['class']): Listed | null => {
  if (form === 'range') {
    const [from = '', to = ''] = value.split('-');
    return { kind: 'range', from: from.slice(1), to: to.slice(1), class: of };
  }
  if (form === 'prefix') return { kind: 'prefix', digits: value.slice(1, -1), class: of };
  const key = parseNumberKeyText(value);
  return key === null
    ? null
    : { kind: 'number', digits: key.e164.slice(1), extension: key.extension, class: of };
};
