import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { AppConnection, type AppMessage, type CloseReason, greetingBytes } from './app-connection.js';
import { type AppWire, type NearApp, type NearLink, NearWire, SocketWire } from './app-wire.js';
import type { Timers } from './clock.js';
import type { Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';

/** drachtio-srf pings servers of v0.8.2 and later. */
const version = 'v0.9.10-sallyport';

interface AppServerDeps {
  readonly limits: AgentLimits;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
  readonly secret: string;
  /** `transport/host:port` of every SIP listener, comma separated. */
  hostPorts(): string;
  message(connection: AppConnection, message: AppMessage): void;
  lost(connection: AppConnection): void;
  silent(connection: AppConnection): void;
}

const digest = (text: string, encoding: 'utf8' | 'latin1'): Buffer =>
  createHash('sha256').update(text, encoding).digest();

/** The listening socket for applications, their connections, and which of them takes which method. */
export class AppServer {
  readonly #deps: AppServerDeps;
  readonly #server: Server;
  readonly #connections = new Set<AppConnection>();
  /** Per method the connections that take it; the first is next. */
  readonly #routes = new Map<string, AppConnection[]>();
  readonly #secret: Buffer;
  #count = 0;

  constructor(deps: AppServerDeps) {
    this.#deps = deps;
    this.#secret = digest(deps.secret, 'utf8');
    const bytes = Math.min(greetingBytes, deps.limits.appFrameBytes);
    this.#server = createServer((socket) => {
      if (!this.#take(() => new SocketWire(socket, bytes))) socket.destroy();
    });
  }

  /** Connects an application of this process; null where there are as many as the agent serves. */
  attach(app: NearApp): NearLink | null {
    if (!this.#server.listening) return null;
    const wire = new NearWire(app, Math.min(greetingBytes, this.#deps.limits.appFrameBytes));
    return this.#take(() => wire) ? wire.link : null;
  }

  #take(open: () => AppWire): boolean {
    const deps = this.#deps;
    const { limits, telemetry } = deps;
    const number = ++this.#count;
    if (this.#connections.size >= limits.appConnections) {
      telemetry.drop('app-limit');
      telemetry.log({ kind: 'app-refused', connection: number, reason: 'limit' });
      return false;
    }
    const connection = new AppConnection(number, open(), {
      ...deps,
      secretFits: (secret) => timingSafeEqual(digest(secret, 'latin1'), this.#secret),
      greeting: () => `${deps.hostPorts()}|${version}|${deps.hostPorts()}`,
      closed: (which, reason) => this.#closed(which, reason),
    });
    this.#connections.add(connection);
    return true;
  }

  get size(): number {
    return this.#connections.size;
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.removeListener('error', reject);
        this.#server.on('error', (error: NodeJS.ErrnoException) => {
          this.#deps.telemetry.log({
            kind: 'transport-error',
            transport: 'app',
            code: error.code ?? 'unknown',
          });
        });
        const bound = this.#server.address();
        if (bound === null || typeof bound === 'string') {
          reject(new Error('agent: no application address'));
          return;
        }
        this.#deps.telemetry.log({ kind: 'listening', transport: 'app', port: bound.port });
        resolve(bound.port);
      });
    });
  }

  /** Adds a route; false if the connection has as many as the agent keeps. */
  addRoute(connection: AppConnection, verb: string): boolean {
    const list = this.#routes.get(verb);
    if (list === undefined) {
      // Verbs are free text of an authenticated application, but still bounded.
      if (this.#routes.size >= 128) return false;
      this.#routes.set(verb, [connection]);
    } else if (!list.includes(connection)) {
      list.push(connection);
    }
    return true;
  }

  /** Removes this one route of the connection (drachtio-server removes all of them, which is a bug). */
  removeRoute(connection: AppConnection, verb: string): void {
    const list = this.#routes.get(verb);
    if (list === undefined) return;
    const at = list.indexOf(connection);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) this.#routes.delete(verb);
  }

  /**
   * The next connection for a method, round robin: of those with this tag, where there is one. Whoever owes us a word for
   * too long is passed over, unless all do.
   */
  next(method: string, tag?: string): AppConnection | undefined {
    const list = this.#routes.get(method.toLowerCase());
    if (list === undefined) return undefined;
    const fits = (one: AppConnection): boolean => tag === undefined || one.tags.includes(tag);
    const { appStallMs } = this.#deps.limits;
    let at = list.findIndex((one) => fits(one) && one.silentMs < appStallMs);
    if (at < 0) at = list.findIndex(fits);
    const [connection] = at < 0 ? [] : list.splice(at, 1);
    if (connection !== undefined) list.push(connection);
    return connection;
  }

  /** True if any connection takes this verb. */
  has(verb: string): boolean {
    return this.#routes.has(verb);
  }

  #closed(connection: AppConnection, reason: CloseReason): void {
    if (!this.#connections.delete(connection)) return;
    for (const [verb, list] of this.#routes) {
      const at = list.indexOf(connection);
      if (at >= 0) list.splice(at, 1);
      if (list.length === 0) this.#routes.delete(verb);
    }
    this.#deps.telemetry.log({
      kind: 'app-closed',
      connection: connection.number,
      reason,
      pendingRequests: connection.requests.size,
      pendingInvites: connection.invites.size,
      dialogs: connection.dialogs.size,
    });
    this.#deps.lost(connection);
  }

  async stop(): Promise<void> {
    for (const connection of [...this.#connections]) connection.close('stop');
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
