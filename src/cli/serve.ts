import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.js';
import { CallLog } from '../http/call-log.js';
import { CounselDesk, type CounselSettings } from '../http/counsel-desk.js';
import { ImportDesk } from '../http/import-desk.js';
import { LiveCalls } from '../http/live.js';
import { networksOf } from '../http/net-guard.js';
import { Oidc } from '../http/oidc.js';
import { readPages } from '../http/pages.js';
import type { OwnJournal } from '../http/ports.js';
import { Problem } from '../http/problems.js';
import { buildServer } from '../http/server.js';
import { SignIn } from '../http/sign-in.js';
import { StatementDesk } from '../http/statement-desk.js';
import { WebhookSender } from '../http/webhook-sender.js';
import { profilesOf } from '../import-profiles.js';
import { type Journal, openJournal } from '../journal/log.js';
import { UNHURRIED_MS } from '../journal/options.js';
import { systemClock, version } from '../main.js';
import { storeOf } from '../open-vault.js';
import { planOf } from '../options.js';
import { Accounts } from '../registry/accounts/accounts.js';
import { ApiKeys } from '../registry/accounts/keys.js';
import { RequestKeys } from '../registry/accounts/request-keys.js';
import { resealAll } from '../registry/accounts/secret-box.js';
import { Webhooks } from '../registry/accounts/webhooks.js';
import { Counsel } from '../registry/counsel/counsel.js';
import { Imports } from '../registry/import/imports.js';
import { RegistrySearch } from '../registry/search.js';
import { openRegistry } from '../registry-desk.js';
import { fromRoot } from '../root.js';
import { custodyJournalDir } from './custody-journal.js';
import { enquiryDigest } from './enquiries.js';
import { importWhatIf } from './import-what-if.js';
import { CommandError } from './output.js';
import { secretBoxOf } from './secrets-key.js';
import { investigationOf } from './serve-investigation.js';
import { callJournalsOf, journalsPort } from './serve-journals.js';
import { listParts } from './serve-lists.js';
import { controllerPort, custodyPort, explainerOf, recordingsPort, statementsPort } from './serve-parts.js';

export interface Serving {
  readonly url: string;
  readonly app: FastifyInstance;
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly config: Config;
  /** Dial plan that numbers are read with. */
  readonly plan: string;
  /** Told of faults: where, and a stable code. Never a number. */
  readonly trouble: (where: string, code: string) => void;
  /** Milliseconds between looks at the journals for alarms, and at what is to be sent. */
  readonly everyMs?: number;
}

const HEARTBEAT_MS = 15_000;
const ALARMS_KEPT = 5_000;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';

const ownJournal = (journal: Journal): OwnJournal => ({
  append: async (kind, body) => {
    try {
      await journal.append(kind, { ...body });
    } catch {
      throw new Problem('journal-unavailable', null, 5);
    }
  },
});

/** Where browsers reach us, before and after a port was picked. */
const originOf = ({ address, tls, publicUrl }: Config['serve'], port: number): string => {
  const host = address.includes(':') ? `[${address}]` : address;
  return publicUrl ?? `${tls === undefined ? 'http' : 'https'}://${host}:${port}`;
};

/** Starts the API. Rejects where the configuration has no registry, or a part cannot be opened. */
export const startServing = async (options: ServeOptions): Promise<Serving> => {
  const { config, trouble } = options;
  const { serve, registry: settings } = config;
  if (settings === undefined)
    throw new CommandError(
      'registry-missing',
      'the configuration has no registry section: `serve` is its API',
      2,
    );
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.reverse()) await one().catch((error) => trouble('close', codeOf(error)));
  };
  try {
    const journal = await openJournal({
      ...{ dir: serve.journal, nodeId: `${config.controller.name}-http` },
      appendDeadlineMs: UNHURRIED_MS,
    });
    closers.push(() => journal.close());
    const plan = planOf(config, options.plan);
    const { db, registry } = await openRegistry(settings, plan);
    closers.push(() => db.destroy());
    return await serving(options, { journal, db, registry, settings }, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
};

interface Opened {
  readonly journal: Journal;
  readonly settings: NonNullable<Config['registry']>;
  readonly db: Awaited<ReturnType<typeof openRegistry>>['db'];
  readonly registry: Awaited<ReturnType<typeof openRegistry>>['registry'];
}

const serving = async (
  { config, plan, trouble, everyMs = 1000 }: ServeOptions,
  { journal: journalFile, db, registry, settings }: Opened,
  closers: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<Serving> => {
  const { serve } = config;
  const journal = ownJournal(journalFile);
  const { wall, mono } = systemClock;
  const box = secretBoxOf(serve);
  // What was there before there was a key, or before it was exchanged.
  await resealAll(db, box, 'registry');
  const accounts = new Accounts(db, box);
  const webhooks = new Webhooks(db, box);
  const allowed = networksOf(serve.webhooks.networks);
  const signIn = new SignIn({
    ...{ accounts, journal, wall },
    limits: { idleSeconds: serve.idleMinutes * 60, sessionSeconds: serve.sessionHours * 3600 },
  });
  const controller = controllerPort(config);
  const live = new LiveCalls(controller, { watchers: serve.limits.watchers, heartbeatMs: HEARTBEAT_MS });
  closers.push(() => live.close());
  const explainer = explainerOf(config);
  closers.push(() => explainer.close());
  const journals = journalsPort(config);
  const log = new CallLog(journals, { calls: serve.limits.calls, alarms: ALARMS_KEPT });
  const there = (dirs: readonly string[]): string[] => dirs.filter((dir) => existsSync(dir));
  const statementFiles = await statementsPort(config, async () => ({
    journals: callJournalsOf(config),
    custody: there([custodyJournalDir(config)]),
    access: there([serve.journal, settings.journal]),
  }));
  const statements = new StatementDesk(statementFiles, wall);
  closers.push(() => statements.idle());
  const dialPlan = planOf(config, plan);
  const search = new RegistrySearch(db, dialPlan, registry);
  // Nothing is missing but time: it is told, and served.
  if (!(await search.wordsIndexed().catch(() => false))) trouble('search', 'words-not-indexed');
  const lists = listParts({
    ...{ config, db, registry, search, wall, mono, plan: dialPlan, journal: settings.journal },
  });
  closers.push(() => lists.whatIf.close());
  const sender = new WebhookSender({
    ...{ webhooks, allowed, wall, everyMs },
    trouble: (code) => trouble('webhooks', code),
  });
  closers.push(() => sender.close());
  const imports = importDesk(config, db, registry, trouble);
  closers.push(() => imports.idle());
  const counsel = new Counsel(db);
  const numberDigest = (number: string): Promise<string> => enquiryDigest(config, number);
  const settingsOfCounsel = counselSettings(config);
  const counselDesk = new CounselDesk({
    ...{ counsel, registry, search, log, controller, journal, numberDigest, wall },
    settings: settingsOfCounsel,
  });
  const investigation = await investigationOf({ config, db, journal, gate: explainer, webhooks, trouble });
  closers.push(() => investigation.close());
  // The port may be picked by the system, and the address of browsers stands in every answer to them.
  const place = { publicUrl: originOf(serve, serve.port) };
  const app = await buildServer(
    {
      settings: {
        get publicUrl() {
          return place.publicUrl;
        },
        ...{ requestsPerMinute: serve.limits.requestsPerMinute, version, counsel: settingsOfCounsel },
        ...(serve.trustProxy === undefined ? {} : { trustProxy: serve.trustProxy }),
        ...{ site: config.controller.name, idleSeconds: serve.idleMinutes * 60 },
      },
      ...{
        imports,
        accounts,
        webhooks,
        registry,
        signIn,
        journal,
        controller,
        explainer,
        journals,
        log,
        live,
      },
      ...{ statements, statementFiles, wall, mono },
      requestKeys: new RequestKeys(db, box),
      keys: new ApiKeys(db),
      pages: readPages(fromRoot('dist', 'console')),
      webhookNetworks: allowed,
      ...{ search, counsel, counselDesk, numberDigest },
      ...lists,
      oidc: oidcOf(serve, () => place.publicUrl, accounts, signIn),
      recordings: recordingsPort(storeOf(config)),
      custody: custodyPort(config),
      investigation,
      fault: (where, error) => trouble(where, codeOf(error)),
    },
    serve.tls === undefined
      ? null
      : { cert: readFileSync(serve.tls.certFile), key: readFileSync(serve.tls.keyFile) },
  );
  closers.push(() => app.close());
  log.watch(new Date(wall()).toISOString(), ({ alarm, at, node, callId, detail, facility }) => {
    const body = JSON.stringify({ alarm, at, node, callId, detail });
    webhooks
      .queue(alarm, body, facility === null ? 'all' : [facility])
      .catch((error) => trouble('webhooks', codeOf(error)));
  });
  const timer = setInterval(() => {
    log.refresh().catch((error) => trouble('journals', codeOf(error)));
    investigation.follow();
  }, everyMs);
  closers.push(async () => clearInterval(timer));
  sender.start();
  await app.listen({ host: serve.address, port: serve.port });
  place.publicUrl = originOf(serve, (app.server.address() as AddressInfo).port);
  return { url: place.publicUrl, app, stop: close };
};

const importDesk = (
  config: Config,
  db: Opened['db'],
  registry: Opened['registry'],
  trouble: ServeOptions['trouble'],
): ImportDesk => {
  const { profiles, uploads, maxMegabytes, shrinkPercent: percent, shrinkEntries: entries } = config.imports;
  const planNamed = (name: string) => planOf(config, name);
  const imports = new Imports({ db, registry, plan: planNamed, limits: { percent, entries } });
  return new ImportDesk({
    ...{ imports, uploads, profiles: profilesOf(profiles), maxBytes: maxMegabytes * 1024 * 1024 },
    whatIf: async (id) => {
      const plan = planNamed((await imports.standing(id)).plan);
      await importWhatIf(id, { config, db, imports, plan, journals: callJournalsOf(config) });
    },
    fault: (where, error) => trouble(where, codeOf(error)),
  });
};

const counselSettings = ({ counsel }: Config): CounselSettings | null => {
  if (counsel === undefined) return null;
  const { calls, ...rest } = counsel;
  return { ...rest, calls: calls ?? null };
};

const oidcOf = (
  { oidc }: Config['serve'],
  origin: () => string,
  accounts: Accounts,
  signIn: SignIn,
): Oidc | null => {
  if (oidc === undefined) return null;
  const { clientSecretFile, issuer, clientId, nameClaim, rolesClaim, roles } = oidc;
  const { facilitiesClaim, facilities } = oidc;
  const secret = clientSecretFile === undefined ? null : readFileSync(clientSecretFile, 'utf8').trim();
  return new Oidc(
    {
      ...{ issuer, clientId, nameClaim, rolesClaim, facilitiesClaim },
      facilities: Object.fromEntries(
        facilities.map(({ value, facilities: given }) => [value, given.includes('all') ? 'all' : given]),
      ),
      roles: Object.fromEntries(roles.map((one) => [one.value, one.roles])),
      clientSecret: secret,
      get redirectUri() {
        return `${origin()}/v1/session/oidc/callback`;
      },
    },
    accounts,
    signIn,
  );
};
