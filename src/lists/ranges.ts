/**
 * Takes a range of numbers of equal length apart into the fewest prefixes that cover it exactly: 0100-0199 is
 * `01`. At most 18 prefixes for each digit, so that a range never floods the index.
 *
 * `from` and `to` are digits, inclusive. Returns an empty list where the range is not one.
 */
export const rangePrefixes = (from: string, to: string): readonly string[] => {
  if (from.length !== to.length || from > to || from.length === 0 || from.length > 15) return [];
  const prefixes: string[] = [];
  let low = BigInt(from);
  const high = BigInt(to);
  while (low <= high) {
    let size = 1n;
    let dropped = 0;
    // Widens the block while it starts on its own boundary and ends inside the range.
    while (dropped < from.length - 1 && low % (size * 10n) === 0n && low + size * 10n - 1n <= high) {
      size *= 10n;
      dropped += 1;
    }
    const digits = low.toString();
    prefixes.push(digits.slice(0, digits.length - dropped));
    low += size;
  }
  return prefixes;
};
