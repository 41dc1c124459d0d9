import { get } from 'node:http';
import type { CallView } from '../call/controller.js';
import type { Config } from '../config/schema.js';
import { exitCodes } from './control-client.js';
import { CommandError, columns, type Terminal } from './output.js';

/** `calls`: what the running controller says is under way, over its loopback port. */
export const liveCalls = async (config: Config, json: boolean, terminal: Terminal): Promise<void> => {
  const { calls } = JSON.parse(await fetchText(config, '/calls')) as { calls: readonly CallView[] };
  if (json) {
    terminal.out(JSON.stringify({ calls }));
    return;
  }
  if (calls.length === 0) {
    terminal.out('no calls under way');
    return;
  }
  terminal.out(
    columns([
      ['call', 'facility', 'trunk', 'verdict', 'phase', 'seconds'],
      ...calls.map((call) => [
        call.callId,
        call.facility,
        call.trunk,
        call.verdict,
        call.phase,
        (call.elapsedMs / 1000).toFixed(1),
      ]),
    ]),
  );
};

const maxBytes = 16 * 1024 * 1024;

const fetchText = (config: Config, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const unreachable = (): void =>
      reject(
        new CommandError(
          'controller-unreachable',
          `no controller answers on ${config.http.address}:${config.http.port}; is it running?`,
          exitCodes.unreachable,
        ),
      );
    const request = get(
      { host: config.http.address, port: config.http.port, path, timeout: 3000 },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > maxBytes) request.destroy();
        });
        response.on('end', () => (response.statusCode === 200 ? resolve(text) : unreachable()));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', unreachable);
  });
