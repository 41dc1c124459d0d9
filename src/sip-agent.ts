import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type Agent,
  type AgentEvent,
  type Credential,
  type PeerRule,
  type ShedCount,
  type SipTimers,
  type SourceRule,
  startAgent,
  type TlsOptions,
  type TransportName,
} from './agent/agent.js';
import type { AppEvent } from './call/events.js';
import type { Emit } from './call/ports.js';
import type { Config } from './config/schema.js';
import { carrierPort, facilityTrunksOf, sipPort } from './options.js';
import type { AttachAgent } from './sip/near-wire.js';
import { newProbeUser, type ProbeOptions } from './sip/self-probe.js';

/** Where the embedded agent listens. */
export interface SipListener {
  readonly transport: 'udp' | 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
}

/** Where controllers connect to an agent, and as what. */
export interface AgentAt {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** Connects without a socket in between, where the agent is within this process. */
  readonly attach?: AttachAgent;
  /** What this controller calls itself there. */
  readonly tags?: readonly string[];
}

/** What an agent tells the controller that counts and journals it: what it turned away, or an event. */
export type AgentSaid = { readonly shed: readonly ShedCount[] } | { readonly event: AppEvent };

export interface EmbeddedAgent {
  readonly agent: Agent;
  readonly at: AgentAt;
  readonly sip: readonly SipListener[];
  readonly probe: ProbeOptions;
  /** As `Agent.drain`. */
  drain(ms: number, hurry: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** The one controller that makes the test calls, and takes them: only it sees all that becomes of them. */
export const FIRST_TAG = 'first';

/** A secret for one run of an agent that nobody else is to reach. */
export const ownSecret = (): string => randomBytes(24).toString('base64url');

/** The agent of `sip.application`, a process that others started. */
export const applicationAt = (application: NonNullable<Config['sip']['application']>): AgentAt => ({
  host: '127.0.0.1',
  port: application.port,
  secret: secretIn(application.secretFile),
});

/** The agent that is within this process, where there is one: on a free loopback port, with a secret made for this run. */
export const startAgentIfEmbedded = async (
  config: Config,
  timers: Partial<SipTimers>,
  version: string,
  hear: (said: AgentSaid) => void = () => undefined,
): Promise<EmbeddedAgent | null> => {
  const { agent, application } = config.sip;
  if (agent !== 'embedded' || application !== undefined) return null;
  return startOwnAgent(config, { port: 0, secret: ownSecret() }, timers, version, hear);
};

/** Starts the agent with the addresses and the trunks of the configuration; controllers reach it at `app`, on loopback. */
export const startOwnAgent = async (
  config: Config,
  app: { readonly port: number; readonly secret: string },
  timers: Partial<SipTimers>,
  version: string,
  hear: (said: AgentSaid) => void,
): Promise<EmbeddedAgent> => {
  const { secret } = app;
  const { canaries } = config;
  const tls = tlsOf(config);
  const user = newProbeUser();
  const agent = await startAgent({
    app: { host: '127.0.0.1', ...app },
    sip: config.sip.listen.map(({ transport, address, port }) => ({
      transport,
      host: address,
      port: port ?? sipPort(transport),
    })),
    ...(tls === undefined ? {} : { tls }),
    peers: peersOf(config),
    realm: config.sip.realm,
    probeUser: user,
    credentials: config.trunks.carriers.flatMap((trunk): Credential[] => {
      const { address, transport, credentials } = trunk;
      return credentials === undefined
        ? []
        : [
            {
              transport: transport === 'auto' ? undefined : transport,
              host: address,
              port: carrierPort(trunk) ?? undefined,
              realm: credentials.realm,
              username: credentials.username,
              password: secretIn(credentials.passwordFile),
            },
          ];
    }),
    // What a trunk may require of them its own configuration says, and who reads its INVITEs looks at.
    supported: ['timer', '100rel'],
    userAgent: `Sallyport/${version}`,
    door: { sources: sourcesOf(config), onShed: (shed) => hear({ shed }) },
    // Beyond what the controllers take, an INVITE is turned away before it costs anything.
    limits: { setups: config.controller.maxCalls * Math.max(1, config.controller.workers) },
    pins:
      canaries === undefined || config.controller.workers === 0
        ? []
        : Object.values(canaries.facilities).map(({ port }) => ({
            address: canaries.address,
            port,
            tag: FIRST_TAG,
          })),
    dns: {
      resolvers: config.sip.dns.resolvers.map(({ address, port }) => ({ host: address, port })),
      staleMs: config.sip.dns.staleSeconds * 1000,
    },
    timers,
    log: (event) => told(event, (one) => hear({ event: one })),
  });
  const reload = (): void => void agent.reloadTls();
  if (tls !== undefined) process.on('SIGHUP', reload);
  return {
    agent,
    at: { host: '127.0.0.1', port: agent.appPort, secret, attach: (app) => agent.attach(app) },
    sip: agent.sip,
    // Without an address of UDP there is nothing to probe: TCP and TLS tell by themselves that nobody is there.
    probe: { at: agent.sip.find((one) => one.transport === 'udp') ?? null, user },
    drain: (ms, hurry) => agent.drain(ms, hurry),
    stop: () => {
      process.removeListener('SIGHUP', reload);
      return agent.stop();
    },
  };
};

/** What of the agent's own life concerns those who run it. */
const told = (event: AgentEvent, emit: Emit): void => {
  switch (event.kind) {
    case 'guessing': {
      // The address alone: a name that was tried is nobody's until it is proved.
      const detail = event.peer === '' ? event.address : `${event.peer} ${event.address}`.trim();
      emit({ event: 'alarm', alarm: 'passwords-guessed', callId: null, detail });
      return;
    }
    case 'dns':
      if (event.state === 'dead') emit({ event: 'fault', where: 'sip-agent', code: 'dns-dead' });
      return;
    case 'tls-reloaded':
      if (!event.ok) emit({ event: 'fault', where: 'sip-agent', code: 'tls-not-reloaded' });
      return;
    case 'internal-error':
      emit({ event: 'fault', where: 'sip-agent', code: `internal-error-${event.where}` });
      return;
    default:
  }
};

const tlsOf = (config: Config): TlsOptions | undefined => {
  const { tls } = config.sip;
  if (tls === undefined) return undefined;
  const { certFile, keyFile, caFile, crlFile, requireClientCertificate } = tls;
  return {
    certFile,
    keyFile,
    ...(caFile === undefined ? {} : { caFile }),
    ...(crlFile === undefined ? {} : { crlFile }),
    requireClientCertificate,
    servers: config.trunks.carriers.flatMap((trunk) =>
      trunk.tls === undefined
        ? []
        : [{ host: trunk.address, port: carrierPort(trunk) ?? undefined, name: trunk.tls.name }],
    ),
  };
};

/** Who proves to be which trunk, and by what. A carrier may come back to us on a connection of its own. */
const peersOf = (config: Config): PeerRule[] => [
  ...config.trunks.facilities.map(({ name, addresses, transports, tls, digest, nat }): PeerRule => {
    const rule = { name, addresses, transports, nat: nat === true };
    if (tls !== undefined) return { ...rule, certificate: tls };
    if (digest === undefined) return rule;
    const { username, passwordFile } = digest;
    return { ...rule, digest: { username, password: secretIn(passwordFile) } };
  }),
  ...config.trunks.carriers.flatMap(({ name, address, addresses, transport, tls }): PeerRule[] => {
    const known = isIP(address) === 0 ? (addresses ?? []) : [address];
    const certificate = { fingerprints: [], names: [tls?.name ?? address] };
    // A rule without addresses is of everybody: of a name, only what is proved or configured says who it is.
    const rules: PeerRule[] = [];
    if (transport === 'tls' || transport === 'auto') {
      rules.push({ name, addresses: known, transports: ['tls'], certificate });
    }
    const clear: TransportName[] = transport === 'auto' ? ['udp', 'tcp'] : [transport];
    if (transport !== 'tls' && known.length > 0) rules.push({ name, addresses: known, transports: clear });
    return rules;
  }),
];

/** Whose requests the agent lets in: the trunks, those of test calls included. */
const sourcesOf = (config: Config): SourceRule[] => [
  ...facilityTrunksOf(config).map(
    ({ name, addresses, port, transports, tls, digest, rate }): SourceRule => ({
      name,
      addresses,
      ...(port === undefined ? {} : { port }),
      transports,
      proves: tls !== undefined || digest !== undefined,
      calls: true,
      ...(rate === undefined ? {} : { rate }),
    }),
  ),
  ...config.trunks.carriers.map(
    ({ name, address, addresses, transport }): SourceRule => ({
      name,
      addresses: isIP(address) === 0 ? (addresses ?? []) : [address],
      transports: transport === 'auto' ? ['udp', 'tcp', 'tls'] : [transport],
      proves: transport === 'tls',
      calls: false,
    }),
  ),
];

/** A password file's first line; an empty one would let in whoever knows that it is empty. */
const secretIn = (file: string): string => {
  const secret = (readFileSync(file, 'utf8').split('\n', 1)[0] ?? '').trim();
  if (secret === '') throw new Error(`${file} holds no password`);
  return secret;
};

/** An agent of another process, as the configuration names it: ours, or a drachtio-server. */
export const remoteAgent = (config: Config): AgentAt => {
  const { agent, application } = config.sip;
  if (agent === 'embedded') {
    if (application === undefined) throw new Error('the agent is embedded');
    return applicationAt(application);
  }
  // A drachtio-server tells nobody what a peer proved, so such a trunk would be refused for ever.
  const proved =
    config.trunks.facilities.find((trunk) => trunk.tls !== undefined || trunk.digest !== undefined) ??
    config.trunks.carriers.find((trunk) => trunk.credentials !== undefined);
  if (proved !== undefined) {
    throw new Error(`trunk ${proved.name} needs sip.agent: embedded, for its tls, digest or credentials`);
  }
  return {
    host: agent.host,
    port: agent.port,
    secret: (readFileSync(agent.secretFile, 'utf8').split('\n', 1)[0] ?? '').trim(),
  };
};
