import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { CanaryView, NodeView, OrderView } from '../api/control.js';
import type { CallView } from '../call/controller.js';
import type { Config } from '../config/schema.js';
import { decisionTable } from '../core/decide.js';
import type { FacilityId } from '../core/leg.js';
import type { ListAnswers } from '../core/lists.js';
import { numberKeyText, parseNumberKeyText } from '../core/number.js';
import { reasonTexts } from '../core/reason.js';
import {
  type ControllerPort,
  type CustodyPort,
  type ExplainedList,
  type Explainer,
  PartError,
  type RecordingShown,
  type RecordingsPort,
  type StatementMade,
  type StatementsPort,
} from '../http/ports.js';
import { openOrders, type SharedOrders } from '../lists/orders.js';
import { createRedisLists, type RedisLists } from '../lists/redis-lists.js';
import { systemClock, version } from '../main.js';
import { listsOptionsOf } from '../open-parts.js';
import { redisOf } from '../options.js';
import { holds } from '../registry/accounts/facilities.js';
import { writeStatement } from '../statement/bundle.js';
import { StatementError } from '../statement/errors.js';
import { keyIdOf, readPrivateKey } from '../statement/keys.js';
import { periodOf, periodSoFar } from '../statement/period.js';
import { makeStatement, statementText } from '../statement/statement.js';
import { type Found, findRecording, recordingsIn } from '../vault/catalogue.js';
import { VaultError } from '../vault/errors.js';
import type { Store } from '../vault/store.js';
import { askController, followController } from './control-client.js';
import { explainNumber } from './explain.js';
import { CommandError } from './output.js';

/** The other parts as the API sees them. */

const UNREACHABLE = 3;
const MOST_METRICS = 16 * 1024 * 1024;
const uncertain: ReadonlySet<string> = new Set(['controller-gone', 'controller-stopping', 'outcome-unknown']);

const controlError = (error: unknown): never => {
  if (!(error instanceof CommandError)) throw error;
  throw new PartError(error.code, error.message, {
    uncertain: uncertain.has(error.code),
    unreachable: error.exitCode === UNREACHABLE,
  });
};

export const controllerPort = (config: Config): ControllerPort => {
  const { socket } = config.control;
  const { address, port } = config.http;
  const host = address.includes(':') ? `[${address}]` : address;
  const asked = async <T>(command: string, name: string): Promise<T> => {
    const result = (await askController(socket, { command }).catch(controlError)) as Record<string, unknown>;
    return result[name] as T;
  };
  return {
    calls: () => asked<readonly CallView[]>('calls', 'calls'),
    orders: () => asked<readonly OrderView[]>('orders', 'orders'),
    canaries: () => asked<readonly CanaryView[]>('canaries', 'canaries'),
    nodes: () => asked<readonly NodeView[]>('nodes', 'nodes'),
    end: async (callId, by, why) => {
      const order = { command: 'end', call: callId, by, why };
      const result = (await askController(socket, order).catch(controlError)) as {
        readonly note: string | null;
      };
      return result.note;
    },
    metrics: async () => {
      try {
        const answer = await fetch(`http://${host}:${port}/metrics`, { signal: AbortSignal.timeout(3000) });
        const text = answer.ok ? await answer.text() : null;
        return text !== null && text.length <= MOST_METRICS ? text : null;
      } catch {
        return null;
      }
    },
    lockdown: async (place, state, by, why) => {
      const order = { command: 'lockdown', place, state, by, why };
      const result = (await askController(socket, order).catch(controlError)) as {
        readonly note: string | null;
      };
      return result.note;
    },
    codeCall: async (call, by) => {
      const order = { command: 'code-call', ...call, by };
      const result = (await askController(socket, order).catch(controlError)) as {
        readonly call: string | null;
      };
      return result.call;
    },
    follow: (told, stop) => followController(socket, told, stop).catch(controlError),
    ready: async () => {
      try {
        const answer = await fetch(`http://${host}:${port}/ready`, { signal: AbortSignal.timeout(3000) });
        const said = (await answer.json()) as Awaited<ReturnType<ControllerPort['ready']>>;
        return said !== null && Array.isArray(said.checks) ? said : null;
      } catch {
        return null;
      }
    },
  };
};

export interface Asking {
  readonly lists: RedisLists;
  readonly orders: SharedOrders;
  readonly dir: string;
}

/** The lists as a controller on this host has them. They are opened when they are needed first, and nothing is written to its files. */
const openLists = async (config: Config): Promise<Asking> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-serve-'));
  try {
    const snapshotPath = join(dir, 'snapshot');
    for (const part of ['', '.heartbeat']) {
      // A snapshot that is not there yet, or cannot be read, is unknown to the lists too.
      await copyFile(`${config.lists.snapshot}${part}`, `${snapshotPath}${part}`).catch(() => undefined);
    }
    const emit = (): void => undefined;
    const orders = await openOrders({
      ...{ redis: redisOf(config), keyPrefix: config.lists.keyPrefix, path: join(dir, 'orders') },
      ...{ node: 'serve', clock: systemClock, emit },
    });
    try {
      const options = { ...listsOptionsOf(config, systemClock), snapshotPath };
      return { lists: await createRedisLists({ ...options, emit, orders }), orders, dir };
    } catch (error) {
      await orders.close();
      throw error;
    }
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
};

/** Of the block 555-01XX of an area code that was never given out. */
const NOBODYS_NUMBER = '+19995550100';

const explainedLists = (answers: ListAnswers): readonly ExplainedList[] =>
  (['privileged', 'snapshot', 'pending', 'block', 'allow'] as const).map((list) => {
    const answer = answers[list];
    if (answer.state === 'unknown') return { list, state: answer.state, why: answer.why, entries: [] };
    const entries = answer.state === 'absent' ? [] : answer.entries;
    return {
      ...{ list, state: answer.state, why: null },
      entries: entries.map((entry) => ({
        id: entry.id,
        class: 'class' in entry ? entry.class : null,
        match: 'match' in entry ? entry.match : null,
        scope: 'scope' in entry ? entry.scope : null,
        cause: 'cause' in entry && typeof entry.cause === 'string' ? entry.cause : null,
      })),
    };
  });

export const explainerOf = (
  config: Config,
): Explainer & { asking(): Promise<Asking>; close(): Promise<void> } => {
  let opened: Promise<Asking> | null = null;
  const open = (): Promise<Asking> => {
    opened ??= openLists(config);
    return opened.catch(() => {
      opened = null;
      throw new PartError('lists-unreachable', 'the lists cannot be opened', { unreachable: true });
    });
  };
  return {
    asking: open,
    state: async () => {
      const { lists } = await open();
      const [trunk] = config.trunks.facilities;
      const key = parseNumberKeyText(NOBODYS_NUMBER);
      if (trunk === undefined || key === null)
        return { ...lists.armed(), epoch: lists.epoch(), heartbeatAgeMs: null };
      // Only an answer says how old the heartbeat is: the question is of a number that nobody can have.
      const facility = trunk.facility as FacilityId;
      const { epoch, heartbeatAgeMs } = await lists.lookUp({ key, caller: null, facility });
      return { ...lists.armed(), epoch: epoch ?? lists.epoch(), heartbeatAgeMs };
    },
    explain: async ({ number, caller, facility }) => {
      const trunk = config.trunks.facilities.find((one) => one.facility === facility);
      if (trunk === undefined)
        throw new PartError('facility-without-trunk', 'no trunk of the configuration is of that facility');
      const { lists, orders } = await open();
      await lists.refresh();
      await orders.refresh();
      const question = { number, caller, trunk: trunk.name };
      const { decision, row, answers, leg } = await explainNumber(config, lists, question, orders);
      const { dialled } = leg;
      return {
        number:
          dialled.kind === 'number' || dialled.kind === 'hotline' ? numberKeyText(dialled.key) : dialled.kind,
        verdict: decision.verdict,
        class: decision.verdict === 'private' ? decision.class : null,
        ending: decision.verdict === 'refused' ? decision.ending : null,
        row,
        reasons: decision.reasons.map(({ code, detail }) => ({
          ...{ code, detail: detail ?? null, words: reasonTexts[code] },
        })),
        epoch: decision.epoch === null ? null : { id: decision.epoch.id, digest: decision.epoch.digest },
        heartbeatAgeMs: answers.heartbeatAgeMs,
        policy: decision.policy,
        rows: decisionTable.map(({ order, question: asks, outcome }) => ({
          ...{ order, question: asks, outcome },
          said: order === row ? 'decides' : order < row ? 'no' : 'not-asked',
        })),
        lists: explainedLists(answers),
      };
    },
    close: async () => {
      const asking = await opened?.catch(() => null);
      if (asking === null || asking === undefined) return;
      await asking.lists.close();
      await asking.orders.close();
      await rm(asking.dir, { recursive: true, force: true });
    },
  };
};

const MOST_LOOKED_AT = 20_000;

export const recordingsPort = (store: Store): RecordingsPort => {
  const folders = new WeakMap<RecordingShown, string>();
  const view = ({ manifest, folder, sha256 }: Found): RecordingShown => {
    const { details: _closed, inner: _inner, sealed, keys, files, ...open } = manifest;
    const shown: RecordingShown = {
      ...open,
      sealed: sealed === null ? null : { why: sealed.why, at: sealed.at },
      keys: keys.map(({ id, role }) => ({ id, role })),
      files: files.map(({ name, bytes, sha256: digest }) => ({ name, bytes, sha256: digest })),
      manifestSha256: sha256,
    };
    folders.set(shown, folder);
    return shown;
  };
  const told = (error: unknown): never => {
    if (error instanceof VaultError) throw new PartError(error.code, error.message, { unreachable: true });
    throw error;
  };
  return {
    list: async ({ facility, within, sealed, after, limit, shown }) => {
      let rows: { readonly one: RecordingShown; readonly place: string }[] = [];
      let unasked: typeof rows = [];
      let unreadable = 0;
      let looked = 0;
      let passed = after === null;
      let lookedUpTo = '';
      const ask = async (): Promise<void> => {
        const may = shown === null ? null : await shown(unasked.map(({ one }) => one.callId));
        rows = [...rows, ...unasked.filter(({ one }) => may?.has(one.callId) ?? true)];
        unasked = [];
      };
      const page = (next: string | null) => ({
        rows: rows.slice(0, limit).map(({ one }) => one),
        next: rows.length > limit ? (rows[limit - 1]?.place ?? null) : next,
        unreadable,
      });
      try {
        for await (const one of recordingsIn(store)) {
          looked += 1;
          if ('code' in one) {
            if (passed) unreadable += 1;
            continue;
          }
          const place = `${one.folder}/${one.manifest.callId}`;
          if (!passed) {
            passed = place === after;
            continue;
          }
          if (!holds(within, one.manifest.facility)) continue;
          if (facility !== null && one.manifest.facility !== facility) continue;
          if (sealed !== null && (one.manifest.sealed !== null) !== sealed) continue;
          unasked.push({ one: view(one), place });
          lookedUpTo = place;
          if (rows.length + unasked.length > limit) await ask();
          if (rows.length > limit) return page(null);
          if (looked > MOST_LOOKED_AT) {
            await ask();
            return page(shown === null ? lookedUpTo : (rows.at(-1)?.place ?? null));
          }
        }
        await ask();
      } catch (error) {
        told(error);
      }
      return page(null);
    },
    find: async (callId) => {
      try {
        return view(await findRecording(store, callId));
      } catch (error) {
        if (error instanceof VaultError && error.code === 'recording-unknown') return null;
        return told(error);
      }
    },
    read: (recording, file, from, to) =>
      Readable.from(cut(store.read(`${folders.get(recording) ?? ''}/${file}`), from, to), {
        objectMode: false,
      }),
  };
};

async function* cut(bytes: AsyncIterable<Buffer>, from: number, to: number): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const part of bytes) {
    const [first, last] = [Math.max(0, from - at), Math.min(part.length, to - at)];
    at += part.length;
    if (first < last) yield part.subarray(first, last);
    if (at >= to) return;
  }
}

const MADE = 'made.json';
const MOST_LISTED = 500;
const MOST_MADE_BYTES = 16_384;

const statementError = (error: unknown): never => {
  if (error instanceof StatementError) throw new PartError(error.code, error.message);
  throw error;
};

export interface StatementPlaces {
  readonly journals: readonly string[];
  readonly custody: readonly string[];
  readonly access: readonly string[];
}

export const statementsPort = async (
  config: Config,
  places: () => Promise<StatementPlaces>,
): Promise<StatementsPort> => {
  const { directory, keyFile } = config.serve.statements;
  const key = keyFile === undefined ? null : await readPrivateKey(keyFile);
  const made = async ({ period, facility }: StatementMade, progress: (rows: number) => void) => {
    try {
      return await makeStatement({
        ...(await places()),
        scope: { period, facility, words: true },
        version,
        progress: (_node, rows) => progress(rows),
      });
    } catch (error) {
      return statementError(error);
    }
  };
  return {
    keyId: key === null ? null : keyIdOf(key),
    period: (asked, soFar) => {
      try {
        return soFar ? periodSoFar(asked, Date.now()) : periodOf(asked, Date.now());
      } catch (error) {
        return statementError(error);
      }
    },
    preview: async (asked, progress) => Buffer.from(statementText(await made(asked, progress)), 'utf8'),
    make: async (asked, progress) => {
      if (key === null) throw new PartError('key-missing', 'there is no key to sign with');
      const { id, period, facility } = asked;
      const statement = await made(asked, progress);
      try {
        const dir = join(directory, id);
        const { digests } = await writeStatement(dir, statement, key);
        // Last: where this is, all of it is there.
        await writeFile(join(dir, MADE), JSON.stringify({ id, period, facility, digests }), { flag: 'wx' });
        return digests;
      } catch (error) {
        return statementError(error);
      }
    },
    list: async () => {
      await mkdir(directory, { recursive: true });
      const names = (await readdir(directory)).filter((name) => /^s\d{14}-[0-9a-f]{8}$/.test(name));
      const found = [];
      for (const name of names.sort().reverse().slice(0, MOST_LISTED)) {
        const text = await readFile(join(directory, name, MADE), 'utf8').catch(() => null);
        if (text === null || text.length > MOST_MADE_BYTES) continue;
        found.push(JSON.parse(text) as Awaited<ReturnType<StatementsPort['list']>>[number]);
      }
      return found;
    },
    read: (id, file) => readFile(join(directory, id, file)).catch(() => null),
  };
};

export const custodyPort = ({ custody }: Config): CustodyPort => ({
  status: async () => {
    if (custody.status === undefined) return null;
    const text = await readFile(custody.status, 'utf8').catch(() => null);
    if (text === null || text.length > 65_536 || !text.startsWith('{"format":1,')) return null;
    const { at, round, epoch, last, alarms } = JSON.parse(text) as NonNullable<
      Awaited<ReturnType<CustodyPort['status']>>
    >;
    return { at, round, epoch, last, alarms };
  },
});
