import { type CodecName, payloadTypes } from './g711.js';
import { EVENT_PAYLOAD_TYPE } from './rtp.js';
import { cryptoLine, type OfferedKey, readCrypto } from './srtp.js';
import { RED_PAYLOAD_TYPE, type RemoteText, T140_PAYLOAD_TYPE } from './text-endpoint.js';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** What a phone needs to know of the far end's session description. */
export interface RemoteSdp {
  readonly text: string;
  /** Where to send audio. */
  readonly address: string;
  readonly port: number;
  readonly direction: Direction;
  /** The codecs this phone knows, in the far end's order. */
  readonly codecs: readonly CodecName[];
  /** The payload type the far end wants for telephone-event. */
  readonly eventType: number | undefined;
  /** The key of its sound; undefined where it has none of the suite this phone knows. */
  readonly crypto: OfferedKey | undefined;
  /** The same of its text. */
  readonly textCrypto: OfferedKey | undefined;
  /** Its sound is to be SRTP. */
  readonly secured: boolean;
  /** Where to send real-time text; undefined where the far end takes none. */
  readonly typing: RemoteText | undefined;
  /** Every address anywhere in the description (o=, c=, a=rtcp, a=candidate), for tests of what was told. */
  readonly addresses: readonly string[];
  /** All m= lines, for the answer must have as many (RFC 3264 section 6). */
  readonly mediaLines: readonly string[];
}

const directions: readonly string[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

const isDirection = (name: string): name is Direction => directions.includes(name);

const knownCodecs = Object.keys(payloadTypes) as CodecName[];

function addressesIn(lines: readonly string[]): string[] {
  const found = new Set<string>();
  for (const line of lines) {
    const address =
      /^(?:c=|o=.* )IN IP[46] ([^\s/]+)/.exec(line)?.[1] ??
      /^a=rtcp:\d+ IN IP[46] (\S+)/.exec(line)?.[1] ??
      /^a=candidate:\S+ \d+ \S+ \d+ (\S+)/.exec(line)?.[1];
    if (address !== undefined) found.add(address);
    const related = / raddr (\S+)/.exec(line)?.[1];
    if (related !== undefined) found.add(related);
  }
  return [...found];
}

/** The lines before the first m= line, and those of the first audio section. */
function sections(lines: readonly string[]): { session: string[]; audio: string[] } {
  const firstMedia = lines.findIndex((line) => line.startsWith('m='));
  const audioStart = lines.findIndex((line) => line.startsWith('m=audio '));
  const next = lines.findIndex((line, index) => index > audioStart && line.startsWith('m='));
  return {
    session: lines.slice(0, firstMedia < 0 ? lines.length : firstMedia),
    audio: audioStart < 0 ? [] : lines.slice(audioStart, next < 0 ? lines.length : next),
  };
}

/** The lines of the first text section that is not refused. */
function textLines(lines: readonly string[]): readonly string[] {
  const start = lines.findIndex((line) => /^m=text [1-9]/.test(line));
  if (start < 0) return [];
  const next = lines.findIndex((line, index) => index > start && line.startsWith('m='));
  return lines.slice(start, next < 0 ? lines.length : next);
}

/** The first text section, where it is not refused and holds T.140. */
function textIn(lines: readonly string[], sessionAddress: string): RemoteText | undefined {
  const section = textLines(lines);
  const typeOf = (name: string): number | undefined => {
    const line = section.find((each) => new RegExp(`^a=rtpmap:\\d+ ${name}/1000`, 'i').test(each));
    return line === undefined ? undefined : Number(/\d+/.exec(line)?.[0]);
  };
  const t140 = typeOf('t140');
  if (t140 === undefined) return undefined;
  const own = section.find((line) => line.startsWith('c=IN IP4 '))?.slice('c=IN IP4 '.length);
  const port = Number(/^m=text (\d+)/.exec(section[0] ?? '')?.[1]);
  const key = readCrypto(section)?.master;
  const remote = { address: own ?? sessionAddress, port, t140, red: typeOf('red') };
  return key === undefined ? remote : { ...remote, key };
}

/** Reads a description; undefined when it has no audio section that makes sense. */
export function parseSdp(text: string): RemoteSdp | undefined {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const { session, audio } = sections(lines);
  const media = /^m=audio (\d+)(?:\/\d+)? \S+ (.+)$/.exec(audio[0] ?? '');
  if (media === null) return undefined;
  const value = (prefix: string): string | undefined => {
    const line = [...audio, ...session].find((candidate) => candidate.startsWith(prefix));
    return line?.slice(prefix.length);
  };
  const address = value('c=IN IP4 ')?.split('/')[0];
  if (address === undefined) return undefined;
  const types = (media[2] ?? '').split(' ').map(Number);
  const event = audio.find((line) => /^a=rtpmap:\d+ telephone-event\/8000/i.test(line));
  const direction = [...audio, ...session].map((line) => line.slice(2)).find(isDirection) ?? 'sendrecv';
  return {
    text,
    address,
    port: Number(media[1]),
    direction,
    codecs: types.flatMap((type) => knownCodecs.filter((codec) => payloadTypes[codec] === type)),
    eventType: event === undefined ? undefined : Number(/\d+/.exec(event)?.[0]),
    crypto: readCrypto(audio),
    textCrypto: readCrypto(textLines(lines)),
    secured: /^m=audio \d+ RTP\/SAVP /.test(audio[0] ?? ''),
    typing: textIn(lines, session.find((line) => line.startsWith('c=IN IP4 '))?.slice(9) ?? address),
    addresses: addressesIn(lines),
    mediaLines: lines.filter((line) => line.startsWith('m=')),
  };
}

/** What this phone says of itself. */
export interface LocalMedia {
  readonly host: string;
  readonly port: number;
  readonly codecs: readonly CodecName[];
  readonly direction: Direction;
  /** Offers and takes keys as events; default yes. Without, its keys are tones in the sound. */
  readonly events?: boolean;
  /** The port of real-time text, where the phone takes any. */
  readonly textPort?: number;
  /** SRTP: the keys of sound and text, with the tags of the far end's where this is an answer. */
  readonly crypto?: OfferedKey;
  readonly textCrypto?: OfferedKey;
  /** Stays the same during a call; the version grows with each description (RFC 3264 section 8). */
  readonly sessionId: number;
  readonly version: number;
}

function audioSection(
  media: LocalMedia,
  codecs: readonly CodecName[],
  eventType: number | undefined,
): string[] {
  const types = codecs.map((codec) => payloadTypes[codec]);
  const eventLines =
    eventType === undefined ? [] : [`a=rtpmap:${eventType} telephone-event/8000`, `a=fmtp:${eventType} 0-16`];
  return [
    `m=audio ${media.port} ${media.crypto === undefined ? 'RTP/AVP' : 'RTP/SAVP'} ${[...types, ...(eventType === undefined ? [] : [eventType])].join(' ')}`,
    ...codecs.map((codec) => `a=rtpmap:${payloadTypes[codec]} ${codec}/8000`),
    ...eventLines,
    'a=ptime:20',
    `a=${media.direction}`,
    ...(media.crypto === undefined ? [] : [cryptoLine(media.crypto)]),
  ];
}

function textSection(port: number, crypto: OfferedKey | undefined): string[] {
  return [
    `m=text ${port} ${crypto === undefined ? 'RTP/AVP' : 'RTP/SAVP'} ${RED_PAYLOAD_TYPE} ${T140_PAYLOAD_TYPE}`,
    `a=rtpmap:${RED_PAYLOAD_TYPE} red/1000`,
    `a=fmtp:${RED_PAYLOAD_TYPE} ${T140_PAYLOAD_TYPE}/${T140_PAYLOAD_TYPE}/${T140_PAYLOAD_TYPE}`,
    `a=rtpmap:${T140_PAYLOAD_TYPE} t140/1000`,
    ...(crypto === undefined ? [] : [cryptoLine(crypto)]),
  ];
}

function sessionLines(media: LocalMedia): string[] {
  return [
    'v=0',
    `o=- ${media.sessionId} ${media.version} IN IP4 ${media.host}`,
    's=-',
    `c=IN IP4 ${media.host}`,
    't=0 0',
  ];
}

const write = (lines: readonly string[]): string => lines.join('\r\n') + '\r\n';

/** An offer of all codecs of the phone, and of keys as events where it has them. */
export function offerSdp(media: LocalMedia): string {
  return write([
    ...sessionLines(media),
    ...audioSection(media, media.codecs, media.events === false ? undefined : EVENT_PAYLOAD_TYPE),
    ...(media.textPort === undefined ? [] : textSection(media.textPort, media.textCrypto)),
  ]);
}

/** The first codec of the far end that the phone has too. */
export function sharedCodec(media: Pick<LocalMedia, 'codecs'>, remote: RemoteSdp): CodecName | undefined {
  return remote.codecs.find((codec) => media.codecs.includes(codec));
}

/** What may be answered at most to an offered direction (RFC 3264 section 6.1), seen from the one who answers. */
export function answerDirection(offered: Direction, own: Direction): Direction {
  const sends =
    (own === 'sendrecv' || own === 'sendonly') && (offered === 'sendrecv' || offered === 'recvonly');
  const receives =
    (own === 'sendrecv' || own === 'recvonly') && (offered === 'sendrecv' || offered === 'sendonly');
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

/** The answer with one codec; undefined when none is shared (488). Other media than the first audio, and text the phone takes, is refused (port 0). */
export function answerSdp(media: LocalMedia, offer: RemoteSdp): string | undefined {
  const codec = sharedCodec(media, offer);
  // What is asked for and what is had must be the same: no phone of ours falls back.
  if (codec === undefined || offer.secured !== (media.crypto !== undefined)) return undefined;
  const direction = answerDirection(offer.direction, media.direction);
  let audioDone = false;
  const lines = offer.mediaLines.flatMap((line) => {
    if (line.startsWith('m=audio ') && !audioDone) {
      audioDone = true;
      return audioSection(
        { ...media, direction },
        [codec],
        media.events === false ? undefined : offer.eventType,
      );
    }
    const takesText = media.textPort !== undefined && offer.typing !== undefined;
    if (takesText && line.startsWith(`m=text ${offer.typing.port} `))
      return textSection(media.textPort, media.textCrypto);
    return [line.replace(/^(m=\S+) \S+/, '$1 0')];
  });
  return write([...sessionLines(media), ...lines]);
}
