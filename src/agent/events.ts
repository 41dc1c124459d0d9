import type { TransportName } from './transport.js';

/** Why a message from the network or a connection was dropped without an answer. */
export type DropReason =
  | 'not-sip'
  | 'malformed'
  | 'too-large'
  | 'keep-alive'
  | 'malformed-response'
  | 'stray-response'
  | 'stray-ack'
  | 'shed-ack'
  | 'tcp-limit'
  | 'tcp-source-limit'
  | 'tcp-framing'
  | 'tcp-slow'
  | 'tcp-idle'
  | 'tcp-backpressure'
  | 'tls-limit'
  | 'tls-handshake'
  | 'tls-no-certificate'
  | 'tls-revoked'
  | 'app-limit'
  | 'app-auth'
  | 'app-framing'
  | 'app-backpressure'
  | 'send-failed'
  | 'dns-limit'
  | 'dns-stale'
  | 'guessing';

/** Why a request was answered by the agent itself instead of by an application. */
export type RefusalReason =
  | 'malformed'
  | 'version'
  | 'uri-scheme'
  | 'too-large'
  | 'max-forwards'
  | 'extension'
  | 'merged'
  | 'no-dialog'
  | 'cseq'
  | 'glare'
  | 'overload'
  | 'shed'
  | 'no-app'
  | 'unknown-method'
  | 'app-lost'
  | 'app-silent'
  | 'orphan-dialog'
  | 'media'
  | 'credentials';

const dropReasons: readonly DropReason[] = [
  'not-sip',
  'malformed',
  'too-large',
  'keep-alive',
  'malformed-response',
  'stray-response',
  'stray-ack',
  'shed-ack',
  'tcp-limit',
  'tcp-source-limit',
  'tcp-framing',
  'tcp-slow',
  'tcp-idle',
  'tcp-backpressure',
  'tls-limit',
  'tls-handshake',
  'tls-no-certificate',
  'tls-revoked',
  'app-limit',
  'app-auth',
  'app-framing',
  'app-backpressure',
  'send-failed',
  'dns-limit',
  'dns-stale',
  'guessing',
];

const refusalReasons: readonly RefusalReason[] = [
  'malformed',
  'version',
  'uri-scheme',
  'too-large',
  'max-forwards',
  'extension',
  'merged',
  'no-dialog',
  'cseq',
  'glare',
  'overload',
  'shed',
  'no-app',
  'unknown-method',
  'app-lost',
  'app-silent',
  'orphan-dialog',
  'media',
  'credentials',
];

/**
 * What the agent reports of its own life. Events hold no message text, numbers or URIs:
 * they may be logged anywhere.
 */
export type AgentEvent =
  | { readonly kind: 'listening'; readonly transport: TransportName | 'app'; readonly port: number }
  | { readonly kind: 'app-authenticated'; readonly connection: number }
  | {
      readonly kind: 'app-refused';
      readonly connection: number;
      readonly reason: 'secret' | 'order' | 'timeout' | 'limit';
    }
  | {
      readonly kind: 'app-closed';
      readonly connection: number;
      readonly reason: 'peer' | 'framing' | 'backpressure' | 'protocol' | 'stop' | 'error';
      readonly pendingRequests: number;
      readonly pendingInvites: number;
      readonly dialogs: number;
    }
  | {
      readonly kind: 'dialog-ended-by-agent';
      readonly cause: 'ack-timeout' | 'cancel-race' | 'fork' | 'app-lost' | 'orphan';
    }
  /** Certificate and key were read again; `code` says why they are of no use. */
  | { readonly kind: 'tls-reloaded'; readonly ok: boolean; readonly code: string }
  /** No resolver answers any more, or one does again. */
  | { readonly kind: 'dns'; readonly state: 'dead' | 'alive' }
  /**
   * A source tried so many wrong passwords that it is slowed down; or many sources (address '') tried those of one peer.
   * `peer` is '' where the last name tried was nobody's.
   */
  | { readonly kind: 'guessing'; readonly address: string; readonly peer: string }
  /** A request went on to the next server of its name. */
  | { readonly kind: 'failover'; readonly why: 'timeout' | 'transport' | 'silent' | 'refused' }
  | { readonly kind: 'invite-expired'; readonly role: 'uac' | 'uas' }
  | {
      readonly kind: 'overload';
      readonly what: 'transactions' | 'calls' | 'tcp-connections';
      readonly over: boolean;
    }
  | { readonly kind: 'transport-error'; readonly transport: TransportName | 'app'; readonly code: string }
  | {
      readonly kind: 'internal-error';
      readonly where: 'network' | 'application' | 'timer';
      readonly name: string;
    };

/** A snapshot of the agent's gauges and counters. */
export interface AgentStats {
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly pendingRequests: number;
  readonly dialogs: number;
  readonly tcpConnections: number;
  readonly tlsConnections: number;
  readonly appConnections: number;
  readonly timers: number;
  /** Calls a second handed to the application at most; null while nothing bounds them. */
  readonly callRate: number | null;
  readonly received: number;
  readonly sent: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

/** The counters behind AgentStats, and the way to the log. */
export class Telemetry {
  received = 0;
  sent = 0;
  readonly dropped: Record<DropReason, number>;
  readonly refused: Record<RefusalReason, number>;
  readonly #log: (event: AgentEvent) => void;
  readonly #over = new Set<string>();

  constructor(log: ((event: AgentEvent) => void) | undefined) {
    this.#log = log ?? (() => undefined);
    this.dropped = Object.fromEntries(dropReasons.map((r) => [r, 0])) as Record<DropReason, number>;
    this.refused = Object.fromEntries(refusalReasons.map((r) => [r, 0])) as Record<RefusalReason, number>;
  }

  drop(reason: DropReason): void {
    this.dropped[reason]++;
  }

  refuse(reason: RefusalReason): void {
    this.refused[reason]++;
  }

  log(event: AgentEvent): void {
    this.#log(event);
  }

  /** Logs the moment a bound is reached and the moment it is left, not every refusal in between. */
  overload(what: 'transactions' | 'calls' | 'tcp-connections', over: boolean): void {
    if (over === this.#over.has(what)) return;
    if (over) this.#over.add(what);
    else this.#over.delete(what);
    this.#log({ kind: 'overload', what, over });
  }
}
