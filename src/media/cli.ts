import { createConnection, type Socket } from 'node:net';
import { inTime } from '../durable/in-time.js';

export interface CliAddress {
  readonly host: string;
  readonly port: number;
}

const MAX_CHARS = 65_536;

/**
 * Asks rtpengine's command line interface one question over TCP; the answer ends where the node closes. Null where
 * it could not be had in time or within bounds: that is "not seen", never "nothing there".
 */
export const askCli = async (
  { host, port }: CliAddress,
  question: string,
  withinMs = 1000,
): Promise<string | null> => {
  const socket = createConnection({ host, port });
  const answer = await inTime(withinMs, answerOf(socket, question));
  socket.destroy();
  return answer === 'late' ? null : answer;
};

const answerOf = (socket: Socket, question: string): Promise<string | null> =>
  new Promise((done) => {
    let answer = '';
    socket.setEncoding('utf8');
    socket.once('error', () => done(null));
    socket.once('connect', () => socket.write(`${question}\n`));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > MAX_CHARS) done(null);
    });
    socket.once('close', () => done(answer === '' ? null : answer));
  });

/** The `name = value` lines of `params current`. */
export const parseParams = (text: string): ReadonlyMap<string, string> => {
  const params = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf(' = ');
    // A repeated name (listen-ng has two) keeps its first value: the second is the empty IPv6 one.
    if (at > 0 && !params.has(line.slice(0, at))) params.set(line.slice(0, at), line.slice(at + 3).trim());
  }
  return params;
};
