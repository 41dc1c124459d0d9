import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/schema.js';
import { readLedgerText } from '../recovery/ledger-lines.js';

/**
 * What is one worker's own of what all of them share a configuration of: its name, and the files that have one writer.
 * Media nodes are dealt out among them. Everything else is shared, and made to be: the vault (files by call), the spools, Redis.
 */

const suffix = (worker: number): string => `-w${worker}`;

/**
 * The media nodes of one worker: those of each pool are dealt out in their order. A node belongs to one controller, for
 * attestation takes every command that its own did not send for a stranger's. Who is not among the workers has all of
 * them: it is run alone, to close what it left.
 */
const nodesOf = (
  { controller: { workers }, media: { nodes } }: Config,
  worker: number,
): Config['media']['nodes'] => {
  if (worker > workers) return nodes;
  const dealt = { recorded: 0, private: 0 };
  return nodes.filter(({ pool }) => dealt[pool]++ % workers === worker - 1);
};

/** The configuration of one worker, counted from 1; 0 is the controller of a site without workers. */
export const workerConfig = (config: Config, worker: number): Config => {
  if (worker === 0) return config;
  const { controller, journal, lists, control, http, media } = config;
  const own = (path: string): string => path + suffix(worker);
  return {
    ...config,
    controller: { ...controller, name: own(controller.name) },
    journal: { ...journal, directory: own(journal.directory) },
    lists: { ...lists, orders: own(lists.orders), snapshot: own(lists.snapshot) },
    control: { ...control, socket: own(control.socket) },
    media: { ...media, nodes: nodesOf(config, worker) },
    // The parent answers at the configured port, and asks its workers at theirs.
    http: { ...http, port: 0 },
  };
};

/** Workers that have a journal on this host, configured or not. */
const workersSeen = ({ journal: { directory } }: Pick<Config, 'journal'>): readonly number[] => {
  const beginning = `${basename(directory)}-w`;
  let names: string[] = [];
  try {
    names = readdirSync(dirname(directory));
  } catch {
    // Nothing was ever written there.
  }
  return names
    .filter((name) => name.startsWith(beginning) && /^[1-9]\d?$/.test(name.slice(beginning.length)))
    .map((name) => Number(name.slice(beginning.length)))
    .sort((left, right) => left - right);
};

/**
 * The journals of all controllers of this configuration on this host: of its workers, and of the one controller it had or
 * has without them. A journal that is there counts, whatever the configuration says now: nobody's rows are left out
 * because the number of workers was changed.
 */
export const journalsOf = (config: Pick<Config, 'controller' | 'journal'>): readonly string[] => {
  const { directory } = config.journal;
  const ofWorkers = workersSeen(config).map((worker) => directory + suffix(worker));
  if (ofWorkers.length > 0 && !existsSync(directory)) return ofWorkers;
  if (config.controller.workers > 0 && !existsSync(directory)) return [directory + suffix(1)];
  return [directory, ...ofWorkers];
};

/**
 * Those of this host who left calls and will not be run by this configuration: a controller ends the calls of its own name
 * alone, so somebody has to be it once more. 0 is the controller without workers.
 */
export const leftBehind = (config: Config): readonly number[] => {
  const { workers } = config.controller;
  const runs = (worker: number): boolean => (worker === 0 ? workers === 0 : worker <= workers);
  return [0, ...workersSeen(config)].filter((worker) => {
    if (runs(worker)) return false;
    const { controller, journal } = workerConfig(config, worker);
    const folder = controller.ledger ?? join(dirname(journal.directory), 'ledger');
    try {
      const text = readFileSync(join(folder, `${encodeURIComponent(controller.name)}.ledger`), 'utf8');
      return readLedgerText(text, controller.name).calls.size > 0;
    } catch {
      return false;
    }
  });
};
