import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AppEvent } from '../../src/call/events.js';
import { parseConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { CallerId, FacilityId } from '../../src/core/leg.js';
import type { BlockCause, PrivilegedClass } from '../../src/core/lists.js';
import { parseListed } from '../../src/core/number.js';
import { readJournal } from '../../src/journal/read.js';
import { AllowLists, type ListSet } from '../../src/lists/entries.js';
import type { HeartbeatPublisher } from '../../src/lists/heartbeat.js';
import { type LocalOptions, type LocalSite, startLocal } from '../../src/local.js';
import { type Sallyport, startSallyport } from '../../src/main.js';
import type { CallOptions, OutgoingCall } from '../../src/phones/outgoing-call.js';
import { createPhone, type Phone, type PhoneOptions } from '../../src/phones/sip-phone.js';
import { fromRoot } from '../../src/root.js';
import { openedByAge } from './opened.js';
import { writeShortPrompts } from './short-prompts.js';
import { SpoolWatch } from './spool-watch.js';

/** Who may call whom in a test: a whole site's lists in a few words. */
export interface ListWords {
  /** caller → numbers; '*' is the whole facility. */
  readonly allow?: Readonly<Record<string, readonly string[]>>;
  readonly privileged?: Readonly<Record<string, PrivilegedClass>>;
  readonly block?: Readonly<Record<string, BlockCause>>;
  readonly pending?: readonly string[];
}

export const numbers = {
  allowed: '+12125550142',
  attorney: '+12125550111',
  hotline: '+12125550177',
  blocked: '+12125550143',
  pending: '+12125550170',
  unlisted: '+12125550199',
} as const;

export const defaultLists: ListWords = {
  allow: { '4711': [numbers.allowed, numbers.blocked], '*': ['+16465550190'] },
  privileged: { [numbers.attorney]: 'attorney', [numbers.hotline]: 'hotline' },
  block: { [numbers.blocked]: 'facility' },
  pending: [numbers.pending],
};

export const listSet = (words: ListWords, config: Config): ListSet => {
  const plan = config.dialPlans.default;
  const key = (text: string) => {
    const read = parseListed(text, plan as Parameters<typeof parseListed>[1]);
    if (read.kind !== 'number') throw new Error(`not a number: ${text}`);
    return read.key;
  };
  const allow = new AllowLists();
  for (const [caller, list] of Object.entries(words.allow ?? {})) {
    for (const number of list)
      allow.add('north' as FacilityId, caller === '*' ? null : (caller as CallerId), key(number));
  }
  return {
    allow,
    privileged: Object.entries(words.privileged ?? {}).map(([number, cls]) => ({
      target: { kind: 'number', key: key(number) },
      class: cls,
      scope: 'global',
      validFrom: null,
      validTo: null,
    })),
    block: Object.entries(words.block ?? {}).map(([number, cause]) => ({
      key: key(number),
      cause,
      expires: null,
      facility: null,
    })),
    pending: (words.pending ?? []).map((number) => ({ key: key(number) })),
  };
};

export interface SiteOptions {
  /** Changes to config/sallyport.yaml, after the phones' addresses are filled in. */
  readonly config?: (config: Config) => Config;
  readonly lists?: ListWords;
  readonly local?: Partial<LocalOptions>;
  /** Who holds the conversation; default elsewhere: a call is connected without a word. */
  readonly conversation?: 'here' | 'elsewhere';
  /** `short`: noises in the place of sentences (short-prompts.ts). Default: the prompts that come with Sallyport. */
  readonly prompts?: 'short' | 'own';
  /**
   * How long parts may take. Default `long`: a machine that is busy with other tests must not refuse calls in a test that
   * is not about delays. `usual` for those that are.
   */
  readonly patience?: 'long' | 'usual';
  /** How much of what it hears each phone keeps, in ms; default what a phone keeps by itself. */
  readonly keepAudioMs?: number;
  /** Carrier phones, tried in this order; default one. */
  readonly carriers?: number;
  readonly transport?: 'udp' | 'tcp';
  /** Codecs of all phones; default PCMU. */
  readonly codecs?: PhoneOptions['codecs'];
  /** The carriers' phones take keys as events; default yes. Else theirs are tones in the sound. */
  readonly carrierEvents?: boolean;
  /** The phones offer and take real-time text; default not. */
  readonly text?: boolean;
  /** Whose phones are to be SRTP; the trunks say so too. Their signalling stays as it is. */
  readonly srtp?: { readonly caller?: boolean; readonly called?: boolean };
  /** T1 of the phones and of the agent, in ms; default 500. */
  readonly t1Ms?: number;
  /** Changes once the real ports and folders are filled in: what the controller is told of the site. */
  readonly overlay?: (config: Config, dir: string) => Config;
  /** Start Redis, media and lists, but leave starting the controller to the test. */
  readonly controller?: boolean;
}

export interface Row {
  readonly seq: number;
  readonly hash: string;
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every kind.
  readonly body: any;
}

/** A whole site for one test: real Redis, real media nodes of both pools, the controller, and phones on both sides. */
export class Site {
  readonly dir: string;
  readonly local: LocalSite;
  readonly config: Config;
  readonly caller: Phone;
  readonly carriers: readonly Phone[];
  readonly watch: SpoolWatch;
  readonly heartbeat: HeartbeatPublisher;
  readonly events: AppEvent[] = [];
  readonly #looks = new Set<() => void>();
  readonly #t1Ms: number;
  #sallyport: Sallyport | null = null;
  #at: { readonly host: string; readonly port: number } | null = null;

  constructor(parts: {
    dir: string;
    local: LocalSite;
    config: Config;
    caller: Phone;
    carriers: readonly Phone[];
    watch: SpoolWatch;
    t1Ms: number;
    heartbeat: HeartbeatPublisher;
  }) {
    this.dir = parts.dir;
    this.local = parts.local;
    this.config = parts.config;
    this.caller = parts.caller;
    this.carriers = parts.carriers;
    this.watch = parts.watch;
    this.#t1Ms = parts.t1Ms;
    this.heartbeat = parts.heartbeat;
  }

  get sallyport(): Sallyport {
    if (this.#sallyport === null) throw new Error('the controller is not running');
    return this.#sallyport;
  }

  /** The first carrier's phone: the called party. */
  get called(): Phone {
    const phone = this.carriers[0];
    if (phone === undefined) throw new Error('the site has no carrier');
    return phone;
  }

  /** Starts the controller; with `ready: false` it does not wait until every part works. */
  async start({ ready = true }: { readonly ready?: boolean } = {}): Promise<void> {
    const observe = (event: AppEvent): void => {
      this.events.push(event);
      for (const look of [...this.#looks]) look();
    };
    this.#sallyport = await startSallyport(this.config, observe, {
      t1: this.#t1Ms,
      t2: 8 * this.#t1Ms,
      t4: 10 * this.#t1Ms,
    });
    if (!ready) return;
    const { checks } = this.sallyport;
    await this.until(
      'the controller is ready',
      () => checks().every((check) => check.ok),
      () => JSON.stringify(checks()),
    );
  }

  async stop(drainMs = 0): Promise<void> {
    await this.#sallyport?.stop(drainMs);
    this.#sallyport = null;
  }

  /** Sends calls there from now on: to an agent or a controller that the test started itself. */
  callThrough(at: { readonly host: string; readonly port: number } | null): void {
    this.#at = at;
  }

  sip(transport: 'udp' | 'tcp' = 'udp'): { readonly host: string; readonly port: number } {
    if (this.#at !== null) return this.#at;
    const found = this.sallyport.sip.find((one) => one.transport === transport);
    if (found === undefined) throw new Error(`no ${transport} listener`);
    return found;
  }

  /** Places a call from the facility's phone to what is dialled, given as the user part of a SIP URI. */
  call(
    dialled: string,
    options: Partial<CallOptions> & { readonly as?: string } = {},
  ): Promise<OutgoingCall> {
    const at = this.sip(this.caller.transport);
    const { as = '4711', ...rest } = options;
    return this.caller.call({
      to: `sip:${dialled}@${at.host}:${at.port}`,
      via: at,
      from: `<sip:${as}@${this.caller.host}>`,
      ...rest,
    });
  }

  /** Call ids in the order the calls arrived. */
  callIds(): readonly string[] {
    return this.events.flatMap((event) => (event.event === 'call-arrived' ? [event.callId] : []));
  }

  get endedCalls(): number {
    return this.events.filter((event) => event.event === 'call-ended').length;
  }

  /** Waits until so many calls in all have ended, each with its CDR. */
  ended(count: number, deadlineMs = 20_000): Promise<void> {
    return this.until(
      `${count} calls have ended`,
      () => this.endedCalls >= count,
      () => `${this.endedCalls} have; ${JSON.stringify(this.sallyport.controller.calls())}`,
      deadlineMs,
    );
  }

  /** Waits until an event is there that the test recognises, and gives it. */
  async event<E extends AppEvent['event']>(
    kind: E,
    fits: (event: Extract<AppEvent, { event: E }>) => boolean = () => true,
    deadlineMs = 20_000,
  ): Promise<Extract<AppEvent, { event: E }>> {
    const find = () =>
      this.events.find((one) => one.event === kind && fits(one as Extract<AppEvent, { event: E }>));
    await this.until(
      `an event ${kind}`,
      () => find() !== undefined,
      () =>
        this.events
          .slice(-10)
          .map((one) => JSON.stringify(one))
          .join('\n'),
      deadlineMs,
    );
    return find() as Extract<AppEvent, { event: E }>;
  }

  until(
    what: string,
    condition: () => boolean,
    state = (): string => '',
    deadlineMs = 20_000,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        clearInterval(every);
        this.#looks.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (condition()) done();
      };
      // Counted by looks: while this process is kept from the processor it does not wait.
      let left = Math.ceil(deadlineMs / 25);
      const every = setInterval(() => {
        look();
        left -= 1;
        if (left <= 0) done(new Error(`waited in vain until ${what}: ${state()}`));
      }, 25);
      this.#looks.add(look);
      look();
    });
  }

  /** The journal's rows as they are on the disk now. */
  async rows(
    filter: { readonly callId?: string; readonly kinds?: readonly string[] } = {},
  ): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for await (const row of readJournal(this.config.journal.directory, filter)) rows.push(row as Row);
    return rows;
  }

  /** The one CDR of a call. A row that was late is in the journal with a mark that it does not count. */
  async cdr(callId: string): Promise<Row['body']> {
    const abandoned = await this.rows({ kinds: ['abandoned'] });
    const counts = ({ seq }: Row): boolean =>
      !abandoned.some(({ body }) => body.firstSeq <= seq && seq <= body.lastSeq);
    const rows = (await this.rows({ callId, kinds: ['cdr'] })).filter(counts);
    if (rows.length !== 1) throw new Error(`${rows.length} CDRs of ${callId}`);
    return rows[0]?.body;
  }

  /** The plain bytes of one of this site's encrypted files: sealed ones by escrow's key, others by the facility's. */
  opened(file: string): Buffer {
    const { facility, escrow } = this.local.identities;
    return openedByAge(file, file.includes('/recordings/sealed/') ? escrow : facility);
  }

  /** Where the test failed: what the controller last said of its calls and parts, for whoever looks for the cause. */
  tellOnFailure(t: Closing): void {
    if (t.passing?.() !== false) return;
    for (const event of this.events.slice(-200)) t.comment?.(JSON.stringify(event));
    if (this.#sallyport === null) return;
    t.comment?.(JSON.stringify(this.#sallyport.checks()));
    t.comment?.(JSON.stringify(this.#sallyport.controller.calls()));
  }

  publish(words: ListWords, more: Parameters<LocalSite['publish']>[1] = {}) {
    return this.local.publish(listSet(words, this.config), more);
  }
}

/** The longest bounds the configuration takes. */
const patient = (config: Config): Config => ({
  ...config,
  lists: { ...config.lists, deadlineMs: 1000 },
  journal: { ...config.journal, deadlineMs: 10_000 },
  recording: { ...config.recording, proveMs: 4000 },
});

/** Whoever closes what a test opened: a test of tap, or another that does so. */
export interface Closing {
  teardown(close: () => unknown): unknown;
  passing?(): boolean;
  comment?(text: string): void;
}

/** Starts a site and ends it, whatever happens, with the test. */
export const openSite = async (t: Closing, options: SiteOptions = {}): Promise<Site> => {
  await mkdir(fromRoot('var'), { recursive: true });
  const dir = mkdtempSync(fromRoot('var', 'test-'));
  // The servers run as users of their own; without this their files would lie outside of the test's folder.
  chmodSync(dir, 0o755);
  const closers: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  t.teardown(async () => {
    for (const close of closers.reverse()) await close();
  });
  const transport = options.transport ?? 'udp';
  const phone = {
    transport,
    ...(options.codecs === undefined ? {} : { codecs: options.codecs }),
    ...(options.t1Ms === undefined ? {} : { t1Ms: options.t1Ms }),
    ...(options.keepAudioMs === undefined ? {} : { keepAudioMs: options.keepAudioMs }),
    ...(options.text === undefined ? {} : { text: options.text }),
  } as const;
  const caller = await createPhone({
    name: 'caller',
    host: '127.0.1.1',
    tone: 440,
    srtp: options.srtp?.caller ?? false,
    ...phone,
  });
  closers.push(() => caller.close());
  const carriers: Phone[] = [];
  for (let i = 0; i < (options.carriers ?? 1); i++) {
    const carrier = await createPhone({
      name: `carrier-${i + 1}`,
      host: `127.0.2.${i + 1}`,
      tone: 1000,
      events: options.carrierEvents ?? true,
      srtp: options.srtp?.called ?? false,
      ...phone,
    });
    closers.push(() => carrier.close());
    carriers.push(carrier);
  }
  if (options.prompts === 'short') await writeShortPrompts(join(dir, 'prompts'));
  const example = parseConfig(
    readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8'),
    fromRoot('config', 'sallyport.yaml'),
  );
  const config: Config = {
    ...(options.patience === 'usual' ? example : patient(example)),
    log: { level: 'silent' },
    // A machine that is busy with other tests sets calls up slowly; whether that turns calls away is another test's matter.
    controller: { ...example.controller, minSetUps: 500 },
    ...(options.prompts === 'short' ? { prompts: { directory: join(dir, 'prompts') } } : {}),
    trunks: {
      facilities: example.trunks.facilities.map((trunk) => ({
        ...trunk,
        addresses: [caller.host],
        carriers: carriers.map((one) => one.name),
        conversation: options.conversation ?? 'elsewhere',
        ...(options.srtp?.caller === true ? { media: 'srtp-sdes' as const } : {}),
      })),
      carriers: carriers.map((one) => ({
        name: one.name,
        address: one.host,
        port: one.port,
        transport,
        keys: 'auto',
        keepaliveSeconds: 0,
        firstResponseSeconds: 15,
        copyHeaders: [],
        ...(options.srtp?.called === true ? { media: 'srtp-sdes' as const } : {}),
      })),
    },
  };
  const local = await startLocal({
    config: options.config?.(config) ?? config,
    dir,
    heartbeatMs: 1000,
    ...options.local,
  });
  // Spools in memory lie outside of the test's folder; one that the test brought is its own to take away.
  if (options.local?.spool === undefined)
    closers.push(() => {
      for (const { spool } of local.recorded)
        if (spool !== undefined) rmSync(spool, { recursive: true, force: true });
    });
  closers.push(() => local.stop());
  await local.publish(listSet(options.lists ?? defaultLists, config));
  const heartbeat = await local.beat();
  const watch = await SpoolWatch.open([dir, ...local.recorded.flatMap((node) => node.spool ?? [])]);
  closers.push(() => watch.close());
  const told = options.overlay?.(local.config, dir) ?? local.config;
  const t1Ms = options.t1Ms ?? 500;
  const site = new Site({ dir, local, config: told, caller, carriers, watch, heartbeat, t1Ms });
  closers.push(() => site.stop());
  closers.push(() => site.tellOnFailure(t));
  if (options.controller !== false) await site.start();
  return site;
};
