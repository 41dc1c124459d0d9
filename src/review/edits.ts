/** How one number comes from another by one slip of a finger or of a typist. */
export type Edit = 'one-digit-different' | 'digits-swapped' | 'digit-missing' | 'digit-extra';

/** Shortest and longest E.164 number, in digits. */
const fewest = 7;
const most = 15;
const powers: readonly number[] = Array.from({ length: most + 2 }, (_, i) => 10 ** i);
const power = (places: number): number => powers[places] ?? Number.NaN;
const digitAt = (number: number, place: number): number => Math.floor(number / power(place)) % 10;

/**
 * Calls `visit` with every number one edit away from `number` (about 250 for eleven digits), each with what was done
 * to *that* number to arrive at this one: 'digit-missing' is a number that has one digit more. Arithmetic on doubles,
 * exact up to fifteen digits; no text is made. A number may be visited twice.
 */
export const visitEdits = (number: number, visit: (other: number, edit: Edit) => void): void => {
  const length = String(number).length;
  for (let place = 0; place < length; place++) {
    const digit = digitAt(number, place);
    const without = number - digit * power(place);
    // The first digit is never 0: no country code begins so.
    for (let other = place === length - 1 ? 1 : 0; other < 10; other++) {
      if (other !== digit) visit(without + other * power(place), 'one-digit-different');
    }
    if (place + 1 >= length) continue;
    const next = digitAt(number, place + 1);
    if (next === digit || (digit === 0 && place + 1 === length - 1)) continue;
    visit(number + (digit - next) * (power(place + 1) - power(place)), 'digits-swapped');
  }
  if (length > fewest) visitShorter(number, length, visit);
  if (length < most) visitLonger(number, length, visit);
};

const visitShorter = (number: number, length: number, visit: (other: number, edit: Edit) => void): void => {
  for (let place = 0; place < length; place++) {
    const shorter = Math.floor(number / power(place + 1)) * power(place) + (number % power(place));
    if (shorter >= power(length - 2)) visit(shorter, 'digit-extra');
  }
};

const visitLonger = (number: number, length: number, visit: (other: number, edit: Edit) => void): void => {
  for (let place = 0; place <= length; place++) {
    const high = Math.floor(number / power(place)) * power(place + 1) + (number % power(place));
    for (let digit = place === length ? 1 : 0; digit < 10; digit++) {
      visit(high + digit * power(place), 'digit-missing');
    }
  }
};
