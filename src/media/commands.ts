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

/**
 * Keys are media too (RFC 4733), and `block media` lets them through: the caller's phone would get what the called
 * party presses in the menu. Blocked keys are reported to the keypad all the same (facts: rtpengine).
 */
export const blockKeysCommand = (callId: CallId): BencodeDict => ({
  command: 'block DTMF',
  'call-id': callId,
  flags: ['all'],
});

export const unblockKeysCommand = (callId: CallId): BencodeDict => ({
  command: 'unblock DTMF',
  'call-id': callId,
  flags: ['all'],
});

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

/** Both parties' sound, one stream each. The node has nothing that mixes them. */
export const subscribeCommand = (callId: CallId, ear: EarTag, address: string): BencodeDict => {
  const { flags, ICE, 'transport-protocol': protocol, 'address-family': family } = description(address);
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

const MAX_FILE_NAME = 200;
const fileName = /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*\/){0,3}[A-Za-z0-9_][A-Za-z0-9_.-]*\.wav$/;

/** True for the name of a sound within the prompts' directory: no part begins with a dot, so none leads out of it. */
export const isPromptFile = (name: string): boolean => name.length <= MAX_FILE_NAME && fileName.test(name);

/**
 * True for a directory prompts may be in. Absolute, because the node hands the path to a library that takes
 * "http:" and worse for a file name too.
 */
export const isPromptsRoot = (path: string): boolean =>
  path.length <= 300 && /^(?:\/[A-Za-z0-9_.-]+)+$/.test(path) && !path.split('/').includes('..');

export const MAX_TIMES = 1000;

type Shape = { readonly [key: string]: (value: Bencodable, root: string | null) => boolean };

const text = (value: Bencodable): boolean => typeof value === 'string';
const tag = (value: Bencodable): boolean => value === 'caller' || value === 'called';
const same =
  (expected: Bencodable) =>
  (value: Bencodable): boolean =>
    JSON.stringify(value) === JSON.stringify(expected);
const prompt = (value: Bencodable, root: string | null): boolean =>
  root !== null &&
  typeof value === 'string' &&
  value.startsWith(`${root}/`) &&
  isPromptFile(value.slice(root.length + 1));
const times = (value: Bencodable): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_TIMES;

const fixed = description('0.0.0.0');
const family = (value: Bencodable): boolean => value === 'IP4' || value === 'IP6';
const described: Shape = {
  'call-id': text,
  'from-tag': tag,
  'to-tag': tag,
  sdp: text,
  flags: same(fixed.flags ?? ''),
  replace: same(fixed.replace ?? ''),
  ICE: same('remove'),
  'transport-protocol': same('RTP/AVP'),
  'address-family': family,
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
  'block DTMF': { 'call-id': text, flags: same(['all']) },
  'unblock DTMF': { 'call-id': text, flags: same(['all']) },
  'play media': { 'call-id': text, 'from-tag': tag, file: prompt, 'repeat-times': times },
  'stop media': { 'call-id': text, 'from-tag': tag },
  query: { 'call-id': text },
  delete: { 'call-id': text, 'from-tag': tag, 'delete-delay': same(0) },
};

const ear = (value: Bencodable): boolean => earTags.some((one) => one === value);

/** What a recorded node may be sent besides. Recording itself starts with a key of the answer alone. */
const recordedCommands: Readonly<Record<string, Shape>> = {
  ...privateCommands,
  answer: { ...described, 'record-call': same('yes') },
  'stop recording': { 'call-id': text },
  'subscribe request': {
    'call-id': text,
    'to-tag': ear,
    'from-tags': same(['caller', 'called']),
    flags: same(fixed.flags ?? ''),
    ICE: same('remove'),
    'transport-protocol': same('RTP/AVP'),
    'address-family': family,
  },
  'subscribe answer': { 'call-id': text, 'to-tag': ear, sdp: text },
  unsubscribe: { 'call-id': text, 'to-tag': ear },
};

/** Keys without which a command would mean more than it says here: everybody, or anything. */
const needed: Readonly<Record<string, readonly string[]>> = {
  'play media': ['call-id', 'from-tag', 'file'],
  'stop media': ['call-id', 'from-tag'],
  'stop recording': ['call-id'],
  'subscribe request': ['call-id', 'to-tag', 'from-tags'],
  'subscribe answer': ['call-id', 'to-tag', 'sdp'],
  unsubscribe: ['call-id', 'to-tag'],
};

const assertOn = (
  list: Readonly<Record<string, Shape>>,
  pool: string,
  message: BencodeDict,
  root: string | null,
): void => {
  const command = typeof message.command === 'string' ? message.command : '';
  const shape = Object.hasOwn(list, command) ? list[command] : undefined;
  if (shape === undefined) throw new Error(`a ${pool} node takes no such command`);
  const missing = needed[command]?.find((key) => !Object.hasOwn(message, key));
  if (missing !== undefined) throw new Error(`a ${pool} node takes no ${command} without ${missing}`);
  for (const [key, value] of Object.entries(message)) {
    if (key === 'command') continue;
    const holds = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (holds === undefined || !holds(value, root)) throw new Error(`a ${pool} node takes no such ${key}`);
  }
};

/**
 * The last door before a private node's socket: whatever built the message, a command, key or flag that is not on
 * the closed list throws here and is not sent (I1). `promptsRoot` is where the sounds lie that may be played there;
 * null allows none.
 */
export const assertPrivate = (message: BencodeDict, promptsRoot: string | null = null): void =>
  assertOn(privateCommands, 'private', message, promptsRoot);

/** The same door of a recorded node. */
export const assertRecorded = (message: BencodeDict, promptsRoot: string | null = null): void =>
  assertOn(recordedCommands, 'recorded', message, promptsRoot);
