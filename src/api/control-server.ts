import { createServer } from 'node:net';
import type { FarControl } from './control.js';
import { ControlConnection, type ControlLimits, defaultLimits, turnAway } from './control-connection.js';
import { placeSocket } from './control-socket.js';

export interface ControlServerOptions {
  /** Where the socket goes; its directory is made (mode 0700) where it is missing. */
  readonly path: string;
  readonly control: FarControl;
  /** `control` threw while it carried this command out; 'accept' where a connection could not be taken. */
  readonly onFault: (command: string) => void;
  readonly limits?: Partial<ControlLimits>;
}

export interface ControlServer {
  /** Connections open now. */
  connections(): number;
  /** Tells every connection that the controller stops, closes them and takes the socket away. Never rejects. */
  close(): Promise<void>;
}

/**
 * Takes operators' commands on a Unix socket: newline-delimited JSON, one request a line, `{id, command, …}`, and as
 * lines back `{id, ok: true, result}` or `{id, ok: false, error: {code, message}}`; while following also
 * `{id, event}`. Whoever can open the socket is trusted with all of it: the account's own users and root. Rejects
 * with ControlError.
 */
export const startControl = async (options: ControlServerOptions): Promise<ControlServer> => {
  const { control, onFault } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const open = new Set<ControlConnection>();
  // Half-open: a script that sends its requests and closes its side still gets the replies.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (open.size >= limits.connections) {
      const message = `at most ${limits.connections} operators may be connected at once`;
      turnAway(socket, { code: 'too-many-connections', message }, limits.lingerMs);
      return;
    }
    const connection = new ControlConnection(socket, { control, limits, onFault });
    open.add(connection);
    void connection.closed.then(() => open.delete(connection));
  });
  // Beyond those turned away with a word, a flood is dropped without one.
  server.maxConnections = limits.connections * 2;
  const placed = await placeSocket(server, options.path);
  // A connection that cannot be accepted (no descriptors left) costs that connection, never the calls.
  server.on('error', () => onFault('accept'));
  return {
    connections: () => open.size,
    close: async () => {
      await placed.remove();
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      const stopping = { code: 'controller-stopping', message: 'the controller is stopping' };
      for (const connection of [...open]) connection.finish(stopping);
      await closed;
    },
  };
};
