import { Problem } from './problems.js';

export interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly partial: boolean;
}

/** One range of bytes (RFC 9110 section 14.1.2). Several at once are answered with the whole, as it may be. Throws Problem `range-unfit`. */
export const rangeOf = (header: string | undefined, size: number): Range => {
  const whole = { from: 0, to: size, partial: false };
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return whole;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return whole;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return whole;
  if (from >= size || from >= to) throw new Problem('range-unfit');
  return { from, to, partial: true };
};
