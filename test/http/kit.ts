import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { sql } from 'kysely';
import type { CanaryView, FollowedEvent, OrderView } from '../../src/api/control.js';
import type { CallView } from '../../src/call/controller.js';
import { neighbours } from '../../src/cli/serve-lists.js';
import type { FacilityId } from '../../src/core/leg.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { AlertStream, alertMessage, HOT_ALARM } from '../../src/http/alert-stream.js';
import { CallLog } from '../../src/http/call-log.js';
import { SESSION_COOKIE } from '../../src/http/cookies.js';
import { CounselDesk, type CounselSettings } from '../../src/http/counsel-desk.js';
import { ExportDesk } from '../../src/http/export-desk.js';
import { ImportDesk } from '../../src/http/import-desk.js';
import { LiveCalls } from '../../src/http/live.js';
import { networksOf } from '../../src/http/net-guard.js';
import { Oidc, type OidcSettings } from '../../src/http/oidc.js';
import type { Parts } from '../../src/http/parts.js';
import { hashPassword } from '../../src/http/password.js';
import {
  type BundlePart,
  type BundlesPort,
  type GatePort,
  type ListedNow,
  PartError,
  type RecordingShown,
  type ShownRow,
  type Written,
} from '../../src/http/ports.js';
import { Problem } from '../../src/http/problems.js';
import { PublicationLog } from '../../src/http/publication-log.js';
import { type Role, roles, scopes } from '../../src/http/roles.js';
import { digestOf, forgeryToken, newApiKey, newToken, recoveryDigest } from '../../src/http/secrets.js';
import { buildServer } from '../../src/http/server.js';
import { SignIn } from '../../src/http/sign-in.js';
import { StatementDesk } from '../../src/http/statement-desk.js';
import { tarEnd, tarHeader, tarPadding } from '../../src/http/tar.js';
import { WhatIfDesk, type WhatIfPort } from '../../src/http/what-if-desk.js';
import { profilesOf } from '../../src/import-profiles.js';
import { Accounts } from '../../src/registry/accounts/accounts.js';
import { type Facilities, holds } from '../../src/registry/accounts/facilities.js';
import { ApiKeys } from '../../src/registry/accounts/keys.js';
import { RequestKeys } from '../../src/registry/accounts/request-keys.js';
import { newSecretsKey, SecretBox } from '../../src/registry/accounts/secret-box.js';
import { Webhooks } from '../../src/registry/accounts/webhooks.js';
import { Counsel } from '../../src/registry/counsel/counsel.js';
import { type Database, migrate, openDatabase } from '../../src/registry/database.js';
import { RegistryHistory } from '../../src/registry/history.js';
import { Imports } from '../../src/registry/import/imports.js';
import { CallIndex } from '../../src/registry/investigation/call-index.js';
import { CallQuery } from '../../src/registry/investigation/call-query.js';
import { HotNumbers } from '../../src/registry/investigation/hot-numbers.js';
import { CallNotes } from '../../src/registry/investigation/notes.js';
import { SearchLog } from '../../src/registry/investigation/search-log.js';
import { Registry } from '../../src/registry/registry.js';
import { RegistrySearch } from '../../src/registry/search.js';
import { type RunningPostgres, startPostgres } from '../../src/stack/postgres.js';
import { Rows } from '../registry/search-rows.js';

/** The API on a PostgreSQL of its own, with the parts beyond it played. */

export const password = 'correct horse battery staple';
export const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
export const recoveryCode = 'aaaa-bbbb-cccc-dddd';
export const call = (letter: string): string => `c${letter.repeat(26)}`;
export const privateNumber = '+12125550111';
export const monitoredNumber = '+12125550142';

const cdr = (seq: number, callId: string, more: object): ShownRow => ({
  ...{ journal: 'j', node: 'one', seq, at: `2026-11-21T10:00:${String(seq).padStart(2, '0')}.000Z` },
  kind: 'cdr',
  body: {
    ...{ callId, trunk: 'north', facility: 'north', unit: 'a', phone: 'p1', caller: 'c1' },
    ...{ verdict: 'monitored', reasons: [{ code: 'allowed', detail: null }], ending: 'called-hung-up' },
    ...{ disposition: 'completed', fault: 'none', arrivedAt: '2026-11-21T09:59:00.000Z' },
    ...{ durationMs: 1000, connectedMs: 500, rows: { own: [seq - 1] }, spool: { state: 'playable' } },
    ...more,
  },
});
const decision = (seq: number, callId: string, verdict: string, number: string): ShownRow => ({
  ...cdr(seq, callId, {}),
  kind: 'decision',
  body: {
    ...{ callId, facility: 'north', caller: 'c1', verdict, row: 3 },
    dialled: { kind: 'number', number },
    lists: { privileged: { state: 'listed', entries: [{ id: number }] } },
  },
});

export const journalRows: readonly ShownRow[] = [
  decision(1, call('a'), 'monitored', monitoredNumber),
  cdr(2, call('a'), { dialled: { kind: 'number', number: monitoredNumber } }),
  decision(3, call('b'), 'private', privateNumber),
  cdr(4, call('b'), {
    ...{ verdict: 'private', class: 'attorney', dialled: { kind: 'number', number: privateNumber } },
    ...{ spool: { state: 'absent' }, attempts: [{ number: privateNumber }], detail: privateNumber },
  }),
  {
    ...cdr(5, call('a'), {}),
    kind: 'alarm',
    body: { alarm: 'recording-missing', callId: call('a'), detail: 'x' },
  },
  {
    ...cdr(6, '', {}),
    kind: 'node-state',
    body: { node: 'recorded-1', pool: 'recorded', state: 'up', why: 'answers' },
  },
];

export class PlayedController {
  reachable = true;
  locked: string[] = [];
  calls: CallView[] = [
    {
      callId: call('d'),
      trunk: 'north',
      facility: 'north',
      phase: 'connected',
      verdict: 'monitored',
      elapsedMs: 12,
    },
  ];
  orders: OrderView[] = [
    {
      ...{ kind: 'lockdown', place: { level: 'unit', facility: 'north' as FacilityId, unit: 'a' } },
      ...{ by: 'operator', why: 'a fight', since: '2026-11-21T10:00:00.000Z' },
    },
  ];
  canaries: CanaryView[] = [];
  followers = new Set<(event: FollowedEvent) => void>();
  /** Codes that calls told, and how the next call ends: its id, or the code of a refusal. */
  codes: { readonly number: string; readonly code: string; readonly by: string }[] = [];
  codeCall: string | PartError | null = call('k');

  check(): void {
    if (!this.reachable) throw new PartError('controller-unreachable', 'gone', { unreachable: true });
  }
  tell(event: FollowedEvent): void {
    for (const one of this.followers) one(event);
  }
}

export const recordingOf = (callId: string, sealed: boolean): RecordingShown => ({
  ...{ callId, facility: 'north', receivedAt: '2026-11-21T10:00:00.000Z' },
  ...{ createdAt: '2026-11-21T10:01:00.000Z', seconds: 1.5, complete: true, canary: false },
  sealed: sealed ? { why: 'privileged-now', at: '2026-11-21T11:00:00.000Z' } : null,
  keys: [{ id: 'north', role: 'facility' }],
  files: [{ name: `${callId}.wav.age`, bytes: 1000, sha256: 'e'.repeat(64) }],
  manifestSha256: 'f'.repeat(64),
});
export const recordingBytes = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));

/** The lists and custody, played: what a number is, and what was sealed. */
export class PlayedGate implements GatePort {
  readonly listedAs = new Map<string, ListedNow>();
  readonly sealed: string[] = [];
  readonly marked = new Set<string>();
  /** Asked before each answer. */
  before: () => Promise<void> = async () => undefined;

  async listed(numbers: readonly string[]): Promise<readonly ListedNow[]> {
    await this.before();
    return numbers.map((number) => this.listedAs.get(number) ?? 'free');
  }
  async seal(calls: readonly { readonly callId: string }[]): Promise<void> {
    this.sealed.push(...calls.map(({ callId }) => callId));
  }
  async sealing(callId: string): Promise<boolean> {
    return this.marked.has(callId);
  }
}

/** Bundles in memory. */
export class PlayedBundles implements BundlesPort {
  readonly keyId = '0123456789abcdef';
  readonly maxCalls = 5;
  readonly maxBytes = 100_000;
  readonly keptMs = 3_600_000;
  readonly kept = new Map<string, Buffer>();
  readonly keys = generateKeyPairSync('ed25519');

  sign(bytes: Buffer): Buffer {
    return sign(null, bytes, this.keys.privateKey);
  }
  async write(id: string, parts: readonly BundlePart[], progress: (bytes: number) => void): Promise<Written> {
    const all: Buffer[] = [];
    for (const part of parts) {
      all.push(tarHeader(part.name, part.bytes, 0));
      for await (const piece of part.read()) all.push(piece);
      all.push(tarPadding(part.bytes));
      progress(all.reduce((sum, one) => sum + one.length, 0));
    }
    const bytes = Buffer.concat([...all, tarEnd]);
    this.kept.set(id, bytes);
    return { bytes: bytes.length, sha256: digestOf(bytes.toString('latin1')) };
  }
  async read(id: string, from: number, to: number): Promise<Readable | null> {
    const bytes = this.kept.get(id);
    return bytes === undefined ? null : Readable.from([bytes.subarray(from, to)]);
  }
  async remove(id: string): Promise<void> {
    this.kept.delete(id);
  }
}

export interface WrittenDown {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** As the controller gives them: two nodes, of which one is fast. */
const playedMetrics = `# TYPE sallyport_ng_command_seconds histogram
sallyport_ng_command_seconds_bucket{le="0.01",node="a",command="offer",outcome="ok"} 50
sallyport_ng_command_seconds_bucket{le="0.1",node="a",command="offer",outcome="ok"} 50
sallyport_ng_command_seconds_bucket{le="+Inf",node="a",command="offer",outcome="ok"} 50
sallyport_ng_command_seconds_bucket{le="0.01",node="b",command="offer",outcome="ok"} 0
sallyport_ng_command_seconds_bucket{le="0.1",node="b",command="offer",outcome="ok"} 49
sallyport_ng_command_seconds_bucket{le="+Inf",node="b",command="offer",outcome="ok"} 50
sallyport_calls_under_way 3
sallyport_set_ups_limit 40
sallyport_trunk_up{trunk="acme"} 0
sallyport_worker_up{worker="0"} 1
sallyport_worker_starts_total{worker="0"} 2
`;

export interface House {
  readonly dir: string;
  readonly db: Database;
  readonly app: FastifyInstance;
  readonly parts: Parts;
  readonly registry: Registry;
  readonly accounts: Accounts;
  readonly written: WrittenDown[];
  readonly controller: PlayedController;
  readonly faults: string[];
  readonly log: ShownRow[];
  /** Of the registry's journal, as its publisher would have written them. */
  readonly published: ShownRow[];
  /** The recordings that there are. */
  readonly kept: RecordingShown[];
  /** What looks back: nothing is found, unless a test says otherwise. */
  readonly lookBack: { run: WhatIfPort['run'] };
  /** The journals that the search is made from: `j` of calls, `k` custody’s, `h` the API’s own. */
  readonly searched: Rows;
  readonly gate: PlayedGate;
  readonly bundles: PlayedBundles;
  postgres: RunningPostgres;
  /** Moves the clock of codes and of waits. */
  readonly clock: { wall: number; mono: number };
  journalFails: boolean;
  close(): Promise<void>;
}

export const origin = 'https://sallyport.test';

export const openHouse = async (
  options: {
    oidc?: Omit<OidcSettings, 'redirectUri'>;
    networks?: string[];
    requestsPerMinute?: number;
    watchers?: number;
    trustProxy?: string[];
    counsel?: Partial<CounselSettings> | null;
  } = {},
): Promise<House> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-http-'));
  const postgres = await startPostgres({ dir });
  const db = openDatabase({ ...postgres, connections: 6, onLost: () => undefined });
  await migrate(db);
  const clock = { wall: Date.now(), mono: 0 };
  const wall = (): number => clock.wall;
  const registry = new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs: 60_000 } });
  const box = SecretBox.of(newSecretsKey());
  const accounts = new Accounts(db, box);
  const written: WrittenDown[] = [];
  const searched = new Rows();
  const house = { journalFails: false };
  const journal: Parts['journal'] = {
    append: async (kind, body) => {
      if (house.journalFails) throw new Problem('journal-unavailable', null, 5);
      written.push({ kind, body });
      searched.add('h', kind, body, new Date(clock.wall).toISOString());
    },
  };
  const controller = new PlayedController();
  const faults: string[] = [];
  const signIn = new SignIn({ accounts, journal, wall, limits: { idleSeconds: 900, sessionSeconds: 3600 } });
  const controllerPort: Parts['controller'] = {
    calls: async () => {
      controller.check();
      return controller.calls;
    },
    orders: async () => {
      controller.check();
      return controller.orders;
    },
    canaries: async () => {
      controller.check();
      return controller.canaries;
    },
    nodes: async () => {
      controller.check();
      return [
        {
          ...{ name: 'recorded-1', pool: 'recorded', up: true, attested: true },
          ...{ drained: false, weight: 1, calls: 1 },
        },
      ];
    },
    end: async (callId, by, why) => {
      controller.check();
      if (!controller.calls.some((one) => one.callId === callId))
        throw new PartError('call-not-found', 'gone');
      controller.locked.push(`end ${callId} ${by} ${why}`);
      return null;
    },
    metrics: async () => (controller.reachable ? playedMetrics : null),
    lockdown: async (place, state, by, why) => {
      controller.check();
      controller.locked.push(`${state} ${JSON.stringify(place)} ${by} ${why}`);
      return null;
    },
    follow: async (told, stop) => {
      controller.check();
      told.calls(controller.calls);
      controller.followers.add(told.event);
      await new Promise((resolve) => stop.addEventListener('abort', resolve));
      controller.followers.delete(told.event);
    },
    codeCall: async ({ number, code }, by) => {
      controller.check();
      if (controller.codeCall instanceof PartError) throw controller.codeCall;
      controller.codes.push({ number, code, by });
      return controller.codeCall;
    },
    ready: async () =>
      controller.reachable ? { ready: true, checks: [{ name: 'lists', ok: true, why: 'armed' }] } : null,
  };
  const log: ShownRow[] = [...journalRows];
  const published: ShownRow[] = [];
  const lookBack: House['lookBack'] = {
    run: () => Promise.reject(new PartError('journal-missing', 'nobody called yet')),
  };
  let read = 0;
  const journals: Parts['journals'] = {
    calls: ['j'],
    grown: async function* () {
      for (; read < log.length; read += 1) {
        const row = log[read];
        if (row !== undefined) yield row;
      }
    },
    ofCall: async function* (_journal, callId, fromSeq) {
      for (const row of log) if (row.body.callId === callId && row.seq >= fromSeq) yield row;
    },
    rowsAt: async function* (_journal, seqs) {
      for (const row of log) if (seqs.includes(row.seq)) yield row;
    },
    heads: async () => [{ journal: 'j', part: 'controller', head: null, problem: 'no-heads' }],
    evidence: async (callId) => {
      if (callId !== call('b') && callId !== call('s')) throw new PartError('call-unknown', 'none');
      return Buffer.from('{}');
    },
  };
  const statementFiles: Parts['statementFiles'] = {
    keyId: '0123456789abcdef',
    period: ({ from }, soFar) => {
      if (!soFar && from === '2099-01-01') throw new PartError('period-not-over', 'it is not over');
      return { from: '2026-05-01T00:00:00.000Z', to: '2026-11-01T00:00:00.000Z' };
    },
    preview: async (_made, progress) => {
      progress(3);
      return Buffer.from('{"preview":true}');
    },
    make: async (_made, progress) => {
      progress(7);
      return { 'statement.json': 'a'.repeat(64) };
    },
    list: async () => [
      {
        ...{ id: 's20260101000000-00000000', facility: null, digests: { 'statement.json': 'b'.repeat(64) } },
        period: { from: '2025-07-01T00:00:00.000Z', to: '2026-01-01T00:00:00.000Z' },
      },
    ],
    read: async (_id, file) => (file === 'statement.json' ? Buffer.from('{}') : null),
  };
  const counselSettings: CounselSettings | null =
    options.counsel === null
      ? null
      : {
          ...{ registration: 'invited', signUpsPerHour: 50, numbersEach: 4, proofDays: 180, warnDays: 14 },
          calls: { perHour: 100, perNumberHour: 3, perNumberDay: 6, perAccountDay: 12 },
          ...options.counsel,
        };
  const counsel = new Counsel(db);
  const search = new RegistrySearch(db, NORTH_AMERICAN_PLAN, registry);
  const callLog = new CallLog(journals, { calls: 1000, alarms: 100 });
  const numberDigest = async (number: string): Promise<string> => digestOf(number).slice(0, 12);
  const kept = [recordingOf(call('a'), false), recordingOf(call('b'), true)];
  const recordings: Parts['recordings'] = {
    list: async ({ sealed, within, facility, shown }) => {
      const rows = kept
        .filter((one) => holds(within, one.facility) && (facility === null || one.facility === facility))
        .filter((one) => sealed === null || (one.sealed !== null) === sealed);
      const may = await shown?.(rows.map(({ callId }) => callId));
      return { rows: rows.filter(({ callId }) => may?.has(callId) ?? true), next: null, unreadable: 3 };
    },
    find: async (id) => kept.find(({ callId }) => callId === id) ?? null,
    read: (_recording, _file, from, to) => Readable.from([recordingBytes.subarray(from, to)]),
  };
  const webhooks = new Webhooks(db, box);
  const seals = (): Promise<void> => index.sealsToNow();
  const alerts = new AlertStream({ watchers: options.watchers ?? 2, heartbeatMs: 50 });
  const index = new CallIndex({
    ...{ db, source: searched, wall, journals: { calls: ['j'], custody: ['k'], access: ['h'] } },
    onAlert: (alert) => {
      alerts.tell(alert);
      void webhooks.queue(HOT_ALARM, alertMessage(alert), alert.of);
    },
  });
  const query = new CallQuery(db, seals);
  const notes = new CallNotes(db, seals);
  const gate = new PlayedGate();
  const bundles = new PlayedBundles();
  const investigation = {
    ...{ index, query, notes, gate, alerts, hot: new HotNumbers(db), searches: new SearchLog(db) },
    exports: new ExportDesk({ ...{ query, notes, gate, recordings, bundles, journal, wall } }),
  };
  const parts: Parts = {
    pages: null,
    settings: {
      publicUrl: origin,
      requestsPerMinute: options.requestsPerMinute ?? 1_000_000,
      version: '0.0.0',
      ...(options.trustProxy === undefined ? {} : { trustProxy: options.trustProxy }),
      counsel: counselSettings,
      site: 'north',
      idleSeconds: 900,
    },
    accounts,
    keys: new ApiKeys(db),
    webhooks,
    requestKeys: new RequestKeys(db, box),
    webhookNetworks: networksOf(options.networks ?? ['127.0.0.0/8']),
    resolve: async (host) => (host === 'inside.test' ? [{ address: '10.0.0.1', family: 4 }] : []),
    registry,
    imports: new ImportDesk({
      imports: new Imports({
        ...{ db, registry, plan: () => NORTH_AMERICAN_PLAN, limits: { percent: 5, entries: 100 } },
      }),
      profiles: profilesOf(undefined),
      uploads: join(dir, 'uploads'),
      maxBytes: 3 * 1024 * 1024,
      whatIf: async () => undefined,
      fault: (where, error) => void faults.push(`${where} ${String(error)}`),
    }),
    search,
    counsel,
    counselDesk: new CounselDesk({
      ...{ counsel, registry, search, journal, numberDigest, wall },
      ...{ log: callLog, controller: controllerPort, settings: counselSettings },
    }),
    history: new RegistryHistory(db),
    publications: new PublicationLog(
      async function* () {
        yield* published.splice(0);
      },
      { publications: 3, changes: 100 },
      () => clock.mono,
    ),
    whatIf: new WhatIfDesk({ run: (asked, progress, stop) => lookBack.run(asked, progress, stop) }, wall, {
      atOnce: 1,
      waiting: 1,
    }),
    neighbours,
    signIn,
    oidc:
      options.oidc === undefined
        ? null
        : new Oidc({ ...options.oidc, redirectUri: `${origin}/v1/session/oidc/callback` }, accounts, signIn),
    journal,
    numberDigest,
    controller: controllerPort,
    explainer: {
      explain: async ({ number }) => ({
        ...{ number, verdict: 'private', class: 'attorney', ending: null, row: 3, heartbeatAgeMs: 12 },
        ...{ policy: 'p', epoch: { id: 7, digest: 'd' } },
        reasons: [{ code: 'privileged', detail: null, words: 'w' }],
        rows: [{ order: 1, question: 'q', outcome: 'o', said: 'no' }],
        lists: [
          {
            ...{ list: 'privileged', state: 'listed', why: null },
            entries: [{ id: 'e1', class: 'attorney', match: 'number', scope: 'global', cause: null }],
          },
        ],
      }),
      state: async () => ({ armed: true, why: 'armed', epoch: { id: 7, digest: 'd' }, heartbeatAgeMs: 12 }),
    },
    journals,
    log: callLog,
    live: new LiveCalls(controllerPort, { watchers: options.watchers ?? 2, heartbeatMs: 50 }),
    recordings,
    statements: new StatementDesk(statementFiles, wall),
    statementFiles,
    custody: { status: async () => null },
    investigation,
    wall,
    mono: () => clock.mono,
    fault: (where, error) =>
      void faults.push(
        `${where} ${String(error)} ${error instanceof Error ? String(error.cause ?? '') : ''}`,
      ),
  };
  const app = await buildServer(parts);
  const opened: House = {
    ...{ dir, db, app, parts, registry, accounts, written, controller, faults, log, postgres, clock },
    ...{ published, lookBack, kept },
    ...{ searched, gate, bundles },
    get journalFails() {
      return house.journalFails;
    },
    set journalFails(value: boolean) {
      house.journalFails = value;
    },
    close: async () => {
      await parts.live.close();
      await parts.whatIf.close();
      alerts.close();
      await app.close();
      await db.destroy();
      await opened.postgres.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return opened;
};

/** Somebody who asks: what their requests carry. */
export interface Asker {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

export const nobody: Asker = { name: 'nobody', headers: {} };

let hashed: Promise<string> | null = null;
/** An account with the password and code of all, cheap to check. */
export const addAccount = async (
  { accounts }: House,
  name: string,
  given: readonly Role[],
  second = true,
  facilities: Facilities = 'all',
): Promise<void> => {
  hashed ??= hashPassword(password, { n: 10, r: 8, p: 1 });
  const secrets = {
    password: await hashed,
    totpSecret: second ? totpSecret : null,
    recovery: [recoveryDigest(recoveryCode)],
  };
  await accounts.add({ name, roles: given, facilities, by: 'test', secrets });
};

export const asPerson = (token: string, name = 'person'): Asker => ({
  name,
  headers: { cookie: `${SESSION_COOKIE}=${token}`, 'x-sallyport-csrf': forgeryToken(token) },
});

/** A session without the sign-in. */
export const sessionOf = async ({ accounts }: House, account: string, seconds = 3600): Promise<Asker> => {
  const token = newToken();
  await accounts.sessions.open({ hash: digestOf(token), account, how: 'test', seconds });
  return asPerson(token, account);
};

export const keyOf = async (
  { parts }: House,
  given: readonly string[],
  owner: string,
  facilities: Facilities = 'all',
): Promise<Asker> => {
  const { key, prefix } = newApiKey();
  await parts.keys.add({
    ...{ prefix, hash: digestOf(key), name: 'program', owner, facilities },
    ...{ scopes: given, by: 'test', days: 1 },
  });
  return { name: `key of ${given.join(',')}`, headers: { authorization: `Bearer ${key}` } };
};

/** One account of each role, and a key of each scope. */
export const everybody = async (house: House): Promise<Map<string, Asker>> => {
  const all = new Map<string, Asker>();
  for (const role of roles) {
    await addAccount(house, role, [role]);
    all.set(role, await sessionOf(house, role));
  }
  for (const scope of scopes) all.set(scope, await keyOf(house, [scope], 'registrar'));
  return all;
};

export const ask = async (
  { app }: House,
  asker: Asker,
  method: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'PATCH',
  url: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
) => {
  const options: InjectOptions = {
    ...{ method, url },
    headers: {
      ...asker.headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  };
  const answer = await app.inject(options);
  const type = String(answer.headers['content-type'] ?? '');
  return {
    status: answer.statusCode,
    type,
    headers: answer.headers,
    text: answer.body,
    bytes: answer.rawPayload,
    json: (type.includes('json') && answer.body !== '' ? JSON.parse(answer.body) : {}) as Record<
      string,
      never
    > & {
      readonly code?: string;
    },
  };
};

export const exec = async (db: Database, text: string): Promise<void> => {
  await sql.raw(text).execute(db);
};
