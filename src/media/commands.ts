import { isIPv6 } from 'node:net';
import type { MediaProtection, Party } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import type { Bencodable, BencodeDict } from './bencode.js';
import { protectionFlags } from './protection.js';

/**
 * Every NG command we ever send is built here, with all its flags. The tags are our own: a party's tag is in no
 * command, so no party can choose one.
 */

export const otherParty = (party: Party): Party => (party === 'caller' ? 'called' : 'caller');

/** `to`: how the media is protected of whoever is told what the node makes of it. */
export const description = (
  address: string,
  to: MediaProtection,
): { readonly [key: string]: Bencodable } => ({
  // RTP from anywhere but the described address is dropped: together with --endpoint-learning=off, a stranger hears
  // and injects nothing (facts: reliability F8).
  // The node's own ports stay when a party moves to another: they tell the channels of a recording apart.
  flags: ['strict-source', 'trust-address', 'port-latching'],
  // An old-style hold (0.0.0.0) is an address too, and ours goes there as well.
  replace: ['origin', 'session-connection', 'zero-address'],
  ICE: 'remove',
  ...protectionFlags[to],
  'address-family': isIPv6(address) ? 'IP6' : 'IP4',
  'rtcp-mux': ['demux'],
  codec: { strip: ['all'], offer: ['PCMU', 'PCMA', 'telephone-event'] },
});

export const pingCommand: BencodeDict = { command: 'ping' };
export const statisticsCommand: BencodeDict = { command: 'statistics' };

/**
 * The tag of nobody: who a party is joined with while its tones are listened to, so that its sound goes nowhere (see
 * ToneEar). Not a listener: what it is said to be has no address (`nobodyFor`), and this is checked at the last door.
 */
export const nobody = 'nobody';

/** An offer from a party. `again` where the other party has a tag already. */
export const offerCommand = (
  callId: CallId,
  from: Party,
  again: boolean,
  sdp: string,
  address: string,
  to: MediaProtection,
): BencodeDict => ({
  command: 'offer',
  'call-id': callId,
  'from-tag': from,
  ...(again ? { 'to-tag': otherParty(from) } : {}),
  sdp,
  ...description(address, to),
});

/** A party's answer to the other's offer: NG wants the offerer's tag first. */
export const answerCommand = (
  callId: CallId,
  from: Party,
  sdp: string,
  address: string,
  to: MediaProtection,
): BencodeDict => ({
  command: 'answer',
  'call-id': callId,
  'from-tag': otherParty(from),
  'to-tag': from,
  sdp,
  ...description(address, to),
});

/** Joins a party with nobody instead of with the other one, by its own description. */
export const offerToNobodyCommand = (
  callId: CallId,
  from: Party,
  sdp: string,
  address: string,
): BencodeDict => ({ ...offerCommand(callId, from, false, sdp, address, 'rtp'), 'to-tag': nobody });

export const answerOfNobodyCommand = (
  callId: CallId,
  to: Party,
  sdp: string,
  address: string,
  protection: MediaProtection,
): BencodeDict => ({ ...answerCommand(callId, otherParty(to), sdp, address, protection), 'to-tag': nobody });

/**
 * The only command that records. Recording starts with the answer and not with the offer, which would keep early
 * media of a call that may never be connected.
 */
export const recordingAnswerCommand = (
  callId: CallId,
  from: Party,
  sdp: string,
  address: string,
  to: MediaProtection,
): BencodeDict => ({ ...answerCommand(callId, from, sdp, address, to), 'record-call': 'yes' });

/** The whole call, both directions, and what is negotiated later too. */
export const blockCommand = (callId: CallId): BencodeDict => ({
  command: 'block media',
  'call-id': callId,
  flags: ['all'],
});

export const unblockCommand = (callId: CallId): BencodeDict => ({
  command: 'unblock media',
  'call-id': callId,
  flags: ['all'],
});

/** What one party sends passes to no other, whatever is unblocked for the whole call. */
export const blockPartyCommand = (callId: CallId, party: Party): BencodeDict => ({
  command: 'block media',
  'call-id': callId,
  'from-tag': party,
});

export const unblockPartyCommand = (callId: CallId, party: Party): BencodeDict => ({
  command: 'unblock media',
  'call-id': callId,
  'from-tag': party,
});

/** The same of its keys, for as long as those of the whole call are not blocked, but listened to. */
export const blockPartyKeysCommand = (callId: CallId, party: Party): BencodeDict => ({
  command: 'block DTMF',
  'call-id': callId,
  'from-tag': party,
});

/** Lifts the block of the whole call, and not that of a party. */
export const unblockCallCommand = (callId: CallId): BencodeDict => ({
  command: 'unblock media',
  'call-id': callId,
});

/**
 * Keys are media too (RFC 4733), and `block media` lets them through: the caller's phone would get what the called
 * party presses in the menu. Blocked keys are reported to the keypad all the same (facts: rtpengine).
 */
export const blockKeysCommand = (callId: CallId): BencodeDict => ({
  command: 'block DTMF',
  'call-id': callId,
  flags: ['all'],
});

/**
 * Has the node listen for keys in the sound of parties that agreed to no events, and report them as it reports events.
 * It does so only where it is told to put silence in their place, and only in sound that is neither blocked nor
 * silenced on its way to somebody (measured). Its flag `detect-DTMF` is not for us: with it the node reports an event
 * twice, and goes on after it was told to stop.
 */
export const hearTonesCommand = (callId: CallId): BencodeDict => ({
  command: 'block DTMF',
  'call-id': callId,
  flags: ['all'],
  'DTMF-security': 'silence',
});

/** Ends that: only this has the node let the sound be (measured). What is blocked of a party stays. */
export const unhearTonesCommand = (callId: CallId): BencodeDict => ({
  command: 'unblock DTMF',
  'call-id': callId,
});

export const unblockKeysCommand = (callId: CallId): BencodeDict => ({
  command: 'unblock DTMF',
  'call-id': callId,
  flags: ['all'],
});

/** As many calls as one datagram can name: an id of ours takes 30 bytes. */
export const MAX_LISTED = 2000;
/** The ids of the calls on the node, whoever's they are. */
export const listCommand: BencodeDict = { command: 'list', limit: MAX_LISTED };

export const queryCommand = (callId: CallId): BencodeDict => ({ command: 'query', 'call-id': callId });

/**
 * Plays a sound to one party: the tag is who hears it. It is heard while the call is blocked too. A play replaces the
 * one before; the reply holds the length of one round in ms (facts: rtpengine).
 */
export const playCommand = (callId: CallId, to: Party, path: string, times: number): BencodeDict => ({
  command: 'play media',
  'call-id': callId,
  'from-tag': to,
  file: path,
  ...(times === 1 ? {} : { 'repeat-times': times }),
});

export const stopPlayingCommand = (callId: CallId, to: Party): BencodeDict => ({
  command: 'stop media',
  'call-id': callId,
  'from-tag': to,
});

export const stopRecordingCommand = (callId: CallId): BencodeDict => ({
  command: 'stop recording',
  'call-id': callId,
});

/** Tags of our own listeners. Few, because the node keeps a tag and its ports until the call's end. */
export const earTags = ['ear-1', 'ear-2', 'ear-3', 'ear-4'] as const;
export type EarTag = (typeof earTags)[number];

/** Both parties' sound, one stream each, decrypted. The node has nothing that mixes them. */
export const subscribeCommand = (callId: CallId, ear: EarTag, address: string): BencodeDict => {
  const {
    flags,
    ICE,
    'transport-protocol': protocol,
    'address-family': family,
  } = description(address, 'rtp');
  return {
    command: 'subscribe request',
    'call-id': callId,
    'to-tag': ear,
    'from-tags': ['caller', 'called'],
    ...(flags === undefined ? {} : { flags }),
    ...(ICE === undefined ? {} : { ICE }),
    ...(protocol === undefined ? {} : { 'transport-protocol': protocol }),
    ...(family === undefined ? {} : { 'address-family': family }),
  };
};

export const subscribeAnswerCommand = (callId: CallId, ear: EarTag, sdp: string): BencodeDict => ({
  command: 'subscribe answer',
  'call-id': callId,
  'to-tag': ear,
  sdp,
});

/** The tag stays with the call, without subscriptions. */
export const unsubscribeCommand = (callId: CallId, ear: EarTag): BencodeDict => ({
  command: 'unsubscribe',
  'call-id': callId,
  'to-tag': ear,
});

/** With a tag, the reply holds the statistics; without a delay, nothing is relayed or recorded any more. */
export const deleteCommand = (callId: CallId, tag: Party | null): BencodeDict => ({
  command: 'delete',
  'call-id': callId,
  ...(tag === null ? {} : { 'from-tag': tag }),
  'delete-delay': 0,
});
