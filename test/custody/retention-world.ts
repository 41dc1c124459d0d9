import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOLD_KIND, RELEASE_KIND } from '../../src/custody/retention/holds.js';
import type { Appender } from '../../src/custody/retention/removal.js';
import { type RoundOrder, type RoundReport, retentionRound } from '../../src/custody/retention/round.js';
import { DAY_MS, type RecordingClass, type RetentionRules } from '../../src/custody/retention/rules.js';
import type { JsonObject } from '../../src/journal/canonical.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import type { JournalRow } from '../../src/journal/row.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import type { Store } from '../../src/vault/store.js';

/** A moment that all tests of expiry start from; nothing here looks at the real clock. */
export const START = Date.parse('2026-06-15T12:00:00Z');

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
export const callIdOf = (nth: number): string => {
  let id = '';
  for (let rest = nth, i = 0; i < 26; i += 1, rest = Math.floor(rest / 32)) id += alphabet[rest % 32];
  return `c${id}`;
};

export const rulesOf = (more: Partial<RetentionRules> = {}): RetentionRules => ({
  keepDays: { ordinary: 30, sealed: 100, quarantined: 'forever' },
  facilities: {},
  guard: { percent: 100, recordings: 1_000_000 },
  maxClockGapHours: 48,
  overdueHours: 36,
  ...more,
});

export interface Made {
  readonly callId: string;
  readonly facility: string;
  readonly class: RecordingClass;
  readonly receivedAt: number;
  readonly folder: string;
  readonly manifestSha256: string;
}

const roots: Readonly<Record<RecordingClass, string>> = {
  ordinary: '',
  sealed: 'sealed/',
  quarantined: 'quarantine/',
};

/** A vault, a journal of custody and a controller's journal in a folder of their own, at a time of their own. */
export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'sallyport-retention-'));
  readonly vault = join(this.dir, 'recordings');
  readonly custody = join(this.dir, 'journal-custody');
  readonly journal = join(this.dir, 'journal');
  readonly store: Store = createLocalStore({ dir: this.vault, minFreeBytes: 0 });
  now = START;
  rules = rulesOf();

  /** A recording as a call leaves it: two files and the manifest that names them. */
  make(nth: number, more: Partial<Omit<Made, 'callId' | 'folder' | 'manifestSha256'>> = {}): Made {
    const one = { facility: 'north', class: 'ordinary' as RecordingClass, receivedAt: START, ...more };
    if (one.class === 'quarantined') return this.#putAside(nth, one);
    const callId = callIdOf(nth);
    const day = new Date(one.receivedAt).toISOString().slice(0, 10).replaceAll('-', '/');
    const folder = `${roots[one.class]}${day}`;
    const path = join(this.vault, folder);
    mkdirSync(path, { recursive: true });
    const files = ['wav', 'txt'].map((kind) => {
      const bytes = Buffer.from(`${kind} of ${callId}`);
      writeFileSync(join(path, `${callId}.${kind}.age`), bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return { name: `${callId}.${kind}.age`, bytes: bytes.length, sha256 };
    });
    const at = new Date(one.receivedAt).toISOString();
    const manifest = JSON.stringify({
      format: 'sallyport-recording-2',
      callId,
      facility: one.facility,
      receivedAt: at,
      createdAt: at,
      ...(one.class === 'sealed' ? { sealed: { why: 'became-private', at } } : {}),
      complete: true,
      seconds: 1,
      keys: [{ id: 'k', role: 'facility', recipient: 'age1x' }],
      files,
      details: 'closed',
    });
    writeFileSync(join(path, `${callId}.json`), manifest);
    const manifestSha256 = createHash('sha256').update(manifest).digest('hex');
    return { callId, folder, manifestSha256, ...one };
  }

  /** A file that no call owns, as custody puts it aside. */
  #putAside(nth: number, one: Omit<Made, 'callId' | 'folder' | 'manifestSha256'>): Made {
    const callId = `q${String(nth).padStart(32, '0')}`;
    const folder = `quarantine/${new Date(one.receivedAt).toISOString().slice(0, 10).replaceAll('-', '/')}`;
    const path = join(this.vault, folder);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, `${callId}.age`), 'stray');
    const stored = { bytes: 5, sha256: createHash('sha256').update('stray').digest('hex') };
    const at = new Date(one.receivedAt).toISOString();
    const manifest = JSON.stringify({ format: 'sallyport-quarantine-1', place: 'vault', at, stored });
    writeFileSync(join(path, `${callId}.json`), manifest);
    const manifestSha256 = createHash('sha256').update(manifest).digest('hex');
    return { ...one, callId, folder, manifestSha256 };
  }

  /** Names of this recording's files that are there, by a look at the disk. */
  filesOf({ callId, folder }: Pick<Made, 'callId' | 'folder'>): string[] {
    const path = join(this.vault, folder);
    return existsSync(path) ? readdirSync(path).filter((name) => name.includes(callId)) : [];
  }

  async withJournal<T>(use: (journal: Appender) => Promise<T>): Promise<T> {
    const clock = { wallMs: () => this.now, monoUs: () => Math.round(performance.now() * 1000) };
    const journal = await openJournal({ dir: this.custody, nodeId: 'test', appendDeadlineMs: 20_000, clock });
    try {
      return await use(journal);
    } finally {
      await journal.close();
    }
  }

  async hold(id: string, subject: JsonObject, more: JsonObject = {}): Promise<void> {
    const body = { id, subject, from: null, to: null, by: 'alice', why: 'case', ...more };
    await this.withJournal((journal) => journal.append(HOLD_KIND, body));
  }

  async release(id: string): Promise<void> {
    await this.withJournal((journal) => journal.append(RELEASE_KIND, { id, by: 'alice', why: 'over' }));
  }

  /** The controller writes rows: time goes by where it does. */
  async controller(
    rows: readonly { readonly kind: string; readonly body: JsonObject }[] = [],
  ): Promise<void> {
    const clock = { wallMs: () => this.now, monoUs: () => Math.round(performance.now() * 1000) };
    const journal = await openJournal({ dir: this.journal, nodeId: 'test', appendDeadlineMs: 20_000, clock });
    for (const { kind, body } of rows) await journal.append(kind, body);
    await journal.close();
  }

  decided({ callId }: Pick<Made, 'callId'>, caller: string, number: string): Promise<void> {
    const body = { callId, facility: 'north', caller, dialled: { kind: 'number', number, type: 'fixed' } };
    return this.controller([{ kind: 'decision', body }]);
  }

  /** Days go by, with a controller that runs. */
  async pass(days: number): Promise<void> {
    for (let day = 0; day < Math.ceil(days); day += 1) {
      this.now += Math.min(1, days - day) * DAY_MS;
      await this.controller();
    }
  }

  round(
    order: Partial<RoundOrder> = {},
    parts: { store?: Store; wrap?: (journal: Appender) => Appender; maxDue?: number } = {},
  ): Promise<RoundReport> {
    return retentionRound(
      {
        store: parts.store ?? this.store,
        rules: this.rules,
        journals: [this.journal],
        maxDue: parts.maxDue,
        custody: {
          dir: this.custody,
          withJournal: (use) => this.withJournal((journal) => use(parts.wrap?.(journal) ?? journal)),
        },
        clock: { wall: () => this.now, mono: () => performance.now() },
      },
      { by: 'test', first: true, ...order },
    );
  }

  async rows(...kinds: string[]): Promise<JournalRow[]> {
    const rows: JournalRow[] = [];
    for await (const row of readJournal(this.custody, { kinds })) rows.push(row);
    return rows;
  }

  status(): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.custody, 'retention-status.json'), 'utf8')) as Record<
      string,
      unknown
    >;
  }
}

/** A process that dies at its nth operation: that one and all after it fail. `after`: it dies when it was done. */
export class Crash {
  readonly at: number;
  readonly after: boolean;
  done = 0;

  constructor(at: number, after: boolean) {
    this.at = at;
    this.after = after;
  }

  async op<T>(work: () => Promise<T>): Promise<T> {
    const nth = this.done++;
    const dead = (): never => {
      throw Object.assign(new Error('the process died'), { code: 'DIED' });
    };
    if (nth > this.at || (nth === this.at && !this.after)) return dead();
    const result = await work();
    return nth === this.at ? dead() : result;
  }

  store(store: Store): Store {
    return {
      stage: (name, mode) => this.op(() => store.stage(name, mode)),
      commit: (staged) => this.op(() => store.commit(staged)),
      has: (name) => this.op(() => store.has(name)),
      writtenAt: (name) => this.op(() => store.writtenAt(name)),
      remove: (name) => this.op(() => store.remove(name)),
      read: (name) => store.read(name),
      list: (folder) => this.op(() => store.list(folder)),
      folders: (folder) => this.op(() => store.folders(folder)),
      judge: () => store.judge(),
      locate: (name) => store.locate(name),
    };
  }

  journal(journal: Appender): Appender {
    return { append: (kind, body) => this.op(() => journal.append(kind, body)) };
  }
}
