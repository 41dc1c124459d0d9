import { readFileSync } from 'node:fs';
import type { Clock } from './call/ports.js';
import type { Config } from './config/schema.js';
import { type DialPlan, NORMALISER_VERSION } from './core/number.js';
import type { JsonObject } from './journal/canonical.js';
import { type Journal, openJournal } from './journal/log.js';
import { UNHURRIED_MS } from './journal/options.js';
import { startHeartbeat } from './lists/heartbeat.js';
import { type Base, type Published, publish } from './lists/publish.js';
import { publishDelta } from './lists/publish-delta.js';
import { PublishError } from './lists/publish-error.js';
import { RedisError } from './lists/redis.js';
import { publisherKey } from './lists/signed.js';
import { redisOf } from './options.js';
import { type Database, migrate, openDatabase } from './registry/database.js';
import { RegistryError } from './registry/errors.js';
import { latest, relay } from './registry/outbox.js';
import { anyTouched, readChanged, type Standing } from './registry/publication.js';
import { Registry } from './registry/registry.js';
import { deltaOf, listsOf, provedBy } from './registry-lists.js';

export type RegistrySettings = NonNullable<Config['registry']>;

/** Opens the registry and brings its tables to this version. Rejects with RegistryError. */
export const openRegistry = async (
  settings: RegistrySettings,
  plan: DialPlan,
): Promise<{ readonly db: Database; readonly registry: Registry }> => {
  const { host, port, database, user, passwordFile } = settings;
  const db = openDatabase({
    ...{ host, port, database, user },
    ...(passwordFile === undefined ? {} : { password: readFileSync(passwordFile, 'utf8').trim() }),
  });
  try {
    await migrate(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const caution = { removalDelayMs: settings.removalHours * 3_600_000 };
  return { db, registry: new Registry({ db, plan, caution }) };
};

/** What a desk tells of itself. */
export type DeskEvent =
  | {
      readonly event: 'published';
      readonly epoch: number;
      readonly changes: number;
      readonly ms: number;
      /** Everything was gone through, and not what changed alone. */
      readonly whole: boolean;
    }
  /** Whether all that was published change by change is what publishing everything would have made. */
  | { readonly event: 'proved'; readonly epoch: number; readonly same: boolean }
  | { readonly event: 'done'; readonly change: string; readonly state: string }
  /** A stable code; told once until it changes. Nothing is lost: it is tried again. */
  | { readonly event: 'trouble'; readonly code: string }
  | { readonly event: 'beat'; readonly outcome: string };

export interface DeskOptions {
  readonly config: Config;
  readonly settings: RegistrySettings;
  readonly plan: DialPlan;
  readonly clock: Clock;
  readonly tell: (event: DeskEvent) => void;
}

export interface Desk {
  /** Does what is due now. Settles when what stood in the registry at the call is published, or could not be. */
  turn(): Promise<void>;
  /** Publishes everything anew in the next turn, and trusts nothing that lies in Redis: another hand was there. */
  rebuild(): Promise<void>;
  /** Proves now that what was published change by change is what stands in the registry; publishes it anew where it is not. */
  prove(): Promise<void>;
  stop(): Promise<void>;
}

/** The Redis of the lists, as the user who may write there. */
const publishingTo = (config: Config, { redis }: RegistrySettings): ReturnType<typeof redisOf> =>
  redis === undefined
    ? redisOf(config)
    : {
        ...redisOf(config),
        username: redis.username,
        password: readFileSync(redis.passwordFile, 'utf8').trim(),
      };

const EVERY_MS = 200;
/** Of those who approved, as many names as a manifest takes. */
const MOST_NAMED = 16;
const PROOF_MINUTES = 60;

/**
 * The registry's publisher: does the changes whose time has come, takes every change to the journal, publishes what
 * stands, and says every five seconds that it is still so. Exactly one of them runs for a registry; a second one is
 * kept out by the lock of the journal.
 */
export const startDesk = async (options: DeskOptions): Promise<Desk> => {
  const { config, settings, plan, clock, tell } = options;
  const journal = await openJournal({
    ...{ dir: settings.journal, nodeId: `${config.controller.name}-registry` },
    appendDeadlineMs: UNHURRIED_MS,
  });
  let opened: Awaited<ReturnType<typeof openRegistry>>;
  try {
    opened = await openRegistry(settings, plan);
  } catch (error) {
    await journal.close();
    throw error;
  }
  const { db, registry } = opened;
  const key = publisherKey(readFileSync(settings.publisherKey, 'utf8'));
  const target = { redis: publishingTo(config, settings), keyPrefix: config.lists.keyPrefix, key, clock };
  const heartbeat = await startHeartbeat({
    ...target,
    onBeat: (outcome) => tell({ event: 'beat', outcome }),
  });
  const state = new State();
  let trouble = '';
  const troubled = (code: string): void => {
    if (code !== trouble && code !== '') tell({ event: 'trouble', code });
    trouble = code;
  };
  const listing = { ...target, normaliser: NORMALISER_VERSION, statePath: `${settings.journal}.published` };
  const approversOf = ({ approvers, makers }: Standing): readonly string[] => {
    const by = [...new Set([...approvers, ...makers])].sort();
    // The journal's row has all of them; a manifest is read with every look at the lists.
    if (by.length > MOST_NAMED)
      return [...by.slice(0, MOST_NAMED - 1), `and ${by.length - MOST_NAMED + 1} more`];
    return by.length === 0 ? ['registry'] : by;
  };
  /** What goes wrong on the way leaves rows of an epoch that never came: the next publication is a whole one. */
  const publishing = async (
    now: number,
    work: () => Promise<readonly [Published, Standing]>,
  ): Promise<void> => {
    state.base = null;
    const [published, standing] = await work();
    await journalPublished(
      journal,
      published,
      standing.asOf,
      [...standing.approvers, ...standing.makers].sort(),
    );
    const { manifest, base, ms } = published;
    const changes = now - Math.max(0, state.published);
    Object.assign(state, { base, published: now, asOf: standing.asOf });
    tell({
      ...{ event: 'published', epoch: manifest.epoch, changes, ms: Math.round(ms) },
      whole: manifest.steps === undefined,
    });
  };
  const whole = (now: number): Promise<void> =>
    publishing(now, async () => {
      const { repair } = state;
      // What a proof finds from here on is news: no publication may take it for mended.
      state.repair = false;
      try {
        const { lists, standing } = await listsOf(db, state.asOf, plan, { forget: true });
        const approvedBy = approversOf(standing);
        const published = await publish(lists, { ...listing, approvedBy, repair });
        Object.assign(state, { blocksAfter: standing.blocksAfter, provedMono: clock.mono() });
        await heartbeat.beat();
        return [published, standing];
      } catch (error) {
        state.repair ||= repair;
        throw error;
      }
    });
  const change = async (now: number, base: Base): Promise<void> => {
    try {
      await publishing(now, async () => {
        const changed = await readChanged(db, state.asOf, state.blocksAfter);
        if (changed === null) throw new PublishError('whole-needed', 'too much changed at once');
        const delta = deltaOf(changed, plan);
        return [await publishDelta(delta, base, { ...listing, approvedBy: approversOf(changed) }), changed];
      });
    } catch (error) {
      if (!(error instanceof PublishError) || error.code !== 'whole-needed') throw error;
      await whole(now);
    }
  };
  /**
   * Begins to look whether all changes together made what publishing everything makes. It takes minutes where the lists
   * are long, and changes go on being published meanwhile: it speaks of the moment at which it began.
   */
  const prove = async (base: Base): Promise<void> => {
    state.provedMono = clock.mono();
    let begun = (): void => undefined;
    const moment = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const goOn = (): void => {
      if (state.stopping) throw new RegistryError('registry-unreachable', 'stopped');
    };
    const work = async (): Promise<void> => {
      try {
        const { blocksAfter } = state;
        const same = await provedBy(db, base, plan, { blocksAfter, onMoment: begun, goOn });
        // Somebody changed something since: it is looked at after that was published.
        if (same === null) state.provedMono = Number.NEGATIVE_INFINITY;
        else {
          tell({ event: 'proved', epoch: base.manifest.epoch, same });
          if (same) return;
          state.repair = true;
          troubled('content-differs');
        }
      } catch (error) {
        if (!state.stopping) troubled(codeOf(error));
      }
    };
    const proving = work().finally(() => {
      state.proving = null;
      begun();
    });
    state.proving = proving;
    // What is published after that moment is not in it.
    await moment;
  };
  const turn = async (): Promise<void> => {
    try {
      for (const { id, state: now } of await registry.applyDue())
        tell({ event: 'done', change: id, state: now });
      await relay(db, async (kind, body) => (await journal.append(kind, body as JsonObject)).seq);
      const now = await latest(db);
      const due = clock.mono() - state.provedMono >= (settings.proofMinutes ?? PROOF_MINUTES) * 60_000;
      if (state.base === null || state.repair) await whole(now);
      else if (state.published !== now || (await anyTouched(db))) await change(now, state.base);
      else if (due && state.proving === null) await prove(state.base);
      if (!state.repair) troubled('');
    } catch (error) {
      // What lies in Redis is another's work, or damaged: none of it is trusted when it is published anew.
      if (error instanceof PublishError && error.code === 'content-differs') state.repair = true;
      troubled(codeOf(error));
    }
  };
  const loop = new Loop(turn);
  return {
    turn: () => loop.now(),
    rebuild: () => {
      state.repair = true;
      return loop.now();
    },
    prove: async () => {
      await state.proving;
      state.provedMono = Number.NEGATIVE_INFINITY;
      await loop.now();
      await state.proving;
      if (state.repair) await loop.now();
    },
    stop: async () => {
      state.stopping = true;
      await loop.stop();
      await state.proving;
      await heartbeat.stop();
      await db.destroy();
      await journal.close();
    },
  };
};

/** What was published last, as far as this process knows: nothing, at first, so that it publishes once it is up. */
class State {
  published = -1;
  asOf = 0;
  repair = false;
  base: Base | null = null;
  blocksAfter = new Date(0);
  provedMono = 0;
  proving: Promise<void> | null = null;
  stopping = false;
}

const journalPublished = async (
  journal: Journal,
  { manifest, diff }: Published,
  asOf: number,
  by: readonly string[],
): Promise<void> => {
  const { privileged } = diff.parts;
  await journal.append('registry-published', {
    epoch: manifest.epoch,
    digest: manifest.digest,
    asOf,
    by: [...by],
    privileged: { added: privileged.added, removed: privileged.removed },
  });
};

const codeOf = (error: unknown): string => {
  if (error instanceof RegistryError || error instanceof PublishError || error instanceof RedisError)
    return error.code;
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed';
};

/** Turns one after the other, with a pause between; one asked for meanwhile comes next. */
class Loop {
  readonly #turn: () => Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(turn: () => Promise<void>) {
    this.#turn = turn;
    this.#wait();
  }

  #wait(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.now().finally(() => this.#wait());
    }, EVERY_MS);
  }

  now(): Promise<void> {
    this.#running = this.#running.then(() => (this.#stopped ? undefined : this.#turn()));
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }
}
