import { connect, type Socket } from 'node:net';
import type { FollowedEvent } from '../api/control.js';
import { parseRequest } from '../api/control-request.js';
import type { CallView } from '../call/controller.js';
import { CommandError } from './output.js';

/** Exit codes of the commands that talk to a running controller: 0 done, and these. */
export const exitCodes = { refused: 1, usage: 2, unreachable: 3 } as const;

/** What answers no command: the order may or may not have been carried out. */
const uncertain: ReadonlySet<string> = new Set(['controller-stopping', 'outcome-unknown']);
/** Bytes of one line from the controller: the calls of a full house, several times over. */
const maxReplyBytes = 16 * 1024 * 1024;
/** Longer than the controller gives itself, so that it is the one to say what happened. */
const answerMs = 15_000;
/** `listen` is answered when somebody has picked up the phone. */
const listenMs = 50_000;

type Request = Readonly<Record<string, unknown>> & { readonly command: string };

/** A line of the controller. One that is none of these is an error. */
type Reply =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly code: string; readonly message: string }
  | { readonly kind: 'event'; readonly event: FollowedEvent };

/**
 * Asks the controller one thing. `request` is checked here first, as the controller would, so that a slip of the
 * operator needs no controller to be told. Rejects with CommandError: exit code 1 where the controller refuses, 2
 * for a slip, 3 where no controller answers.
 */
export const askController = async (socket: string, request: Request): Promise<unknown> => {
  const line = lineOf(request);
  const stream = await connected(socket);
  try {
    stream.write(line);
    const timer = setTimeout(() => stream.destroy(), request.command === 'listen' ? listenMs : answerMs);
    try {
      for await (const reply of replies(stream)) return resultOf(reply);
    } finally {
      clearTimeout(timer);
    }
    throw new CommandError(
      'controller-gone',
      'the controller went away before it answered; whether it was done is not known',
      exitCodes.unreachable,
    );
  } finally {
    stream.destroy();
  }
};

/**
 * Follows the calls until `stop` is aborted, and resolves then. Rejects with CommandError where the controller ends
 * it: it stops, it is gone, or what it told was not read in time.
 */
export const followController = async (
  socket: string,
  told: {
    readonly calls: (calls: readonly CallView[]) => void;
    readonly event: (event: FollowedEvent) => void;
  },
  stop: AbortSignal,
): Promise<void> => {
  const stream = await connected(socket);
  const end = (): void => void stream.destroy();
  stop.addEventListener('abort', end);
  try {
    if (stop.aborted) return;
    stream.write(lineOf({ command: 'follow' }));
    for await (const reply of replies(stream)) {
      if (stop.aborted) return;
      if (reply.kind === 'event') told.event(reply.event);
      else told.calls((resultOf(reply) as { readonly calls: readonly CallView[] }).calls);
    }
    if (stop.aborted) return;
    throw new CommandError(
      'controller-gone',
      'the controller is gone without a word; nothing more can be shown',
      exitCodes.unreachable,
    );
  } finally {
    stop.removeEventListener('abort', end);
    stream.destroy();
  }
};

const lineOf = (request: Request): string => {
  const line = JSON.stringify({ id: 1, ...request });
  const parsed = parseRequest(Buffer.from(line));
  if (!parsed.ok) throw new CommandError(parsed.fault.code, parsed.fault.message, exitCodes.usage);
  return `${line}\n`;
};

const resultOf = (reply: Reply): unknown => {
  switch (reply.kind) {
    case 'result':
      return reply.result;
    case 'error':
      throw new CommandError(
        reply.code,
        reply.message,
        uncertain.has(reply.code) ? exitCodes.unreachable : exitCodes.refused,
      );
    default:
      throw nonsense();
  }
};

const nonsense = (): CommandError =>
  new CommandError('reply-invalid', 'what answers on the control socket does not speak as a controller does');

const connected = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const stream = connect(path);
    const timer = setTimeout(() => stream.destroy(new Error('no answer')), 3000);
    stream.once('connect', () => {
      clearTimeout(timer);
      // From here on a failure shows as the end of the lines.
      stream.on('error', () => undefined);
      resolve(stream);
    });
    stream.once('error', (error) => {
      clearTimeout(timer);
      reject(unreachable(path, error));
    });
  });

const unreachable = (path: string, error: Error): CommandError => {
  const code = 'code' in error ? String(error.code) : '';
  const message =
    code === 'EACCES' || code === 'EPERM'
      ? `the control socket ${path} is another account's; run this as the account the controller runs as`
      : `no controller answers on ${path}; start one (sallyport run), or say where its socket is with --socket`;
  return new CommandError('controller-unreachable', message, exitCodes.unreachable);
};

/** The controller's lines until the connection ends, however it ends. */
async function* replies(stream: Socket): AsyncGenerator<Reply> {
  stream.setEncoding('utf8');
  let rest = '';
  const chunks = stream.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  for (;;) {
    // A connection that breaks off ends the lines like one that is closed.
    const next = await chunks.next().catch(() => ({ done: true as const, value: undefined }));
    if (next.done === true) return;
    rest += next.value as string;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxReplyBytes) throw nonsense();
    for (const line of lines) yield replyOf(line);
  }
}

const replyOf = (line: string): Reply => {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw nonsense();
  }
  if (typeof value !== 'object' || value === null) throw nonsense();
  const { ok, result, error, event } = value as Readonly<Record<string, unknown>>;
  if (ok === true) return { kind: 'result', result };
  if (ok === false && typeof error === 'object' && error !== null) {
    const { code, message } = error as Readonly<Record<string, unknown>>;
    if (typeof code === 'string' && typeof message === 'string')
      return { kind: 'error', code: plain(code), message: plain(message) };
  }
  if (ok === undefined && typeof event === 'object' && event !== null)
    return { kind: 'event', event: event as FollowedEvent };
  throw nonsense();
};

/** Text as it may be put on a terminal: what could move its cursor or hide text is shown as a question mark. */
export const plain = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
