import { mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Serving, startServing } from '../../src/cli/serve.js';
import type { Config } from '../../src/config/schema.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { hashPassword } from '../../src/http/password.js';
import { roles } from '../../src/http/roles.js';
import { digestOf, newToken } from '../../src/http/secrets.js';
import { generateSigningKey } from '../../src/journal/heads/signing-key.js';
import { Accounts } from '../../src/registry/accounts/accounts.js';
import type { Registry } from '../../src/registry/registry.js';
import { type Desk, openRegistry, startDesk } from '../../src/registry-desk.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { type Conversation, converse } from '../site/conversation.js';
import { type Closing, numbers, openSite, type Site, type SiteOptions } from '../site/site.js';

/**
 * The console as people have it: a real site (Redis, media nodes of both pools, agent, controller, phones), PostgreSQL
 * with a registry that publishes to it, `sallyport serve`, and Debian's Chromium.
 */

export { numbers };
export const password = 'correct horse battery staple';
/** Second factor of the account `operator`; the others have none. */
export const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';

export interface OpenOptions {
  /** Where to begin; default where the console leads. */
  readonly path?: string;
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
  readonly language?: 'en' | 'es';
}

export interface ConsoleSiteOptions {
  readonly site?: SiteOptions;
  readonly config?: (config: Config) => Config;
  /** Steps of the registry besides those that stand below, as `POST /v1/changes` takes them. */
  readonly ops?: readonly object[];
}

/** What every site of these tests has in its registry. Caller 4711 may call; nobody else may. */
const seed: readonly object[] = [
  { op: 'facility-put', facility: 'north', name: 'North County Jail', timeZone: 'America/New_York' },
  { op: 'unit-put', facility: 'north', unit: 'a', name: 'Unit A' },
  { op: 'phone-put', facility: 'north', unit: 'a', phone: 'a-1', name: 'Dayroom 1' },
  { op: 'phone-put', facility: 'north', unit: 'a', phone: 'a-2', name: 'Dayroom 2' },
  { op: 'caller-put', caller: '4711' },
  { op: 'booking-open', caller: '4711', booking: 'N-2026-0471', facility: 'north', unit: 'a' },
  { op: 'allow-add', caller: '4711', number: numbers.allowed },
  { op: 'allow-add', caller: '4711', number: numbers.blocked },
  { op: 'allow-add', caller: null, facility: 'north', number: '+16465550190' },
  { op: 'block-add', number: numbers.blocked, cause: 'facility', note: 'asked for by the sheriff’s office' },
  { op: 'pending-add', number: numbers.pending, note: 'says that she is an attorney' },
  ...(
    [
      [numbers.attorney, 'attorney', 'bar no. 123456'],
      [numbers.hotline, 'hotline', 'PREA directory'],
    ] as const
  ).map(([number, cls, evidence]) => ({
    ...{ op: 'privileged-add', class: cls, evidence, note: '' },
    target: { form: 'number', number },
  })),
];

/** A page, or a request of one, that must not be. */
const watchPage = (page: Page, url: string, wrong: string[]): void => {
  page.on('pageerror', (error) => wrong.push(`error on ${page.url()}: ${error.stack ?? error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    // The browser notes each refusal of the API; the page tells people what they need to know of it.
    if (/^Failed to load resource/.test(message.text()) && message.location().url.includes('/v1/')) return;
    wrong.push(`console on ${page.url()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    const to = request.url();
    if (!to.startsWith(`${url}/`) && !/^(blob|data):/.test(to)) wrong.push(`asked elsewhere: ${to}`);
  });
};

export class ConsoleSite {
  readonly site: Site;
  readonly url: string;
  readonly serving: Serving;
  readonly accounts: Accounts;
  readonly registry: Registry;
  readonly desk: Desk;
  /** What no page may do: script errors, refused content, requests to elsewhere. The test fails where one is left. */
  readonly wrong: string[] = [];
  readonly #browser: Browser;
  readonly #contexts = new Set<BrowserContext>();

  constructor(parts: {
    readonly site: Site;
    readonly serving: Serving;
    readonly accounts: Accounts;
    readonly registry: Registry;
    readonly desk: Desk;
    readonly browser: Browser;
  }) {
    this.site = parts.site;
    this.serving = parts.serving;
    this.url = parts.serving.url;
    this.accounts = parts.accounts;
    this.registry = parts.registry;
    this.desk = parts.desk;
    this.#browser = parts.browser;
  }

  /** A browser of its own that nobody is signed in with. */
  async visit(options: OpenOptions = {}): Promise<Page> {
    const { path = '/', width = 1280, height = 900, scheme = 'light', language = 'en' } = options;
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      reducedMotion: 'reduce',
      locale: language === 'es' ? 'es-US' : 'en-US',
      timezoneId: 'America/New_York',
    });
    this.#contexts.add(context);
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    watchPage(page, this.url, this.wrong);
    await page.goto(`${this.url}${path}`);
    return page;
  }

  /** A one-time link for an account, as `sallyport accounts login-link` makes it. */
  async link(account: string): Promise<string> {
    const token = newToken();
    await this.accounts.sessions.addLink(digestOf(`link:${token}`), account, 10, 'test');
    return `/sign-in#link=${token}`;
  }

  /** A browser in which an account is signed in. There is one of each role, with its name. */
  async open(account: string, options: OpenOptions = {}): Promise<Page> {
    const { path, ...rest } = options;
    const page = await this.visit({ ...rest, path: await this.link(account) });
    await page
      .locator('.house')
      .waitFor()
      .catch(async (error: unknown) => {
        await shot(page, 'not-signed-in');
        throw error;
      });
    if (path !== undefined) await page.goto(`${this.url}${path}`);
    await page.locator('main h1').waitFor();
    return page;
  }

  /** Two people talk; end it with `call.hangUp()` of one of them. */
  converse(dialled: string): Promise<Conversation> {
    // A browser shares the machine: calls take longer here.
    return converse(this.site, dialled, 30_000);
  }

  /** One call of each kind, over: monitored with a recording, private, refused. Their ids in that order. */
  async pastCalls(): Promise<readonly [monitored: string, privately: string, refused: string]> {
    const before = this.site.endedCalls;
    const monitored = await this.converse(numbers.allowed);
    await monitored.call.hangUp();
    await this.site.ended(before + 1);
    const privately = await this.converse(numbers.attorney);
    await privately.call.hangUp();
    await this.site.ended(before + 2);
    const refused = await this.site.call(numbers.unlisted);
    await refused.failed({ deadlineMs: 30_000 });
    await this.site.ended(before + 3);
    return [monitored.callId, privately.callId, this.site.callIds().at(-1) ?? ''];
  }

  async close(): Promise<void> {
    for (const context of this.#contexts) await context.close();
  }
}

/** Debian's Chromium, that talks to nobody by itself. One that did not come up is started a second time. */
export const launchBrowser = (): Promise<Browser> => {
  const launch = (): Promise<Browser> =>
    chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [
        ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
        ...['--disable-background-networking', '--disable-component-update'],
        // Recordings in the making lie in /dev/shm, of which a container has little.
        '--disable-dev-shm-usage',
      ],
    });
  return launch().catch(launch);
};

/** What axe finds on the page as it stands, of serious faults and worse: a line each. */
export const axeFaults = async (page: Page): Promise<readonly string[]> => {
  await page.evaluate(axe.source);
  const results = (await page.evaluate(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`,
  )) as axe.AxeResults;
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(
        ({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${failureSummary ?? ''}`,
      ),
    );
};

/** A picture of the page under var/shots, for people to look at. */
export const shot = async (page: Page, name: string): Promise<void> => {
  mkdirSync(fromRoot('var', 'shots'), { recursive: true });
  await page.screenshot({ path: fromRoot('var', 'shots', `${name}.png`), fullPage: true });
};

/** Whether anything reaches beyond the right edge of the page. */
export const overflows = async (page: Page): Promise<boolean> =>
  (await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')) ===
  true;

/** Both themes, wide and narrow. */
const looks = [
  { name: 'light', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'narrow', width: 400, height: 800, colorScheme: 'light' },
  { name: 'narrow-dark', width: 400, height: 800, colorScheme: 'dark' },
] as const;

/**
 * Looks at the page as it stands in both themes, wide and narrow: what axe finds, and whether anything lies beyond the
 * edge. Leaves a picture of each under var/shots. A line for each fault.
 */
export const lookFaults = async (page: Page, name: string): Promise<readonly string[]> => {
  const faults: string[] = [];
  for (const { name: look, width, height, colorScheme } of looks) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    for (const fault of await axeFaults(page)) faults.push(`${look}: ${fault}`);
    if (await overflows(page)) faults.push(`${look}: something lies beyond the right edge`);
    await shot(page, `${name}-${look}`);
  }
  const [first] = looks;
  await page.setViewportSize({ width: first.width, height: first.height });
  await page.emulateMedia({ colorScheme: first.colorScheme });
  return faults;
};

/**
 * Starts all of it, and ends it with the test. What a page did that it must not fails the test when it ends.
 */
export const openConsoleSite = async (t: Closing, options: ConsoleSiteOptions = {}): Promise<ConsoleSite> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-console-'));
  const closers: (() => unknown)[] = [() => rm(dir, { recursive: true, force: true })];
  t.teardown(async () => {
    for (const close of closers.reverse()) await close();
  });
  const postgres = await startPostgres({ dir: join(dir, 'postgres') });
  closers.push(() => postgres.stop());
  await writeFile(join(dir, 'statement.pem'), generateSigningKey().privatePem, { mode: 0o600 });
  const sites: Closing = {
    teardown: (close) => closers.push(() => close()),
    passing: () => t.passing?.() !== false,
    comment: (text) => t.comment?.(text),
  };
  const site = await openSite(sites, {
    ...options.site,
    overlay: (config, home) => {
      const told = options.site?.overlay?.(config, home) ?? config;
      const all: Config = {
        ...told,
        registry: {
          ...{ host: postgres.host, port: postgres.port, database: postgres.database, user: postgres.user },
          ...{ publisherKey: join(home, 'keys', 'publisher.pem'), journal: join(dir, 'registry') },
          removalHours: 24,
        },
        serve: {
          ...told.serve,
          ...{ port: 0, journal: join(dir, 'http'), journals: [] },
          limits: { ...told.serve.limits, requestsPerMinute: 100_000 },
          statements: { keyFile: join(dir, 'statement.pem'), directory: join(dir, 'statements') },
        },
      };
      return options.config?.(all) ?? all;
    },
  });
  const settings = site.config.registry;
  if (settings === undefined) throw new Error('the site has no registry');
  const { db, registry } = await openRegistry(settings, NORTH_AMERICAN_PLAN);
  closers.push(() => db.destroy());
  const change = await registry.propose('registrar', 'the lists of this site', [
    ...seed,
    ...(options.ops ?? []),
  ]);
  // Two have to agree to some of it.
  for (const who of ['approver', 'second-approver'].slice(0, change.needs.approvals))
    await registry.say(who, change.id, 'approve', 'set up');
  // From here on the lists are those of the registry.
  await site.heartbeat.stop();
  const troubles: string[] = [];
  const desk = await startDesk({
    ...{ config: site.config, settings, plan: NORTH_AMERICAN_PLAN },
    clock: { wall: () => Date.now() as never, mono: () => performance.now() },
    tell: (event) => {
      if (event.event === 'trouble') troubles.push(event.code);
    },
  });
  closers.push(() => desk.stop());
  await desk.turn();
  const accounts = new Accounts(db);
  const hash = await hashPassword(password, { n: 10, r: 8, p: 1 });
  for (const role of roles)
    await accounts.add({
      ...{ name: role, roles: [role], facilities: 'all', by: 'test' },
      secrets: { password: hash, totpSecret: role === 'operator' ? totpSecret : null, recovery: [] },
    });
  const serving = await startServing({
    config: { ...site.config, http: { ...site.config.http, port: site.sallyport.healthPort } },
    ...{ plan: 'default', everyMs: 200 },
    trouble: (where, code) => void troubles.push(`${where} ${code}`),
  });
  closers.push(() => serving.stop());
  const browser = await launchBrowser();
  closers.push(() => browser.close());
  const console_ = new ConsoleSite({ site, serving, accounts, registry, desk, browser });
  closers.push(() => console_.close());
  // Thrown here it fails the test, which has no place for assertions any more.
  closers.unshift(() => {
    const found = [...console_.wrong, ...troubles.map((one) => `trouble: ${one}`)];
    if (found.length > 0) throw new Error(`what must not be:\n${found.join('\n')}`);
  });
  return console_;
};
