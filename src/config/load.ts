import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { checkDialPlan, type DialPlan } from '../core/number.js';
import { checkCanaries } from './check-canaries.js';
import { checkPeers } from './check-peers.js';
import { checkRetention } from './check-retention.js';
import { type Config, configSchema } from './schema.js';

/** One thing wrong with a configuration file, with the place where it stands. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Path of the key, such as `trunks.carriers[0].port`. */
  readonly key: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly code = 'config-invalid';
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map((p) => `${p.file}:${p.line}:${p.column}: ${p.key === '' ? '' : `${p.key}: `}${p.message}`)
        .join('\n'),
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

type Path = readonly PropertyKey[];
const keyText = (path: Path): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  );

const maxBytes = 4 * 1024 * 1024;

/** Reads and checks a configuration file; throws ConfigError with every problem found. */
export const loadConfig = (file: string): Config => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError([{ file, line: 0, column: 0, key: '', message: `cannot be read (${why})` }]);
  }
  return parseConfig(text, file);
};

/** Checks configuration text. Paths in it are made absolute against the file's folder only where they begin with `./`. */
export const parseConfig = (text: string, file: string): Config => {
  if (text.length > maxBytes)
    throw new ConfigError([{ file, line: 0, column: 0, key: '', message: 'is too large' }]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const at = (offset: number): { line: number; column: number } => {
    const position = lines.linePos(offset);
    return { line: position.line, column: position.col };
  };
  // A warning is a value read otherwise than it is written, such as one with a tag nobody knows.
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((error) => ({
        file,
        ...at(error.pos[0]),
        key: '',
        message: error.message.split('\n', 1)[0] ?? 'is not YAML',
      })),
    );
  }
  const place = (path: Path): { line: number; column: number } =>
    at(offsetOf(document.contents as Node | null, path));
  const parsed = configSchema.safeParse(
    plain(document, (offset, message) => {
      throw new ConfigError([{ file, ...at(offset), key: '', message }]);
    }),
  );
  if (!parsed.success)
    throw new ConfigError(parsed.error.issues.flatMap((issue) => problemsOf(issue, file, place)));
  const crossed = crossCheck(parsed.data).map(({ path, message }) => ({
    file,
    ...place(path),
    key: keyText(path),
    message,
  }));
  if (crossed.length > 0) throw new ConfigError(crossed);
  return absolute(parsed.data, dirname(resolve(file)));
};

/** The document as plain values. Aliases are counted: a few lines of them can stand for gigabytes. */
const plain = (document: Document.Parsed, fail: (offset: number, message: string) => never): unknown => {
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) === undefined)
        fail(alias.range?.[0] ?? 0, 'is an alias of nothing above it');
    },
  });
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return fail(0, 'has too many aliases, or an alias within what it stands for');
  }
};

/** Where the deepest part of the path that is in the document begins. */
const offsetOf = (root: Node | null, path: Path): number => {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(part)];
      if (item === undefined) break;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
};

const problemsOf = (
  issue: z.core.$ZodIssue,
  file: string,
  place: (path: Path) => { line: number; column: number },
): ConfigProblem[] => {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { file, ...place(path), key: keyText(path), message: 'is not a key we know' };
    });
  }
  // One of several shapes: where only one is of the kind that was written, its own problems are the ones to tell.
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.filter((inner) => !inner.some(isOfAnotherKind));
    if (meant.length === 1) {
      return (meant[0] ?? []).flatMap((inner) =>
        problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, file, place),
      );
    }
  }
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [{ file, ...place(issue.path), key: keyText(issue.path), message }];
};

const isOfAnotherKind = (issue: z.core.$ZodIssue): boolean =>
  issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');

export interface Crossed {
  readonly path: Path;
  readonly message: string;
}

/** What no single key can say: names that must exist, addresses that must not overlap, pools that must not be empty. */
const crossCheck = (config: Config): Crossed[] => {
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
    ...checkNodes(config),
    ...checkHeads(config),
    ...checkVault(config),
    ...checkRetention(config),
  );
  // Test calls are held against trunks and plans, which must be sound for that to say anything.
  if (problems.length === 0) problems.push(...checkCanaries(config));
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

/** Relative paths are relative to the folder the process is started in; `./x` to the file's own folder. */
const absolute = (config: Config, folder: string): Config => {
  const path = (text: string): string => (text.startsWith('./') ? resolve(folder, text) : resolve(text));
  const maybe = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : path(text);
  const { agent, tls } = config.sip;
  const { heads } = config.journal;
  const { registry } = config;
  const { s3 } = config.recording.vault.store;
  return {
    ...config,
    controller: { ...config.controller, ledger: maybe(config.controller.ledger) },
    sip: {
      ...config.sip,
      agent: agent === 'embedded' ? agent : { ...agent, secretFile: path(agent.secretFile) },
      tls: tls && {
        ...tls,
        certFile: path(tls.certFile),
        keyFile: path(tls.keyFile),
        caFile: maybe(tls.caFile),
      },
    },
    lists: {
      ...config.lists,
      publisherKeys: config.lists.publisherKeys.map(path),
      snapshot: path(config.lists.snapshot),
      orders: path(config.lists.orders),
      redis: { ...config.lists.redis, passwordFile: maybe(config.lists.redis.passwordFile) },
    },
    trunks: {
      facilities: config.trunks.facilities.map((trunk) => ({
        ...trunk,
        digest: trunk.digest && { ...trunk.digest, passwordFile: path(trunk.digest.passwordFile) },
      })),
      carriers: config.trunks.carriers.map((trunk) => ({
        ...trunk,
        credentials: trunk.credentials && {
          ...trunk.credentials,
          passwordFile: path(trunk.credentials.passwordFile),
        },
      })),
    },
    media: {
      ...config.media,
      nodes: config.media.nodes.map((node) => ({
        ...node,
        spool: maybe(node.spool),
        pidFile: maybe(node.pidFile),
      })),
    },
    prompts: { directory: maybe(config.prompts.directory) },
    control: { ...config.control, socket: path(config.control.socket) },
    ...(config.canaries === undefined
      ? {}
      : { canaries: { ...config.canaries, state: path(config.canaries.state) } }),
    recording: {
      ...config.recording,
      directory: path(config.recording.directory),
      vault: {
        ...config.recording.vault,
        readings: path(config.recording.vault.readings),
        store: {
          s3: s3 && {
            ...s3,
            credentialsFile: path(s3.credentialsFile),
            stagingDirectory: path(s3.stagingDirectory),
          },
        },
        keys: Object.fromEntries(
          Object.entries(config.recording.vault.keys).map(([id, key]) => [
            id,
            { ...key, recipientFile: maybe(key.recipientFile) },
          ]),
        ),
      },
    },
    custody: {
      ...config.custody,
      journals: config.custody.journals.map(path),
      status: maybe(config.custody.status),
    },
    journal: {
      ...config.journal,
      directory: path(config.journal.directory),
      heads: heads && { ...heads, keyFile: path(heads.keyFile), ship: maybe(heads.ship) },
    },
    registry: registry && {
      ...registry,
      passwordFile: maybe(registry.passwordFile),
      publisherKey: path(registry.publisherKey),
      journal: path(registry.journal),
    },
  };
};
