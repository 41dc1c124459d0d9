import type { OtherParty } from '../call/ports.js';
import type { Ending } from '../core/ending.js';
import { type CallerId, type CallId, type Leg, parseCallerId, type WallMs } from '../core/leg.js';
import { parseNameAddr } from './name-addr.js';
import { partiesOfInvite } from './other-party.js';
import { type PrefixedDial, readPrefixed } from './private-prefix.js';
import type { FacilityTrunk } from './trunk.js';

/** The parts of an INVITE that say who calls what. Nothing else of it is looked at. */
export interface InviteFacts {
  readonly uri: string;
  readonly body: string;
  header(name: string): string | undefined;
}

export type ReadInvite =
  | {
      readonly leg: Leg;
      readonly offer: string;
      /** Whom the call came by before, where a PBX says that it forwards somebody else's (I7). */
      readonly others: readonly OtherParty[];
    }
  | { readonly refused: Ending };

const refuse = (code: Ending['code'], detail: string): ReadInvite => ({ refused: { code, detail } });

/** The option tags an INVITE requires and we do not know on that trunk (RFC 3261 section 8.2.2.3). */
export const unsupported = (invite: InviteFacts, trunk: FacilityTrunk): readonly string[] => {
  const known = trunk.sessionTimer === undefined ? ['100rel'] : ['100rel', 'timer'];
  return (invite.header('Require') ?? '')
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '' && !known.includes(tag.toLowerCase()));
};

/** Longest body taken as an offer, in characters. */
const maxOffer = 16_384;

/** Reads an INVITE of a facility trunk into a leg, or says why it is none. Pure. */
export const legFromInvite = (
  invite: InviteFacts,
  trunk: FacilityTrunk,
  callId: CallId,
  now: WallMs,
): ReadInvite => {
  const prefixed = readPrefixed(invite.uri, trunk.plan, trunk.privatePrefix ?? null);
  const { dialled } = prefixed;
  const read = legOf(invite, trunk, callId, now, prefixed);
  // Somebody dialled an emergency number: that is what staff must hear, whatever else the INVITE lacks.
  return 'refused' in read && dialled.kind === 'emergency'
    ? refuse('emergency-number', read.refused.detail ?? read.refused.code)
    : read;
};

const legOf = (
  invite: InviteFacts,
  trunk: FacilityTrunk,
  callId: CallId,
  now: WallMs,
  { dialled, claimsPrivate }: PrefixedDial,
): ReadInvite => {
  if (unsupported(invite, trunk).length > 0) return refuse('extension-required', 'require');
  // RFC 3891: taking over another dialog would join parties nobody decided on (I7).
  if (invite.header('Replaces') !== undefined || invite.header('Join') !== undefined) {
    return refuse('transfer-refused', 'replaces');
  }
  if (invite.header('Contact') === undefined) return refuse('request-malformed', 'contact-missing');
  const body = offerOf(invite);
  if ('refused' in body) return body;
  const caller = callerOf(invite, trunk);
  if (caller === 'unidentified') return refuse('caller-unidentified', trunk.caller.from);
  const unit = nameIn(invite, trunk.unitHeader);
  const phone = nameIn(invite, trunk.phoneHeader);
  if (unit === undefined || phone === undefined) return refuse('caller-unidentified', 'unit-or-phone');
  const leg: Leg = {
    callId,
    origin: { trunk: trunk.name, facility: trunk.facility, unit, phone },
    caller,
    dialled,
    claimsPrivate,
    receivedAt: now,
  };
  const decided = dialled.kind === 'number' || dialled.kind === 'hotline' ? [dialled.key] : [];
  const others = partiesOfInvite(invite, { plan: trunk.plan, decided });
  return { leg, offer: body.offer, others };
};

const offerOf = (invite: InviteFacts): { readonly offer: string } | { readonly refused: Ending } => {
  if (invite.body === '') return { refused: { code: 'offer-missing', detail: 'late-offer' } };
  if (invite.body.length > maxOffer) return { refused: { code: 'offer-unusable', detail: 'offer-too-long' } };
  const type = (invite.header('Content-Type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/sdp') return { refused: { code: 'offer-unusable', detail: 'content-type' } };
  // RFC 3261 section 20.12: what is encoded is not the description we could check.
  const encoding = invite.header('Content-Encoding')?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') {
    return { refused: { code: 'offer-unusable', detail: 'content-encoding' } };
  }
  return { offer: invite.body };
};

/** Who calls; null where that is to be asked for. */
const callerOf = (invite: InviteFacts, { caller }: FacilityTrunk): CallerId | null | 'unidentified' => {
  switch (caller.from) {
    case 'pin':
      return null;
    case 'header':
      return parseCallerId(invite.header(caller.header)?.trim() ?? '') ?? 'unidentified';
    case 'from-user':
      return parseCallerId(parseNameAddr(invite.header('From') ?? '')?.user ?? '') ?? 'unidentified';
    default: {
      const never: never = caller;
      return never;
    }
  }
};

/** A unit or phone named by a header: null where the trunk names none, undefined where what it sent is no name. */
const nameIn = (invite: InviteFacts, header: string | null): string | null | undefined => {
  if (header === null) return null;
  const value = invite.header(header)?.trim();
  return value !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(value) ? value : undefined;
};
