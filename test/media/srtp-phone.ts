import dgram from 'node:dgram';
import { CallMedia } from '../../src/phones/call-media.js';
import { decodeG711 } from '../../src/phones/g711.js';
import { hears } from '../../src/phones/goertzel.js';
import { openRtp, type RtpEndpoint, type RtpOptions } from '../../src/phones/rtp.js';

/**
 * A party's media behind a wire that is looked at: everything it sends and gets goes through a relay of its own, whose
 * address is the one in its description, and the relay keeps the bytes as they travel.
 */
export interface WiredPhone {
  readonly audio: RtpEndpoint;
  readonly media: CallMedia;
  /** Its address, as others see it. */
  readonly port: number;
  readonly host: string;
  offer(): string;
  /** Throws where the phone does not take the offer. */
  answer(offer: string): string;
  takes(answer: string): boolean;
  /** Payloads on the wire since `forget`, read as PCMU: what somebody who listens there would hear. */
  overheard(way: 'out' | 'in', hz: number): boolean;
  packets(way: 'out' | 'in'): readonly Buffer[];
  /** Sends bytes to the node from the phone's own address. */
  inject(bytes: Buffer): void;
  /** Where its packets go. */
  readonly target: { readonly address: string; readonly port: number } | undefined;
  forget(): void;
  close(): void;
}

const KEPT = 400;

const bound = async (host: string): Promise<dgram.Socket> => {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  return socket;
};

export const wiredPhone = async (options: RtpOptions & { host?: string } = {}): Promise<WiredPhone> => {
  const host = options.host ?? '127.0.0.1';
  const audio = await openRtp({ ...options, host });
  const media = new CallMedia(audio, { host, codecs: ['PCMU'], events: true });
  const [outer, inner] = [await bound(host), await bound(host)];
  const kept: Record<'out' | 'in', Buffer[]> = { out: [], in: [] };
  const keep = (way: 'out' | 'in', bytes: Buffer): void => {
    kept[way].push(bytes);
    if (kept[way].length > KEPT) kept[way].shift();
  };
  let target: { address: string; port: number } | undefined;
  inner.on('message', (bytes) => {
    keep('out', bytes);
    if (target !== undefined) outer.send(bytes, target.port, target.address, () => undefined);
  });
  outer.on('message', (bytes) => {
    keep('in', bytes);
    inner.send(bytes, audio.port, host, () => undefined);
  });
  const outward = (sdp: string): string =>
    sdp.replace(`m=audio ${audio.port} `, `m=audio ${outer.address().port} `);
  const inward = (sdp: string): string => {
    const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '';
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    target = port === 0 ? undefined : { address, port };
    return sdp.replace(`m=audio ${port} `, `m=audio ${inner.address().port} `);
  };
  return {
    audio,
    media,
    host,
    port: outer.address().port,
    offer: () => outward(media.offer()),
    answer: (offer) => {
      const text = media.answer(inward(offer));
      if (text === undefined) throw new Error('the phone takes no such offer');
      return outward(text);
    },
    takes: (answer) => media.takeAnswer(inward(answer)),
    overheard: (way, hz) => {
      const payloads = kept[way].slice(-25).map((bytes) => bytes.subarray(12, 172));
      return payloads.length >= 25 && hears(decodeG711('PCMU', Buffer.concat(payloads)), hz);
    },
    packets: (way) => kept[way],
    inject: (bytes) => {
      if (target !== undefined) outer.send(bytes, target.port, target.address, () => undefined);
    },
    get target() {
      return target;
    },
    forget: () => {
      kept.out.length = 0;
      kept.in.length = 0;
    },
    close: () => {
      audio.close();
      outer.close();
      inner.close();
    },
  };
};
