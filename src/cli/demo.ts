import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { AppEvent } from '../call/events.js';
import type { Config } from '../config/schema.js';
import { type LocalSite, startLocal } from '../local.js';
import {
  type LocalRegistry,
  linkMinutes,
  localAccounts,
  startLocalPostgres,
  startLocalRegistry,
} from '../local-registry.js';
import { type Sallyport, startSallyport } from '../main.js';
import { createPhone, type Phone } from '../phones/sip-phone.js';
import { fromRoot } from '../root.js';
import { afterwards, spokenActs } from './demo-acts.js';
import { type DemoCall, type DemoStage, placeCall } from './demo-call.js';
import { type Expected, faultsOf, monitored, privately, refused, tell, unprovable } from './demo-expect.js';
import { placeSpoken, type SpokenCall, type SpokenStage, voices } from './demo-spoken.js';
import { spokenFaults, tellSpoken } from './demo-spoken-tell.js';
import { FileWatch } from './demo-watch.js';
import { News } from './news.js';
import { CommandError, type Terminal } from './output.js';
import { exampleFiles, untilStopped } from './run.js';
import { type Serving, startServing } from './serve.js';

const allowedNumber = '+1 212 555 0142';
const attorneyNumber = '9 1 (212) 555-0111';
const unlistedNumber = '2125550199';
/** As dialled in a SIP URI: the visual separators of RFC 3966 without the spaces. */
const dialString = (shown: string): string => shown.replaceAll(' ', '');

/** Takes the privileged list out of Redis with redis-cli, as a stranger to the product would. */
const truncatePrivileged = (site: LocalSite, prefix: string): number => {
  const cli = (...args: string[]): string =>
    execFileSync('redis-cli', ['-h', site.redis.host, '-p', String(site.redis.port), ...args], {
      encoding: 'utf8',
    });
  const keys = cli('--scan', '--pattern', `${prefix}n:*`)
    .split('\n')
    .filter((key) => key !== '');
  if (keys.length > 0) cli('DEL', ...keys);
  return keys.length;
};

/** The calls by the letters of their titles; (k) is what the 3 of (h) left behind. */
const letters = 'abcdefghijk';

/** The calls asked for, as in `a,g`; all of them where nothing is said. Throws CommandError. */
export const actsOf = (only: string | undefined): ReadonlySet<string> => {
  if (only === undefined) return new Set(letters);
  const asked = new Set(only.split(',').map((one) => one.trim()));
  for (const one of asked) {
    if (one.length !== 1 || !letters.includes(one)) {
      throw new CommandError('act-unknown', `the calls of the demo are ${[...letters].join(',')}`, 2);
    }
  }
  if (asked.has('k')) asked.add('h');
  return asked;
};

export interface DemoOptions {
  readonly config: Config;
  readonly only: ReadonlySet<string>;
  readonly json: boolean;
  /** Leaves everything up, with a way into the console, until a signal. */
  readonly keep: boolean;
  readonly terminal: Terminal;
}

/** Runs the demo, or some of its calls. True where everything was as expected. */
export const demo = async ({ config, only, json, keep, terminal }: DemoOptions): Promise<boolean> => {
  const dir = fromRoot('var', 'demo');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const say = (text: string): void => {
    if (!json) terminal.out(text);
  };
  const { called, caller, unit, close: closePhones } = await phones(config);
  const carriers = config.trunks.carriers.map((trunk) => ({
    ...trunk,
    address: called.host,
    port: called.port,
  }));
  // Two trunks of one facility: the exchange behind the first announces calls itself, so a call is connected without
  // a word of ours; the phones behind the second are spoken to.
  const facilities = config.trunks.facilities.slice(0, 1).flatMap((trunk) => [
    { ...trunk, addresses: [caller.host], conversation: 'elsewhere' as const },
    { ...trunk, name: `${trunk.name}-spoken`, addresses: [unit.host], conversation: 'here' as const },
  ]);
  say('starting PostgreSQL, Redis, one media node that records and one that cannot, on free loopback ports');
  if (only.size === letters.length) say('the whole demo takes about a minute and a half');
  const place = { dir, fixedPorts: false };
  const [database, started] = await Promise.allSettled([
    startLocalPostgres(config, place),
    startLocal({
      config: { ...config, trunks: { carriers, facilities }, log: { level: 'silent' } },
      dir,
    }),
  ]);
  if (database.status === 'rejected' || started.status === 'rejected') {
    if (database.status === 'fulfilled') await database.value.stop();
    if (started.status === 'fulfilled') await started.value.stop();
    await closePhones();
    throw database.status === 'rejected' ? database.reason : (started as PromiseRejectedResult).reason;
  }
  const site = started.value;
  let sallyport: Sallyport | null = null;
  let lists: LocalRegistry | null = null;
  let serving: Serving | null = null;
  try {
    let epoch = 0;
    lists = await startLocalRegistry(site, database.value, {
      ...place,
      files: exampleFiles(),
      tell: (event) => {
        if (event.event === 'published') epoch = event.epoch;
        if (event.event === 'trouble' && keep) terminal.err(`trouble  registry: ${event.code}`);
      },
    });
    say(
      `filled the registry with the example lists, published as epoch ${epoch}; starting the controller and the API\n`,
    );
    say(
      `spools lie in ${site.spoolsInMemory ? 'memory' : 'a folder on disk, for there is too little memory to be had here'}; recordings are encrypted (age) to a throw-away key, and opened here with\n${here(site.identities.facility)}\n`,
    );
    if (wantsAny(only, 'abcde')) {
      say(
        'First, calls of an exchange that announces them itself: Sallyport says nothing, decides and records.\n',
      );
    }
    const events: AppEvent[] = [];
    const news = new News();
    sallyport = await startSallyport(site.config, (event) => {
      events.push(event);
      news.tell();
    });
    const running = sallyport;
    const unready = (): string =>
      running
        .checks()
        .filter((check) => !check.ok)
        .map((check) => `${check.name}: ${check.why}`)
        .join(', ');
    await news.until('the controller is ready', () => unready() === '', unready);
    serving = await startServing({
      config: { ...lists.config, http: { ...lists.config.http, port: sallyport.healthPort } },
      plan: planName(config),
      trouble: (where, code) => {
        if (keep) terminal.err(`trouble  ${where}: ${code}`);
      },
    });
    const udp = sallyport.sip.find((one) => one.transport === 'udp');
    if (udp === undefined) throw new Error('the example configuration listens on no UDP port');
    const spools = site.recorded.flatMap((node) => node.spool ?? []);
    const stage: DemoStage = {
      caller,
      called,
      sip: udp,
      journal: site.config.journal.directory,
      watch: new FileWatch(spools),
      identity: site.identities.facility,
      events,
      talkMs: 2500,
      ended: (count) =>
        news.until(
          `${count} calls have ended`,
          () => events.filter((event) => event.event === 'call-ended').length >= count,
        ),
    };
    const given = { site, lists, sallyport, stage, spools, news, say, json, terminal, dir, only };
    const plain = await story(given);
    const spoken = await conversations(given, unit);
    const ok = plain.ok && spoken.ok;
    stage.watch.close();
    const console = await consoleOf(lists, serving, keep);
    report(given, ok, { calls: plain.calls, spoken: spoken.calls, console });
    if (keep) {
      await untilStopped();
      terminal.err('stopping');
    }
    return ok;
  } finally {
    await serving?.stop();
    await sallyport?.stop(0);
    await closePhones();
    if (lists === null) await database.value.stop();
    else await lists.stop();
    await site.stop();
  }
};

const planName = ({ dialPlans }: Config): string => Object.keys(dialPlans)[0] ?? 'default';

/** The console's address, and links into it where there is time to use them. */
const consoleOf = async (lists: LocalRegistry, { url }: Serving, keep: boolean) => ({
  url,
  links: keep ? { demo: await lists.link('demo', url), second: await lists.link('second', url) } : null,
});
type ConsoleShown = Awaited<ReturnType<typeof consoleOf>>;

const consoleText = ({ url, links }: ConsoleShown): string =>
  links === null
    ? `the console was at ${url} and ended with the demo; "npm run demo -- --keep" leaves everything up and prints a link that signs in`
    : [
        '',
        `the console is at ${url}; everything stays up until Ctrl-C. Each link signs in once, within ${linkMinutes} minutes:`,
        `  ${localAccounts.demo.name} (${localAccounts.demo.about})`,
        `  ${links.demo}`,
        `  ${localAccounts.second.name} (${localAccounts.second.about}; open it in another browser or a private window)`,
        `  ${links.second}`,
      ].join('\n');

/** A path as it is typed from where the demo was started. */
const here = (path: string): string => relative(process.cwd(), path);

/** Longer than any spoken call of the demo, in ms: what was heard is looked at when the call is over. */
const keepAudioMs = 90_000;

const phones = async (config: Config) => {
  // Addresses of the loopback network stand for the facility's exchange, its spoken-to phones and the carrier.
  const carrier = config.trunks.carriers[0];
  const called = await createPhone({
    name: 'called-party',
    transport: 'udp',
    host: carrier?.address ?? '127.0.0.2',
    tone: voices.called,
    keepAudioMs,
  });
  const caller = await createPhone({
    name: '4711',
    transport: 'udp',
    host: '127.0.0.3',
    tone: voices.caller,
  });
  const unit = await createPhone({
    name: 'unit-phone',
    transport: 'udp',
    host: '127.0.0.4',
    tone: voices.caller,
    keepAudioMs,
  });
  called.answerWith({ do: 'answer', ring: { afterMs: 50 }, afterMs: 300 });
  return {
    called,
    caller,
    unit,
    close: async () => {
      await caller.close();
      await unit.close();
      await called.close();
    },
  };
};

interface Story {
  readonly site: LocalSite;
  readonly lists: LocalRegistry;
  readonly sallyport: Sallyport;
  readonly stage: DemoStage;
  readonly spools: readonly string[];
  readonly news: News;
  readonly say: (text: string) => void;
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly dir: string;
  readonly only: ReadonlySet<string>;
}

const wantsAny = (only: ReadonlySet<string>, some: string): boolean => [...some].some((one) => only.has(one));

const story = async (
  given: Story,
): Promise<{ readonly ok: boolean; readonly calls: readonly DemoCall[] }> => {
  const { site, lists, sallyport, stage, spools, news, say } = given;
  const calls: DemoCall[] = [];
  let ok = true;
  const act = async (title: string, name: string, shown: string, expected: Expected): Promise<void> => {
    if (!given.only.has(name.slice(0, 1))) return;
    say(`${title}`);
    const call = { ...(await placeCall(name, dialString(shown), stage)), dialled: shown };
    const faults = faultsOf(call, expected);
    calls.push(call);
    ok &&= faults.length === 0;
    if (!given.json) tell(call, faults, spools, given.terminal);
  };

  await act(
    '(a) A number on the caller’s list: monitored, connected only once its recording is proved.',
    'a-allowed',
    allowedNumber,
    monitored,
  );
  await act(
    '(b) An attorney, listed as +12125550111 and dialled in another format: private, on a node that cannot record.',
    'b-attorney',
    attorneyNumber,
    privately,
  );
  await act('(c) A number on no list: refused.', 'c-unlisted', unlistedNumber, refused(403));

  const folders = spools.flatMap((spool) => [
    spool,
    join(spool, 'pcaps'),
    join(spool, 'tmp'),
    join(spool, 'metadata'),
  ]);
  const modes = folders.flatMap((folder) => {
    try {
      return [{ folder, mode: statSync(folder).mode & 0o7777 }];
    } catch {
      return [];
    }
  });
  for (const { folder } of modes) chmodSync(folder, 0o555);
  await act(
    '(d) The allowed number again, with the spool made unwritable: not connected, for nothing may be silently unrecorded.',
    'd-spool-unwritable',
    allowedNumber,
    unprovable,
  );
  for (const { folder, mode } of modes) chmodSync(folder, mode);

  if (!given.only.has('e')) return { ok, calls };
  const removed = truncatePrivileged(site, site.config.lists.keyPrefix);
  say(
    `(e) The lists truncated in Redis behind the controller’s back (${removed} keys deleted with redis-cli).\n`,
  );
  await act(
    '    The attorney: still private, from the local signed snapshot.',
    'e-attorney-truncated',
    attorneyNumber,
    privately,
  );
  await act(
    '    The allowed number: refused, for a newer privileged number could be among those that are gone.',
    'e-allowed-truncated',
    allowedNumber,
    refused(503),
  );
  await lists.rebuild();
  await sallyport.lists.refresh();
  await news.until('the lists are armed again', () => sallyport.lists.armed().armed);
  await act(
    '    The lists published again and armed: the allowed number is connected, and recorded.',
    'e-allowed-rearmed',
    allowedNumber,
    monitored,
  );

  return { ok, calls };
};

/** The spoken calls: prompts really played and really heard, keys really pressed. */
const conversations = async (
  given: Story,
  unit: Phone,
): Promise<{ readonly ok: boolean; readonly calls: readonly SpokenCall[] }> => {
  const { stage, news, say, json, terminal, spools, only } = given;
  const rounds = [spokenActs, [afterwards]].map((acts) =>
    acts.filter(({ name }) => only.has(name.slice(0, 1))),
  );
  const [first = []] = rounds;
  if (first.length === 0) return { ok: true, calls: [] };
  say(
    [
      `Now Sallyport holds the conversation itself. ${first.length} call${first.length === 1 ? '' : 's'} at the same time, about 45 s: every prompt below was`,
      'found in the packets a phone got, by correlation (last figure, 1.00 is the very wave) with the WAV files in',
      'config/prompts; “…” is one that a key cut short. Both tones flow from the answer on: who hears one is connected.\n',
    ].join('\n'),
  );
  const spokenStage: SpokenStage = { ...stage, caller: unit, news };
  const calls: SpokenCall[] = [];
  let ok = true;
  for (const acts of rounds) {
    const placed = await placeSpoken(acts, spokenStage);
    acts.forEach((act, i) => {
      const call = placed[i];
      if (call === undefined) return;
      const faults = spokenFaults(call, act.expected);
      calls.push(call);
      ok &&= faults.length === 0;
      if (!json) tellSpoken(act.title, call, faults, spools, terminal);
    });
  }
  return { ok, calls };
};

const report = (
  { dir, json, terminal, say, stage, site: { identities } }: Story,
  ok: boolean,
  {
    calls,
    spoken,
    console,
  }: {
    readonly calls: readonly DemoCall[];
    readonly spoken: readonly SpokenCall[];
    readonly console: ConsoleShown;
  },
): void => {
  const file = join(dir, 'report.json');
  writeFileSync(file, `${JSON.stringify({ ok, calls, spoken }, null, 2)}\n`);
  if (json) terminal.out(JSON.stringify({ ok, calls, spoken, console }));
  say(
    ok
      ? `everything was as expected; the report is ${file}`
      : `NOT everything was as expected; the report is ${file}`,
  );
  const recorded = calls.find(({ recording }) => recording !== null)?.recording?.file ?? '';
  const id = /c[a-z2-7]{26}/.exec(recorded)?.[0];
  if (id !== undefined) {
    const dirs = ['directory recordings', 'readings readings', 'journal journal']
      .map((one) => one.split(' '))
      .map(([option, name = '']) => `--${option} ${here(join(dir, name))}`)
      .join(' ');
    const command = `node dist/src/cli/main.js recordings decrypt ${id} ${dirs}`;
    const key = here(identities.facility);
    say(`hear a recording: ${command} --identity ${key} --out ${here(dir)} --by you --why 'to hear it'`);
  }
  say(`the journal of it all: node dist/src/cli/main.js journal verify ${here(stage.journal)}`);
  say(consoleText(console));
};
