import type { Test } from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { Config } from '../../src/config/schema.js';
import { defaultLists, type ListWords, openSite, type Site, type SiteOptions } from '../site/site.js';

/** Numbers of the test calls: fictitious, and no other test's. */
export const canaryNumbers = {
  privileged: '+12125550181',
  monitored: '+12125550182',
  unlisted: '+12125550183',
} as const;
export const canaryCaller = 'canary-north';

export const canaryLists: ListWords = {
  ...defaultLists,
  allow: { ...defaultLists.allow, [canaryCaller]: [canaryNumbers.monitored] },
  privileged: { ...defaultLists.privileged, [canaryNumbers.privileged]: 'attorney' },
};

/** Addresses of loopback that no other process of these tests has, so that fixed ports are free ones. */
const own = `127.${20 + (process.pid % 200)}.${(process.pid >> 8) % 250}`;

export const withCanaries = (config: Config): Config => ({
  ...config,
  trunks: {
    ...config.trunks,
    carriers: [
      ...config.trunks.carriers,
      {
        name: 'canary',
        address: `${own}.2`,
        port: 5071,
        transport: 'udp',
        keys: 'auto',
        keepaliveSeconds: 0,
        firstResponseSeconds: 15,
        copyHeaders: [],
        only: Object.values(canaryNumbers),
      },
    ],
  },
  canaries: {
    address: `${own}.1`,
    carrier: 'canary',
    everyMinutes: 60,
    firstSeconds: 0,
    retrySeconds: 3600,
    retries: 5,
    maxSilentHours: 4,
    state: 'var/canaries.json',
    facilities: { north: { trunk: 'north-pbx', port: 5072, caller: canaryCaller, ...canaryNumbers } },
  },
});

export const openCanarySite = (t: Test, options: SiteOptions = {}): Promise<Site> =>
  openSite(t, {
    lists: canaryLists,
    ...options,
    config: (config) => (options.config ?? withCanaries)(config),
  });

type CanaryEvent = Extract<AppEvent, { event: 'canary' }>;

/** Waits for the `nth` whole set since the controller’s start (from 1): what came of each, and how it left the facility. */
export const setOf = async (site: Site, nth: number) => {
  const events = (): CanaryEvent[] =>
    site.events.filter((event): event is CanaryEvent => event.event === 'canary');
  await site.until(
    `set ${nth} of test calls is over`,
    () => {
      const [view] = site.sallyport.canaries();
      return view !== undefined && view.sets >= nth && !view.running;
    },
    () => JSON.stringify([site.sallyport.canaries(), site.events.slice(-15)], null, 1),
    240_000,
  );
  const calls = events().slice(-3);
  const [view] = site.sallyport.canaries();
  return {
    outcomes: Object.fromEntries(calls.map(({ kind, code }) => [kind, code])),
    ids: Object.fromEntries(calls.map(({ kind, callId }) => [kind, callId ?? ''])),
    recording: view?.recording,
    why: view?.why ?? null,
  };
};

export const allPassed = { privileged: 'passed', monitored: 'passed', unlisted: 'passed' };
