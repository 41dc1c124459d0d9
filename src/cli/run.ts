import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.js';
import { type LocalSite, startLocal } from '../local.js';
import { linkMinutes, startLocalPostgres, startLocalRegistry } from '../local-registry.js';
import { startSallyport, version } from '../main.js';
import type { IncomingCall } from '../phones/incoming-call.js';
import { createPhone, type Phone } from '../phones/sip-phone.js';
import { fromRoot } from '../root.js';
import { applicationAt, startOwnAgent } from '../sip-agent.js';
import { guardAgainstStalls } from '../stall-guard.js';
import { leftBehind } from '../workers/worker-config.js';
import { startWorkers, type WorkersEvent } from '../workers/workers.js';
import { CommandError, type Terminal } from './output.js';
import { retentionText } from './retention.js';
import { startServing } from './serve.js';

/** Resolves at the first SIGINT or SIGTERM. */
export const untilStopped = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });

/**
 * SIGHUP asks servers to read their files again, and ends a process that has not heard of it, calls and all. The agent
 * reads its certificates; where it has none there is nothing to do.
 */
const outliveHangUp = (): void => void process.on('SIGHUP', () => undefined);

/** An event loop that has not turned for so long does not come back. */
const stallMs = 15_000;

/** What the parent of several processes tells goes to the log like all else: a line of JSON each. */
const toldTo =
  (terminal: Terminal) =>
  (event: WorkersEvent): void =>
    terminal.err(JSON.stringify({ time: new Date().toISOString(), ...event }));

const stopping = (seconds: number): string =>
  `stopping: up to ${seconds} s for calls in progress (signal again to end them now)`;

/** `run` with workers: the agent and the controllers as processes of their own, until a signal. SIGHUP restarts them in turn. */
const runWorkers = async (config: Config, reload: () => Config, terminal: Terminal): Promise<void> => {
  outliveHangUp();
  const workers = await startWorkers({ config, reload, tell: toldTo(terminal) });
  terminal.err(
    [
      ...workers.sip.map((one) => `SIP      ${one.transport}  ${one.host}:${one.port}`),
      `health   http://${config.http.address}:${workers.healthPort}/ready`,
      `workers  ${config.controller.workers}; SIGHUP restarts them one after the other`,
      retentionText(config),
    ].join('\n'),
  );
  const restart = (): void => void workers.restart();
  process.on('SIGHUP', restart);
  await untilStopped();
  process.removeListener('SIGHUP', restart);
  terminal.err(stopping(config.controller.drainSeconds));
  void untilStopped().then(() => workers.stop(0));
  await workers.stop();
};

/** `agent`: the SIP agent alone, for controllers that connect to `sip.application`. */
export const runAgent = async (config: Config, terminal: Terminal): Promise<void> => {
  const { agent, application } = config.sip;
  if (agent !== 'embedded' || application === undefined)
    throw new CommandError(
      'no-application',
      'the agent alone needs sip.application, and sip.agent: embedded',
      2,
    );
  outliveHangUp();
  const own = await startOwnAgent(config, applicationAt(application), {}, version, (said) => {
    terminal.err(JSON.stringify({ time: new Date().toISOString(), ...said }));
  });
  terminal.err(
    [
      ...own.sip.map((one) => `SIP      ${one.transport}  ${one.host}:${one.port}`),
      `waits    for controllers on 127.0.0.1:${own.at.port}`,
    ].join('\n'),
  );
  await untilStopped();
  const { drainSeconds } = config.controller;
  terminal.err(stopping(drainSeconds));
  const hurry = new AbortController();
  void untilStopped().then(() => hurry.abort());
  await own.drain(drainSeconds * 1000, hurry.signal);
  await own.stop();
};

/** `run`: the controller in the foreground, on servers that run elsewhere. */
export const run = async (config: Config, reload: () => Config, terminal: Terminal): Promise<void> => {
  if (config.controller.workers > 0) return runWorkers(config, reload, terminal);
  if (leftBehind(config).length > 0)
    terminal.err(
      'workers that are not configured any more left calls: run with them once, and they are closed',
    );
  outliveHangUp();
  const sallyport = await startSallyport(config);
  const guard = guardAgainstStalls(stallMs);
  terminal.err(listening(sallyport, config));
  await untilStopped();
  terminal.err(stopping(config.controller.drainSeconds));
  const stopped = sallyport.stop();
  // The second signal ends what is up at once; what a third one does is the system's matter.
  void untilStopped().then(() => sallyport.stop(0));
  const { left } = await stopped;
  guard.stop();
  if (left > 0) throw new CommandError('calls-left', `${left} call(s) could not be ended`, 1);
};

const listening = (sallyport: Awaited<ReturnType<typeof startSallyport>>, config: Config): string =>
  [
    ...sallyport.sip.map((one) => `SIP      ${one.transport}  ${one.host}:${one.port}`),
    `health   http://${config.http.address}:${sallyport.healthPort}/ready`,
    retentionText(config),
  ].join('\n');

/** The example lists of the repository. */
export const exampleFiles = (): readonly string[] => {
  const dir = fromRoot('config', 'lists');
  return readdirSync(dir)
    .filter((name) => name.includes('.example.'))
    .sort()
    .map((name) => join(dir, name));
};

/** When the menu has begun: what is pressed while the notice is spoken does not accept. */
const FIRST_PRESS_MS = 13_000;
const NEXT_PRESS_MS = 5000;
const MAX_PRESSES = 4;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The called party of `run --local`: presses 1, and once more where that was too early. `asked`: whether somebody is
 * still being asked; a key in the midst of a conversation would look like an attempt to add a third party.
 */
const acceptEveryCall = async (phone: Phone, asked: () => boolean, stop: AbortSignal): Promise<void> => {
  for (let nth = 1; !stop.aborted; ) {
    // An hour without a call is no error here: it waits on.
    const call = await phone.incomingCall({ nth, deadlineMs: 3_600_000 }).catch(() => null);
    if (call === null) continue;
    nth += 1;
    void accept(call, asked);
  }
};

const accept = async (call: IncomingCall, asked: () => boolean): Promise<void> => {
  try {
    await call.answered({ deadlineMs: 60_000 });
    await rest(FIRST_PRESS_MS);
    for (let press = 0; press < MAX_PRESSES && call.ending === undefined && asked(); press++) {
      await call.audio.pressKeys('1');
      await rest(NEXT_PRESS_MS);
    }
  } catch {
    // The caller hung up first.
  }
};

/** The configuration that `run --local` can be run with: its called party, or a refusal. Throws CommandError. */
const carrierOf = (config: Config) => {
  const carrier = config.trunks.carriers[0];
  if (carrier === undefined) throw new CommandError('no-carrier', 'the configuration has no carrier trunk');
  if (carrier.transport === 'tls' || carrier.transport === 'auto')
    throw new CommandError('no-carrier', 'the called party of --local speaks UDP and TCP alone');
  return { ...carrier, transport: carrier.transport };
};

/** The lists' registry of `run --local` and its API, and the lines that say where they are. */
const localLists = async (
  site: LocalSite,
  dir: string,
  terminal: Terminal,
  stops: (() => Promise<unknown>)[],
) => {
  const place = { dir, fixedPorts: true };
  const postgres = await startLocalPostgres(site.config, place);
  const lists = await startLocalRegistry(site, postgres, {
    ...place,
    files: exampleFiles(),
    tell: (event) => {
      if (event.event === 'trouble') terminal.err(`trouble  registry: ${event.code}`);
    },
  });
  stops.push(() => lists.stop());
  const serving = await startServing({
    config: lists.config,
    plan: Object.keys(site.config.dialPlans)[0] ?? 'default',
    trouble: (where, code) => terminal.err(`trouble  ${where}: ${code}`),
  });
  stops.push(() => serving.stop());
  return [
    `registry PostgreSQL on ${lists.host}:${lists.port}, filled with the example lists`,
    `console  ${serving.url}; signs in once, within ${linkMinutes} minutes:`,
    `         ${await lists.link('demo', serving.url)}`,
    `         approves what the other one proposes: ${await lists.link('second', serving.url)}`,
  ];
};

/**
 * `run --local`: Redis, PostgreSQL, a media node of each pool, the example lists in a registry with its API, and a called
 * party that answers with a tone, all on this machine, and the controller in front of them. Ends all it started.
 */
export const runLocal = async (config: Config, terminal: Terminal): Promise<void> => {
  const dir = fromRoot('var', 'local');
  const carrier = carrierOf(config);
  const site = await startLocal({ config, dir, fixedPorts: true });
  const stops: (() => Promise<unknown>)[] = [() => site.stop()];
  try {
    const about = await localLists(site, dir, terminal, stops);
    const called = await createPhone({
      name: 'called-party',
      transport: carrier.transport,
      host: carrier.address,
      port: carrier.port ?? 5060,
      tone: 1000,
    });
    stops.push(() => called.close());
    called.answerWith({ do: 'answer', ring: { afterMs: 100 }, afterMs: 1500 });
    const sallyport = await startSallyport(site.config);
    stops.push(() => sallyport.stop(0));
    const stop = new AbortController();
    const asked = (): boolean => sallyport.controller.calls().some((call) => call.phase === 'asking');
    void acceptEveryCall(called, asked, stop.signal);
    const own = site.config.trunks.facilities[0];
    terminal.err(
      [
        listening(sallyport, site.config),
        `trunk    ${own?.name}: calls from ${own?.addresses.join(', ')}; the called party accepts (presses 1) and is a 1000 Hz tone`,
        'try      as caller 4711: 2125550142 (monitored), 2125550111 (attorney: private), 2125550199 (refused)',
        `hear     who is called and that it is recorded or not; the called party presses 1 after ${FIRST_PRESS_MS / 1000} s`,
        `recorded ${site.config.recording.directory}, encrypted to the throw-away keys in ${dirname(site.identities.facility)}`,
        `spool    ${site.spoolsInMemory ? 'in memory' : 'ON DISK: there is too little memory to be had here'}`,
        `journal  ${site.config.journal.directory}`,
        ...about,
        'stop     Ctrl-C',
      ].join('\n'),
    );
    await untilStopped();
    terminal.err('stopping');
    stop.abort();
  } finally {
    for (const one of stops.reverse()) await one();
  }
};
