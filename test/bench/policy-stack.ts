/**
 * What is between the phones when media is left out: the plain B2BUA and Kamailio with two look-ups each, and Sallyport
 * with its lists, its decision and its journal, every call private on a media node that only answers.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromRoot } from '../../src/root.js';
import { startRedis } from '../../src/stack/redis.js';
import { Part } from './ask.js';
import { fillPeerLists, findKamailio, startKamailio } from './kamailio.js';
import { withLightNode } from './light-media.js';
import {
  type Address,
  configFor,
  type Field,
  lists,
  type StackOptions,
  type Subject,
  startSite,
} from './stack.js';

export interface PolicyStack extends Field {
  /** Why a subject that was asked for is not there. */
  readonly absent: readonly string[];
  stop(): Promise<void>;
}

type Options = Pick<StackOptions, 'profileDir' | 'peers' | 'nodeFlags' | 'only'>;

/** Ports of the site's own nodes, which nobody sends a call to. */
const unusedPorts = 64;

/** What starts one thing after another and can end them all. */
class Opened {
  readonly dir: string;
  readonly #stops: (() => unknown)[] = [];

  constructor() {
    mkdirSync(fromRoot('var'), { recursive: true });
    this.dir = mkdtempSync(fromRoot('var', 'bench-policy-'));
    this.#stops.push(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  onStop(stop: () => unknown): void {
    this.#stops.push(stop);
  }

  part(name: string, program: string, execArgv: readonly string[] = []): Part {
    const made = new Part(name, program, execArgv);
    this.#stops.push(() => made.stop());
    return made;
  }

  async redis(name: string): Promise<Address & { readonly pid: number }> {
    const dir = join(this.dir, name);
    mkdirSync(dir, { recursive: true });
    const redis = await startRedis({ dir });
    this.#stops.push(() => redis.stop());
    return redis;
  }

  async stop(): Promise<void> {
    for (const one of this.#stops.splice(0).reverse()) await one();
  }
}

/** The collector is called by hand nowhere here; the flags are those of the whole job all the same. */
const node = ['--enable-source-maps', '--expose-gc'];

const plain = async (opened: Opened, called: Address): Promise<Omit<Subject, 'privateEvery'>> => {
  const redis = await opened.redis('plain-redis');
  await fillPeerLists(redis);
  const part = opened.part('plain B2BUA', 'plain-b2bua', node);
  const target = await part.ask<Address>('start', { called, lists: { host: redis.host, port: redis.port } });
  return {
    name: 'plain',
    title: 'plain B2BUA',
    target,
    part,
    pids: { process: [part.pid], redis: [redis.pid] },
  };
};

const kamailio = async (
  opened: Opened,
  found: Exclude<ReturnType<typeof findKamailio>, string>,
  called: Address,
): Promise<Omit<Subject, 'privateEvery'>> => {
  const redis = await opened.redis('kamailio-redis');
  const dir = join(opened.dir, 'kamailio');
  mkdirSync(dir, { recursive: true });
  const peer = await startKamailio(found, { lists: redis, media: null, dir, called });
  opened.onStop(() => peer.stop());
  const pids = { process: peer.pids, redis: [redis.pid] };
  return { name: 'kamailio', title: 'Kamailio', target: peer.at, part: null, pids };
};

const full = async (
  opened: Opened,
  options: Options,
  at: { readonly caller: Address; readonly called: Address },
): Promise<Omit<Subject, 'privateEvery'>> => {
  const site = await startSite(configFor(at.caller, at.called), join(opened.dir, 'site'), [unusedPorts]);
  opened.onStop(() => site.stop());
  await site.publish(lists(site.config));
  await site.beat();
  const media = opened.part('media', 'overload-media');
  const config = withLightNode(site.config, await media.ask('open'));
  const profile =
    options.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(options.profileDir, 'policy')}`];
  const part = opened.part('controller', 'controller', [...node, ...options.nodeFlags, ...profile]);
  const target = await part.ask<Address>('start', config);
  const pids = { process: [part.pid], redis: [site.redis.pid], media: [media.pid] };
  return { name: 'full', title: 'Sallyport', target, part, pids };
};

/** Starts the light phones and what is compared without media. */
export const startPolicyStack = async (options: Options): Promise<PolicyStack> => {
  const opened = new Opened();
  try {
    const phones = opened.part('phones', 'light-phones');
    const at = await phones.ask<{ readonly caller: Address; readonly called: Address }>('open');
    const wants = (name: Subject['name']): boolean => options.only?.includes(name) ?? true;
    const between: Omit<Subject, 'privateEvery'>[] = [
      { name: 'direct', title: 'phone to phone', target: at.called, part: null, pids: {} },
    ];
    const absent: string[] = [];
    if (wants('plain')) between.push(await plain(opened, at.called));
    const found = options.peers && wants('kamailio') ? findKamailio() : null;
    if (typeof found === 'string') absent.push(found);
    else if (found !== null) between.push(await kamailio(opened, found, at.called));
    if (wants('full')) between.push(await full(opened, options, at));
    const subjects = between
      .filter(({ name }) => wants(name))
      .map((one) => ({ ...one, pids: { ...one.pids, phones: [phones.pid] }, privateEvery: 1 }));
    return { caller: phones, called: phones, subjects, absent, stop: () => opened.stop() };
  } catch (error) {
    await opened.stop();
    throw error;
  }
};
