import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { MediaError, type Sdp } from '../call/ports.js';
import type { Ear } from '../call/talk.js';
import { FRAME, mixFrame, VoiceStream } from './mix.js';
import { checkSdp, type PeerRules } from './sdp-in.js';

const FRAME_MS = 20;

/** Frames that are made up for after a stall of ours; what is older is left out. */
const MAX_LATE = 5;

interface Stream {
  readonly socket: dgram.Socket;
  readonly voice: VoiceStream;
}

interface NodeStream {
  readonly kind: 'audio' | 'text';
  readonly port: number;
  /** The m line's formats, and the lines that say what they are: what is offered must be taken whole (measured). */
  readonly formats: string;
  readonly maps: readonly string[];
}

const bound = (host: string): Promise<dgram.Socket> =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.once('error', () => {
      socket.close();
      reject(new MediaError('node-error', 'ear-unbound'));
    });
    socket.bind({ address: host, port: 0, exclusive: true }, () => {
      socket.removeAllListeners('error');
      // A phone that is gone answers with ICMP errors until the ear is ended.
      socket.on('error', () => undefined);
      socket.unref();
      resolve(socket);
    });
  });

const known = /^a=rtpmap:\d{1,3} (?:PCMU|PCMA|telephone-event)\/8000$/i;

/** A fork of text: it is refused with its own formats, or the node takes none of our answer (measured). */
const textMap = /^a=rtpmap:\d{1,3} (?:t140|red)\/1000$/i;

/**
 * What a node forks, in its order: each party's sound, and its text, which a supervisor's phone has no use for. Throws
 * MediaError where it is anything else.
 */
const readStreams = (sdp: Sdp, mediaAddress: string): readonly NodeStream[] => {
  const streams: { kind: NodeStream['kind']; port: number; formats: string; maps: string[] }[] = [];
  let unexpected = false;
  for (const line of sdp.split(/\r?\n/)) {
    if (line.startsWith('m=')) {
      const [, kind, port = '', formats = ''] =
        /^m=(audio|text) (\d{4,5}) RTP\/AVP((?: \d{1,3})+)$/.exec(line) ?? [];
      unexpected ||= port === '';
      streams.push({ kind: kind === 'text' ? 'text' : 'audio', port: Number(port), formats, maps: [] });
    } else if (line.startsWith('c=')) {
      unexpected ||= !line.endsWith(` ${mediaAddress}`);
    } else if (line.startsWith('a=rtpmap:')) {
      const stream = streams.at(-1);
      unexpected ||= !(stream?.kind === 'text' ? textMap : known).test(line);
      stream?.maps.push(line);
    }
  }
  const sounds = streams.filter(({ kind }) => kind === 'audio').length;
  if (unexpected || sounds !== 2 || streams.length > 4) throw new MediaError('node-error', 'sdp-unexpected');
  return streams;
};

/**
 * A supervisor's ear: takes both parties' sound from the node, mixes it and sends it to one phone. What the phone
 * sends is never read, and nothing is ever sent to the node: no party can hear a supervisor.
 */
export class Tap implements Ear {
  readonly offer: Sdp;
  readonly #host: string;
  readonly #streams: readonly Stream[];
  readonly #out: dgram.Socket;
  readonly #rules: PeerRules;
  #target: { readonly host: string; readonly port: number } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #onEnd: () => Promise<void> = async () => undefined;
  #ended: Promise<void> | null = null;
  #closed = false;
  #startedMs = 0;
  #frames = 0;
  #sequence = randomBytes(2).readUInt16BE();
  #timestamp = randomBytes(4).readUInt32BE();
  readonly #source = randomBytes(4).readUInt32BE();

  constructor(host: string, sockets: readonly [dgram.Socket, dgram.Socket, dgram.Socket], rules: PeerRules) {
    const [first, second, out] = sockets;
    this.#host = host;
    this.#rules = rules;
    this.#out = out;
    this.#streams = [first, second].map((socket) => ({ socket, voice: new VoiceStream() }));
    out.on('message', () => undefined);
    const family = isIPv6(host) ? 'IP6' : 'IP4';
    this.offer = [
      'v=0',
      `o=- ${randomBytes(6).readUIntBE(0, 6)} 1 IN ${family} ${host}`,
      's=-',
      `c=IN ${family} ${host}`,
      't=0 0',
      `m=audio ${out.address().port} RTP/AVP 0`,
      'a=rtpmap:0 PCMU/8000',
      'a=ptime:20',
      'a=sendonly',
      '',
    ].join('\r\n');
  }

  /** Our answer to the node's offer of both streams; from then on what it sends there is taken. */
  answerTo(nodeSdp: Sdp, mediaAddress: string): Sdp {
    const family = isIPv6(this.#host) ? 'IP6' : 'IP4';
    const free = [...this.#streams];
    const lines = readStreams(nodeSdp, mediaAddress).flatMap((node) => {
      if (node.kind === 'text') {
        return [`m=text 0 RTP/AVP${node.formats}`, `c=IN ${family} ${this.#host}`, ...node.maps];
      }
      const stream = free.shift();
      if (stream === undefined) return [];
      stream.socket.on('message', (bytes, from) => {
        if (from.port === node.port && from.address === mediaAddress) stream.voice.push(bytes);
      });
      const { port } = stream.socket.address();
      return [
        `m=audio ${port} RTP/AVP${node.formats}`,
        `c=IN ${family} ${this.#host}`,
        ...node.maps,
        // RTCP to the next port could meet a socket that is not ours.
        `a=rtcp:${port}`,
        'a=recvonly',
      ];
    });
    return ['v=0', `o=- 1 1 IN ${family} ${this.#host}`, 's=-', 't=0 0', ...lines, ''].join('\r\n');
  }

  async answer(sdp: Sdp): Promise<void> {
    const [host = '', port = ''] = checkSdp(sdp, 'answer', this.#rules).split(' ');
    if (!/^m=audio \d+ RTP\/AVP(?: \d+)*? 0(?: |\r?$)/m.test(sdp)) {
      throw new MediaError('answer-unusable', 'codec-not-allowed');
    }
    if (this.#closed) throw new MediaError('node-error', 'released');
    this.#target = { host, port: Number(port) };
    if (this.#timer !== null) return;
    this.#startedMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), FRAME_MS / 2);
    this.#timer.unref();
  }

  /** Called once when the ear is ended, before the sockets are gone. */
  onEnd(work: () => Promise<void>): void {
    this.#onEnd = work;
  }

  end(): Promise<void> {
    // Silent at once; what the node is told may take its time.
    this.close();
    this.#ended ??= this.#onEnd().catch(() => undefined);
    return this.#ended;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const { socket } of this.#streams) socket.close();
    this.#out.close();
  }

  #tick(): void {
    const due = Math.floor((performance.now() - this.#startedMs) / FRAME_MS);
    if (due - this.#frames > MAX_LATE) this.#frames = due - MAX_LATE;
    while (this.#frames < due) {
      this.#frames++;
      this.#send();
    }
  }

  #send(): void {
    const header = Buffer.alloc(12);
    header.writeUInt8(0x80, 0);
    header.writeUInt8(0, 1);
    header.writeUInt16BE(this.#sequence, 2);
    header.writeUInt32BE(this.#timestamp, 4);
    header.writeUInt32BE(this.#source, 8);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + FRAME) >>> 0;
    const frame = mixFrame(this.#streams.map(({ voice }) => voice));
    const target = this.#target;
    if (target !== null)
      this.#out.send(Buffer.concat([header, frame]), target.port, target.host, () => undefined);
  }
}

/** Rejects with MediaError where the address is not this host's. */
export const openTap = async (host: string, rules: PeerRules): Promise<Tap> => {
  const sockets: dgram.Socket[] = [];
  try {
    const one = async (): Promise<dgram.Socket> => {
      const socket = await bound(host);
      sockets.push(socket);
      return socket;
    };
    return new Tap(host, [await one(), await one(), await one()], rules);
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error;
  }
};
