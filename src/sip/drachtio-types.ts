/**
 * The part of drachtio-srf 5 we use, as it really behaves. Its own types lack options, events and errors, and are
 * wrong in places (facts: drachtio 11.12); these are what its source does.
 */
export interface SrfMessage {
  readonly method: string;
  readonly uri: string;
  readonly body: string | undefined;
  readonly status: number;
  readonly reason: string;
  readonly raw: string | undefined;
  get(name: string): string | undefined;
  has(name: string): boolean;
}

/** A provisional response, and where it came from. */
export interface SrfProvisional extends SrfMessage {
  readonly protocol?: string;
  readonly source_address?: string;
  readonly source_port?: number;
}

export interface SrfRequest extends SrfMessage {
  readonly source: 'network' | 'application';
  readonly source_address: string;
  readonly source_port: number;
  readonly protocol: string;
  /** The thirteenth token of the event: of our own agent, who the sender proved to be. */
  readonly sessionToken?: string;
  /** What the agent calls the transaction. */
  readonly stackTxnId: string;
  on(event: 'cancel', listener: (cancel: SrfMessage) => void): void;
  on(event: 'response', listener: (response: SrfMessage, ack: () => void) => void): void;
  /** An UPDATE of the same Call-ID while this request of ours is open; unheard it is never answered. */
  on(event: 'update', listener: (request: SrfRequest, response: SrfResponse) => void): void;
  cancel(options: { headers?: Record<string, string> }, done: (error: unknown) => void): void;
}

export interface SrfSendOptions {
  headers?: Record<string, string>;
  body?: string;
}

export interface SrfResponse {
  readonly finalResponseSent: boolean;
  send(status: number, reason: string, options?: SrfSendOptions, sent?: (error: unknown) => void): void;
}

export interface SrfDialog {
  readonly id: string;
  readonly socket: SrfSocket;
  readonly agent: SrfClient;
  readonly type: 'uas' | 'uac';
  /** The INVITE that made it. */
  readonly req: SrfMessage;
  readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
  /** The response that made it: of the far end where we called. */
  readonly res: SrfMessage;
  readonly remote: { readonly sdp: string; readonly uri: string };
  readonly local: { sdp: string };
  handle(request: SrfRequest, response: SrfResponse): void;
  on(event: 'destroy', listener: (bye: SrfMessage, reason: string | undefined) => void): void;
  destroy(options: { headers?: Record<string, string> }, done: (error: unknown) => void): void;
}

export interface SrfClient {
  request(
    options: {
      method: string;
      stackDialogId?: string;
      stackTxnId?: string;
      uri?: string;
      proxy?: string;
      headers?: Record<string, string>;
      body?: string;
      _socket?: SrfSocket;
    },
    done: (error: unknown, request: SrfRequest | undefined) => void,
  ): void;
  /** Throws where there is no such route. */
  removeRoute(verb: string): void;
  readonly mapServer: Map<SrfSocket, SrfServer>;
  /** The library's own side of the wire; not there before it was told to connect. */
  readonly wp?: {
    closing?: boolean;
    readonly socket?: SrfSocket;
    readonly reconnectVars?: { readonly retryTimer?: NodeJS.Timeout | null };
    send(socket: SrfSocket, message: string): string;
  };
}

/** One connection of the library to an agent, and what waits for the answers to it. */
interface SrfServer {
  readonly pendingRequests: Map<string, (tokens: readonly string[]) => void>;
  readonly pendingPingRequests: Set<string>;
}

interface SrfSocket {
  readonly destroyed: boolean;
  destroy(): void;
}

export interface SrfInstance {
  connect(options: {
    host: string;
    port: number;
    secret: string;
    tags?: readonly string[];
    enablePing?: boolean;
    pingInterval?: number;
    reconnect?: { retryMaxDelay: number };
  }): void;
  disconnect(): void;
  on(
    event: 'connect',
    listener: (error: unknown, hostport: string, version?: string, local?: string) => void,
  ): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  on(event: 'close' | 'reconnecting', listener: () => void): void;
  use(method: string, handler: (request: SrfRequest, response: SrfResponse) => void): void;
  invite(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  options(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  createUAS(
    request: SrfRequest,
    response: SrfResponse,
    options: { localSdp: string; headers?: Record<string, string> },
    done: (error: unknown, dialog: SrfDialog) => void,
  ): void;
  createUAC(
    uri: string,
    options: { localSdp: string; headers?: Record<string, string>; proxy?: string },
    progress: {
      cbRequest: (error: unknown, request: SrfRequest) => void;
      cbProvisional: (response: SrfProvisional) => void;
    },
    done: (error: unknown, dialog: SrfDialog) => void,
  ): void;
  request(
    uri: string,
    options: { method: string; headers?: Record<string, string>; proxy?: string },
    done: (error: unknown, request: SrfRequest) => void,
  ): void;
  readonly _app: { readonly client: SrfClient };
}
