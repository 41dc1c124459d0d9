import { connect, type Socket } from 'node:net';
import type { ControlOutcome, FollowedEvent } from '../api/control.js';

/** The parent's side of a worker's control socket. A worker speaks there as it does to an operator. */

type Request = Readonly<Record<string, unknown>> & { readonly command: string };

const ANSWER_MS = 9000;
const LISTEN_MS = 44_000;
const MAX_LINE = 16 * 1024 * 1024;

/** The lines a socket sends, as values; anything that is none ends the connection. */
const onLines = (socket: Socket, take: (value: Readonly<Record<string, unknown>>) => void): void => {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    rest += chunk;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) socket.destroy();
    try {
      for (const line of lines) take(JSON.parse(line) as Readonly<Record<string, unknown>>);
    } catch {
      socket.destroy();
    }
  });
};

/** The answer to one request; null where the worker cannot be reached, or goes before it answers. */
export type Answer =
  | { readonly ok: true; readonly result: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly code: string; readonly message: string };

export const askWorker = (path: string, request: Request): Promise<Answer | null> =>
  new Promise((resolve) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify({ id: 1, ...request })}\n`));
    const timer = setTimeout(() => socket.destroy(), request.command === 'listen' ? LISTEN_MS : ANSWER_MS);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(null);
    });
    onLines(socket, ({ ok, result, error }) => {
      const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
      resolve(
        ok === true
          ? { ok, result: result as Readonly<Record<string, unknown>> }
          : { ok: false, code: String(code), message: String(message) },
      );
      socket.destroy();
    });
  });

/** What came of an order, in the words of who carried it out. */
export const outcomeOf = (answer: Answer): ControlOutcome =>
  answer.ok ? { ok: true, note: typeof answer.result.note === 'string' ? answer.result.note : null } : answer;

/** How soon a worker that is gone is looked for again. */
const AGAIN_MS = 1000;

/** Follows a worker's calls for as long as somebody wants to, also over its restarts. Returns what ends it. */
export const followWorker = (path: string, told: (event: FollowedEvent) => void): (() => void) => {
  let ended = false;
  let timer: NodeJS.Timeout | null = null;
  let socket: Socket | null = null;
  const open = (): void => {
    timer = null;
    const one = connect(path, () => one.write(`${JSON.stringify({ id: 1, command: 'follow' })}\n`));
    socket = one;
    one.on('error', () => undefined);
    one.once('close', () => {
      if (!ended) timer = setTimeout(open, AGAIN_MS);
    });
    onLines(one, ({ event }) => {
      if (!ended && typeof event === 'object' && event !== null) told(event as FollowedEvent);
    });
  };
  open();
  return () => {
    ended = true;
    if (timer !== null) clearTimeout(timer);
    socket?.destroy();
  };
};
