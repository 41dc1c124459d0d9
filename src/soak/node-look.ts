import { createConnection } from 'node:net';

const MAX_CHARS = 1 << 20;

/** Sessions a media node says it has, asked over its own command line interface; null where it did not answer. */
export const sessionsOn = (
  { host, port }: { readonly host: string; readonly port: number },
  withinMs = 2000,
): Promise<number | null> =>
  new Promise((resolve) => {
    let answer = '';
    const socket = createConnection({ host, port });
    const done = (value: number | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(value);
    };
    const timer = setTimeout(() => done(null), withinMs);
    socket.setEncoding('utf8');
    socket.once('error', () => done(null));
    socket.once('connect', () => socket.write('list numsessions\n'));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > MAX_CHARS) done(null);
    });
    socket.once('close', () => {
      const found = /Current sessions (?:own|total):\s*(\d+)/i.exec(answer)?.[1];
      done(found === undefined ? null : Number(found));
    });
  });
