import type { Bencodable, BencodeDict } from './bencode.js';
import { description, earTags, MAX_LISTED, nobody } from './commands.js';
import { protectionFlags } from './protection.js';

/** The last doors before the nodes' sockets: closed lists of all that either kind of node may be sent. */

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
const tagOrNobody = (value: Bencodable): boolean => tag(value) || value === nobody;
const same = (expected: Bencodable): ((value: Bencodable) => boolean) => {
  if (typeof expected === 'string') return (value) => value === expected;
  const text = JSON.stringify(expected);
  return (value) => JSON.stringify(value) === text;
};
const prompt = (value: Bencodable, root: string | null): boolean =>
  root !== null &&
  typeof value === 'string' &&
  value.startsWith(`${root}/`) &&
  isPromptFile(value.slice(root.length + 1));
const times = (value: Bencodable): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_TIMES;

/** The unspecified address, once, for every stream: the node makes packets for it and sends none (measured). */
const isNowhere = (sdp: string): boolean => {
  const connections = sdp.split(/\r?\n/).filter((line) => line.startsWith('c='));
  return connections.length === 1 && /^c=IN (?:IP4 0\.0\.0\.0|IP6 ::)$/.test(connections[0] ?? '');
};

const fixed = description('0.0.0.0', 'rtp');
const protections = Object.values(protectionFlags);
const family = (value: Bencodable): boolean => value === 'IP4' || value === 'IP6';
const described: Shape = {
  'call-id': text,
  'from-tag': tag,
  'to-tag': tagOrNobody,
  sdp: text,
  flags: same(fixed.flags ?? ''),
  replace: same(fixed.replace ?? ''),
  ICE: same('remove'),
  'transport-protocol': (value) => protections.some((one) => one['transport-protocol'] === value),
  SDES: (value) => protections.some(({ SDES }) => SDES !== undefined && same(SDES)(value)),
  'DTLS-fingerprint': same('SHA-256'),
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
  'block media': { 'call-id': text, flags: same(['all']), 'from-tag': tag },
  'unblock media': { 'call-id': text, flags: same(['all']), 'from-tag': tag },
  'block DTMF': {
    'call-id': text,
    flags: same(['all']),
    'from-tag': tag,
    'DTMF-security': same('silence'),
  },
  'unblock DTMF': { 'call-id': text, flags: same(['all']) },
  'play media': { 'call-id': text, 'from-tag': tag, file: prompt, 'repeat-times': times },
  'stop media': { 'call-id': text, 'from-tag': tag },
  query: { 'call-id': text },
  list: { limit: same(MAX_LISTED) },
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

/** A protected transport with other keys than ours, or a plain one with any, is no command of ours. */
const goTogether = (message: BencodeDict): boolean => {
  const flags = protections.find((one) => one['transport-protocol'] === message['transport-protocol']);
  return ['SDES', 'DTLS-fingerprint'].every(
    (key) => JSON.stringify(message[key]) === JSON.stringify(flags?.[key]),
  );
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
  if (!goTogether(message)) throw new Error(`a ${pool} node takes no such protection`);
  // Nobody is nowhere: with an address it would be somebody who hears a party.
  const { 'to-tag': to, 'record-call': record, sdp } = message;
  if (command === 'answer' && to === nobody && (record !== undefined || !isNowhere(String(sdp))))
    throw new Error(`a ${pool} node takes no such answer of nobody`);
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
