import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fromRoot } from '../root.js';
import {
  type Client,
  findMasters,
  keepConnected,
  makeClient,
  mastersOf,
  type RedisEndpoint,
} from './redis-client.js';

export type { RedisEndpoint } from './redis-client.js';

export type RedisFault = 'unreachable' | 'timeout' | 'malformed';

/** Only a code leaves this file: errors of the client carry the command's arguments, which are numbers. */
export class RedisError extends Error {
  readonly code: RedisFault;
  constructor(code: RedisFault, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'RedisError';
    this.code = code;
  }
}

export interface Script {
  readonly text: string;
  readonly sha: string;
}

const script = (name: string): Script => {
  const text = readFileSync(fromRoot('src/lists', name), 'utf8');
  return { text, sha: createHash('sha1').update(text).digest('hex') };
};

/** A script that is made of others, each of them a function of KEYS and ARGV. */
const joined = (parts: Readonly<Record<string, Script>>, { text: body }: Script): Script => {
  const functions = Object.entries(parts).map(
    ([name, { text }]) => `local function ${name}(KEYS, ARGV)\n${text}\nend\n`,
  );
  const text = functions.join('') + body;
  return { text, sha: createHash('sha1').update(text).digest('hex') };
};

const lookup = script('lookup.lua');
const use = script('use.lua');

/** The scripts, read once. Throws where one is missing: nothing works without them. */
export const scripts = {
  lookup,
  scan: script('scan.lua'),
  marks: script('marks.lua'),
  owners: script('owners.lua'),
  write: script('write.lua'),
  flip: script('flip.lua'),
  beat: script('beat.lua'),
  unlock: script('unlock.lua'),
  ordersRead: script('orders-read.lua'),
  ordersWrite: script('orders-write.lua'),
  use,
  decide: joined({ lookup, use }, script('decide.lua')),
  pins: script('pins.lua'),
  callersFlip: script('callers-flip.lua'),
} as const;

const faultOf = (error: unknown): RedisError => {
  if (error instanceof RedisError) return error;
  const message = error instanceof Error ? error.message : '';
  if (message.includes('timed out') || message.includes('timeout')) {
    return new RedisError('timeout', 'no answer within the deadline');
  }
  return new RedisError('unreachable', error instanceof Error ? error.name : 'error');
};

const isNoScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('NOSCRIPT');

export type RedisState = 'up' | 'down';

/** How often a master of a group is asked whether it still is one. */
const roleEveryMs = 200;

/**
 * A connection to one server, to the master of a group or to a Cluster. Each call is settled within its timeout.
 *
 * Of a group only a server that says it is the master is ever asked, and it is asked again and again, which is also
 * what closes a connection to a frozen one while nobody has a question. What a master says that was replaced and does
 * not know it yet is for the heartbeat to tell (docs/lists.md).
 */
export class Connection {
  readonly #client: Client;
  readonly #end: () => void;
  readonly #loaded = new Set<string>();
  readonly #onState: (state: RedisState) => void;
  readonly #form: 'server' | 'group' | 'cluster';
  #timer: NodeJS.Timeout | null = null;
  #asking = false;
  #state: RedisState = 'down';
  /** Set where a node of a Cluster failed us: the next success may come from another one. */
  #shaken = false;

  constructor(
    endpoint: RedisEndpoint,
    commandTimeoutMs: number,
    onState: (state: RedisState) => void = () => {},
    more: { readonly sentOnce?: boolean } = {},
  ) {
    this.#onState = onState;
    this.#form =
      endpoint.cluster !== undefined ? 'cluster' : endpoint.sentinels !== undefined ? 'group' : 'server';
    this.#client = makeClient(endpoint, commandTimeoutMs, more);
    this.#end = keepConnected(this.#client);
    // Without a listener the client would print errors, arguments and all.
    this.#client.on('error', () => {});
    this.#client.on('ready', () => {
      if (this.#form === 'group') void this.#confirmMaster();
      else this.#become('up');
    });
    this.#client.on('close', () => {
      this.#loaded.clear();
      this.#become('down');
    });
    if (this.#form === 'group') {
      this.#timer = setInterval(() => void this.#confirmMaster(), roleEveryMs);
      this.#timer.unref();
    }
  }

  get state(): RedisState {
    return this.#state;
  }

  #become(state: RedisState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }

  async #confirmMaster(): Promise<void> {
    if (this.#asking || this.#client.status !== 'ready') return;
    this.#asking = true;
    try {
      const reply = await this.#client.call('ROLE');
      if (Array.isArray(reply) && reply[0] === 'master') this.#become('up');
      else this.reconnect();
    } catch (error) {
      // A late answer is no other role; the socket's own timeout ends what is frozen.
      if (faultOf(error).code !== 'timeout') this.reconnect();
    } finally {
      this.#asking = false;
    }
  }

  /** Leaves the server it is connected to, which may be the wrong one, and finds out anew which is the right one. */
  reconnect(): void {
    this.#become('down');
    this.#client.disconnect(true);
  }

  /** Starts connecting. Resolves when it can be used or after the first failure; never rejects. */
  async open(): Promise<void> {
    const failed = new Promise<void>((resolve) => {
      this.#client.on('error', () => resolve());
      this.#client.on('close', () => resolve());
    });
    const connected = this.#client.connect().then(
      () => (this.#form === 'server' ? undefined : this.#confirmed()),
      () => {},
    );
    // Sentinels that are all away are asked for ever: that is a failure too.
    await (this.#form === 'server' ? connected : Promise.race([connected, failed]));
  }

  /** Connected is not yet ready: a master of a group has to say that it is one, a Cluster that it is whole. */
  async #confirmed(): Promise<void> {
    if (this.#form === 'group') await this.#confirmMaster();
    for (let i = 0; i < 50 && this.#state === 'down'; i++) await new Promise((done) => setTimeout(done, 10));
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#end();
  }

  async #call(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    if (this.#form === 'group' && this.#state === 'down') throw new RedisError('unreachable', 'no master');
    try {
      const reply = await this.#client.call(name, ...args);
      if (this.#shaken && this.#form === 'cluster') {
        this.#shaken = false;
        this.#onState('up');
      }
      return reply;
    } catch (error) {
      if (!isNoScript(error)) {
        this.#shaken = true;
        findMasters(this.#client);
      }
      throw error;
    }
  }

  /** Sends one command. Rejects with RedisError. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#call(name, ...args);
    } catch (error) {
      throw faultOf(error);
    }
  }

  /** Runs a script under EVALSHA, or EVALSHA_RO where it only reads. Rejects with RedisError. */
  async run(
    what: Script,
    kind: 'read' | 'write',
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const [bySha, byText] = kind === 'read' ? ['EVALSHA_RO', 'EVAL_RO'] : ['EVALSHA', 'EVAL'];
    try {
      if (this.#loaded.has(what.sha)) {
        return await this.#call(bySha, what.sha, keys.length, ...keys, ...args);
      }
    } catch (error) {
      if (!isNoScript(error)) throw faultOf(error);
    }
    try {
      const reply = await this.#call(byText, what.text, keys.length, ...keys, ...args);
      this.#loaded.add(what.sha);
      return reply;
    } catch (error) {
      throw faultOf(error);
    }
  }

  /**
   * Waits until so many replicas have everything this connection wrote, at most for `ms`; returns how many have, of a
   * Cluster the fewest of any master. Rejects with RedisError.
   */
  async replicated(replicas: number, ms: number): Promise<number> {
    try {
      const asked = mastersOf(this.#client).map((master) => master.call('WAIT', replicas, ms));
      return Math.min(...(await Promise.all(asked)).map(Number));
    } catch (error) {
      throw faultOf(error);
    }
  }

  /** A bounded string, or null where absent. Rejects with RedisError, 'malformed' where it is none or too long. */
  async string(key: string, maxBytes: number): Promise<string | null> {
    const [reply] = readProbes(await this.run(scripts.lookup, 'read', [key], [1, maxBytes]), 1) ?? [];
    if (reply === undefined || reply.state === 'broken') throw new RedisError('malformed', 'odd value');
    return reply.state === 'value' ? reply.text : null;
  }
}

/** What lookup.lua said about one key. */
export type Probe =
  | { readonly state: 'value'; readonly text: string }
  | { readonly state: 'absent' }
  | { readonly state: 'broken'; readonly why: string };

const absent: Probe = { state: 'absent' };

/** The replies of lookup.lua, or null where their number or types are not as documented there. */
export const readProbes = (reply: unknown, count: number): readonly Probe[] | null => {
  if (!Array.isArray(reply) || reply.length !== count) return null;
  const probes: Probe[] = [];
  for (const element of reply as readonly unknown[]) {
    if (element === null) probes.push(absent);
    else if (typeof element !== 'string') return null;
    else if (element.startsWith('=')) probes.push({ state: 'value', text: element.slice(1) });
    else probes.push({ state: 'broken', why: element.slice(1, 16) });
  }
  return probes;
};
