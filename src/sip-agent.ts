import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Agent, type SipTimers, startAgent } from './agent/agent.js';
import type { Config } from './config/schema.js';

/** Where the embedded agent listens. */
export interface SipListener {
  readonly transport: 'udp' | 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
}

export interface EmbeddedAgent {
  readonly agent: Agent;
  readonly at: { readonly host: string; readonly port: number; readonly secret: string };
  readonly sip: readonly SipListener[];
}

/** The embedded agent speaks drachtio's protocol on a free loopback port, with a secret made for this run. */
export const startAgentIfEmbedded = async (
  config: Config,
  timers: Partial<SipTimers>,
  version: string,
): Promise<EmbeddedAgent | null> => {
  if (config.sip.agent !== 'embedded') return null;
  const secret = randomBytes(24).toString('base64url');
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: config.sip.listen.map((one) => ({ transport: one.transport, host: one.address, port: one.port })),
    userAgent: `Sallyport/${version}`,
    // Beyond what the controller takes, an INVITE is turned away before it costs anything.
    limits: { setups: config.controller.maxCalls },
    timers,
  });
  return { agent, at: { host: '127.0.0.1', port: agent.appPort, secret }, sip: agent.sip };
};

/** A drachtio-server, as the configuration names it. */
export const remoteAgent = (config: Config): { host: string; port: number; secret: string } => {
  const { agent } = config.sip;
  if (agent === 'embedded') throw new Error('the agent is embedded');
  return {
    host: agent.host,
    port: agent.port,
    secret: (readFileSync(agent.secretFile, 'utf8').split('\n', 1)[0] ?? '').trim(),
  };
};
