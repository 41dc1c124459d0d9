import dgram from 'node:dgram';

/** Calls that have been here before: an INVITE nobody answers comes again for 64*T1, whoever has given it up. */
const known = new Set<string>();

/** A carrier's port where somebody listens and nobody answers; counts the calls that come. */
export class SilentCarrier {
  readonly #socket: dgram.Socket;
  readonly #calls = new Set<string>();

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => {
      const callId = /^Call-ID: *(\S+)/im.exec(bytes.toString('latin1'))?.[1] ?? 'none';
      if (!known.has(callId)) this.#calls.add(callId);
    });
  }

  /** How many calls came that were not here before. */
  get calls(): number {
    return this.#calls.size;
  }

  static open(host: string, port: number): Promise<SilentCarrier> {
    const socket = dgram.createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: host, port, exclusive: true }, () => resolve(new SilentCarrier(socket)));
    });
  }

  close(): Promise<void> {
    for (const callId of this.#calls) known.add(callId);
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}
