import { isIPv6 } from 'node:net';
import type { Party } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import type { Bencodable, BencodeDict } from './bencode.js';

/**
 * Every NG command we ever send is built here, with all its flags. The tags are our own: a party's tag is in no
 * command, so no party can choose one.
 */

export const otherParty = (party: Party): Party => (party === 'caller' ? 'called' : 'caller');

const description = (address: string): { readonly [key: string]: Bencodable } => ({
  // RTP from anywhere but the described address is dropped: together with --endpoint-learning=off, a stranger hears
  // and injects nothing (facts: reliability F8).
  // The node's own ports stay when a party moves to another: they tell the channels of a recording apart.
  flags: ['strict-source', 'trust-address', 'port-latching'],
  // An old-style hold (0.0.0.0) is an address too, and ours goes there as well.
  replace: ['origin', 'session-connection', 'zero-address'],
  ICE: 'remove',
  'transport-protocol': 'RTP/AVP',
  'address-family': isIPv6(address) ? 'IP6' : 'IP4',
  'rtcp-mux': ['demux'],
  codec: { strip: ['all'], offer: ['PCMU', 'PCMA', 'telephone-event'] },
});

export const pingCommand: BencodeDict = { command: 'ping' };
export const statisticsCommand: BencodeDict = { command: 'statistics' };

/** An offer from a party. `again` where the other party has a tag already. */
export const offerCommand = (
  callId: CallId,
  from: Party,
  again: boolean,
  sdp: string,
  address: string,
): BencodeDict => ({
  command: 'offer',
  'call-id': callId,
  'from-tag': from,
  ...(again ? { 'to-tag': otherParty(from) } : {}),
  sdp,
  ...description(address),
});

/** A party's answer to the other's offer: NG wants the offerer's tag first. */
export const answerCommand = (callId: CallId, from: Party, sdp: string, address: string): BencodeDict => ({
  command: 'answer',
  'call-id': callId,
  'from-tag': otherParty(from),
  'to-tag': from,
  sdp,
  ...description(address),
});

/**
 * The only command that records. Recording starts with the answer and not with the offer, which would keep early
 * media of a call that may never be connected.
 */
export const recordingAnswerCommand = (
  callId: CallId,
  from: Party,
  sdp: string,
  address: string,
): BencodeDict => ({ ...answerCommand(callId, from, sdp, address), 'record-call': 'yes' });

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

export const queryCommand = (callId: CallId): BencodeDict => ({ command: 'query', 'call-id': callId });

/** With a tag, the reply holds the statistics; without a delay, nothing is relayed or recorded any more. */
export const deleteCommand = (callId: CallId, tag: Party | null): BencodeDict => ({
  command: 'delete',
  'call-id': callId,
  ...(tag === null ? {} : { 'from-tag': tag }),
  'delete-delay': 0,
});

type Shape = { readonly [key: string]: (value: Bencodable) => boolean };

const text = (value: Bencodable): boolean => typeof value === 'string';
const tag = (value: Bencodable): boolean => value === 'caller' || value === 'called';
const same =
  (expected: Bencodable) =>
  (value: Bencodable): boolean =>
    JSON.stringify(value) === JSON.stringify(expected);

const fixed = description('0.0.0.0');
const described: Shape = {
  'call-id': text,
  'from-tag': tag,
  'to-tag': tag,
  sdp: text,
  flags: same(fixed.flags ?? ''),
  replace: same(fixed.replace ?? ''),
  ICE: same('remove'),
  'transport-protocol': same('RTP/AVP'),
  'address-family': (value) => value === 'IP4' || value === 'IP6',
  'rtcp-mux': same(fixed['rtcp-mux'] ?? ''),
  codec: same(fixed.codec ?? ''),
};

/** All that a private node may be sent: each command with each key and what it may hold. */
const privateCommands: Readonly<Record<string, Shape>> = {
  ping: {},
  statistics: {},
  offer: described,
  answer: described,
  'block media': { 'call-id': text, flags: same(['all']) },
  'unblock media': { 'call-id': text, flags: same(['all']) },
  query: { 'call-id': text },
  delete: { 'call-id': text, 'from-tag': tag, 'delete-delay': same(0) },
};

/**
 * The last door before a private node's socket: whatever built the message, a command, key or flag that is not on
 * the closed list throws here and is not sent (I1).
 */
export const assertPrivate = (message: BencodeDict): void => {
  const command = message.command;
  const shape =
    typeof command === 'string' && Object.hasOwn(privateCommands, command)
      ? privateCommands[command]
      : undefined;
  if (shape === undefined) throw new Error('a private node takes no such command');
  for (const [key, value] of Object.entries(message)) {
    if (key === 'command') continue;
    const holds = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (holds === undefined || !holds(value)) throw new Error(`a private node takes no such ${key}`);
  }
};

/** The same door of a recorded node: one key more, in one command. */
export const assertRecorded = (message: BencodeDict): void => {
  if (message.command !== 'answer') {
    assertPrivate(message);
    return;
  }
  const { 'record-call': record, ...rest } = message;
  if (record !== undefined && record !== 'yes') throw new Error('record-call is yes or absent');
  assertPrivate(rest);
};
