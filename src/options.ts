import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { AppEvent } from './call/events.js';
import type { Emit, Journal, JsonObject, Surroundings } from './call/ports.js';
import type { Config } from './config/schema.js';
import {
  type CallerId,
  canaryTrunk,
  codeTrunk,
  type FacilityId,
  isCodeTrunk,
  type Leg,
  type Origin,
  type TrunkId,
} from './core/leg.js';
import type { DialPlan } from './core/number.js';
import type { Policy, PolicyVersion } from './core/policy.js';
import { schedulesAt } from './core/schedule.js';
import type { Limits } from './core/usage.js';
import { canonicalJson } from './journal/canonical.js';
import type { RedisEndpoint } from './lists/redis.js';
import type { Trunk } from './sip/trunk.js';
import { TrunkRates } from './sip/trunk-rates.js';

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
    limits: {
      monitored: limitsOf(policy.limits.monitored),
      private: limitsOf(policy.limits.private),
      alone: limitsOf(policy.limits.alone),
    },
    maxCallMs: policy.maxCallMinutes * 60_000,
    maxPrivateCallMs: policy.maxPrivateCallMinutes * 60_000,
    maxRelayCallMs: policy.maxRelayCallMinutes * 60_000,
    maxRingMs: policy.maxRingSeconds * 1000,
    acceptance: policy.acceptance,
    onBecomingPrivate: policy.onBecomingPrivate,
    onForward: policy.onForward,
    onThreeWay: policy.onThreeWay,
    threeWayScore: policy.threeWayScore,
  };
};

const limitsOf = ({ coolDownSeconds, ...rest }: Config['policy']['limits']['monitored']): Limits => ({
  ...rest,
  coolDownMs: coolDownSeconds * 1000,
});

type FacilityTrunkConfig = Config['trunks']['facilities'][number];

/**
 * The facilities' trunks, and those their test calls come by. Such a trunk is the one it stands for in all but where
 * its calls come from and go to, and that nobody keys a PIN in there: nothing behind this function knows the difference.
 */
export const facilityTrunksOf = ({ trunks, canaries, counsel }: Config): readonly FacilityTrunkConfig[] => [
  ...trunks.facilities,
  ...codeTrunkOf(trunks, counsel),
  ...Object.entries(canaries?.facilities ?? {}).flatMap(([facility, own]) => {
    const like = trunks.facilities.find(({ name }) => name === own.trunk);
    if (canaries === undefined || like === undefined) return [];
    const { caller } = like;
    return [
      {
        ...like,
        name: canaryTrunk(facility),
        addresses: [canaries.address],
        port: own.port,
        transports: ['udp' as const],
        // Its test calls come from this host, by UDP, and their phones know no keys.
        media: 'rtp' as const,
        caller: caller.from === 'pin' ? { from: 'from-user' as const } : caller,
        carriers: [canaries.carrier],
      },
    ];
  }),
];

/**
 * The trunk by which our own calls come that tell a code: to the carriers of a facility, and nobody is asked anything.
 * What they say they say themselves (code-call/), so the conversation is not held here.
 */
const codeTrunkOf = (
  { facilities }: Config['trunks'],
  counsel: Config['counsel'],
): readonly FacilityTrunkConfig[] => {
  const like = facilities.find(({ name }) => name === counsel?.calls?.trunk);
  if (counsel?.calls === undefined || like === undefined) return [];
  const { address, port } = counsel.calls;
  const { tls: _tls, digest: _digest, rate: _rate, privatePrefix: _prefix, ...rest } = like;
  const { unitHeader: _unit, phoneHeader: _phone, ...plain } = rest;
  return [
    {
      ...plain,
      name: codeTrunk(like.facility),
      addresses: [address],
      port,
      transports: ['udp' as const],
      media: 'rtp' as const,
      caller: { from: 'from-user' as const },
      conversation: 'elsewhere' as const,
    },
  ];
};

/** Whether a leg is one of our own, which takes no place in anybody's counts: a test call's, or one that tells a code. */
export const ownLegOf = (config: Config): ((leg: Pick<Leg, 'origin' | 'caller'>) => boolean) => {
  const isCanary = canaryLegOf(config);
  return (leg) => isCanary(leg) || isCodeTrunk(leg.origin.trunk);
};

/** Whether a leg is a test call's: by where it came from, and by who it says that it is. */
export const canaryLegOf =
  ({ canaries }: Config) =>
  ({ origin, caller }: Pick<Leg, 'origin' | 'caller'>): boolean =>
    origin.trunk === canaryTrunk(origin.facility) &&
    caller !== null &&
    canaries?.facilities[origin.facility]?.caller === caller;

/** Rates of trunks, for an agent that does not know them. */
export const ratesOf = (config: Config): TrunkRates =>
  new TrunkRates(
    new Map(
      config.trunks.facilities.flatMap(({ name, rate }) =>
        rate === undefined ? [] : [[name as TrunkId, rate] as const],
      ),
    ),
    () => performance.now(),
  );

export const trunksOf = (config: Config): readonly Trunk[] => [
  ...facilityTrunksOf(config).map((trunk): Trunk => {
    const { caller } = trunk;
    return {
      kind: 'facility',
      name: trunk.name as TrunkId,
      facility: trunk.facility as FacilityId,
      addresses: trunk.addresses,
      proved: trunk.tls !== undefined || trunk.digest !== undefined,
      port: trunk.port ?? null,
      transports: trunk.transports,
      caller:
        caller.from === 'header' ? { from: 'header', header: caller.header ?? '' } : { from: caller.from },
      privatePrefix: trunk.privatePrefix ?? null,
      unitHeader: trunk.unitHeader ?? null,
      phoneHeader: trunk.phoneHeader ?? null,
      plan: planOf(config, trunk.dialPlan),
      carriers: trunk.carriers.map((carrier) => carrier as TrunkId),
      ...(trunk.sessionTimer === undefined ? {} : { sessionTimer: trunk.sessionTimer }),
      presentedNumber: trunk.presentedNumber,
    };
  }),
  ...config.trunks.carriers.map(
    (trunk): Trunk => ({
      kind: 'carrier',
      name: trunk.name as TrunkId,
      address: trunk.address,
      port: carrierPort(trunk),
      sources: isIP(trunk.address) === 0 ? (trunk.addresses ?? []) : [trunk.address],
      transport: trunk.transport,
      keepaliveSeconds: trunk.keepaliveSeconds,
      firstResponseMs: trunk.firstResponseSeconds * 1000,
      copyHeaders: trunk.copyHeaders,
      media: trunk.media ?? 'rtp',
      reliableProvisionals: trunk.reliableProvisionals === true,
      ...(trunk.sessionTimer === undefined ? {} : { sessionTimer: trunk.sessionTimer }),
      ...(trunk.only === undefined ? {} : { only: trunk.only }),
    }),
  ),
];

/** The port of SIP where none is named (RFC 3261 section 19.1.2). */
export const sipPort = (transport: 'udp' | 'tcp' | 'tls'): number => (transport === 'tls' ? 5061 : 5060);

/** The port of a carrier; null for a name that has none, since its domain says it (RFC 3263 section 4.2). */
export const carrierPort = ({
  address,
  port,
  transport,
}: Config['trunks']['carriers'][number]): number | null =>
  port ?? (isIP(address) === 0 || transport === 'auto' ? null : sipPort(transport));

export const planOf = (config: Config, name: string): DialPlan => {
  const plan = config.dialPlans[name];
  // The configuration was cross-checked; a plan that is missing all the same must not become another one.
  if (plan === undefined) throw new Error(`no dial plan ${name}`);
  return plan as DialPlan;
};

/** What stands beside the configuration: orders given while the controller runs. */
export interface Standing {
  lockdown(origin: Origin): 'off' | 'on' | 'unknown';
  suspended(caller: CallerId): boolean | 'unknown';
}

/** Whether recordings of a facility can be trusted, as far as its test calls have shown. */
export type RecordingState = (facility: FacilityId) => 'armed' | 'disarmed';
const nothingStands: Standing = { lockdown: () => 'off', suspended: () => false };

export const surroundingsOf = (
  config: Config,
  orders: Standing = nothingStands,
  steady: () => boolean = () => true,
  recording: RecordingState = () => 'armed',
): Surroundings => {
  const isCanary = canaryLegOf(config);
  const suspended = new Map(
    Object.entries(config.facilities).map(([name, facility]) => [name, new Set(facility.suspendedCallers)]),
  );
  const trunks = new Map(facilityTrunksOf(config).map((trunk) => [trunk.name, trunk]));
  const carriers = new Map(config.trunks.carriers.map((trunk) => [trunk.name, trunk]));
  const reserved = new Set(config.trunks.carriers.flatMap(({ only }) => only ?? []));
  const keysOf = new Map(config.trunks.carriers.map((trunk) => [trunk.name, trunk.keys]));
  return {
    of: ({ origin, caller }, now) => {
      const facility = config.facilities[origin.facility];
      if (facility === undefined) {
        return {
          lockdown: 'unknown',
          schedule: 'unknown',
          suspended: true,
          recording: 'disarmed',
          text: false,
        };
      }
      // Hours, lockdowns and suspensions are about people. And who proves that recording works again must get through.
      if (isCanary({ origin, caller })) {
        return { lockdown: 'off', schedule: 'open', suspended: false, recording: 'armed', text: false };
      }
      const unit = origin.unit === null ? undefined : facility.units[origin.unit];
      const phone = origin.phone === null ? undefined : facility.phones[origin.phone];
      const schedules = {
        facility: facility.hours,
        unit: unit?.hours ?? null,
        phone: phone?.hours ?? null,
      };
      const standing = orders.lockdown(origin);
      return {
        lockdown: config.policy.lockdown || facility.lockdown ? 'on' : standing,
        // At an hour nobody knows, nobody can say whether phones are open.
        schedule: steady() ? schedulesAt(schedules, facility.timeZone, now) : 'unknown',
        // A suspension nobody can read is one.
        suspended:
          caller !== null &&
          (suspended.get(origin.facility)?.has(caller) === true || orders.suspended(caller) !== false),
        recording: recording(origin.facility),
        text: phone?.textTelephone === true,
      };
    },
    between: ({ origin, dialled }) => {
      const trunk = trunks.get(origin.trunk);
      const number = 'key' in dialled ? dialled.key.e164 : null;
      // Those the number may go to. They agree (checked with the configuration), and the dialer asks no other.
      const [carrier] = (trunk?.carriers ?? []).flatMap((name) => {
        const one = carriers.get(name);
        if (one === undefined) return [];
        const isOpen = one.only === undefined && (number === null || !reserved.has(number));
        return isOpen || (number !== null && one.only?.includes(number) === true) ? [one] : [];
      });
      return { caller: trunk?.media ?? 'rtp', called: carrier?.media ?? 'rtp' };
    },
    conversation: ({ origin }) => {
      const trunk = trunks.get(origin.trunk);
      if (trunk === undefined || trunk.conversation === 'elsewhere') {
        return { manner: { held: 'elsewhere' }, language: 'en' };
      }
      return {
        manner: { held: 'here', pin: trunk.caller.from === 'pin', offersPrivate: trunk.offerPrivateCall },
        language: trunk.language,
        keys: { caller: trunk.keys, called: (carrier) => keysOf.get(carrier) ?? 'auto' },
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
  'other-party',
  'three-way-suspected',
]);

export const journalledEvents =
  (rows: Journal): Emit =>
  (event) => {
    if (!evidence.has(event.event)) return;
    const { event: kind, ...body } = event;
    // The journal being the part that fails, the alarm is in the log and the metrics all the same.
    rows.append(kind, body as unknown as JsonObject).catch(() => undefined);
  };

const secretOf = (file: string): string => readFileSync(file, 'utf8').trim();

/** Where Redis is, and who we are there. */
export const redisOf = (config: Config): RedisEndpoint => {
  const { host, port, db, username, passwordFile, sentinel, cluster, ...more } = config.lists.redis;
  const login = {
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: secretOf(passwordFile) }),
  };
  const { replicas, failoverSeconds } = more;
  const failing = { replicas, failoverMs: failoverSeconds * 1000 };
  if (cluster !== undefined) return { ...login, ...failing, cluster: cluster.nodes, shards: cluster.shards };
  if (sentinel === undefined) return { ...login, host, port, db };
  return {
    ...login,
    ...failing,
    db,
    sentinels: sentinel.nodes,
    name: sentinel.name,
    ...(sentinel.username === undefined ? {} : { sentinelUsername: sentinel.username }),
    ...(sentinel.passwordFile === undefined ? {} : { sentinelPassword: secretOf(sentinel.passwordFile) }),
  };
};
