import { Worker } from 'node:worker_threads';

export interface RelayPlace {
  /** The node’s NG port. */
  readonly to: { readonly host: string; readonly port: number };
  /** Where the relay listens, on the same port. */
  readonly host: string;
}

export interface RelayOrder {
  /** Share of the datagrams that is lost, in either direction. */
  readonly share: number;
  readonly seed: number;
}

/** Address of all relays; the port of each is that of its node, which attestation compares. */
const host = '127.0.0.5';

/** Stands between the controller and a media node, and loses datagrams when it is told to. */
export class LossyRelay {
  readonly host = host;
  readonly port: number;
  readonly #worker: Worker;

  private constructor(port: number, worker: Worker) {
    this.port = port;
    this.#worker = worker;
  }

  static open(to: RelayPlace['to']): Promise<LossyRelay> {
    const place: RelayPlace = { to, host };
    const worker = new Worker(new URL('./relay-worker.js', import.meta.url), { workerData: place });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', () => resolve(new LossyRelay(to.port, worker)));
    });
  }

  lose(order: RelayOrder): void {
    this.#worker.postMessage(order);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
