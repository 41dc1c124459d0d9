/** A whole site with a relay before its media nodes, each part a process of its own: for what attacks it and what it loses. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { Config } from '../../src/config/schema.js';
import type { LocalSite } from '../../src/local.js';
import { fromRoot } from '../../src/root.js';
import { Part } from './ask.js';
import { type Address, configFor, lists, startSite } from './stack.js';

/** Who is honest, who is a trunk that attacks, and who is nobody. Each by its address alone. */
export const addresses = {
  honest: '127.0.1.1',
  trunk: '127.0.1.2',
  strangers: ['127.0.9.1', '127.0.9.2', '127.0.9.3'],
} as const;

export interface HostileSite {
  readonly site: LocalSite;
  readonly controller: Part;
  readonly relay: Part;
  readonly called: Part;
  /** The honest side: program `caller` or `hostile-probe`. */
  readonly honest: Part;
  readonly udp: Address;
  readonly tcp: Address;
  part(name: string, program: string): Part;
  stop(): Promise<void>;
}

/** A second trunk at an address of its own, and the relay in the place of each node. */
const attacked = (config: Config): Config => ({
  ...config,
  trunks: {
    ...config.trunks,
    facilities: config.trunks.facilities.flatMap((trunk) => [
      trunk,
      { ...trunk, name: `${trunk.name}-hostile`, addresses: [addresses.trunk] },
    ]),
  },
});

const relayed = (config: Config, host: string): Config => ({
  ...config,
  media: {
    ...config.media,
    // On the port of its node, which attestation compares.
    nodes: config.media.nodes.map((node) => ({ ...node, ng: { host, port: node.ng.port } })),
  },
});

/** Starts everything. `honest` is the program of the honest side; it answers `open` with its address. */
export const startHostileSite = async (honest: 'caller' | 'hostile-probe'): Promise<HostileSite> => {
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  const part = (name: string, program: string, execArgv: readonly string[] = []): Part => {
    const made = new Part(name, program, execArgv);
    stops.push(() => made.stop());
    return made;
  };
  try {
    mkdirSync(fromRoot('var'), { recursive: true });
    const dir = mkdtempSync(fromRoot('var', 'bench-hostile-'));
    stops.push(() => rmSync(dir, { recursive: true, force: true }));
    const caller = part('honest trunk', honest);
    const called = part('called', 'called');
    const callerAt = await caller.ask<Address>('open');
    const calledAt = await called.ask<Address>('open');
    const site = await startSite(attacked(configFor(callerAt, calledAt)), dir);
    stops.push(async () => {
      await site.stop();
      for (const { spool } of site.recorded)
        if (spool !== undefined) rmSync(spool, { recursive: true, force: true });
    });
    await site.publish(lists(site.config));
    await site.beat();
    const relay = part('relay', 'ng-relay');
    const host = await relay.ask<string>(
      'open',
      [...site.recorded, ...site.private].map(({ ng }) => ng),
    );
    const controller = part('controller', 'controller', ['--enable-source-maps', '--expose-gc']);
    const udp = await controller.ask<Address>('start', relayed(site.config, host));
    const listeners = await controller.ask<readonly (Address & { transport: string })[]>('listeners');
    const tcp = listeners.find(({ transport }) => transport === 'tcp');
    if (tcp === undefined) throw new Error('the controller does not listen on TCP');
    return {
      site,
      controller,
      relay,
      called,
      honest: caller,
      udp,
      tcp,
      part: (name, program) => part(name, program),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
