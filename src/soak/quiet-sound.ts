import dgram from 'node:dgram';

/** Packets each party sends in a call that is not listened to: enough for a recording to hold something of both. */
const packetsACall = 4;
/** After the answer, when the media is sure to be open. */
const afterMs = 400;

const payload = Buffer.alloc(172, 0xff);
payload[0] = 0x80;
payload[1] = 0;

/**
 * The sound of all calls of one side that nobody listens to, over one socket: a few packets a call. Tones in every call
 * would cost more than the calls; a recording without a packet would not be made at all.
 */
export class QuietSound {
  readonly #socket: dgram.Socket;
  readonly #host: string;
  #sources = 0;

  private constructor(socket: dgram.Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on('message', () => undefined);
    socket.on('error', () => undefined);
  }

  static open(host: string): Promise<QuietSound> {
    return new Promise((resolve, reject) => {
      const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
      socket.once('error', reject);
      socket.bind(0, host, () => resolve(new QuietSound(socket, host)));
    });
  }

  /** The session description of this side. */
  sdp(): string {
    const { port } = this.#socket.address();
    return [
      'v=0',
      `o=- 1 1 IN IP4 ${this.#host}`,
      's=-',
      `c=IN IP4 ${this.#host}`,
      't=0 0',
      `m=audio ${port} RTP/AVP 0`,
      'a=rtpmap:0 PCMU/8000',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ].join('\r\n');
  }

  /** Sends the packets of one call to where the far side's description says, a moment from now. */
  speak(sdp: string, ended: () => boolean): void {
    const host = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    if (host === undefined || !(port > 0)) return;
    const source = ++this.#sources;
    setTimeout(() => {
      if (ended()) return;
      for (let i = 0; i < packetsACall; i++) {
        const packet = Buffer.from(payload);
        packet.writeUInt16BE(i, 2);
        packet.writeUInt32BE(i * 160, 4);
        packet.writeUInt32BE(source, 8);
        this.#socket.send(packet, port, host, () => undefined);
      }
    }, afterMs).unref();
  }

  close(): void {
    this.#socket.close();
  }
}
