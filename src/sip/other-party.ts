import type { OtherParty } from '../call/ports.js';
import { type Dialled, type DialPlan, type NumberKey, parseDialled } from '../core/number.js';
import { parseNameAddr, partNameAddr, splitAddresses } from './name-addr.js';

/**
 * Reads out of SIP messages whom else a call reaches (design I7: each is a leg of its own to be decided). Pure,
 * bounded and linear. A message that names somebody in a way nobody can read names somebody all the same.
 */

/** What a message says of its headers; several lines of one name come joined by commas. */
export interface Headers {
  header(name: string): string | undefined;
}

export interface Known {
  /** Numbers are read with it. */
  readonly plan: DialPlan;
  /** Whom the call is decided for: the number dialled, and those it was redirected to by a decision. */
  readonly decided: readonly NumberKey[];
}

/** Longest header looked at, in characters, and most addresses in one. */
const maxHeader = 4096;
const maxAddresses = 16;

/**
 * The plan a carrier's numbers are read with: the outside line and the speed dials belong to the phones of the site,
 * and a carrier that sends '9' or '*77' means something else by them.
 */
export const carrierPlan = ({ outsideLinePrefix, outsideLineRequired, ...plan }: DialPlan): DialPlan => ({
  ...plan,
  speedDials: {},
});

/** Other parties a response or a request names in its own headers, each as often as it is named. */
export const partiesOf = (
  message: Headers & { readonly status: number },
  known: Known,
): readonly OtherParty[] => {
  const history = historyOf(message, known);
  const rest = [...diversionsOf(message, known), ...identitiesOf(message, known)];
  if (message.status !== 181) return [...history, ...rest];
  // 181 says that the call goes on to somebody else; to whom, only History-Info may say (RFC 7044 section 10.3).
  const newest = history.at(-1);
  return [{ how: 'forwarded', target: newest?.target ?? null }, ...history.slice(0, -1), ...rest];
};

/** The identity in From of a request within the dialog, where it changed (RFC 4916 section 4.4.1). */
export const changedFrom = (request: Headers, known: Known): readonly OtherParty[] => {
  const from = request.header('From');
  const target = from === undefined ? null : targetOf(from, known.plan);
  return target === null || isDecided(target, known) ? [] : [{ how: 'connected-identity', target }];
};

/** Whom a REFER would bring in; null where it would take over somebody else's dialog (RFC 3891). */
export const referred = (request: Headers, plan: DialPlan): OtherParty => {
  const to = request.header('Refer-To');
  const parts = to === undefined ? null : splitAddresses(to.slice(0, maxHeader + 1), 1);
  return { how: 'refer', target: parts === null ? null : targetOf(parts[0] ?? '', plan) };
};

/** The parties a call came by before it reached us, as a PBX names them in its INVITE. */
export const partiesOfInvite = (invite: Headers, known: Known): readonly OtherParty[] => [
  ...historyOf(invite, known),
  ...diversionsOf(invite, known),
];

/**
 * Diversion names who diverted the call (RFC 5806 section 3). Where that is the number dialled, the call has gone to
 * somebody the header does not name.
 */
const diversionsOf = (message: Headers, known: Known): readonly OtherParty[] =>
  addressesOf(message, 'Diversion').map((address) => {
    const target = address === null ? null : targetOf(address, known.plan);
    return { how: 'diversion', target: target !== null && isDecided(target, known) ? null : target };
  });

/**
 * History-Info names every target the call had (RFC 7044). The one dialled is no other party; nor is what the
 * carrier calls the same user's registered contact ('rc') or no change ('np'), as long as it is no other number.
 */
const historyOf = (message: Headers, known: Known): readonly OtherParty[] =>
  addressesOf(message, 'History-Info').flatMap((address): readonly OtherParty[] => {
    const parted = address === null ? null : partNameAddr(address);
    if (parted === null) return [{ how: 'history-info', target: null }];
    // The Reason of each change stands in the headers of its URI (RFC 7044 section 10.2), which no dialled number has.
    const target = dialledIn(parted.uri.split('?', 1)[0] ?? '', known.plan);
    if (target === null) {
      return /;\s*(?:rc|np)\s*(?:[=;]|$)/i.test(parted.params) ? [] : [{ how: 'history-info', target }];
    }
    return isDecided(target, known) ? [] : [{ how: 'history-info', target }];
  });

/** Who is connected, by P-Asserted-Identity (RFC 3325) or the older Remote-Party-ID. */
const identitiesOf = (message: Headers, known: Known): readonly OtherParty[] =>
  ['P-Asserted-Identity', 'Remote-Party-ID'].flatMap((name) =>
    addressesOf(message, name).flatMap((address): readonly OtherParty[] => {
      if (address === null) return [{ how: 'connected-identity', target: null }];
      const target = targetOf(address, known.plan);
      if (target === null ? saysNothing(address) : isDecided(target, known)) return [];
      return [{ how: 'connected-identity', target }];
    }),
  );

/** A host without a user, and the anonymous user of RFC 3323, say nothing of who is connected. */
const saysNothing = (address: string): boolean => {
  const read = parseNameAddr(address);
  return read !== null && (read.user === '' || read.host.toLowerCase() === 'anonymous.invalid');
};

/** The addresses of a header; one null where they cannot be told apart. */
const addressesOf = (message: Headers, name: string): readonly (string | null)[] => {
  const value = message.header(name);
  if (value === undefined || value.trim() === '') return [];
  return (value.length > maxHeader ? null : splitAddresses(value, maxAddresses)) ?? [null];
};

const targetOf = (address: string, plan: DialPlan): Dialled | null => {
  const parted = partNameAddr(address);
  return parted === null ? null : dialledIn(parted.uri, plan);
};

/** What the URI dials, read as strictly as a Request-URI; null where it dials nothing. */
export const dialledIn = (uri: string, plan: DialPlan): Dialled | null => {
  // A bare dial string is none in a header: only a URI says whose number it is (RFC 3261 section 19.1).
  if (!/^(?:sips?|tel|urn):/i.test(uri)) return null;
  const read = parseDialled(uri, plan);
  return read.kind === 'unparseable' ? null : read;
};

/**
 * Whether a decision covers that number already. An identity may leave an extension out, for a carrier knows the
 * main number alone; one it names must be the one decided.
 */
const isDecided = (target: Dialled, { decided }: Known): boolean => {
  if (target.kind !== 'number' && target.kind !== 'hotline') return false;
  const { e164, extension } = target.key;
  return decided.some((key) => key.e164 === e164 && (extension === null || extension === key.extension));
};
