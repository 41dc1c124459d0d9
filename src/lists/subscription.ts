import { type Client, keepConnected, makeClient, type RedisEndpoint } from './redis-client.js';

/**
 * Listens on one channel. What is said there is only a hint that it is worth looking: it may be lost, repeated or
 * forged, so its content is not even read.
 */
export class Subscription {
  readonly #client: Client;
  readonly #end: () => void;

  constructor(endpoint: RedisEndpoint, channel: string, onHint: () => void) {
    // The library's own resubscription would run on the same event; one of the two is enough.
    this.#client = makeClient(endpoint, 2_000, { autoResubscribe: false });
    this.#end = keepConnected(this.#client);
    // Without a listener the client would print errors.
    this.#client.on('error', () => {});
    this.#client.on('message', onHint);
    this.#client.on('ready', () => {
      // Whatever was said while nobody listened is made up for by looking once.
      this.#client.subscribe(channel).then(onHint, () => this.#client.disconnect(true));
    });
  }

  /** Starts connecting, and again after every loss. Never rejects. */
  async open(): Promise<void> {
    const failed = new Promise<void>((resolve) => void this.#client.on('error', () => resolve()));
    await Promise.race([this.#client.connect().catch(() => {}), failed]);
  }

  close(): void {
    this.#end();
  }
}
