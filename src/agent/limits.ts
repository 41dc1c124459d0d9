/** Every bound of the agent. Over a bound the agent refuses or closes, and counts it; it never grows. */
export interface AgentLimits {
  /** Bytes of one SIP message, start line to end of body. */
  readonly messageBytes: number;
  /** Header lines of one SIP message. */
  readonly headerLines: number;
  /** Bytes of one header line after unfolding. */
  readonly headerLineBytes: number;
  /** Via values of one SIP message. */
  readonly viaValues: number;
  /** Bytes of a Request-URI or of a URI in a header the agent reads. */
  readonly uriBytes: number;
  /** Transactions of each side (server, client) open for requests that start something new. */
  readonly transactions: number;
  /** Further server transactions reserved for requests inside dialogs, so that a flood cannot stop a BYE. */
  readonly transactionsReserved: number;
  /** New calls that have no final response yet: the work in progress of the applications. */
  readonly setups: number;
  /** Dialogs, early and confirmed. */
  readonly dialogs: number;
  /** SIP connections over TCP, both directions; as many again over TLS. */
  readonly tcpConnections: number;
  /** Connections one address may have open to us, TCP and TLS each, those in their handshake included. */
  readonly connectionsPerSource: number;
  /** TLS handshakes under way, accepted ones. */
  readonly tlsHandshakes: number;
  /** An accepted TLS connection must have completed its handshake within this time. */
  readonly tlsHandshakeMs: number;
  /** How often the files of certificate and key are looked at for a change. */
  readonly tlsReloadMs: number;
  /** A TCP connection without traffic is closed after this time. */
  readonly tcpIdleMs: number;
  /** A message begun on a TCP connection must be complete within this time. */
  readonly tcpMessageMs: number;
  /** A TCP connection that is not established within this time has failed. */
  readonly tcpConnectMs: number;
  /** Application connections, authenticated or not. */
  readonly appConnections: number;
  /** A new application connection must authenticate within this time. */
  readonly appAuthMs: number;
  /** An application that said nothing for so long since it was given a request gets no new ones while others can take them. */
  readonly appStallMs: number;
  /** After so long, INVITEs it was given and said nothing about are refused. */
  readonly appSilentMs: number;
  /** Bytes of one frame from an application. */
  readonly appFrameBytes: number;
  /** Bytes waiting to be written on one connection (application or SIP); over it the connection is closed. */
  readonly outboundBytes: number;
  /** A name that is not resolved within this time has failed. */
  readonly dnsMs: number;
  /** Name look-ups at the same time. */
  readonly dnsLookups: number;
  /** Answers about names that are remembered. */
  readonly dnsEntries: number;
  /** A server of a name that says nothing within this time is given up for the next one of the same name. */
  readonly targetMs: number;
  /** Wrong passwords of one source within a minute; after them it is answered once a second. */
  readonly wrongPasswords: number;
  /** An INVITE without a final response, in either direction, is ended by the agent after this time. */
  readonly inviteLifetimeMs: number;
  /** A dialog whose application connection is gone, and which nobody has taken over, is ended after this time. */
  readonly orphanDialogMs: number;
}

export const defaultLimits: AgentLimits = {
  messageBytes: 64 * 1024,
  headerLines: 200,
  headerLineBytes: 8 * 1024,
  viaValues: 70,
  uriBytes: 2048,
  transactions: 50_000,
  transactionsReserved: 10_000,
  setups: 10_000,
  dialogs: 50_000,
  tcpConnections: 1000,
  connectionsPerSource: 100,
  tlsHandshakes: 128,
  tlsHandshakeMs: 5000,
  tlsReloadMs: 30_000,
  tcpIdleMs: 600_000,
  tcpMessageMs: 32_000,
  tcpConnectMs: 5000,
  appConnections: 64,
  appAuthMs: 5000,
  appStallMs: 2000,
  appSilentMs: 12_000,
  appFrameBytes: 1024 * 1024,
  outboundBytes: 8 * 1024 * 1024,
  dnsMs: 3000,
  dnsLookups: 256,
  dnsEntries: 2000,
  targetMs: 5000,
  wrongPasswords: 10,
  inviteLifetimeMs: 600_000,
  orphanDialogMs: 3_600_000,
};

/** RFC 3261 section 17.1.1.1 and table 4, in milliseconds. */
export interface SipTimers {
  readonly t1: number;
  readonly t2: number;
  readonly t4: number;
}

export const defaultTimers: SipTimers = { t1: 500, t2: 4000, t4: 5000 };
