import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cdrRow, decisionRow, newRecord } from '../../src/call/cdr.js';
import type { JsonObject } from '../../src/call/ports.js';
import { listsNearMisses } from '../../src/cli/near-misses.js';
import { type DecryptOptions, recordingsDecrypt } from '../../src/cli/recordings.js';
import { listsWhatIf } from '../../src/cli/what-if.js';
import { explain } from '../../src/core/decide.js';
import type { CallerId, CallId, FacilityId, WallMs } from '../../src/core/leg.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { makeStatement } from '../../src/statement/statement.js';
import { findRecording } from '../../src/vault/catalogue.js';
import { decryptRecording } from '../../src/vault/decrypt.js';
import { readIdentityFile, writeIdentityFile } from '../../src/vault/key-files.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import type { Store } from '../../src/vault/store.js';
import { createVault } from '../../src/vault/vault.js';
import { inProcess } from '../cli/terminal.js';
import { absent, answers, dialledNumber, input, leg, listed, privilegedEntry } from '../core/samples.js';
import { allowed, attorney, FieldHouse, number } from './house.js';
import type { Named, Scope } from './named.js';

/** What was kept, who looked at it, and whether anybody could count it afterwards. */

const day = Date.UTC(2026, 4, 4, 15);
const temp = (scope: Scope): string => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-field-'));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};

// ---- the vault

const spoken = 'what an attorney said ';
const callIdOf = (n: number): CallId => `c${String.fromCharCode(97 + n).repeat(26)}` as CallId;

const openVault = async (scope: Scope) => {
  const dir = temp(scope);
  const [facilityFile, strangerFile] = [join(dir, 'north.txt'), join(dir, 'stranger.txt')];
  const facility = await writeIdentityFile(facilityFile, []);
  const escrow = await writeIdentityFile(join(dir, 'escrow.txt'), []);
  await writeIdentityFile(strangerFile, []);
  const store = createLocalStore({ dir: join(dir, 'vault'), minFreeBytes: 1 });
  const sealed = [{ id: 'e-1', role: 'escrow', recipient: escrow }] as const;
  const vault = createVault({
    store,
    facilities: new Map([['north', [{ id: 'n-1', role: 'facility' as const, recipient: facility }]]]),
    sealed,
  });
  const entry = (where: string) => ({
    callId: callIdOf(0),
    facility: where as FacilityId,
    receivedAt: day as WallMs,
    sealed: null,
  });
  const keep = async (): Promise<void> => {
    const draft = await vault.begin(entry('north'));
    const head = Buffer.alloc(44, 'RIFF');
    const wav = await draft.file('wav', head.length);
    await wav.write(Buffer.from(spoken.repeat(1000)));
    await wav.end(head);
    await draft.commit({ complete: true, seconds: 1 }, { decision: { words: spoken } }, day as WallMs);
  };
  return { dir, store, vault, entry, keep, facilityFile, strangerFile };
};

const filesUnder = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));

const noise: Named = {
  cause: 11,
  name: 'whoever takes the recordings away has noise: nothing opens without a key that is not there',
  run: async (scope) => {
    const { dir, store, keep, strangerFile } = await openVault(scope);
    await keep();
    const files = filesUnder(join(dir, 'vault'));
    assert.ok(files.length >= 2);
    for (const file of files) {
      const bytes = readFileSync(file);
      for (const plain of ['attorney', 'RIFF'])
        assert.ok(!bytes.includes(plain), `${plain} lies there in plain`);
      assert.doesNotMatch(bytes.toString('latin1'), /https?:|AGE-SECRET-KEY/i, 'no address and no key');
    }
    const found = await findRecording(store, callIdOf(0));
    const stranger = await readIdentityFile(strangerFile);
    mkdirSync(join(dir, 'out'));
    await assert.rejects(
      decryptRecording(store, found, stranger, join(dir, 'out'), AbortSignal.timeout(10_000)),
      { name: 'VaultError' },
      'another key opens nothing',
    );
    assert.deepEqual(readdirSync(join(dir, 'out')), []);
  },
};

const noKey: Named = {
  cause: 11,
  name: 'where there is no key to encrypt it to, nothing is kept at all',
  run: async (scope) => {
    const { dir, vault, entry } = await openVault(scope);
    await assert.rejects(vault.begin(entry('south')), { code: 'no-recording-key' });
    assert.deepEqual(
      filesUnder(dir).filter((file) => file.includes('/vault/')),
      [],
    );
  },
};

// ---- readings

const readingsOf = async (
  dir: string,
): Promise<readonly { kind: string; body: Record<string, unknown> }[]> => {
  const rows: { kind: string; body: Record<string, unknown> }[] = [];
  try {
    for await (const { kind, body } of readJournal(dir)) rows.push({ kind, body });
  } catch {
    return [];
  }
  return rows.filter(({ kind }) => kind.startsWith('recording-'));
};

/** A store that notes which rows of readings there were when it gave the first byte of what was said. */
const watched = (store: Store, look: () => Promise<readonly { kind: string }[]>) => {
  const seen: string[][] = [];
  const read = async function* (name: string): AsyncIterable<Buffer> {
    if (name.endsWith('.age')) seen.push((await look()).map(({ kind }) => kind));
    yield* store.read(name);
  };
  const watching = new Proxy(store, {
    get: (target, member) => {
      if (member === 'read') return read;
      const own: unknown = Reflect.get(target, member);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
  return { store: watching, seen };
};

const decrypting = (store: Store, options: DecryptOptions) =>
  inProcess((terminal) => recordingsDecrypt(options, { store, json: true, terminal }));

const optionsIn = (dir: string, identity: string): DecryptOptions => {
  mkdirSync(join(dir, 'out'), { recursive: true });
  return {
    id: callIdOf(0),
    identity: [identity],
    by: 'investigator',
    why: 'case 26-117',
    out: join(dir, 'out'),
    readings: join(dir, 'readings'),
    journal: null,
    custody: null,
  };
};

const traced: Named = {
  cause: 12,
  name: 'who listens, and why, is durable before a byte of the recording is read',
  run: async (scope) => {
    const house = await openVault(scope);
    await house.keep();
    const options = optionsIn(house.dir, house.facilityFile);
    const { store, seen } = watched(house.store, () => readingsOf(options.readings));
    const run = await decrypting(store, options);
    assert.equal(run.code, 0, run.err);
    assert.ok(seen.length > 0, 'what was said was read');
    for (const kinds of seen) assert.deepEqual(kinds, ['recording-read'], 'its row was there before');
    const rows = await readingsOf(options.readings);
    assert.deepEqual(
      rows.map(({ kind, body }) => [kind, body.by, body.why ?? body.outcome]),
      [
        ['recording-read', 'investigator', 'case 26-117'],
        ['recording-read-ended', 'investigator', 'decrypted'],
      ],
    );
  },
};

const untraced: Named = {
  cause: 12,
  name: 'where a reading cannot be written down, nothing is read',
  run: async (scope) => {
    const house = await openVault(scope);
    await house.keep();
    const options = optionsIn(house.dir, house.facilityFile);
    // A file where the journal of readings should be: nobody can write there, not even root.
    writeFileSync(options.readings, 'no journal');
    const { store, seen } = watched(house.store, async () => []);
    const run = await decrypting(store, options).catch((error: unknown) => ({ code: 1, err: String(error) }));
    assert.notEqual(run.code, 0, 'the reading is refused');
    assert.deepEqual(seen, [], 'not a byte was read');
    assert.deepEqual(readdirSync(options.out), []);
  },
};

// ---- the journal

interface Past {
  readonly number: string;
  readonly caller: string;
  readonly privileged?: boolean;
  readonly minutes: number;
}

/** Calls as the controller journals them: decided by `explain`, with a CDR each. */
const journalled = async (dir: string, calls: readonly Past[]): Promise<void> => {
  const journal = await openJournal({ dir, nodeId: 'ctl-1', clock: { wallMs: () => day, monoUs: () => 1 } });
  for (const [n, { number: to, caller, privileged = false, minutes }] of calls.entries()) {
    const is = input({
      leg: leg({
        callId: callIdOf(n),
        caller: caller as CallerId,
        dialled: dialledNumber(to),
        receivedAt: day as WallMs,
      }),
      answers: answers(privileged ? { privileged: listed(privilegedEntry()) } : { privileged: absent }),
      now: day as WallMs,
    });
    const explanation = explain(is);
    const record = newRecord();
    record.decision = explanation.decision;
    record.times['open-media'] = 0;
    record.times.ended = minutes * 60_000;
    if (explanation.decision.verdict === 'monitored' && minutes > 0) {
      record.spool = { state: 'recording-finished', file: 'x.wav' } as never;
    }
    await journal.append('decision', decisionRow(is, explanation) as JsonObject);
    await journal.append('cdr', cdrRow(is.leg, record, { code: 'caller-hung-up' }, 'p') as JsonObject);
  }
  await journal.close();
};

const attorneyLine = number(600);
const past: readonly Past[] = [
  { number: attorneyLine, caller: '4711', minutes: 10 },
  { number: attorneyLine, caller: '4711', minutes: 0 },
  { number: attorneyLine, caller: '4712', minutes: 5 },
  { number: attorneyLine, caller: '4713', minutes: 3 },
  { number: number(610), caller: '4711', privileged: true, minutes: 9 },
  { number: number(699), caller: '4711', minutes: 4 },
];
const period = { from: day as WallMs, to: (day + 1) as WallMs };

const asked = (journal: string) => ({
  period,
  journals: [journal],
  plan: 'default',
  showNumbers: true,
  by: () => 'alice',
});

const howMany: Named = {
  cause: 13,
  name: 'how many calls ever went to a number, and how many of them were recorded, is one question',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const journal = join(house.dir, 'journal');
    await journalled(journal, past);
    const config = { ...house.config, journal: { ...house.config.journal, directory: journal } };
    const paths = house.files({
      privileged: [attorneyLine, number(610)].map((one) => attorney(one)),
      allow: [attorneyLine, number(610), number(699)].map((one) => allowed(one)),
    });
    const run = await inProcess((terminal) =>
      listsWhatIf(
        { ...asked(journal), paths, policy: undefined, calls: false, showNumbers: false },
        { config, json: true, terminal },
      ),
    );
    const { changed, groups } = JSON.parse(run.out);
    assert.equal(changed['recording-forbidden'], 4, 'calls to it that were not private');
    const [group] = groups.filter((one: { change: string }) => one.change === 'recording-forbidden');
    assert.equal(group.connected, 3);
    assert.equal(group.recordings, 3, 'and the recordings of them that should never have been made');
  },
};

const replayed: Named = {
  cause: 2,
  name: 'last month’s calls, made again under a list cut short, show every private call it would record',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const journal = join(house.dir, 'journal');
    await journalled(
      journal,
      past.map((one) => ({ ...one, privileged: true })),
    );
    const paths = house.files({
      privileged: [attorney(number(699))],
      allow: [attorneyLine, number(610), number(699)].map((one) => allowed(one)),
    });
    const run = await inProcess((terminal) =>
      listsWhatIf(
        { ...asked(journal), paths, policy: undefined, calls: false, showNumbers: false },
        { config: house.config, json: true, terminal },
      ),
    );
    assert.equal(run.code, 3, `it must not be published: ${run.err}`);
    assert.equal(JSON.parse(run.out).changed['private-recorded'], 5);
  },
};

const unregistered: Named = {
  cause: 1,
  name: 'a line of a law office that nobody registered is shown, with how often it was recorded',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const journal = join(house.dir, 'journal');
    await journalled(journal, past);
    const paths = house.files({ privileged: [number(655), number(677)].map((one) => attorney(one)) });
    const run = await inProcess((terminal) =>
      listsNearMisses(
        { ...asked(journal), paths, limit: 50 },
        {
          config: { ...house.config, journal: { ...house.config.journal, directory: journal } },
          json: true,
          terminal,
        },
      ),
    );
    const { misses } = JSON.parse(run.out) as {
      misses: { number: string; callers: number; monitored: number }[];
    };
    const found = misses.find((one) => one.number === attorneyLine);
    assert.deepEqual({ callers: found?.callers, monitored: found?.monitored }, { callers: 3, monitored: 4 });
  },
};

const complete: Named = {
  cause: 13,
  name: 'a statement counts every call with what was recorded, and is not made of a journal that lacks one',
  run: async (scope) => {
    const dir = temp(scope);
    await journalled(dir, past);
    const statement = () =>
      makeStatement({
        journals: [dir],
        scope: {
          period: { from: '2026-05-04T00:00:00.000Z', to: '2026-05-05T00:00:00.000Z' },
          facility: null,
          words: false,
        },
        version: 'test',
      });
    const { calls, monitoredCalls } = await statement();
    assert.deepEqual(
      [calls.byVerdict.monitored?.calls, calls.byVerdict.private?.calls],
      [5, 1],
      'every call is counted',
    );
    assert.equal(
      monitoredCalls.recordings['recording-finished'] ?? Object.values(monitoredCalls.recordings)[0],
      4,
    );
    const file = join(dir, '00000001.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    const cut = lines.filter((line) => !line.includes(callIdOf(1)));
    assert.equal(lines.length - cut.length, 2, 'one call is cut out');
    writeFileSync(file, cut.join('\n'));
    await assert.rejects(statement(), { code: 'journal-damaged' });
  },
};

export const keepingCases: readonly Named[] = [
  unregistered,
  replayed,
  noise,
  noKey,
  traced,
  untraced,
  howMany,
  complete,
];
