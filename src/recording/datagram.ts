/** A UDP datagram out of an IP packet, and an RTP packet out of that. Null for anything else, however malformed. */

export interface Datagram {
  /** 'address port' it came from. */
  readonly source: string;
  readonly toPort: number;
  readonly payload: Buffer;
}

const UDP = 17;
const UDP_HEADER = 8;

/** The UDP datagram between two places of an IP packet; `sourceOf` names the one at a port there. */
const readUdp = (ip: Buffer, from: number, end: number, sourceOf: NameSource): Datagram | null => {
  if (end - from < UDP_HEADER) return null;
  const length = ip.readUInt16BE(from + 4);
  if (length < UDP_HEADER || length > end - from) return null;
  return {
    source: sourceOf(ip, ip.readUInt16BE(from)),
    toPort: ip.readUInt16BE(from + 2),
    payload: ip.subarray(from + UDP_HEADER, from + length),
  };
};

type NameSource = (ip: Buffer, port: number) => string;

/**
 * Sources as they were written out. There are few at a time, and to write one out takes longer than all else that is done
 * with its packet.
 */
const written = new Map<number, string>();
const MAX_WRITTEN = 512;

const sourceV4: NameSource = (ip, port) => {
  const key = ip.readUInt32BE(12) * 65_536 + port;
  const known = written.get(key);
  if (known !== undefined) return known;
  if (written.size >= MAX_WRITTEN) written.clear();
  const source = `${ip[12]}.${ip[13]}.${ip[14]}.${ip[15]} ${port}`;
  written.set(key, source);
  return source;
};

const readV4 = (ip: Buffer): Datagram | null => {
  const header = ((ip[0] ?? 0) & 0x0f) * 4;
  const total = ip.length >= 20 ? ip.readUInt16BE(2) : 0;
  if (header < 20 || ip.length < header || ip[9] !== UDP || total < header || total > ip.length) return null;
  // A fragment: RTP is far smaller than any path's limit.
  if ((ip.readUInt16BE(6) & 0x3fff) !== 0) return null;
  return readUdp(ip, header, total, sourceV4);
};

/** The shortest form of an IPv6 address (RFC 5952), so that it compares with what SDP named. */
export const shortV6 = (bytes: Buffer): string => {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  const runs = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return groups.join(':');
  const text = groups.join(':').replace(longest, '::');
  return text.replace(/:{3,}/, '::');
};

const sourceV6: NameSource = (ip, port) => `${shortV6(ip.subarray(8, 24))} ${port}`;

const readV6 = (ip: Buffer): Datagram | null => {
  if (ip.length < 40 || ip[6] !== UDP) return null;
  const end = 40 + ip.readUInt16BE(4);
  if (end > ip.length) return null;
  return readUdp(ip, 40, end, sourceV6);
};

export const readDatagram = (ip: Buffer): Datagram | null => {
  switch ((ip[0] ?? 0) >> 4) {
    case 4:
      return readV4(ip);
    case 6:
      return readV6(ip);
    default:
      return null;
  }
};

export interface Rtp {
  readonly payloadType: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
}

const RTP_HEADER = 12;

/** RFC 3550 section 5.1. RTCP on the same port (RFC 5761 section 4) is not RTP. */
export const readRtp = (bytes: Buffer): Rtp | null => {
  if (bytes.length < RTP_HEADER) return null;
  const first = bytes[0] ?? 0;
  const second = bytes[1] ?? 0;
  if (first >> 6 !== 2 || (second >= 192 && second <= 223)) return null;
  let start = RTP_HEADER + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (bytes.length < start + 4) return null;
    start += 4 + bytes.readUInt16BE(start + 2) * 4;
  }
  const padding = (first & 0x20) !== 0 ? (bytes[bytes.length - 1] ?? 0) : 0;
  const end = bytes.length - padding;
  if (start > end) return null;
  return {
    payloadType: second & 0x7f,
    sequence: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(start, end),
  };
};
