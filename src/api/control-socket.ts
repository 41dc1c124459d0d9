import { chmod, link, lstat, mkdir, mkdtemp, rm, stat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';

export type ControlErrorCode =
  | 'socket-path-too-long'
  | 'socket-directory-unsafe'
  | 'socket-path-taken'
  | 'socket-in-use'
  | 'socket-failed';

/** Why the control socket could not be opened. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: ControlErrorCode;
  constructor(code: ControlErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** sun_path holds 108 bytes with its NUL (unix(7)); a longer one would be cut off and bound elsewhere. */
const maxPathBytes = 107;
/** The socket is made in a folder of its own first: `.control-` and six random characters, and a name. */
const rehearsalBytes = '/.control-XXXXXX/s'.length;

export interface PlacedSocket {
  /** Takes the socket's file away, unless another one has taken its place. Never rejects. */
  remove(): Promise<void>;
}

/**
 * Makes `server` listen on a Unix socket at `path` that only this account may use. The socket is made within a
 * private folder, given its mode there and only then shown under its name, so that there is no moment at which
 * anyone else could connect. Rejects with ControlError.
 */
export const placeSocket = async (server: Server, path: string): Promise<PlacedSocket> => {
  const dir = dirname(path);
  if (Buffer.byteLength(path) > maxPathBytes || Buffer.byteLength(dir) + rehearsalBytes > maxPathBytes)
    throw new ControlError(
      'socket-path-too-long',
      `a socket's path is at most ${maxPathBytes} bytes: ${path}`,
    );
  await safeDirectory(dir);
  await clearStale(path);
  const rehearsal = await mkdtemp(join(dir, '.control-')).catch((error: unknown) => {
    throw failed(path, error);
  });
  let ours: { readonly ino: number; readonly dev: number };
  try {
    const made = join(rehearsal, 's');
    await listening(server, made);
    await chmod(made, 0o600);
    ours = await lstat(made);
    // A link never replaces a file: of two controllers that start at once, one is told so.
    await link(made, path);
  } catch (error) {
    server.close();
    throw codeOf(error) === 'EEXIST' ? inUse(path) : failed(path, error);
  } finally {
    // An empty folder left behind does no harm.
    await rm(rehearsal, { recursive: true, force: true }).catch(() => undefined);
  }
  const { ino, dev } = ours;
  return {
    remove: async () => {
      const now = await lstat(path).catch(() => null);
      if (now !== null && now.ino === ino && now.dev === dev) await unlink(path).catch(() => undefined);
    },
  };
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
const failed = (path: string, error: unknown): ControlError =>
  new ControlError('socket-failed', `the control socket ${path} cannot be made (${codeOf(error)})`);
const inUse = (path: string): ControlError =>
  new ControlError('socket-in-use', `another controller answers on ${path}`);

const listening = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });

/** Whoever may write to the directory could put a socket of their own in our place, and take the operators' orders. */
const safeDirectory = async (dir: string): Promise<void> => {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw failed(dir, error);
  });
  const found = await stat(dir).catch((error: unknown) => {
    throw failed(dir, error);
  });
  const unsafe = (why: string): ControlError =>
    new ControlError('socket-directory-unsafe', `the control socket's directory ${dir} ${why}`);
  if (!found.isDirectory()) throw unsafe('is no directory');
  if (found.uid !== process.geteuid?.()) throw unsafe('does not belong to this account');
  if ((found.mode & 0o022) !== 0) throw unsafe('may be written to by others; take that away with chmod go-w');
};

/** Takes away the socket of a controller that is no more. Anything else at this path stays, and stops us. */
const clearStale = async (path: string): Promise<void> => {
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw failed(path, error);
  });
  if (found === null) return;
  if (!found.isSocket())
    throw new ControlError(
      'socket-path-taken',
      `${path} is there already and is no socket; it is left alone`,
    );
  if (await answers(path)) throw inUse(path);
  const now = await lstat(path).catch(() => null);
  if (now === null) return;
  // Someone else cleared it and took its place while we asked.
  if (now.ino !== found.ino || now.dev !== found.dev) throw inUse(path);
  await unlink(path).catch((error: unknown) => {
    throw failed(path, error);
  });
};

/** False only where the kernel says that nobody listens: a controller too busy to answer is still one. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const done = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done(true), 1000);
    socket.once('connect', () => done(true));
    socket.once('error', (error) => done(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))));
  });
