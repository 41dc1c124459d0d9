import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AppEvent } from './call/events.js';
import type { Emit, Journal, JsonObject, Surroundings } from './call/ports.js';
import type { Config } from './config/schema.js';
import type { FacilityId, TrunkId } from './core/leg.js';
import type { DialPlan } from './core/number.js';
import type { Policy, PolicyVersion } from './core/policy.js';
import { scheduleAt } from './core/schedule.js';
import { canonicalJson } from './journal/canonical.js';
import type { Trunk } from './sip/trunk.js';

/** Translations of the configuration into what each part takes. No part knows the configuration file. */

export const policyOf = (config: Config): Policy => {
  const { policy } = config;
  const content = { policy, dialPlans: config.dialPlans, facilities: config.facilities };
  const version = createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(content))))
    .digest('hex');
  return {
    version: version.slice(0, 16) as PolicyVersion,
    maxListAgeMs: config.lists.maxAgeSeconds * 1000,
    barredNumberTypes: policy.barredNumberTypes,
    privilegedInLockdown: policy.privilegedInLockdown,
    hotlineInLockdown: policy.hotlineInLockdown,
    maxConcurrentPerCaller: policy.maxConcurrentPerCaller,
    maxCallMs: policy.maxCallMinutes * 60_000,
    maxPrivateCallMs: policy.maxPrivateCallMinutes * 60_000,
    maxRingMs: policy.maxRingSeconds * 1000,
  };
};

export const trunksOf = (config: Config): readonly Trunk[] => [
  ...config.trunks.facilities.map((trunk): Trunk => {
    const { caller } = trunk;
    return {
      kind: 'facility',
      name: trunk.name as TrunkId,
      facility: trunk.facility as FacilityId,
      addresses: trunk.addresses,
      port: trunk.port ?? null,
      transports: trunk.transports,
      caller:
        caller.from === 'header' ? { from: 'header', header: caller.header ?? '' } : { from: 'from-user' },
      unitHeader: trunk.unitHeader ?? null,
      phoneHeader: trunk.phoneHeader ?? null,
      plan: planOf(config, trunk.dialPlan),
      carriers: trunk.carriers.map((carrier) => carrier as TrunkId),
      presentedNumber: trunk.presentedNumber,
    };
  }),
  ...config.trunks.carriers.map(
    (trunk): Trunk => ({
      kind: 'carrier',
      name: trunk.name as TrunkId,
      address: trunk.address,
      port: trunk.port,
      transport: trunk.transport,
      keepaliveSeconds: trunk.keepaliveSeconds,
      firstResponseMs: trunk.firstResponseSeconds * 1000,
      copyHeaders: trunk.copyHeaders,
    }),
  ),
];

export const planOf = (config: Config, name: string): DialPlan => {
  const plan = config.dialPlans[name];
  // The configuration was cross-checked; a plan that is missing all the same must not become another one.
  if (plan === undefined) throw new Error(`no dial plan ${name}`);
  return plan as DialPlan;
};

export const surroundingsOf = (config: Config): Surroundings => {
  const suspended = new Map(
    Object.entries(config.facilities).map(([name, facility]) => [name, new Set(facility.suspendedCallers)]),
  );
  return {
    of: (leg, now) => {
      const facility = config.facilities[leg.origin.facility];
      if (facility === undefined) return { lockdown: 'unknown', schedule: 'unknown', suspended: true };
      return {
        lockdown: config.policy.lockdown || facility.lockdown ? 'on' : 'off',
        schedule: scheduleAt(facility.hours, facility.timeZone, now),
        suspended: leg.caller !== null && suspended.get(leg.origin.facility)?.has(leg.caller) === true,
      };
    },
  };
};

/** Events that are evidence too: alarms, arming, nodes and trunks going up or down. */
const evidence: ReadonlySet<AppEvent['event']> = new Set([
  'alarm',
  'lists-armed',
  'lists-disarmed',
  'node-state',
  'trunk-state',
  'agent-state',
]);

export const journalledEvents =
  (rows: Journal): Emit =>
  (event) => {
    if (!evidence.has(event.event)) return;
    const { event: kind, ...body } = event;
    // The journal being the part that fails, the alarm is in the log and the metrics all the same.
    rows.append(kind, body as unknown as JsonObject).catch(() => undefined);
  };

/** Where Redis is, and who we are there. */
export const redisOf = (config: Config) => {
  const { host, port, db, username, passwordFile } = config.lists.redis;
  return {
    host,
    port,
    db,
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: readFileSync(passwordFile, 'utf8').trim() }),
  };
};
