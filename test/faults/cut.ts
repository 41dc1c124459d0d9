import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay that a test can cut: every connection breaks, and none is taken until it is mended. */
export class Cut {
  readonly #server: Server;
  readonly #to: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #whole = true;

  private constructor(to: { readonly host: string; readonly port: number }) {
    this.#to = to;
    this.#server = createServer((near) => this.#relay(near));
  }

  static open(to: { readonly host: string; readonly port: number }): Promise<Cut> {
    const cut = new Cut(to);
    return new Promise((resolve, reject) => {
      cut.#server.once('error', reject);
      cut.#server.listen(0, '127.0.0.1', () => resolve(cut));
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  break(): void {
    this.#whole = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#whole = true;
  }

  close(): Promise<void> {
    this.break();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #relay(near: Socket): void {
    near.on('error', () => undefined);
    if (!this.#whole) {
      near.destroy();
      return;
    }
    const far = connect(this.#to);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
