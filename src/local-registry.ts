import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from './call/ports.js';
import type { Config } from './config/schema.js';
import type { WallMs } from './core/leg.js';
import { fillRegistry } from './example-registry.js';
import { digestOf, newToken } from './http/secrets.js';
import { generateSigningKey } from './journal/heads/signing-key.js';
import type { LocalSite } from './local.js';
import { planOf } from './options.js';
import { Accounts } from './registry/accounts/accounts.js';
import { RegistryError } from './registry/errors.js';
import { RegistrySearch } from './registry/search.js';
import { type DeskEvent, openRegistry, startDesk } from './registry-desk.js';
import { type RunningPostgres, startPostgres } from './stack/postgres.js';

/** The registry of a site on one machine: PostgreSQL of its own, filled with example lists, published from there. */
export interface LocalRegistry {
  /** The site's configuration with its registry and its API. */
  readonly config: Config;
  readonly host: string;
  readonly port: number;
  /** Publishes everything anew, and trusts nothing that lies in Redis. Rejects with the code of what is in its way. */
  rebuild(): Promise<void>;
  /** A link that signs an account in, once; the account is made where there is none. `url`: where the API is. */
  link(account: LocalAccount, url: string): Promise<string>;
  stop(): Promise<void>;
}

/** Accounts of a site for trying things out: no password opens them, a link of this terminal does. */
export const localAccounts = {
  demo: {
    name: 'demo',
    roles: ['operator', 'registrar', 'approver', 'investigator', 'auditor', 'counsel'],
    about: 'everything but accounts',
  },
  second: {
    name: 'second',
    roles: ['approver'],
    about: 'agrees to what demo proposes: nobody approves their own',
  },
} as const;
export type LocalAccount = keyof typeof localAccounts;

const clock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

/** How long a link of the terminal is good, in minutes. */
export const linkMinutes = 60;

const statementKeyIn = async (dir: string): Promise<string> => {
  const file = join(dir, 'keys', 'statements.pem');
  if (!existsSync(file)) {
    const { privatePem, publicPem } = generateSigningKey();
    await writeFile(join(dir, 'keys', 'statements.pub.pem'), publicPem);
    await writeFile(file, privatePem, { mode: 0o600 });
  }
  return file;
};

/** A site that published from files before goes on from there, or its controllers would take the registry for a step back. */
const goOnFrom = async (former: string, state: string): Promise<void> => {
  if (existsSync(state) || !existsSync(former)) return;
  await copyFile(former, state);
  if (existsSync(`${former}.tombstones`)) await copyFile(`${former}.tombstones`, `${state}.tombstones`);
};

const configured = async (
  config: Config,
  { host, port, database, user }: RunningPostgres,
  { dir, fixedPorts }: LocalRegistryOptions,
): Promise<Config & { readonly registry: NonNullable<Config['registry']> }> => ({
  ...config,
  registry: {
    ...{ host, port, database, user },
    publisherKey: join(dir, 'keys', 'publisher.pem'),
    journal: join(dir, 'registry-journal'),
    removalHours: config.registry?.removalHours ?? 24,
  },
  serve: {
    ...config.serve,
    port: fixedPorts ? config.serve.port : 0,
    testSite: true,
    journal: join(dir, 'http-journal'),
    statements: { keyFile: await statementKeyIn(dir), directory: join(dir, 'statements') },
  },
});

export interface LocalRegistryOptions {
  /** Folder for everything it writes: that of the site. */
  readonly dir: string;
  /** Keep the configured ports (for `npm start`); without it every port is a free one. */
  readonly fixedPorts: boolean;
  /** Files the registry is filled from where it is empty. */
  readonly files: readonly string[];
  readonly tell: (event: DeskEvent) => void;
}

/** Starts PostgreSQL for a site; it takes seconds, and needs nothing of the site. */
export const startLocalPostgres = (
  config: Config,
  { dir, fixedPorts }: Pick<LocalRegistryOptions, 'dir' | 'fixedPorts'>,
): Promise<RunningPostgres> =>
  startPostgres({
    dir: join(dir, 'postgres'),
    // What a demo left behind is not another demo's.
    fresh: !fixedPorts,
    ...(fixedPorts && config.registry !== undefined ? { port: config.registry.port } : {}),
  });

/** Brings the registry of a site up and its lists to the controllers. It takes over `postgres`, and stops it. */
export const startLocalRegistry = async (
  site: LocalSite,
  postgres: RunningPostgres,
  options: LocalRegistryOptions,
): Promise<LocalRegistry> => {
  const stops: (() => Promise<unknown>)[] = [() => postgres.stop()];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one().catch(() => undefined);
  };
  try {
    const config = await configured(site.config, postgres, options);
    await mkdir(options.dir, { recursive: true });
    await goOnFrom(join(options.dir, 'publisher.json'), `${config.registry.journal}.published`);
    const plan = planOf(config, Object.keys(config.dialPlans)[0] ?? 'default');
    const { db, registry } = await openRegistry(config.registry, plan);
    stops.push(() => db.destroy());
    const known = await new RegistrySearch(db, plan, registry).facilities('all');
    if (known.length === 0) {
      const places = Object.entries(config.facilities).map(([facility, { timeZone }]) => ({
        facility,
        timeZone,
      }));
      await fillRegistry(registry, places, options.files);
    }
    let trouble: string | null = null;
    const desk = await startDesk({
      ...{ config, settings: config.registry, plan, clock },
      tell: (event) => {
        if (event.event === 'trouble') trouble = event.code;
        if (event.event === 'published') trouble = null;
        options.tell(event);
      },
    });
    stops.push(() => desk.stop());
    const published = async (work: Promise<void>): Promise<void> => {
      await work;
      if (trouble !== null) throw new Error(`the registry’s lists cannot be published: ${trouble}`);
    };
    await published(desk.turn());
    const accounts = new Accounts(db);
    return {
      config,
      host: postgres.host,
      port: postgres.port,
      rebuild: () => published(desk.rebuild()),
      link: async (account, url) => {
        const { name, roles } = localAccounts[account];
        await accounts
          .add({ name, roles, facilities: 'all', by: 'local', secrets: null })
          .catch((error: unknown) => {
            if (!(error instanceof RegistryError) || error.code !== 'account-exists') throw error;
          });
        const token = newToken();
        await accounts.sessions.addLink(digestOf(`link:${token}`), name, linkMinutes, 'local');
        // After the number sign: no server, proxy or log ever sees it.
        return `${url}/sign-in#link=${token}`;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
