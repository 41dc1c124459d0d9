import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CallView } from '../call/controller.js';

/** One condition of being ready. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly why: string;
}

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  /** All of them, and whether that is ready; a promise where others are asked. */
  readonly checks: () => readonly Check[] | Promise<readonly Check[]>;
  /** Whether these checks make it ready; without it, all of them must hold. */
  readonly isReady?: (checks: readonly Check[]) => boolean;
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly calls: () => readonly CallView[] | Promise<readonly CallView[]>;
}

export interface Health {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * `/live` (the process turns), `/ready` (every condition of taking calls, 503 where one fails), `/metrics` and
 * `/calls`. Loopback only: there is no authentication, and nothing here holds a number.
 */
export const startHealth = async (options: HealthOptions): Promise<Health> => {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, {
        'content-type': type,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      response.end(body);
    };
    const json = (status: number, value: unknown): void =>
      send(status, 'application/json', `${JSON.stringify(value)}\n`);
    const later = <Value>(look: () => Value | Promise<Value>, use: (value: Value) => void): void => {
      Promise.resolve(look()).then(use, () => json(500, { code: 'look-failed' }));
    };
    if (request.method !== 'GET') return json(405, { code: 'method-not-allowed' });
    switch (request.url) {
      case '/live':
        return json(200, { live: true });
      case '/ready': {
        const { isReady = (checks) => checks.every((check) => check.ok) } = options;
        later(options.checks, (checks) => {
          const ready = isReady(checks);
          json(ready ? 200 : 503, { ready, checks });
        });
        return;
      }
      case '/calls':
        later(options.calls, (calls) => json(200, { calls }));
        return;
      case '/metrics':
        options.metrics().then(
          (text) => send(200, options.metricsType, text),
          () => json(500, { code: 'metrics-failed' }),
        );
        return;
      default:
        return json(404, { code: 'not-found' });
    }
  });
  server.maxConnections = 64;
  server.requestTimeout = 5000;
  server.headersTimeout = 5000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
};

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
