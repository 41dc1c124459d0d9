import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Emit, Journal } from './call/ports.js';
import type { Counters } from './call/talk.js';
import { Canaries, type FacilityCanaries } from './canary/canaries.js';
import { MenuEar } from './canary/menu-ear.js';
import { readStates } from './canary/state-file.js';
import type { Config } from './config/schema.js';
import type { FacilityId, Leg } from './core/leg.js';
import { languages } from './core/prompt.js';
import { noUsage } from './core/usage.js';
import { storeOf } from './open-vault.js';
import { carrierPort, ownLegOf, sipPort } from './options.js';
import { ownPrompts } from './prompts/catalogue.js';
import { soundFile } from './prompts/manifest.js';
import type { SipListener } from './sip-agent.js';
import type { Identity } from './vault/age-keys.js';

/** What a facility's trunk wants in headers of its own; test calls name themselves there. */
const PLACE = 'canary';

const menuEar = (config: Config): MenuEar =>
  new MenuEar(
    languages.flatMap((language) =>
      (['menu-recorded', 'menu-private'] as const).map((id) => ({
        name: `${language}:${id}`,
        wav: readFileSync(join(config.prompts.directory ?? ownPrompts, soundFile(id, language))),
      })),
    ),
  );

const facilitiesOf = (config: Config): readonly FacilityCanaries[] => {
  let ear: MenuEar | null = null;
  return Object.entries(config.canaries?.facilities ?? {}).map(([facility, own]) => {
    const trunk = config.trunks.facilities.find(({ name }) => name === own.trunk);
    if (trunk?.conversation === 'here') ear ??= menuEar(config);
    const headers: Record<string, string> = {};
    if (trunk?.unitHeader !== undefined) headers[trunk.unitHeader] = PLACE;
    if (trunk?.phoneHeader !== undefined) headers[trunk.phoneHeader] = PLACE;
    if (trunk?.caller.header !== undefined) headers[trunk.caller.header] = own.caller;
    return {
      facility: facility as FacilityId,
      port: own.port,
      caller: own.caller,
      numbers: { privileged: own.privileged, monitored: own.monitored, unlisted: own.unlisted },
      headers,
      ear: trunk?.conversation === 'here' ? ear : null,
    };
  });
};

export interface CanaryParts {
  readonly journal: Journal;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly identity: Identity;
}

/** The test calls of the configuration, or null where it has none. */
export const openCanaries = async (config: Config, parts: CanaryParts): Promise<Canaries | null> => {
  const { canaries } = config;
  if (canaries === undefined) return null;
  const carrier = config.trunks.carriers.find(({ name }) => name === canaries.carrier);
  if (carrier === undefined) throw new Error(`no carrier ${canaries.carrier}`);
  return Canaries.open({
    ...parts,
    address: canaries.address,
    called: { host: carrier.address, port: carrierPort(carrier) ?? sipPort('udp') },
    facilities: facilitiesOf(config),
    rules: {
      everyMs: canaries.everyMinutes * 60_000,
      retryMs: canaries.retrySeconds * 1000,
      retries: canaries.retries,
      maxSilentMs: canaries.maxSilentHours * 3_600_000,
    },
    firstMs: canaries.firstSeconds * 1000,
    statePath: canaries.state,
    nodes: config.media.nodes.map(({ name, spool, pid, pidFile }) => ({
      name,
      spool: spool ?? null,
      pid: pid ?? null,
      pidFile: pidFile ?? null,
    })),
    store: storeOf(config),
    random: Math.random,
  });
};

/** How often what another controller's test calls have shown is read. */
const LOOK_MS = 1000;

/**
 * What the test calls of the first controller of this host have shown, from the file it keeps; null where the
 * configuration has none. A file that cannot be read says that recording is disarmed.
 */
export const watchCanaries = async (
  { canaries }: Config,
  emit: Emit,
  clock: Clock,
): Promise<{ recording(facility: FacilityId): 'armed' | 'disarmed'; close(): void } | null> => {
  if (canaries === undefined) return null;
  const names = Object.keys(canaries.facilities);
  const read = () => readStates(canaries.state, names, clock.wall());
  let states = await read();
  const look = async (): Promise<void> => {
    const now = await read();
    for (const [facility, { recording, why }] of now) {
      const before = states.get(facility)?.recording;
      if (recording !== before)
        emit({
          event: 'recording-state',
          facility: facility as FacilityId,
          state: recording,
          why: why ?? 'armed',
        });
    }
    states = now;
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return {
    recording: (facility) => states.get(facility)?.recording ?? 'armed',
    close: () => clearInterval(timer),
  };
};

/** Where test calls are sent. */
export const canarySip = (
  { canaries }: Config,
  listeners: readonly SipListener[],
): { readonly host: string; readonly port: number } => {
  if (canaries?.sip !== undefined) return { host: canaries.sip.address, port: canaries.sip.port };
  const udp = listeners.find(({ transport }) => transport === 'udp');
  if (udp === undefined) throw new Error('the agent listens on no UDP port');
  return { host: udp.host, port: udp.port };
};

/** Our own calls take no place in the counts of callers, numbers and phones, and are refused for none. */
export const uncounted = (counters: Counters, config: Config): Counters => {
  const isOwn = ownLegOf(config);
  return {
    entering: (leg: Leg, key, kind, taking) =>
      isOwn(leg) ? null : (counters.entering?.(leg, key, kind, taking) ?? null),
    enter: (leg: Leg, key, kind, taking) =>
      isOwn(leg)
        ? Promise.resolve({ usage: noUsage, connected: () => undefined, leave: async () => undefined })
        : counters.enter(leg, key, kind, taking),
  };
};
