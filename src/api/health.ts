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
  readonly checks: () => readonly Check[];
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly calls: () => readonly CallView[];
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
    if (request.method !== 'GET') return json(405, { code: 'method-not-allowed' });
    switch (request.url) {
      case '/live':
        return json(200, { live: true });
      case '/ready': {
        const checks = options.checks();
        const ready = checks.every((check) => check.ok);
        return json(ready ? 200 : 503, { ready, checks });
      }
      case '/calls':
        return json(200, { calls: options.calls() });
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
