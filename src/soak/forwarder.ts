import dgram from 'node:dgram';

interface Client {
  readonly back: dgram.Socket;
  usedAt: number;
}

const maxClients = 64;
const idleMs = 120_000;

/**
 * Stands between the controller and a media node, on the node's own port at another address of the loopback network, and
 * loses a share of the datagrams in either direction when it is told to.
 */
export class Forwarder {
  readonly #front: dgram.Socket;
  readonly #to: { readonly host: string; readonly port: number };
  readonly #clients = new Map<string, Client>();
  #share = 0;
  #chance: () => number = () => 1;

  private constructor(front: dgram.Socket, to: { readonly host: string; readonly port: number }) {
    this.#front = front;
    this.#to = to;
    front.on('message', (bytes, from) => this.#forward(bytes, from));
    front.on('error', () => undefined);
  }

  static open(to: { readonly host: string; readonly port: number }, host: string): Promise<Forwarder> {
    const front = dgram.createSocket('udp4');
    return new Promise((resolve, reject) => {
      front.once('error', reject);
      front.bind(to.port, host, () => resolve(new Forwarder(front, to)));
    });
  }

  lose(share: number, chance: () => number): void {
    this.#share = share;
    this.#chance = chance;
  }

  #isLost(): boolean {
    return this.#share > 0 && this.#chance() < this.#share;
  }

  #forward(bytes: Buffer, from: dgram.RemoteInfo): void {
    const client = this.#clientOf(from);
    client.usedAt = performance.now();
    if (!this.#isLost()) client.back.send(bytes, this.#to.port, this.#to.host, () => undefined);
  }

  #clientOf(from: dgram.RemoteInfo): Client {
    const name = `${from.address}:${from.port}`;
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    this.#tidy();
    const back = dgram.createSocket('udp4');
    back.on('error', () => undefined);
    back.on('message', (bytes) => {
      if (!this.#isLost()) this.#front.send(bytes, from.port, from.address, () => undefined);
    });
    const client = { back, usedAt: performance.now() };
    this.#clients.set(name, client);
    return client;
  }

  #tidy(): void {
    const now = performance.now();
    for (const [name, { back, usedAt }] of this.#clients) {
      if (this.#clients.size < maxClients && now - usedAt < idleMs) continue;
      back.close();
      this.#clients.delete(name);
    }
  }
}
