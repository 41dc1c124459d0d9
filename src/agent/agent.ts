import { getServers } from 'node:dns';
import { OrphanInvite } from './adopt.js';
import { Answers } from './answers.js';
import type { AppConnection, AppMessage } from './app-connection.js';
import { appLost, appSilent } from './app-loss.js';
import { AppServer } from './app-server.js';
import type { NearApp, NearLink } from './app-wire.js';
import { CallRecords } from './cdr.js';
import { Challenger } from './challenge.js';
import type { ClientTransactionDeps } from './client-transaction.js';
import { type Clock, systemClock, Timers } from './clock.js';
import type { Context } from './context.js';
import { type Credential, Credentials } from './credentials.js';
import { Dialogs } from './dialog.js';
import { DialogRequests } from './dialog-requests.js';
import { Dns, type DnsOptions } from './dns.js';
import type { DnsServer } from './dns-client.js';
import { Door, type DoorOptions } from './door.js';
import { drain } from './drain.js';
import { type AgentEvent, type AgentStats, Telemetry } from './events.js';
import { Inbound } from './inbound.js';
import { type AgentLimits, defaultLimits, defaultTimers, type SipTimers } from './limits.js';
import { Locator } from './locate.js';
import { LoopDelay } from './loop-delay.js';
import { Outbound } from './outbound.js';
import { type PeerRule, Peers } from './peers.js';
import { hasBreak, isToken } from './scan.js';
import type { TlsOptions } from './tls.js';
import type { TransportName } from './transport.js';
import { type SipAddress, Transports } from './transports.js';
import { parseHostPort } from './uri.js';

export type { Clock } from './clock.js';
export type { Credential } from './credentials.js';
export type { ShedCount, ShedWhy, SourceRule } from './door.js';
export type { AgentEvent, AgentStats, DropReason, RefusalReason } from './events.js';
export type { AgentLimits, SipTimers } from './limits.js';
export { defaultLimits, defaultTimers } from './limits.js';
export type { PeerRule } from './peers.js';
export type { TlsOptions } from './tls.js';
export type { TransportName } from './transport.js';
export type { SipAddress } from './transports.js';

interface Pin {
  readonly address: string;
  readonly port: number;
  readonly tag: string;
}

export interface AgentOptions {
  /** Where applications connect; port 0 for any free one. Bind it to loopback: the protocol is not encrypted. */
  readonly app: { readonly host: string; readonly port: number; readonly secret: string };
  /** SIP addresses; at least one. */
  readonly sip: readonly SipAddress[];
  /** Needed where one of the SIP addresses is of TLS, and for requests to go over TLS. */
  readonly tls?: TlsOptions;
  /** Peers known by what they prove. The application gets their name with their new requests. */
  readonly peers?: readonly PeerRule[];
  /** Whose new requests go to the application with this tag and to no other, by where they come from. */
  readonly pins?: readonly Pin[];
  /** OPTIONS to this user part are the application's own: they are asked for no password. */
  readonly probeUser?: string;
  /** The realm peers are asked for passwords in. */
  readonly realm?: string;
  /** What challenges of peers we call are answered with. */
  readonly credentials?: readonly Credential[];
  /** Whose requests are let in, and how many. Without it everybody's are, up to the limits. */
  readonly door?: DoorOptions;
  /** How names are resolved; without it by the resolvers of this machine. */
  readonly dns?: { readonly resolvers?: readonly DnsServer[]; readonly staleMs?: number };
  readonly limits?: Partial<AgentLimits>;
  readonly timers?: Partial<SipTimers>;
  /** Written as User-Agent and Server where the application writes none. */
  readonly userAgent?: string;
  /** Option tags that requests may require (RFC 3261 section 8.2.2.3); the agent itself implements none. */
  readonly supported?: readonly string[];
  readonly log?: (event: AgentEvent) => void;
  readonly clock?: Clock;
}

export interface Agent {
  readonly appPort: number;
  /** The bound SIP addresses in the order of the options. */
  readonly sip: readonly {
    readonly transport: TransportName;
    readonly host: string;
    readonly port: number;
  }[];
  stats(): AgentStats;
  /**
   * Connects an application of this process without a socket in between: same payloads, same secret. Null where the
   * agent has stopped or serves as many as it may.
   */
  attach(app: NearApp): NearLink | null;
  /**
   * Reads the files of TLS again. Connections to come use them; of those that are open, the ones whose other end would not
   * be believed any more are closed. False if there is no TLS, or if the files are of no use and what was read before
   * stays in use.
   */
  reloadTls(): Promise<boolean>;
  /**
   * Refuses new calls and OPTIONS (503) from now on and settles when no call is up any more. After `ms`, or when it is to
   * be hurried, those that are left are ended, and both parties and their applications told.
   */
  drain(ms: number, hurry?: AbortSignal): Promise<void>;
  /** Closes every socket and stops every timer. Calls in progress are not ended: that is the application's decision. */
  stop(): Promise<void>;
}

/** The messages an application may send besides `authenticate` (facts page, section 3). */
function dispatch(context: Context, outbound: Outbound, app: AppConnection, message: AppMessage): void {
  const { apps, door } = context;
  door.heard();
  const argument = message.tokens[0] ?? '';
  switch (message.type) {
    case 'sip':
      outbound.sip(app, message);
      return;
    case 'route':
      if (argument.length > 64 || !isToken(argument.replace(':', '-')))
        app.refuse(message.id, 'invalid verb');
      else if (apps.addRoute(app, argument.toLowerCase())) app.answer(message.id, 'OK');
      else app.refuse(message.id, 'too many routes');
      return;
    case 'remove_route':
      apps.removeRoute(app, argument.toLowerCase());
      app.answer(message.id, 'OK');
      return;
    case 'ping':
      app.answer(message.id, 'OK|pong');
      return;
    case 'authenticate':
      app.answer(message.id, 'OK');
      return;
    case 'proxy':
      app.refuse(message.id, 'proxy is not supported');
      return;
    default:
      app.closeWith(message.id, 'Unknown message type');
  }
}

function checkOptions(options: AgentOptions): void {
  if (options.sip.length === 0) throw new Error('agent: no SIP address');
  if (options.app.secret === '' || /[|\r\n]/.test(options.app.secret)) {
    throw new Error('agent: the secret must not be empty and must not hold "|" or line ends');
  }
  if (options.userAgent !== undefined && hasBreak(options.userAgent)) throw new Error('agent: bad userAgent');
}

/** Resolvers that are not configured are the machine's, and its hosts file counts as well. */
function dnsOptions(given: AgentOptions['dns']): DnsOptions {
  const resolvers = given?.resolvers ?? [];
  const own = getServers().flatMap((text): DnsServer[] => {
    const at = parseHostPort(
      text.includes(':') && !text.includes('.') && !text.startsWith('[') ? `[${text}]` : text,
    );
    return at === undefined ? [] : [{ host: at.host, port: at.port ?? 53 }];
  });
  return {
    resolvers: resolvers.length > 0 ? resolvers : own.slice(0, 3),
    staleMs: given?.staleMs ?? 3_600_000,
    system: resolvers.length === 0,
  };
}

/**
 * Starts a SIP agent that serves drachtio's application protocol: applications connect to `app` with drachtio-srf in
 * client mode. Rejects if an address cannot be bound, with everything closed again.
 *
 * Not done, and answered NOK where an application asks for it: `proxy` and outbound mode. Session timers are the
 * application's.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  checkOptions(options);
  const limits: AgentLimits = { ...defaultLimits, ...options.limits };
  const sip: SipTimers = { ...defaultTimers, ...options.timers };
  const telemetry = new Telemetry(options.log);
  const timers = new Timers(options.clock ?? systemClock, (error) => {
    telemetry.log({
      kind: 'internal-error',
      where: 'timer',
      name: error instanceof Error ? error.name : 'unknown',
    });
  });
  let stopped = false;
  // One message that the agent trips over must not end all calls; it is reported by the name of the error only.
  const guarded = (where: 'network' | 'application', run: () => void): void => {
    if (stopped) return;
    try {
      run();
    } catch (error) {
      telemetry.log({ kind: 'internal-error', where, name: error instanceof Error ? error.name : 'unknown' });
    }
  };
  const transports = new Transports(limits, timers, telemetry, {
    message: (text, flow, framing) => guarded('network', () => inbound.message(text, flow, framing)),
  });
  const apps = new AppServer({
    limits,
    timers,
    telemetry,
    secret: options.app.secret,
    hostPorts: () => transports.listeners.map((l) => `${l.transport}/${l.hostPort}`).join(','),
    message: (app, message) => guarded('application', () => dispatch(context, outbound, app, message)),
    lost: (app) => guarded('application', () => appLost(context, answers, dialogRequests, app)),
    silent: (app) => guarded('application', () => appSilent(context, answers, app)),
  });
  const loopDelay = options.door === undefined ? undefined : new LoopDelay();
  const door = new Door(options.door && { loopDelay: () => loopDelay?.read() ?? 0, ...options.door }, timers);
  const clientDeps: ClientTransactionDeps = {
    timers,
    sip,
    repeats: telemetry.repeats,
    send: (data, flow, onError) => transports.send(data, flow, onError),
    probe: (flow, onRefused) => {
      if (flow.listener.transport === 'udp')
        transports.reachability.probe(flow.address, flow.port, onRefused);
    },
    ended: (transaction) => context.clientTransactions.delete(transaction.key),
  };
  const dns = new Dns(dnsOptions(options.dns), limits, timers, telemetry);
  const context: Context = {
    limits,
    sip,
    timers,
    telemetry,
    transports,
    locator: new Locator(dns, limits, timers, () => transports.listeners),
    apps,
    dialogs: new Dialogs(timers),
    records: new CallRecords(apps, timers),
    serverTransactions: new Map(),
    clientTransactions: new Map(),
    merged: new Map(),
    requests: new Map(),
    setups: new Set(),
    invites: new Map(),
    clientDeps,
    givenUp: (head) => new OrphanInvite(context, dialogRequests, head),
    orphans: new Map(),
    userAgent: options.userAgent,
    probeUser: options.probeUser,
    peers: new Peers(options.peers ?? []),
    door,
    challenger: new Challenger(
      options.peers ?? [],
      options.realm ?? 'sallyport',
      timers.clock,
      limits.wrongPasswords,
      (address, peer = '') => telemetry.log({ kind: 'guessing', address, peer }),
    ),
    credentials: new Credentials(options.credentials ?? []),
    pins: new Map((options.pins ?? []).map(({ address, port, tag }) => [`${address} ${port}`, tag])),
    drain: { begun: false },
    supported: new Set((options.supported ?? []).map((tag) => tag.toLowerCase())),
  };
  const dialogRequests = new DialogRequests(context);
  const answers = new Answers(context, dialogRequests);
  const inbound = new Inbound(context, answers, (run) => guarded('network', run));
  const outbound = new Outbound(context, answers, dialogRequests);

  const stop = async (): Promise<void> => {
    stopped = true;
    loopDelay?.stop();
    inbound.stop();
    door.tell();
    timers.stopAll();
    await Promise.all([apps.stop(), transports.stop()]);
    timers.stopAll();
    for (const map of [context.serverTransactions, context.clientTransactions, context.merged]) map.clear();
    context.requests.clear();
    context.setups.clear();
    context.invites.clear();
    context.orphans.clear();
  };
  let appPort = 0;
  try {
    if (options.tls !== undefined) await transports.openTls(options.tls, context.peers);
    for (const address of options.sip) await transports.listen(address);
    appPort = await apps.listen(options.app.host, options.app.port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    appPort,
    sip: transports.listeners.map((l) => ({ transport: l.transport, host: l.address, port: l.port })),
    reloadTls: () => transports.reloadTls(),
    attach: (app) => (stopped ? null : apps.attach(app)),
    stats: () => ({
      serverTransactions: context.serverTransactions.size,
      clientTransactions: context.clientTransactions.size,
      pendingRequests: context.requests.size,
      dialogs: context.dialogs.size,
      tcpConnections: transports.tcp.size,
      tlsConnections: transports.tlsConnections,
      appConnections: apps.size,
      timers: timers.size,
      waitingCalls: inbound.waiting,
      callRate: Number.isFinite(door.rate) ? door.rate : null,
      received: telemetry.received,
      sent: telemetry.sent,
      dropped: { ...telemetry.dropped },
      refused: { ...telemetry.refused },
      shed: { ...door.turnedAway },
      messages: telemetry.traffic.read(),
      repeats: { ...telemetry.repeats },
      dns: { ...telemetry.dns },
      tls: { ...telemetry.tls },
    }),
    drain: (ms, hurry) => drain(context, answers, dialogRequests, ms, hurry),
    stop,
  };
}
