import { BlockList, isIP, isIPv4 } from 'node:net';
import { parse, type SessionDescription } from 'sdp-transform';
import { MediaError, type MediaProtection } from '../call/ports.js';
import { protocolOf, withOwnKeys } from './protection.js';
import { readTextFormats, standIns, type TextFormats } from './sdp-text.js';
import { Unusable } from './sdp-unusable.js';

export { type SdpDetail, sdpDetails } from './sdp-unusable.js';

/**
 * What comes from a party is parsed to check it, and then goes to the media node as the text it was: writing parsed
 * SDP again loses digits of large session ids and breaks unknown lines (facts: reliability F13).
 */

export type SdpUse = 'offer' | 'answer' | 'reoffer' | 'reanswer';

/** Which addresses a party may name for its media. */
export interface PeerRules {
  readonly address: (address: string) => boolean;
  readonly port: (port: number) => boolean;
}

/** 'address port' a party sends its RTP from. */
export type PeerSource = string;

/** The streams of a usable description. */
export interface PeerStreams {
  /** The text to go on with: as it was, or without the keys that its leg may not use. */
  readonly sdp: string;
  readonly audio: PeerSource;
  /** Real-time text beside it; null where there is none, or it is refused. */
  readonly text: { readonly source: PeerSource; readonly formats: TextFormats } | null;
}

const MAX_CHARS = 8_000;
const MAX_LINES = 200;
const MAX_LINE = 1_000;
const MAX_STREAMS = 8;
const MAX_FORMATS = 32;

// What no configuration can allow: unspecified, multicast, reserved and broadcast addresses.
const never = new BlockList();
never.addSubnet('0.0.0.0', 8);
never.addSubnet('224.0.0.0', 4);
never.addSubnet('240.0.0.0', 4);
never.addAddress('::', 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');

// IPv4 in IPv6 clothes. A list of its own: BlockList would match every plain IPv4 address against it.
const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

// What must be allowed by name: a party who names our own host could have its RTP payload delivered to a control
// port there, as a command (the cookie of an NG datagram may be any bytes, an RTP header too).
const local = new BlockList();
local.addSubnet('127.0.0.0', 8);
local.addSubnet('169.254.0.0', 16);
local.addAddress('::1', 'ipv6');
local.addSubnet('fe80::', 10, 'ipv6');

const holds = (list: BlockList, address: string): boolean =>
  list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');

/**
 * Rules from configured networks ("192.0.2.0/24"; none means every unicast address but loopback and link-local) and
 * from the control addresses that no media may ever be sent to. Throws on a malformed network.
 */
export const peerRules = (
  networks: readonly string[] | null,
  control: readonly { readonly host: string; readonly port: number }[],
): PeerRules => {
  const wanted = new BlockList();
  for (const network of networks ?? []) {
    const [address = '', bits = ''] = network.split('/');
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits)) throw new RangeError(`not a network: ${network}`);
    wanted.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  const controlPorts = new Set(control.map(({ port }) => port));
  return {
    // Ports below 1024 are services'; the control ports of our nodes are refused on every address, so that no alias
    // of a host slips through.
    port: (port) => Number.isInteger(port) && port >= 1024 && port <= 65_535 && !controlPorts.has(port),
    address: (address) => {
      if (isIP(address) === 0 || holds(never, address)) return false;
      if (isIP(address) === 6 && holds(mapped, address)) return false;
      return networks === null ? !holds(local, address) : holds(wanted, address);
    },
  };
};

/** Bounds and shape of the text itself, before a parser sees it. */
const checkText = (text: string): void => {
  if (text.length > MAX_CHARS) throw new Unusable('sdp-too-long');
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length > MAX_LINES) throw new Unusable('sdp-too-long');
  const once = new Set<string>();
  for (const line of lines) {
    if (line.length > MAX_LINE) throw new Unusable('sdp-too-long');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    if (!/^[a-z]=/.test(line) || /[\u0000-\u0008\u000a-\u001f\u007f\ufffd]/.test(line)) {
      throw new Unusable('sdp-malformed');
    }
    // Two parsers may choose differently among repeated lines: what we check must be what the node uses.
    if (line.startsWith('m=')) once.clear();
    const kind = /^(?:[vosct]=|a=rtcp:)/.exec(line)?.[0];
    if (kind !== undefined && kind !== 't=' && once.has(kind)) throw new Unusable('sdp-malformed');
    if (kind !== undefined) once.add(kind);
  }
  if (lines[0] !== 'v=0' || !(lines[1] ?? '').startsWith('o=')) throw new Unusable('sdp-malformed');
};

/** Descriptions that were parsed last: each is asked about up to four times while its call is set up. */
const lastParsed = new Map<string, SessionDescription>();
const MAX_PARSED = 32;

const parsed = (text: string): SessionDescription => {
  const before = lastParsed.get(text);
  if (before !== undefined) return before;
  let session: SessionDescription;
  try {
    session = parse(text);
  } catch {
    throw new Unusable('sdp-malformed');
  }
  // Keys are kept by nobody who need not.
  if (text.includes('a=crypto')) return session;
  if (lastParsed.size >= MAX_PARSED) {
    const [oldest = ''] = lastParsed.keys();
    lastParsed.delete(oldest);
  }
  lastParsed.set(text, session);
  return session;
};

type Stream = SessionDescription['media'][number];

const theStreams = (
  session: SessionDescription,
  textToo: boolean,
): { audio: Stream; text: Stream | null } => {
  if (session.media.length > MAX_STREAMS) throw new Unusable('sdp-too-long');
  const live = session.media.filter((stream) => stream.port !== 0);
  const audio = session.media[0];
  if (audio === undefined || !session.media.some((stream) => stream.type === 'audio')) {
    throw new Unusable('audio-missing');
  }
  // One audio stream, and it comes first; one of text may follow. Other streams may only be there as refused
  // (port 0): a stream we cannot put into the recording must not pass, and video cannot be put there.
  const [text = null, more] = live.filter((stream) => stream !== audio);
  if (more !== undefined || audio.type !== 'audio') throw new Unusable('stream-not-allowed');
  if (text !== null) {
    const places = session.media.filter(({ type }) => type === 'text').length;
    if (!textToo || text.type !== 'text' || places !== 1) throw new Unusable('stream-not-allowed');
  }
  if (audio.port === 0) throw new Unusable('audio-rejected');
  return { audio, text };
};

/** One text for one address: IPv6 has many (RFC 5952). */
const canonical = (address: string): string =>
  isIPv4(address) ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);

const checkAddress = (
  session: SessionDescription,
  stream: Stream,
  use: SdpUse,
  rules: PeerRules,
): PeerSource => {
  const connection = stream.connection ?? session.connection;
  if (connection === undefined) throw new Unusable('address-missing');
  const address = connection.ip;
  if (isIP(address) !== connection.version) throw new Unusable('address-malformed');
  // RFC 2543 hold, still sent by old gateways; only in a dialog that already has a real address.
  const hold = address === '0.0.0.0' && (use === 'reoffer' || use === 'reanswer');
  if (!hold && !rules.address(address)) throw new Unusable('address-not-allowed');
  const rtcp = stream.rtcp;
  if (rtcp?.address !== undefined && rtcp.address !== address) throw new Unusable('address-not-allowed');
  // Where nothing is said, RTCP goes to the next port (RFC 3550 section 11).
  if (!rules.port(stream.port) || !rules.port(rtcp?.port ?? stream.port + 1)) {
    throw new Unusable('port-not-allowed');
  }
  return `${canonical(address)} ${stream.port}`;
};

/** The codecs a recording can be made of, at their static payload types (RFC 3551 section 6). */
const staticCodecs: Readonly<Record<number, string>> = { 0: 'PCMU', 8: 'PCMA' };

const checkCodecs = (audio: Stream, answering: boolean): void => {
  // A single format comes as a number.
  const formats = String(audio.payloads ?? '')
    .split(' ')
    .filter((format) => format !== '');
  if (formats.length > MAX_FORMATS || formats.some((format) => !/^\d{1,3}$/.test(format))) {
    throw new Unusable('sdp-malformed');
  }
  let voices = 0;
  for (const format of formats) {
    const payload = Number(format);
    const map = audio.rtp.find((row) => row.payload === payload);
    const wanted = staticCodecs[payload];
    const name = map?.codec.toUpperCase() ?? wanted;
    const sound = wanted !== undefined && name === wanted && (map?.rate ?? 8000) === 8000;
    if (sound) voices++;
    // A static number with another codec's name would make the recording undecodable.
    else if (wanted !== undefined) throw new Unusable('codec-not-allowed');
    // An offer may hold more codecs, they are stripped; an answer may only choose among ours.
    else if (answering && name !== 'TELEPHONE-EVENT') throw new Unusable('codec-not-allowed');
  }
  if (voices === 0) throw new Unusable('codec-not-allowed');
};

const checkProtocol = (stream: Stream, protection: MediaProtection): void => {
  if (stream.protocol === protocolOf[protection]) return;
  // A stable word of its own: a trunk that is to be encrypted and sends plain RTP is to be told apart from nonsense.
  const isPlain = protection !== 'rtp' && stream.protocol === protocolOf.rtp;
  throw new Unusable(isPlain ? 'encryption-required' : 'protocol-not-allowed');
};

const checkAll = (
  text: string,
  use: SdpUse,
  rules: PeerRules,
  textToo: boolean,
  protection: MediaProtection,
): PeerStreams => {
  checkText(text);
  const session = parsed(text);
  const streams = theStreams(session, textToo);
  const answering = use === 'answer' || use === 'reanswer';
  checkProtocol(streams.audio, protection);
  if (streams.text !== null) checkProtocol(streams.text, protection);
  const sdp = withOwnKeys(text, protection, answering);
  checkCodecs(streams.audio, answering);
  const audio = checkAddress(session, streams.audio, use, rules);
  if (streams.text === null) return { sdp, audio, text: null };
  const formats = readTextFormats(text, session.media.indexOf(streams.text));
  const source = checkAddress(session, streams.text, use, rules);
  // What arrives from one port must be one stream.
  if (source === audio) throw new Unusable('port-not-allowed');
  return { sdp, audio, text: { source, formats } };
};

const usable = <Value>(use: SdpUse, check: () => Value): Value => {
  try {
    return check();
  } catch (error) {
    const detail = error instanceof Unusable ? error.detail : 'sdp-malformed';
    throw new MediaError(use === 'offer' || use === 'reoffer' ? 'offer-unusable' : 'answer-unusable', detail);
  }
};

/**
 * Where the party sends its RTP from, of a description that may hold audio and nothing else. Throws MediaError
 * `offer-unusable` or `answer-unusable` with a stable detail; the text itself is never changed.
 */
export const checkSdp = (text: string, use: SdpUse, rules: PeerRules): PeerSource =>
  usable(use, () => checkAll(text, use, rules, false, 'rtp').audio);

/** The same of a description that may hold real-time text besides, and is protected as its leg demands. */
export const checkStreams = (
  text: string,
  use: SdpUse,
  rules: PeerRules,
  protection: MediaProtection = 'rtp',
): PeerStreams => usable(use, () => checkAll(text, use, rules, true, protection));

/** RFC 863. */
const DISCARD = 9;

/**
 * Answers a caller's offer in the name of a called party that is not there yet: the caller's first voice codec, its
 * keys, and the node's own discard port (RFC 863), where nothing listens and nothing can be sent from. One codec only,
 * so that the description the caller gets stays true whatever the called party answers later; where that is the other
 * codec, the node transcodes (measured). Text is taken as it is offered, for most who take it at all take it so; where
 * the called party answers otherwise, the caller is told (see `AnchoredCall.receive`). All else is refused. The offer
 * must have passed `checkStreams`.
 */
export const placeholderFor = (offer: string, address: string): string => standIn(offer, address, true);

/**
 * Answers a party's description in the name of nobody: at no address, and without keys as events, for where the two
 * agree to events the node does not listen for tones (measured). The description must have passed `checkStreams`.
 */
export const nobodyFor = (description: string, family: 4 | 6): string =>
  standIn(description, family === 4 ? '0.0.0.0' : '::', false);

/**
 * The same description of a party that is nowhere yet, in the old style of hold (RFC 2543 appendix B.5): the node makes
 * its ports of it and sends the party nothing. The description must have passed `checkStreams`.
 */
export const withoutAddresses = (description: string): string =>
  description
    .replace(/^a=rtcp:.*\r?\n/gm, '')
    .replace(/^c=IN IP4 .*?(\r?)$/gm, 'c=IN IP4 0.0.0.0$1')
    .replace(/^c=IN IP6 .*?(\r?)$/gm, 'c=IN IP6 ::$1');

/** A party sends its keys as events (RFC 4733): its description holds them among its formats. */
export const holdsEvents = (description: string): boolean => eventsIn(parsed(description).media[0]) !== null;

/** Its sound goes both ways: neither held in the new manner (RFC 3264 section 8.4) nor in the old one. */
export const speaks = (description: string): boolean => {
  const session = parsed(description);
  const audio = session.media[0];
  const address = (audio?.connection ?? session.connection)?.ip;
  const direction = audio?.direction ?? session.direction ?? 'sendrecv';
  return audio !== undefined && audio.port !== 0 && direction === 'sendrecv' && address !== '0.0.0.0';
};

const eventsIn = (audio: Stream | undefined): number | null => {
  const formats = String(audio?.payloads ?? '').split(' ');
  const events = audio?.rtp.find(
    ({ codec, rate, payload }) =>
      codec.toUpperCase() === 'TELEPHONE-EVENT' && rate === 8000 && formats.includes(String(payload)),
  );
  return events === undefined ? null : events.payload;
};

const standIn = (offer: string, address: string, withEvents: boolean): string => {
  const audio = parsed(offer).media[0];
  const formats = String(audio?.payloads ?? '').split(' ');
  const voice = formats.find((format) => staticCodecs[Number(format)] !== undefined) ?? '0';
  const events = withEvents ? eventsIn(audio) : null;
  const family = isIPv4(address) ? 'IP4' : 'IP6';
  return [
    'v=0',
    `o=- 1 1 IN ${family} ${address}`,
    's=-',
    `c=IN ${family} ${address}`,
    't=0 0',
    `m=audio ${DISCARD} RTP/AVP ${voice}${events === null ? '' : ` ${events}`}`,
    `a=rtpmap:${voice} ${staticCodecs[Number(voice)] ?? 'PCMU'}/8000`,
    ...(events === null ? [] : [`a=rtpmap:${events} telephone-event/8000`]),
    ...standIns(offer, DISCARD),
    '',
  ].join('\r\n');
};
