import type { ShedWhy } from './door.js';
import { type MessageCount, Traffic } from './traffic.js';
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
  | 'tls-distrusted'
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
  | 'framing'
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
  | 'draining'
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
  'tls-distrusted',
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
  'framing',
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
  'draining',
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
      readonly cause: 'ack-timeout' | 'cancel-race' | 'fork' | 'app-lost' | 'draining' | 'orphan';
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

/** Messages that came or were sent again, because an answer was lost or late. */
export interface Repeats {
  requestsIn: number;
  requestsOut: number;
  responsesIn: number;
  responsesOut: number;
}

/** What became of questions about names. */
export interface DnsCounts {
  /** Answers: with records, with none, with another name to ask for. */
  records: number;
  none: number;
  alias: number;
  /** Servers that were asked and gave no answer of use; of these, those that said nothing in time. */
  failed: number;
  timeout: number;
  /** Questions that no server answered. */
  dead: number;
}

/** TLS handshakes; accepted ones that failed are among what was dropped. */
export interface TlsCounts {
  accepted: number;
  made: number;
  /** Of connections we made. */
  failed: number;
}

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
  /** New calls that wait to be read. */
  readonly waitingCalls: number;
  /** Calls a second handed to the application at most; null while nothing bounds them. */
  readonly callRate: number | null;
  readonly received: number;
  readonly sent: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly refused: Readonly<Record<RefusalReason, number>>;
  /** Requests turned away at the door, by why; they are among the refused as well. */
  readonly shed: Readonly<Record<ShedWhy, number>>;
  readonly messages: readonly MessageCount[];
  readonly repeats: Readonly<Repeats>;
  readonly dns: Readonly<DnsCounts>;
  readonly tls: Readonly<TlsCounts>;
}

/** The counters behind AgentStats, and the way to the log. */
export class Telemetry {
  received = 0;
  sent = 0;
  readonly traffic = new Traffic();
  readonly repeats: Repeats = { requestsIn: 0, requestsOut: 0, responsesIn: 0, responsesOut: 0 };
  readonly dns: DnsCounts = { records: 0, none: 0, alias: 0, failed: 0, timeout: 0, dead: 0 };
  readonly tls: TlsCounts = { accepted: 0, made: 0, failed: 0 };
  readonly dropped: Record<DropReason, number>;
  readonly refused: Record<RefusalReason, number>;
  readonly #log: (event: AgentEvent) => void;
  readonly #over = new Set<string>();

  constructor(log: ((event: AgentEvent) => void) | undefined) {
    this.#log = log ?? (() => undefined);
    this.dropped = Object.fromEntries(dropReasons.map((r) => [r, 0])) as Record<DropReason, number>;
    this.refused = Object.fromEntries(refusalReasons.map((r) => [r, 0])) as Record<RefusalReason, number>;
  }

  /** A message from the network, as bytes or as latin1 text. */
  came(transport: TransportName, data: Buffer | string): void {
    this.received++;
    this.traffic.came(transport, data);
  }

  /** A message to the network. */
  went(transport: TransportName, data: Buffer): void {
    this.sent++;
    this.traffic.went(transport, data);
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
