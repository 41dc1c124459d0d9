import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallId, FacilityId, WallMs } from '../../src/core/leg.js';
import type { CustodyParts } from '../../src/custody/parts.js';
import type { PrivilegedNow } from '../../src/custody/privileged-now.js';
import { Reconciler, type ReconcilerOptions } from '../../src/custody/reconcile.js';
import type { Report } from '../../src/custody/report.js';
import { type Journal, openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { compileIndex, type PrivilegedItem } from '../../src/lists/entries.js';
import { PrivilegedIndex } from '../../src/lists/privileged-index.js';
import { writeIdentityFile } from '../../src/vault/key-files.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import type { Store } from '../../src/vault/store.js';
import { createVault, type VaultKey } from '../../src/vault/vault.js';
import { options } from '../journal/fixture.js';
import { listSet } from '../lists/fixtures.js';
import { newCallId } from '../media/decisions.js';
import { openedByAge } from '../site/opened.js';

/** The privileged part of a publication of these entries, as custody reads it. The salt stays, so ids do. */
export const publication = (epoch: number, items: readonly PrivilegedItem[]): PrivilegedNow => {
  const index = new PrivilegedIndex();
  for (const [digits, bodies] of compileIndex(listSet({ privileged: items }), 'salt'))
    index.add(digits, bodies);
  return { from: 'redis', epoch, digest: epoch.toString(16).padStart(64, '0'), index };
};

export interface MadeCall {
  readonly callId: CallId;
  readonly number: string;
  readonly began: number;
  readonly ended: number;
  /** sha256 of its manifest; null where nothing was recorded. */
  readonly manifestSha256: string | null;
  /** What was said: its WAV. */
  readonly wav: Buffer;
}

export interface CallWords {
  readonly began?: number;
  readonly lastsMs?: number;
  readonly recorded?: boolean;
  readonly complete?: boolean;
  readonly verdict?: 'monitored' | 'private';
  /** Other parties that were reached, as numberKeyText writes them. */
  readonly others?: readonly string[];
  /** Ids of entries its decision named. */
  readonly listed?: readonly string[];
  /** False: no CDR, as after a crash. */
  readonly cdr?: boolean;
  readonly cdrMore?: Record<string, unknown>;
}

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');

/** A vault, journals and keys in one folder, all real; only the calls are made up. */
export class House {
  readonly dir = mkdtempSync(join(tmpdir(), 'sallyport-custody-'));
  readonly facilityFile = join(this.dir, 'facility.txt');
  readonly escrowFile = join(this.dir, 'escrow.txt');
  readonly journalDir = join(this.dir, 'journal');
  readonly own = join(this.dir, 'journal-custody');
  readonly readings = join(this.dir, 'readings');
  readonly vaultDir = join(this.dir, 'vault');
  readonly spool = join(this.dir, 'spool');
  readonly alarms: { alarm: string; callId: string | null; detail: string }[] = [];
  facility!: VaultKey;
  escrow!: VaultKey;
  journal!: Journal;
  now = Date.now();
  /** What custody reads of the lists next. */
  lists: PrivilegedNow | null = publication(1, []);

  static async open(): Promise<House> {
    const house = new House();
    for (const folder of ['pcaps', 'tmp', 'metadata'])
      mkdirSync(join(house.spool, folder), { recursive: true });
    const facility = await writeIdentityFile(house.facilityFile, []);
    const escrow = await writeIdentityFile(house.escrowFile, []);
    house.facility = { id: 'north-1', role: 'facility', recipient: facility };
    house.escrow = { id: 'escrow-1', role: 'escrow', recipient: escrow };
    // Older than every call, whose day may be yesterday: of files older than the journal nothing is judged.
    const clock = { wallMs: () => house.now - 30 * 86_400_000, monoUs: () => performance.now() * 1000 };
    await (await openJournal(options(house.journalDir, { nodeId: 'c-1', clock }))).close();
    house.journal = await openJournal(options(house.journalDir, { nodeId: 'c-1' }));
    return house;
  }

  async close(): Promise<void> {
    await this.journal.close().catch(() => undefined);
    rmSync(this.dir, { recursive: true, force: true });
  }

  store(): Store {
    return createLocalStore({ dir: this.vaultDir, minFreeBytes: 0 });
  }

  /** A call as its controller journals it, with a recording as its controller keeps it. */
  async call(number: string, words: CallWords = {}): Promise<MadeCall> {
    const { began = this.now - 7_200_000, lastsMs = 60_000, recorded = true, verdict = 'monitored' } = words;
    const callId = newCallId();
    const base = { callId, trunk: 'pbx', facility: 'north' };
    const decidedAt = new Date(began + 1000).toISOString();
    const entries = (words.listed ?? []).map((id) => ({ id }));
    const listed = entries.length === 0 ? { state: 'absent' } : { state: 'listed', entries };
    const lists = { privileged: listed, snapshot: { state: 'absent' } };
    const decided = { ...base, decidedAt, verdict: 'monitored', lists };
    await this.journal.append('decision', { ...decided, dialled: { kind: 'number', number } });
    for (const other of words.others ?? []) {
      await this.journal.append('decision', {
        ...decided,
        other: 'transfer',
        dialled: { kind: 'number', number: other },
      });
    }
    const wav = Buffer.concat([Buffer.alloc(44, 'H'), Buffer.from(`words of ${callId} `.repeat(4000))]);
    const kept = recorded ? await this.#keep(callId, began, wav, words.complete ?? true) : null;
    const spool =
      kept === null
        ? { state: 'nothing-found' }
        : { state: 'recording-finished', manifestSha256: kept, seconds: lastsMs / 1000 };
    if (words.cdr !== false) {
      await this.journal.append('cdr', {
        ...base,
        ...{ dialled: { kind: 'number', number }, verdict, arrivedAt: new Date(began).toISOString() },
        ...{
          durationMs: lastsMs,
          connectedMs: lastsMs,
          media: { packets: { caller: 900, called: 900 } },
          spool,
        },
        ...words.cdrMore,
      } as never);
    }
    return { callId, number, began, ended: began + lastsMs, manifestSha256: kept, wav };
  }

  async #keep(callId: CallId, began: number, wav: Buffer, complete: boolean): Promise<string> {
    const vault = createVault({
      store: this.store(),
      facilities: new Map([['north', [this.facility]]]),
      sealed: [this.escrow],
    });
    const entry = { callId, facility: 'north' as FacilityId, receivedAt: began as WallMs, sealed: null };
    const draft = await vault.begin(entry);
    const file = await draft.file('wav', 44);
    await file.write(wav.subarray(44));
    await file.end(wav.subarray(0, 44));
    const text = await draft.file('txt');
    await text.write(Buffer.from(`typed in ${callId}\n`));
    await text.end();
    const kept = await draft.commit({ complete, seconds: 8 }, { decision: {} }, began as WallMs);
    return kept.manifestSha256;
  }

  parts(more: Partial<CustodyParts> = {}): CustodyParts {
    return {
      store: this.store(),
      escrow: [this.escrow],
      journals: [this.journalDir],
      own: this.own,
      readings: this.readings,
      spools: [this.spool],
      state: join(this.dir, 'state'),
      lists: async () => this.lists,
      write: async (use) => {
        const journal = await openJournal(options(this.own, { nodeId: 'c-1' }));
        try {
          return await use(journal);
        } finally {
          await journal.close();
        }
      },
      alarm: (alarm, callId, detail) => void this.alarms.push({ alarm, callId, detail }),
      bytesPerSecond: 1e9,
      wall: () => Math.max(this.now, Date.now()),
      alive: () => undefined,
      ...more,
    };
  }

  reconciler(more: Partial<CustodyParts> = {}, options: ReconcilerOptions = {}): Promise<Reconciler> {
    return Reconciler.open(this.parts(more), { graceMs: 0, ...options });
  }

  /** One full round by a process that knows nothing yet. */
  async full(more: Partial<CustodyParts> = {}, options: ReconcilerOptions = {}): Promise<Report> {
    rmSync(join(this.dir, 'state'), { recursive: true, force: true });
    return (await this.reconciler(more, options)).full();
  }

  ordinary({ began }: MadeCall): string {
    return join(this.vaultDir, dayOf(began));
  }

  sealed({ began }: MadeCall): string {
    return join(this.vaultDir, 'sealed', dayOf(began));
  }

  /** What is in the making is no living process's any more, as after the death of the one that made it. */
  died(): void {
    const files = readdirSync(this.vaultDir, { recursive: true, withFileTypes: true });
    for (const { name, parentPath } of files) {
      const left = /^(\..+\.)[0-9a-f]{16}(\.part)$/.exec(name);
      if (left === null) continue;
      const other = `${left[1]}${randomBytes(8).toString('hex')}${left[2]}`;
      renameSync(join(parentPath, name), join(parentPath, other));
    }
  }

  namesOf(folder: string, { callId }: MadeCall): string[] {
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(callId)) : [];
  }

  /** Whether any file of a call anywhere in the vault opens with the facility's key, by Debian's age. */
  opensForFacility(call: MadeCall): boolean {
    return [this.ordinary(call), this.sealed(call)].some((folder) =>
      this.namesOf(folder, call)
        .filter((name) => name.endsWith('.age'))
        .some((name) => {
          try {
            openedByAge(join(folder, name), this.facilityFile);
            return true;
          } catch {
            return false;
          }
        }),
    );
  }

  /** What is under the seal, by age twice: with the escrow's key and then with the facility's. */
  wavUnderSeal(call: MadeCall): Buffer {
    const outer = join(this.sealed(call), `${call.callId}.wav.age.age`);
    const inner = join(this.dir, `${call.callId}.inner`);
    return twice(outer, inner, this.escrowFile, this.facilityFile);
  }

  /** Rows of custody's journal of these kinds. */
  async rows(...kinds: string[]): Promise<{ kind: string; body: Record<string, unknown> }[]> {
    const rows: { kind: string; body: Record<string, unknown> }[] = [];
    if (!existsSync(this.own)) return rows;
    for await (const { kind, body } of readJournal(this.own, { kinds })) rows.push({ kind, body });
    return rows;
  }

  async reading(call: MadeCall, by: string): Promise<void> {
    const journal = await openJournal(options(this.readings, { nodeId: 'readings' }));
    await journal.append('recording-read', { callId: call.callId, by, why: 'case 7' });
    await journal.append('recording-read-ended', { callId: call.callId, by, outcome: 'decrypted' });
    await journal.close();
  }

  copyVault(to: string): void {
    cpSync(this.vaultDir, to, { recursive: true });
  }
}

const twice = (outer: string, inner: string, first: string, second: string): Buffer => {
  writePrivate(inner, openedByAge(outer, first));
  return openedByAge(inner, second);
};

const writePrivate = (path: string, bytes: Buffer): void => writeFileSync(path, bytes, { mode: 0o600 });
