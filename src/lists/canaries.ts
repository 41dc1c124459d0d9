import { createHash } from 'node:crypto';
import { type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import type { Canary } from './manifest.js';

/**
 * Canary numbers: one of each privileged class, looked up with every call. They are +1 555 555 01xx: no area code
 * 555 is assigned, and 555-01xx is set aside for fiction in the others, so that nobody can be called there and no
 * real list holds one. They are chosen from the publisher's key, and step aside for a number that is listed.
 *
 * `configured` replaces the choice for a class. Throws a RangeError where no number is left.
 */
export const chooseCanaries = (
  keyId: string,
  configured: Partial<Record<PrivilegedClass, string>>,
  isListed: (digits: string) => boolean,
): readonly Canary[] => {
  const taken = new Set(Object.values(configured));
  return privilegedClasses.map((cls) => {
    const own = configured[cls];
    if (own !== undefined) {
      if (isListed(own)) throw new RangeError(`canary of class ${cls}: the number is on a list`);
      return { class: cls, digits: own };
    }
    const start = createHash('sha256').update(`canary ${keyId} ${cls}`).digest().readUInt16BE(0);
    for (let step = 0; step < 100; step++) {
      const digits = `155555501${String((start + step) % 100).padStart(2, '0')}`;
      if (taken.has(digits) || isListed(digits)) continue;
      taken.add(digits);
      return { class: cls, digits };
    }
    throw new RangeError(`canary of class ${cls}: no number is left`);
  });
};
