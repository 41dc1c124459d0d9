import { relative, resolve } from 'node:path';
import { checkDialPlan, type DialPlan } from '../core/number.js';
import { checkCanaries } from './check-canaries.js';
import { checkCounsel } from './check-counsel.js';
import { checkMedia } from './check-media.js';
import { checkPeers } from './check-peers.js';
import { checkRetention } from './check-retention.js';
import type { Config } from './schema.js';
import type { Path } from './shapes.js';

export interface Crossed {
  readonly path: Path;
  readonly message: string;
}

/** What no single key can say: names that must exist, addresses that must not overlap, pools that must not be empty. */
export const crossCheck = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  for (const [name, plan] of Object.entries(config.dialPlans)) {
    for (const problem of checkDialPlan(plan as DialPlan)) {
      problems.push({ path: ['dialPlans', name, ...planPath(plan, problem.path)], message: problem.message });
    }
  }
  for (const [name, facility] of Object.entries(config.facilities)) {
    try {
      new Intl.DateTimeFormat('en', { timeZone: facility.timeZone });
    } catch {
      problems.push({ path: ['facilities', name, 'timeZone'], message: 'is not a time zone' });
    }
  }
  problems.push(
    ...checkTrunks(config),
    ...checkPeers(config),
    ...checkMedia(config),
    ...checkNodes(config),
    ...checkHeads(config),
    ...checkWorkers(config),
    ...checkServe(config),
    ...checkVault(config),
    ...checkRetention(config),
  );
  // Test calls are held against trunks and plans, which must be sound for that to say anything.
  if (problems.length === 0) problems.push(...checkCanaries(config), ...checkCounsel(config));
  return problems;
};

/** The place of a plan's problem, told as `speedDials.*77` or `emergency.0`. */
const planPath = (plan: Config['dialPlans'][string], told: string): Path => {
  const dot = told.indexOf('.');
  if (dot < 0) return [told];
  const [key, rest] = [told.slice(0, dot), told.slice(dot + 1)];
  const isList = Array.isArray(Object.entries(plan).find(([name]) => name === key)?.[1]);
  return [key, isList ? Number(rest) : rest];
};

const checkTrunks = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  const names = new Set<string>();
  const once = (name: string, path: Path): void => {
    if (names.has(name)) problems.push({ path, message: `there is another trunk called ${name}` });
    names.add(name);
  };
  // Who calls follows from the address alone, so no two trunks may share one: not even where one of them has a port
  // and the other takes what comes from all others, for a phone system that changes its port would change its name.
  const places = new Map<string, Map<number | undefined, string>>();
  /** Takes the address for that trunk; gives the trunk that has it already, or null. */
  const take = (address: string, trunk: string, port: number | undefined): string | null => {
    const ports = places.get(address) ?? new Map<number | undefined, string>();
    places.set(address, ports);
    const [first = null] = ports.values();
    const other = port === undefined ? first : (ports.get(undefined) ?? ports.get(port) ?? null);
    if (other === null) ports.set(port, trunk);
    return other;
  };
  config.trunks.carriers.forEach((trunk, i) => {
    once(trunk.name, ['trunks', 'carriers', i, 'name']);
    // Two carriers may share one: calls only go there, and the transport or the port tells them apart.
    take(trunk.address, trunk.name, undefined);
  });
  const carriers = new Set(config.trunks.carriers.map((trunk) => trunk.name));
  config.trunks.facilities.forEach((trunk, i) => {
    const at = (...rest: PropertyKey[]): Path => ['trunks', 'facilities', i, ...rest];
    once(trunk.name, at('name'));
    if (!Object.hasOwn(config.facilities, trunk.facility))
      problems.push({ path: at('facility'), message: 'is not under facilities' });
    if (!Object.hasOwn(config.dialPlans, trunk.dialPlan))
      problems.push({ path: at('dialPlan'), message: 'is not under dialPlans' });
    trunk.carriers.forEach((carrier, j) => {
      if (!carriers.has(carrier))
        problems.push({ path: at('carriers', j), message: 'is not under trunks.carriers' });
    });
    // One that proves who it is may share an address: its proof is what counts, and comes first.
    if (trunk.tls !== undefined || trunk.digest !== undefined) return;
    trunk.addresses.forEach((one, j) => {
      const other = take(one, trunk.name, trunk.port);
      if (other !== null)
        problems.push({ path: at('addresses', j), message: `is an address of trunk ${other} too` });
    });
  });
  return problems;
};

/** Copies beside the original are lost, and put back, together with it. */
const checkHeads = (config: Config): Crossed[] => {
  const { directory, heads } = config.journal;
  if (heads?.ship === undefined) return [];
  const within = relative(resolve(directory), resolve(heads.ship));
  return within.startsWith('..')
    ? []
    : [{ path: ['journal', 'heads', 'ship'], message: 'is within the journal’s own directory' }];
};

/**
 * Every facility can be recorded, or the controller does not start: one without a key would refuse all its monitored
 * calls. Sealed recordings are out of every facility's reach.
 */
const checkVault = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  const { keys, facilities, sealed } = config.recording.vault;
  const at = (...rest: PropertyKey[]): Path => ['recording', 'vault', ...rest];
  const used = new Set([...Object.values(facilities).flat(), ...sealed]);
  const owners = new Map<string, string>();
  for (const [id, key] of Object.entries(keys)) {
    const what = key.recipient ?? key.recipientFile ?? '';
    const other = owners.get(what);
    if (other !== undefined) problems.push({ path: at('keys', id), message: `is the key ${other} too` });
    owners.set(what, id);
    if (!used.has(id)) problems.push({ path: at('keys', id), message: 'is used by no facility and no seal' });
  }
  const known = (id: string, path: Path): boolean => {
    const there = Object.hasOwn(keys, id);
    if (!there) problems.push({ path, message: 'is not under recording.vault.keys' });
    return there;
  };
  for (const facility of Object.keys(config.facilities)) {
    if (!Object.hasOwn(facilities, facility))
      problems.push({
        path: at('facilities'),
        message: `has no key of ${facility}: nothing could be recorded there`,
      });
  }
  for (const [facility, ids] of Object.entries(facilities)) {
    const path = at('facilities', facility);
    if (!Object.hasOwn(config.facilities, facility))
      problems.push({ path, message: 'is not under facilities' });
    const roles = ids.filter((id, i) => known(id, [...path, i])).map((id) => keys[id]?.role);
    if (!roles.includes('facility') && roles.length === ids.length)
      problems.push({ path, message: 'names no key of role facility' });
    if (new Set(ids).size !== ids.length) problems.push({ path, message: 'names a key twice' });
  }
  const { s3 } = config.recording.vault.store;
  if (s3 !== undefined) {
    // Whoever looks for recordings on this host would find what waits.
    const within = relative(resolve(config.recording.directory), resolve(s3.stagingDirectory));
    if (!within.startsWith('..'))
      problems.push({
        path: at('store', 's3', 'stagingDirectory'),
        message: 'is within the folder of recordings',
      });
  }
  if (sealed.length === 0) problems.push({ path: at('sealed'), message: 'names no escrow key' });
  if (new Set(sealed).size !== sealed.length)
    problems.push({ path: at('sealed'), message: 'names a key twice' });
  sealed.forEach((id, i) => {
    if (known(id, at('sealed', i)) && keys[id]?.role !== 'escrow')
      problems.push({
        path: at('sealed', i),
        message: 'is a key of role facility: it must not open sealed recordings',
      });
  });
  return problems;
};

const checkNodes = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  for (const pool of ['recorded', 'private'] as const) {
    if (!config.media.nodes.some((node) => node.pool === pool)) {
      problems.push({ path: ['media', 'nodes'], message: `has no ${pool} node` });
    }
  }
  // One process in both pools would make the whole separation a fiction.
  const seen = new Map<string, number>();
  config.media.nodes.forEach((node, i) => {
    for (const [what, key] of [
      ['ng', `${node.ng.host}:${node.ng.port}`],
      ['cli', `${node.cli.host}:${node.cli.port}`],
      ['name', node.name],
    ] as const) {
      const other = seen.get(key);
      if (other !== undefined)
        problems.push({ path: ['media', 'nodes', i, what], message: 'is that of another node too' });
      seen.set(key, i);
    }
  });
  return problems;
};

/** The longest that is added to the name of a worker: `-w16`. */
const WORKER_SUFFIX = 4;

const checkWorkers = ({ controller, sip, canaries, media }: Config): Crossed[] => {
  const { workers, name } = controller;
  const problems: Crossed[] = [];
  if (workers > 0 && name.length > 64 - WORKER_SUFFIX)
    problems.push({
      path: ['controller', 'name'],
      message: 'is too long for workers, whose names it begins',
    });
  const fewest = Math.min(
    ...(['recorded', 'private'] as const).map(
      (pool) => media.nodes.filter((node) => node.pool === pool).length,
    ),
  );
  // Two controllers of one node would take each other's commands for a stranger's, and attest it no more.
  if (workers > fewest)
    problems.push({
      path: ['controller', 'workers'],
      message: 'each worker needs a media node of each pool for itself',
    });
  // A drachtio-server gives a test call to any of them, and only the first knows what to look for.
  if (workers > 1 && canaries !== undefined && sip.agent !== 'embedded')
    problems.push({
      path: ['controller', 'workers'],
      message: 'with test calls (canaries) several workers need the embedded agent',
    });
  return problems;
};

const checkServe = ({ serve }: Config): Crossed[] => {
  const problems: Crossed[] = [];
  const { address, tls, publicUrl, oidc } = serve;
  const isLoopback = address.startsWith('127.') || address === '::1';
  // A password that crosses a network in the clear is everybody's.
  if (!isLoopback && tls === undefined)
    problems.push({ path: ['serve', 'address'], message: 'needs serve.tls: it is not a loopback address' });
  if (tls !== undefined && publicUrl?.startsWith('http:') === true)
    problems.push({ path: ['serve', 'publicUrl'], message: 'is without TLS, and serve.tls is set' });
  for (const [at, { roles }] of (oidc?.roles ?? []).entries()) {
    if (roles.includes('admin') && roles.length > 1)
      problems.push({
        path: ['serve', 'oidc', 'roles', at, 'roles'],
        message: 'admin goes with no other role',
      });
  }
  for (const [at, { facilities }] of (oidc?.facilities ?? []).entries()) {
    if (facilities.includes('all') && facilities.length > 1)
      problems.push({
        path: ['serve', 'oidc', 'facilities', at, 'facilities'],
        message: 'all goes with no other facility',
      });
  }
  if (oidc !== undefined && !/^https:|^http:\/\/(127\.|localhost\b|\[::1\])/.test(oidc.issuer))
    problems.push({ path: ['serve', 'oidc', 'issuer'], message: 'must be https' });
  return problems;
};
