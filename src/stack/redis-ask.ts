import { createConnection } from 'node:net';

/**
 * Asks a Redis, or a sentinel, on a connection of its own: plain commands, one a line, for a look from outside while
 * servers are started. Resolves with all it answered, and with '' where it did not within the time; never rejects.
 */
export const askRedis = (
  host: string,
  port: number,
  commands: readonly string[],
  withinMs = 1_000,
): Promise<string> =>
  new Promise((resolve) => {
    let said = '';
    const socket = createConnection({ host, port });
    const timer = setTimeout(() => socket.destroy(), withinMs);
    socket.once('connect', () => socket.write([...commands, 'QUIT', ''].join('\r\n')));
    socket.on('data', (bytes) => {
      said += bytes.toString('latin1');
    });
    socket.once('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(said);
    });
  });
