/** Writes pcaps as rtpengine does (raw IP), and as it does not. */

export interface PacketSpec {
  /** Arrival in ms. */
  readonly at: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc?: number;
  readonly payloadType?: number;
  readonly payload?: Buffer;
  readonly from?: string;
  readonly fromPort?: number;
}

export interface PcapStyle {
  readonly link?: 'raw' | 'ethernet' | 'vlan';
  readonly bigEndian?: boolean;
  readonly nanoseconds?: boolean;
}

const START_S = 1_700_000_000;

export const rtp = (spec: PacketSpec): Buffer => {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = spec.payloadType ?? 0;
  header.writeUInt16BE(spec.sequence & 0xffff, 2);
  header.writeUInt32BE(spec.timestamp >>> 0, 4);
  header.writeUInt32BE(spec.ssrc ?? 1, 8);
  return Buffer.concat([header, spec.payload ?? Buffer.alloc(160, 0x80)]);
};

const udp = (spec: PacketSpec): Buffer => {
  const payload = rtp(spec);
  const header = Buffer.alloc(8);
  header.writeUInt16BE(spec.fromPort ?? 5000, 0);
  header.writeUInt16BE(spec.toPort, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
};

const groupsOf = (address: string): number[] => {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
};

export const ip = (spec: PacketSpec): Buffer => {
  const from = spec.from ?? '192.0.2.1';
  const body = udp(spec);
  if (from.includes(':')) {
    const header = Buffer.alloc(40);
    header[0] = 0x60;
    header.writeUInt16BE(body.length, 4);
    header[6] = 17;
    groupsOf(from).forEach((group, index) => {
      header.writeUInt16BE(group, 8 + index * 2);
    });
    return Buffer.concat([header, body]);
  }
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + body.length, 2);
  header[9] = 17;
  from.split('.').forEach((byte, index) => {
    header[12 + index] = Number(byte);
  });
  return Buffer.concat([header, body]);
};

const frame = (spec: PacketSpec, link: 'raw' | 'ethernet' | 'vlan'): Buffer => {
  const bytes = ip(spec);
  if (link === 'raw') return bytes;
  const type = bytes[0] === 0x60 ? '86dd' : '0800';
  return Buffer.concat([
    Buffer.alloc(12),
    Buffer.from(link === 'vlan' ? `81000005${type}` : type, 'hex'),
    bytes,
  ]);
};

export const pcapOf = (packets: readonly PacketSpec[], style: PcapStyle = {}): Buffer => {
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4);
    values.forEach((value, index) => {
      if (style.bigEndian === true) bytes.writeUInt32BE(value, index * 4);
      else bytes.writeUInt32LE(value, index * 4);
    });
    return bytes;
  };
  const magic = style.nanoseconds === true ? 0xa1b23c4d : 0xa1b2c3d4;
  const link = style.link ?? 'raw';
  const parts = [words(magic, 0x00040002, 0, 0, 65_535, link === 'raw' ? 101 : 1)];
  for (const spec of packets) {
    const bytes = frame(spec, link);
    const seconds = START_S + Math.floor(spec.at / 1000);
    const fraction = Math.round(
      (((spec.at % 1000) + 1000) % 1000) * (style.nanoseconds === true ? 1e6 : 1e3),
    );
    parts.push(words(seconds, fraction, bytes.length, bytes.length), bytes);
  }
  return Buffer.concat(parts);
};
