import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { MediaError } from '../call/ports.js';

/**
 * What goes to a party is built from the node's SDP line by line out of a closed list, so that nothing a party wrote
 * (names, addresses, unknown attributes) reaches the other, and every address is the node's (I9).
 */
export interface OutgoingSdp {
  readonly text: string;
  /** The node's port this party sends its RTP to. */
  readonly port: number;
}

const allowedNames: Readonly<Record<string, string>> = {
  '0': 'PCMU/8000',
  '8': 'PCMA/8000',
};
const eventMap = /^telephone-event\/8000$/i;

const plainAttribute =
  /^a=(?:sendrecv|sendonly|recvonly|inactive|ptime:\d{1,3}|maxptime:\d{1,3}|rtcp:\d{1,5}|rtcp-mux|silenceSupp:off - - - -)$/;

const wrong = (detail: string): MediaError => new MediaError('foreign-address', detail);

interface AudioLines {
  readonly port: number;
  readonly formats: readonly string[];
  readonly lines: readonly string[];
  readonly refused: readonly string[];
}

const readAudioLine = (line: string): { port: number; formats: string[] } => {
  const found = /^m=audio (\d{1,5}) RTP\/AVP((?: \d{1,3})+)$/.exec(line);
  const port = Number(found?.[1]);
  if (found === null || port < 1024 || port > 65_535) throw new MediaError('node-error', 'sdp-unexpected');
  return { port, formats: (found[2] ?? '').trim().split(' ') };
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
  maps: ReadonlyMap<string, string>,
): string | null => {
  if (plainAttribute.test(line)) return line;
  const [, kind, payload = '', rest = ''] = /^a=(rtpmap|fmtp):(\d{1,3}) (.*)$/.exec(line) ?? [];
  if (kind === undefined || !formats.includes(payload)) return null;
  if (kind === 'rtpmap') return line;
  return eventMap.test(maps.get(payload) ?? '') && /^[0-9,-]{1,40}$/.test(rest) ? line : null;
};

const readNodeSdp = (text: string, address: string): AudioLines => {
  const family = isIPv6(address) ? 'IP6' : 'IP4';
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  const maps = new Map<string, string>();
  for (const line of lines) {
    const map = /^a=rtpmap:(\d{1,3}) (\S+)$/.exec(line);
    if (map !== null) maps.set(map[1] ?? '', map[2] ?? '');
  }
  let audio: { port: number; formats: string[] } | null = null;
  let inAudio = false;
  let addressed = false;
  const kept: string[] = [];
  const refused: string[] = [];
  for (const line of lines) {
    if (line.startsWith('c=')) {
      if (line !== `c=IN ${family} ${address}`) throw wrong('connection-line');
      addressed = true;
    } else if (line.startsWith('o=')) {
      if (!line.endsWith(` IN ${family} ${address}`)) throw wrong('origin-line');
    } else if (line.startsWith('m=')) {
      const off = /^m=([a-z]+) 0 (\S+) (\S+)/.exec(line);
      inAudio = off === null;
      if (off !== null) refused.push(`m=${off[1]} 0 ${off[2]} ${off[3]}`);
      else if (audio !== null) throw new MediaError('node-error', 'sdp-unexpected');
      else audio = readAudioLine(line);
    } else if (audio !== null && inAudio) {
      const attribute = attributeOf(line, audio.formats, maps);
      if (attribute !== null) kept.push(attribute);
    }
  }
  if (audio === null) throw new MediaError('node-error', 'sdp-unexpected');
  if (!addressed) throw wrong('connection-line');
  checkFormats(audio.formats, maps);
  return { ...audio, lines: kept, refused };
};

/**
 * The descriptions one party gets from us in one call. The origin line is ours: RFC 3264 section 8 wants the same
 * one each time, with a version that rises when, and only when, the rest changed.
 */
export class PartyDescriptions {
  readonly #address: string;
  // 48 bits: ids over 2^53 lose digits in parsers that read them as numbers.
  readonly #id = randomBytes(6).readUIntBE(0, 6);
  #version = 0;
  #last: string | null = null;

  constructor(address: string) {
    this.#address = address;
  }

  /** Throws MediaError: foreign-address, or node-error where the node sent something it should not. */
  next(nodeSdp: string): OutgoingSdp {
    const audio = readNodeSdp(nodeSdp, this.#address);
    const family = isIPv6(this.#address) ? 'IP6' : 'IP4';
    const rest = [
      's=-',
      `c=IN ${family} ${this.#address}`,
      't=0 0',
      `m=audio ${audio.port} RTP/AVP ${audio.formats.join(' ')}`,
      ...audio.lines,
      ...audio.refused,
      '',
    ].join('\r\n');
    if (rest !== this.#last) this.#version++;
    this.#last = rest;
    const origin = `o=- ${this.#id} ${this.#version} IN ${family} ${this.#address}`;
    return { text: `v=0\r\n${origin}\r\n${rest}`, port: audio.port };
  }
}
