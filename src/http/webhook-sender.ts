import { createHmac } from 'node:crypto';
import { request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { BlockList } from 'node:net';
import type { Due, Webhooks } from '../registry/accounts/webhooks.js';
import { checkedTarget, GuardError, type Resolve, systemResolve, type Target } from './net-guard.js';

export interface SenderOptions {
  readonly webhooks: Webhooks;
  readonly allowed: BlockList;
  readonly wall: () => number;
  readonly resolve?: Resolve;
  readonly everyMs?: number;
  /** Told of what stops it from working: a stable code. */
  readonly trouble: (code: string) => void;
}

const AT_ONCE = 4;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 4096;

/** `t=<seconds>,v1=<hex>`: HMAC-SHA-256 of the time, a dot, and the body, so that an old message is known for one. */
export const signatureOf = (secret: string, seconds: number, body: string): string =>
  `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;

/** Sends what waits, again and again until it is taken, or is a dead letter. Nothing it does can wait for by a call. */
export class WebhookSender {
  readonly #options: SenderOptions;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> | null = null;
  #stopped = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.turn(), this.#options.everyMs ?? 1000);
    this.#timer.unref();
  }

  /** Sends what is due now. Never rejects. */
  turn(): Promise<void> {
    this.#turn ??= this.#send().finally(() => {
      this.#turn = null;
    });
    return this.#turn;
  }

  async close(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#turn;
  }

  async #send(): Promise<void> {
    const { webhooks, trouble } = this.#options;
    try {
      for (
        let due = await webhooks.due(AT_ONCE);
        due.length > 0 && !this.#stopped;
        due = await webhooks.due(AT_ONCE)
      )
        await Promise.all(due.map((one) => this.#one(one)));
    } catch (error) {
      trouble(error instanceof Error && 'code' in error ? String(error.code) : 'failed');
    }
  }

  async #one(due: Due): Promise<void> {
    const { webhooks, allowed, resolve = systemResolve } = this.#options;
    let code: string | null;
    try {
      // Each time anew: a name can lead elsewhere by now.
      code = await this.#post(await checkedTarget(due.url, allowed, resolve), due);
    } catch (error) {
      code = error instanceof GuardError ? error.code : 'unreachable';
    }
    await webhooks.tried(due.id, code);
  }

  /** Null where it was taken. A redirection is no answer: it could lead anywhere. */
  #post({ url, address, family }: Target, { id, secret, body }: Due): Promise<string | null> {
    const seconds = Math.floor(this.#options.wall() / 1000);
    const options: RequestOptions = {
      method: 'POST',
      timeout: TIMEOUT_MS,
      // The connection goes to the address that was checked; the name is for TLS and the Host header.
      lookup: (_host, { all }, done) =>
        all === true ? done(null, [{ address, family }]) : done(null, address, family),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'sallyport',
        'sallyport-delivery': id,
        'sallyport-signature': signatureOf(secret, seconds, body),
      },
    };
    const send = url.protocol === 'https:' ? tlsRequest : plainRequest;
    return new Promise((resolve) => {
      const request = send(url, options, (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER) response.destroy();
        });
        const status = response.statusCode ?? 0;
        response.on('close', () => resolve(status >= 200 && status < 300 ? null : `status-${status}`));
      });
      const late = setTimeout(() => request.destroy(), TIMEOUT_MS);
      request.on('close', () => clearTimeout(late));
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve('unreachable'));
      request.end(body);
    });
  }
}
