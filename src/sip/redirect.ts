import { type Dialled, type DialPlan, type NumberKey, numberKeyText } from '../core/number.js';
import { partNameAddr, splitAddresses } from './name-addr.js';
import { dialledIn } from './other-party.js';

/** Contacts of one redirection that are looked at. */
export const maxContacts = 5;
/** Redirections followed in one call. */
export const maxRedirects = 3;

const maxHeader = 4096;

/** Statuses whose Contact names somebody else to call (RFC 3261 section 21.3); 305 names a proxy, 380 nobody. */
const namesTargets = (status: number): boolean => status === 300 || status === 301 || status === 302;

export type Redirection =
  | { readonly state: 'target'; readonly target: Dialled & { readonly key: NumberKey } }
  /** Only numbers this call has tried already. */
  | { readonly state: 'loop' }
  /** Nobody that could be called: an emergency or service code, or null where nobody could be read. */
  | { readonly state: 'unusable'; readonly target: Dialled | null };

/** The first usable target of a redirecting response: by q-value, and in order where that is the same. Pure. */
export const redirection = (
  status: number,
  contact: string | undefined,
  plan: DialPlan,
  tried: readonly NumberKey[],
): Redirection => {
  const read = namesTargets(status) ? contactsOf(contact ?? '', plan) : [];
  const before = new Set(tried.map(numberKeyText));
  let looped = false;
  for (const target of read) {
    if (target.kind !== 'number' && target.kind !== 'hotline') continue;
    if (!before.has(numberKeyText(target.key))) return { state: 'target', target };
    looped = true;
  }
  return looped ? { state: 'loop' } : { state: 'unusable', target: read[0] ?? null };
};

const contactsOf = (header: string, plan: DialPlan): readonly Dialled[] => {
  // The first ones stand for all: a list that is too long is cut, not refused.
  const parts = header.length > maxHeader ? null : splitAddresses(header, 64);
  return (parts ?? [])
    .slice(0, maxContacts)
    .flatMap((part) => {
      const parted = partNameAddr(part);
      const target = parted === null ? null : dialledIn(parted.uri, plan);
      return target === null || parted === null ? [] : [{ target, q: qOf(parted.params) }];
    })
    .sort((one, other) => other.q - one.q)
    .map(({ target }) => target);
};

/** RFC 3261 section 20.10; without one it is taken for 1, and one that is no q-value for 0. */
const qOf = (params: string): number => {
  const found = /;\s*q\s*=\s*([^;]*)/i.exec(params);
  if (found === null) return 1;
  const text = (found[1] ?? '').trim();
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 0;
};
