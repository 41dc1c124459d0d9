/** The fields of an RTP header that matter here (RFC 3550 section 5.1), and where the payload lies. */
export interface RtpPacket {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Uint8Array;
}

const HEADER_BYTES = 12;

/** A new buffer each time: the socket may still hold the last one. */
export function buildRtp(packet: RtpPacket): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + packet.payload.length);
  bytes[0] = 0x80;
  bytes[1] = (packet.marker ? 0x80 : 0) | packet.payloadType;
  bytes.writeUInt16BE(packet.sequence & 0xffff, 2);
  bytes.writeUInt32BE(packet.timestamp >>> 0, 4);
  bytes.writeUInt32BE(packet.ssrc >>> 0, 8);
  bytes.set(packet.payload, HEADER_BYTES);
  return bytes;
}

/** The packet, or undefined for anything that is not RTP (RTCP on the same port included, RFC 5761 section 4). */
export function parseRtp(bytes: Buffer): RtpPacket | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const first = bytes[0] ?? 0;
  const second = bytes[1] ?? 0;
  if (first >> 6 !== 2 || (second >= 192 && second <= 223)) return undefined;
  let start = HEADER_BYTES + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (bytes.length < start + 4) return undefined;
    start += 4 + bytes.readUInt16BE(start + 2) * 4;
  }
  const end = bytes.length - ((first & 0x20) !== 0 ? (bytes[bytes.length - 1] ?? 0) : 0);
  if (start > end) return undefined;
  return {
    payloadType: second & 0x7f,
    marker: (second & 0x80) !== 0,
    sequence: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(start, end),
  };
}

const EVENTS = '0123456789*#ABCD!';

/** The RFC 4733 event code of a key; '!' is a hook flash (16). Throws on anything that is not one key. */
export function eventOfKey(key: string): number {
  const event = key.length === 1 ? EVENTS.indexOf(key.toUpperCase()) : -1;
  if (event < 0) throw new RangeError(`"${key}" is not a key: one of ${EVENTS}`);
  return event;
}

/** The key of an event code, or undefined for events that are no keys. */
export function keyOfEvent(event: number): string | undefined {
  return EVENTS[event];
}

/** The four payload bytes of a telephone-event (RFC 4733 section 2.3); duration in timestamp units. */
export function eventPayload(event: number, end: boolean, duration: number): Uint8Array {
  return Uint8Array.of(event, (end ? 0x80 : 0) | 10, (duration >> 8) & 0xff, duration & 0xff);
}
