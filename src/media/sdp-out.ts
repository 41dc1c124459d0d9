import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { MediaError, type MediaProtection } from '../call/ports.js';
import { isKeyFor, keysOf, protocolOf } from './protection.js';
import { streamsIn } from './sdp-text.js';

/**
 * What goes to a party is built from the node's SDP line by line out of a closed list, so that nothing a party wrote
 * (names, addresses, unknown attributes) reaches the other, and every address is the node's (I9).
 */
export interface OutgoingSdp {
  readonly text: string;
  /** The node's port this party sends its RTP to. */
  readonly port: number;
  /** The same of its real-time text; null where there is none, or it is refused. */
  readonly textPort: number | null;
  /** The keys of its sound; empty where it has none. */
  readonly keys: string;
}

const allowedNames: Readonly<Record<string, string>> = {
  '0': 'PCMU/8000',
  '8': 'PCMA/8000',
};
const eventMap = /^telephone-event\/8000$/i;

const plainAttribute =
  /^a=(?:sendrecv|sendonly|recvonly|inactive|ptime:\d{1,3}|maxptime:\d{1,3}|rtcp:\d{1,5}|rtcp-mux|silenceSupp:off - - - -)$/;

const wrong = (detail: string): MediaError => new MediaError('foreign-address', detail);

/** One m= line of the node and what follows it. */
interface Section {
  readonly protection: MediaProtection;
  readonly media: string;
  readonly lines: readonly string[];
  readonly maps: ReadonlyMap<string, string>;
}

interface Stream {
  readonly kind: 'audio' | 'text';
  readonly port: number;
  readonly lines: readonly string[];
}

const unexpected = (): MediaError => new MediaError('node-error', 'sdp-unexpected');

/** Port and formats of an m= line that is not refused. */
const readMedia = (
  { media: line, protection, lines }: Section,
  kind: Stream['kind'],
): { port: number; formats: string[] } => {
  const [, media = '', port = '', protocol = '', formats = ''] =
    /^m=(audio|text) (\d{1,5}) (\S{1,30})((?: \d{1,3})+)$/.exec(line) ?? [];
  if (media !== kind || Number(port) < 1024 || Number(port) > 65_535) throw unexpected();
  // Never plain where keys were asked for, whatever the node makes of it.
  const keyed = protection === 'rtp' || keysOf(protection, lines) !== '';
  if (protocol !== protocolOf[protection] || !keyed) throw new MediaError('node-error', 'protection-differs');
  return { port: Number(port), formats: formats.trim().split(' ') };
};

const checkFormats = (formats: readonly string[], maps: ReadonlyMap<string, string>): void => {
  for (const format of formats) {
    const map = maps.get(format);
    const wanted = allowedNames[format];
    const fine =
      wanted === undefined
        ? map !== undefined && eventMap.test(map)
        : (map ?? wanted).toUpperCase().replace(/\/1$/, '') === wanted;
    if (!fine) throw new MediaError('node-error', 'codec-not-allowed');
  }
};

const attributeOf = (
  line: string,
  formats: readonly string[],
  { maps, protection }: Section,
): string | null => {
  if (plainAttribute.test(line) || isKeyFor(protection, line)) return line;
  const [, kind, payload = '', rest = ''] = /^a=(rtpmap|fmtp):(\d{1,3}) (.*)$/.exec(line) ?? [];
  if (kind === undefined || !formats.includes(payload)) return null;
  if (kind === 'rtpmap') return line;
  return eventMap.test(maps.get(payload) ?? '') && /^[0-9,-]{1,40}$/.test(rest) ? line : null;
};

const readAudio = (section: Section): Stream => {
  const { media, lines, maps } = section;
  const { port, formats } = readMedia(section, 'audio');
  checkFormats(formats, maps);
  const kept = lines.flatMap((line) => attributeOf(line, formats, section) ?? []);
  return { kind: 'audio', port, lines: [media, ...kept] };
};

/** What may be said of a text stream besides its formats. */
const textAttribute = /^a=(?:sendrecv|sendonly|recvonly|inactive|rtcp:\d{1,5}|rtcp-mux)$/;
const textMap = /^(?:t140|red)\/1000$/i;
const textParameters = /^(?:\d{1,3}(?:\/\d{1,3}){1,5}|cps=\d{1,3})$/;

const readText = (section: Section): Stream => {
  const { media, lines, maps, protection } = section;
  const { port, formats } = readMedia(section, 'text');
  // The node strips no codec of a text stream: what is no text here was let in by us.
  if (formats.length > 2 || formats.some((format) => !textMap.test(maps.get(format) ?? '')))
    throw new MediaError('node-error', 'codec-not-allowed');
  const kept = lines.filter((line) => {
    const [, kind, payload = '', rest = ''] = /^a=(rtpmap|fmtp):(\d{1,3}) (.*)$/.exec(line) ?? [];
    if (kind === undefined) return textAttribute.test(line) || isKeyFor(protection, line);
    return formats.includes(payload) && (kind === 'rtpmap' || textParameters.test(rest));
  });
  return { kind: 'text', port, lines: [media, ...kept] };
};

/** Checks every address on the way: the node names its own and no other. */
const sectionsOf = (text: string, address: string, protection: MediaProtection): Section[] => {
  const family = isIPv6(address) ? 'IP6' : 'IP4';
  const sections: (Section & { lines: string[]; maps: Map<string, string> })[] = [];
  let addressed = false;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('c=')) {
      if (line !== `c=IN ${family} ${address}`) throw wrong('connection-line');
      addressed = true;
    } else if (line.startsWith('o=')) {
      if (!line.endsWith(` IN ${family} ${address}`)) throw wrong('origin-line');
    } else if (line.startsWith('m=')) {
      sections.push({ protection, media: line, lines: [], maps: new Map() });
    } else {
      const section = sections.at(-1);
      const [, payload, name] = /^a=rtpmap:(\d{1,3}) (\S+)$/.exec(line) ?? [];
      if (payload !== undefined) section?.maps.set(payload, name ?? '');
      section?.lines.push(line);
    }
  }
  if (!addressed) throw wrong('connection-line');
  return sections;
};

interface NodeStreams {
  readonly port: number;
  readonly textPort: number | null;
  readonly keys: string;
  readonly lines: readonly string[];
}

/** Of more than `most` streams, the rest is left out: an answer has as many as its offer (RFC 3264 section 6). */
const readNodeSdp = (
  text: string,
  address: string,
  protection: MediaProtection,
  most: number,
): NodeStreams => {
  const streams: Stream[] = [];
  const blocks: (readonly string[])[] = [];
  for (const section of sectionsOf(text, address, protection)) {
    const off = /^m=([a-z]+) 0 (\S+) (\S+)/.exec(section.media);
    if (off !== null) {
      blocks.push([`m=${off[1]} 0 ${off[2]} ${off[3]}`]);
      continue;
    }
    // Audio, and then perhaps text.
    if (streams.length > 1) throw unexpected();
    const stream = streams.length === 0 ? readAudio(section) : readText(section);
    streams.push(stream);
    blocks.push(stream.lines);
  }
  const [audio, written] = streams;
  if (audio === undefined) throw unexpected();
  const textPort = written?.port ?? null;
  // Only what nobody offered is left out, and that is refused.
  if (blocks.slice(most).some((block) => block === written?.lines)) throw unexpected();
  const keys = keysOf(protection, audio.lines);
  return { port: audio.port, textPort, keys, lines: blocks.slice(0, most).flat() };
};

/**
 * The descriptions one party gets from us in one call. The origin line is ours: RFC 3264 section 8 wants the same
 * one each time, with a version that rises when, and only when, the rest changed.
 */
export class PartyDescriptions {
  readonly #address: string;
  readonly #protection: MediaProtection;
  // 48 bits: ids over 2^53 lose digits in parsers that read them as numbers.
  readonly #id = randomBytes(6).readUIntBE(0, 6);
  #version = 0;
  #last: string | null = null;

  constructor(address: string, protection: MediaProtection) {
    this.#address = address;
    this.#protection = protection;
  }

  /**
   * `offer` is this party's own where this is its answer. Throws MediaError: foreign-address, or node-error where
   * the node sent something it should not.
   */
  next(nodeSdp: string, offer: string | null = null): OutgoingSdp {
    const most = offer === null ? Number.POSITIVE_INFINITY : streamsIn(offer);
    const { port, textPort, keys, lines } = readNodeSdp(nodeSdp, this.#address, this.#protection, most);
    const family = isIPv6(this.#address) ? 'IP6' : 'IP4';
    const rest = ['s=-', `c=IN ${family} ${this.#address}`, 't=0 0', ...lines, ''].join('\r\n');
    if (rest !== this.#last) this.#version++;
    this.#last = rest;
    const origin = `o=- ${this.#id} ${this.#version} IN ${family} ${this.#address}`;
    return { text: `v=0\r\n${origin}\r\n${rest}`, port, textPort, keys };
  }
}
