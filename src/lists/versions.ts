/**
 * The epochs in which a stored row counts: from the first (inclusive) to the last (exclusive; null = until further
 * notice). Pure arithmetic, used by the publisher, the lookup and the verification alike.
 */
export interface Version {
  readonly from: number;
  readonly to: number | null;
}

const versionShape = /^([1-9][0-9]{0,12}),([1-9][0-9]{0,12})?$/;

export const formatVersion = ({ from, to }: Version): string => `${from},${to ?? ''}`;

export const parseVersion = (text: string): Version | null => {
  const match = versionShape.exec(text);
  if (match === null) return null;
  const from = Number(match[1]);
  const to = match[2] === undefined ? null : Number(match[2]);
  return to !== null && to <= from ? null : { from, to };
};

/** True where a row of this version is part of the epoch. */
export const visibleAt = ({ from, to }: Version, epoch: number): boolean =>
  from <= epoch && (to === null || epoch < to);

/**
 * The versions of one row before the flip from `current` to `next`. What an interrupted publication left (rows of
 * an epoch that never came, ends in an epoch that never came) is undone, then the row is begun or ended in `next`.
 * No reader of `current` sees a difference.
 */
export const prepare = (
  versions: readonly Version[],
  wanted: boolean,
  current: number,
  next: number,
): readonly Version[] => {
  const kept = versions
    .filter(({ from }) => from <= current)
    .map(({ from, to }) => ({ from, to: to !== null && to > current ? null : to }));
  const standing = kept.some(({ to }) => to === null);
  if (wanted && !standing) return [...kept, { from: next, to: null }];
  if (!wanted && standing) return kept.map(({ from, to }) => ({ from, to: to ?? next }));
  return kept;
};

/**
 * The versions left after the flip: those that ended in the previous epoch or before are of no use to any reader.
 * Those that ended just now stay, because controllers still verify the new epoch and serve the previous one.
 */
export const collect = (versions: readonly Version[], previous: number): readonly Version[] =>
  versions.filter(({ to }) => to === null || to > previous);
