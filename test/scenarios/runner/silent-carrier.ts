import dgram from 'node:dgram';

/** A carrier's port where somebody listens and nobody answers; counts what comes. */
export class SilentCarrier {
  readonly #socket: dgram.Socket;
  readonly received: string[] = [];

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => this.received.push(bytes.toString('latin1')));
  }

  static open(host: string, port: number): Promise<SilentCarrier> {
    const socket = dgram.createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: host, port, exclusive: true }, () => resolve(new SilentCarrier(socket)));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}
