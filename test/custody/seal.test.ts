import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { reseal, type SealOrder } from '../../src/custody/reseal.js';
import { makeStatement } from '../../src/statement/statement.js';
import { findRecording } from '../../src/vault/catalogue.js';
import { decryptRecording } from '../../src/vault/decrypt.js';
import { VaultError } from '../../src/vault/errors.js';
import { readIdentityFile } from '../../src/vault/key-files.js';
import { markOf, refuseWhileSealing } from '../../src/vault/sealing-mark.js';
import type { Staged, Store } from '../../src/vault/store.js';
import { privileged } from '../lists/fixtures.js';
import { openedByAge } from '../site/opened.js';
import { dayOf, House, type MadeCall, publication } from './kit.js';

t.setTimeout(120_000);

const attorney = '+12125550111';
const open = async (t: Test): Promise<House> => {
  const house = await House.open();
  t.teardown(() => house.close());
  return house;
};

const orderOf = (call: MadeCall): SealOrder => ({
  callId: call.callId,
  facility: 'north',
  day: dayOf(call.began),
  why: 'privileged-number',
  lists: { epoch: 7, digest: 'a'.repeat(64), entries: [{ id: 'entry', match: 'number', class: 'attorney' }] },
});

/** A store that fails at its nth operation and at every one after, as a machine does that went down there. */
class Failing implements Store {
  readonly #store: Store;
  #left: number;
  used = 0;

  constructor(store: Store, operations: number) {
    this.#store = store;
    this.#left = operations;
  }

  #use(): void {
    this.used += 1;
    this.#left -= 1;
    if (this.#left < 0) throw new VaultError('vault-full');
  }

  async stage(name: string, mode: number): Promise<Staged> {
    this.#use();
    const staged = await this.#store.stage(name, mode);
    const use = (): void => this.#use();
    this.#inner.set(staged, staged);
    const proxy: Staged = {
      name,
      writeAt: async (bytes, at) => {
        use();
        await staged.writeAt(bytes, at);
      },
      settle: async () => {
        use();
        return staged.settle();
      },
      // A machine that is down tidies up nothing; its files are closed.
      discard: async () => {
        if (this.#left >= 0) await staged.discard();
        else await staged.settle().catch(() => undefined);
      },
    };
    this.#inner.set(proxy, staged);
    return proxy;
  }

  readonly #inner = new Map<Staged, Staged>();

  async commit(staged: readonly Staged[]): Promise<void> {
    // Half of them may be there.
    for (const one of staged) {
      this.#use();
      await this.#store.commit([this.#inner.get(one) ?? one]);
    }
  }

  async has(name: string): Promise<boolean> {
    this.#use();
    return this.#store.has(name);
  }

  async writtenAt(name: string): Promise<number | null> {
    this.#use();
    return this.#store.writtenAt(name);
  }

  async remove(name: string): Promise<void> {
    this.#use();
    await this.#store.remove(name);
  }

  async *read(name: string): AsyncGenerator<Buffer, void, undefined> {
    this.#use();
    yield* this.#store.read(name);
  }

  async list(folder: string): Promise<string[]> {
    this.#use();
    return this.#store.list(folder);
  }

  async folders(folder: string): Promise<string[]> {
    this.#use();
    return this.#store.folders(folder);
  }

  judge() {
    return this.#store.judge();
  }

  locate(name: string): string {
    return this.#store.locate(name);
  }
}

t.test(
  'what is sealed opens with escrow and facility together, by us and by age, and with neither alone',
  async (t) => {
    const house = await open(t);
    const call = await house.call(attorney);
    const store = house.store();
    const done = await reseal(store, [house.escrow], orderOf(call), Date.now());
    t.match(done, { state: 'sealed', manifestSha256: call.manifestSha256, intact: true });
    t.same(house.namesOf(house.ordinary(call), call), [], 'nothing ordinary is left');
    t.same(house.namesOf(house.sealed(call), call), [
      `${call.callId}.json`,
      `${call.callId}.json.age`,
      `${call.callId}.txt.age.age`,
      `${call.callId}.wav.age.age`,
    ]);
    t.notOk(house.opensForFacility(call), 'the facility’s key opens nothing');
    t.ok(house.wavUnderSeal(call).equals(call.wav), 'age twice');

    const found = await findRecording(store, call.callId);
    t.match(found.manifest, {
      sealed: {
        why: 'privileged-number',
        lists: { epoch: 7, digest: 'a'.repeat(64), entries: [{ id: 'entry' }] },
      },
      keys: [{ id: 'escrow-1', role: 'escrow' }],
      inner: { manifestSha256: call.manifestSha256, keys: [{ id: 'north-1' }] },
      facility: 'north',
      complete: true,
    });
    t.notMatch(
      readFileSync(join(house.sealed(call), `${call.callId}.json`), 'utf8'),
      /attorney/,
      'the class is closed',
    );
    const facility = await readIdentityFile(house.facilityFile);
    const escrow = await readIdentityFile(house.escrowFile);
    const out = join(house.dir, 'out');
    mkdirSync(out);
    await t.rejects(decryptRecording(store, found, facility, out), { code: 'escrow-needed' });
    await t.rejects(decryptRecording(store, found, escrow, out), { code: 'facility-needed' });
    const plain = await decryptRecording(store, found, [...escrow, ...facility], out);
    t.ok(readFileSync(join(out, `${call.callId}.wav`)).equals(call.wav));
    t.equal(readFileSync(join(out, `${call.callId}.txt`), 'utf8'), `typed in ${call.callId}\n`);
    t.equal(plain.files.length, 2);

    const again = await reseal(store, [house.escrow], orderOf(call), Date.now());
    t.match(again, { state: 'was-sealed', sealedManifestSha256: done.sealedManifestSha256 });

    // Somebody puts another recording in the place of the one below the seal.
    const other = await house.call(attorney);
    await reseal(store, [house.escrow], orderOf(other), Date.now());
    const swapped = join(house.sealed(call), `${call.callId}.wav.age.age`);
    rmSync(swapped);
    writeFileSync(swapped, readFileSync(join(house.sealed(other), `${other.callId}.wav.age.age`)));
    rmSync(out, { recursive: true });
    mkdirSync(out);
    await t.rejects(decryptRecording(store, found, [...escrow, ...facility], out), {
      code: 'recording-changed',
    });
  },
);

t.test('wherever sealing is cut, nothing is lost, and the next run ends it', async (t) => {
  const house = await open(t);
  let cut = 0;
  for (let done = false; !done; cut++) {
    const call = await house.call(attorney);
    const failing = new Failing(house.store(), cut);
    done = await reseal(failing, [house.escrow], orderOf(call), Date.now()).then(
      () => true,
      () => false,
    );
    house.died();
    const sealedWhole = existsSync(join(house.sealed(call), `${call.callId}.json`));
    if (sealedWhole) t.ok(house.wavUnderSeal(call).equals(call.wav), `cut at ${cut}: whole under the seal`);
    else {
      const wav = openedByAge(join(house.ordinary(call), `${call.callId}.wav.age`), house.facilityFile);
      t.ok(wav.equals(call.wav), `cut at ${cut}: whole as it was`);
      t.equal(house.namesOf(house.ordinary(call), call).filter((name) => !name.endsWith('.part')).length, 3);
    }
    const repaired = await reseal(house.store(), [house.escrow], orderOf(call), Date.now());
    t.match(repaired.state, /^(sealed|was-sealed)$/);
    t.same(house.namesOf(house.ordinary(call), call), [], 'nothing ordinary is left');
    t.equal(house.namesOf(house.sealed(call), call).length, 4, 'and nothing in the making');
    t.ok(house.wavUnderSeal(call).equals(call.wav));
    if (cut % 7 === 0) t.notOk(house.opensForFacility(call));
  }
  t.ok(cut > 20, `${cut} places were tried`);
});

t.test(
  'what was changed is sealed as it was found, and what lies under another seal is not touched',
  async (t) => {
    const house = await open(t);
    const call = await house.call(attorney);
    const wav = join(house.ordinary(call), `${call.callId}.wav.age`);
    const bytes = readFileSync(wav);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(wav, bytes);
    const done = await reseal(house.store(), [house.escrow], orderOf(call), Date.now());
    t.match(done, { state: 'sealed', intact: false });
    t.notOk(house.opensForFacility(call));

    // A backup brings the recording back, once the same and once another.
    const second = await house.call(attorney);
    const copy = readFileSync(join(house.ordinary(second), `${second.callId}.wav.age`));
    await reseal(house.store(), [house.escrow], orderOf(second), Date.now());
    writeFileSync(join(house.ordinary(second), `${second.callId}.wav.age`), copy);
    t.match(await reseal(house.store(), [house.escrow], orderOf(second), Date.now()), {
      state: 'was-sealed',
    });
    t.same(house.namesOf(house.ordinary(second), second), []);
    writeFileSync(join(house.ordinary(second), `${second.callId}.wav.age`), 'another');
    await t.rejects(reseal(house.store(), [house.escrow], orderOf(second), Date.now()), {
      code: 'recording-exists',
    });
    t.ok(house.wavUnderSeal(second).equals(second.wav), 'the seal stands');

    // It comes back, and what is under the seal is not whole: nothing is removed.
    writeFileSync(join(house.ordinary(second), `${second.callId}.wav.age`), copy);
    const seal = join(house.sealed(second), `${second.callId}.wav.age.age`);
    const under = readFileSync(seal);
    rmSync(seal);
    writeFileSync(seal, under.subarray(0, -1));
    await t.rejects(reseal(house.store(), [house.escrow], orderOf(second), Date.now()), {
      code: 'recording-changed',
    });
    t.equal(house.namesOf(house.ordinary(second), second).length, 1);

    // A malformed manifest is no reason to leave the sound open.
    const third = await house.call(attorney);
    const manifest = join(house.ordinary(third), `${third.callId}.json`);
    writeFileSync(manifest, '{"format":');
    t.match(await reseal(house.store(), [house.escrow], orderOf(third), Date.now()), {
      state: 'sealed',
      intact: false,
    });
    t.notOk(house.opensForFacility(third));
    await t.rejects(reseal(house.store(), [], orderOf(third), Date.now()), { code: 'no-recording-key' });
  },
);

t.test(
  'a vault that cannot take the seal: nothing goes, facility keys are refused, and it is tried again',
  async (t) => {
    const house = await open(t);
    const call = await house.call(attorney);
    await house.reading(call, 'alice');
    house.lists = publication(2, [privileged(attorney)]);
    // It takes the mark, and then nothing more.
    const refusing = house.store();
    const full = new Proxy(refusing, {
      get: (store, name) =>
        name === 'stage'
          ? async (path: string, mode: number) => {
              if (path.startsWith('sealed/')) throw new VaultError('vault-full');
              return store.stage(path, mode);
            }
          : Reflect.get(store, name).bind(store),
    });
    const reconciler = await house.reconciler({ store: full });
    const report = await reconciler.relist();
    t.match(report.counts, { 'seal-failed': 1 });
    t.match(house.alarms, [{ alarm: 'seal-failed', callId: call.callId, detail: 'vault-full' }]);
    t.equal(house.namesOf(house.ordinary(call), call).length, 3, 'nothing was removed');
    t.ok(await house.store().has(markOf(call.callId)));
    const found = await findRecording(house.store(), call.callId);
    const facility = await readIdentityFile(house.facilityFile);
    await t.rejects(refuseWhileSealing(house.store(), found, facility, false), { code: 'escrow-needed' });
    t.equal((await house.rows('recording-sealing')).length, 1);
    await reconciler.relist();
    t.equal(house.alarms.length, 1, 'it is told once, however often it is tried');

    // The mark cannot be written either: the row stands for it.
    rmSync(join(house.vaultDir, 'sealing'), { recursive: true });
    await t.rejects(refuseWhileSealing(house.store(), found, facility, true), { code: 'escrow-needed' });
    await refuseWhileSealing(house.store(), found, facility, false);

    // The entry is taken back meanwhile. That it is to be sealed stands.
    house.lists = publication(3, []);
    const later = await (await house.reconciler()).relist();
    t.match(later.counts, { 'recording-privileged': 1 });
    t.notOk(house.opensForFacility(call));
    t.ok(house.wavUnderSeal(call).equals(call.wav));
    t.notOk(await house.store().has(markOf(call.callId)), 'the mark is gone');
    const [row] = await house.rows('recording-sealed');
    t.match(row?.body, {
      callId: call.callId,
      manifestSha256: call.manifestSha256,
      lists: { epoch: 2, entries: [{ class: 'attorney', match: 'number' }] },
      readings: 1,
      readers: [{ by: 'alice', outcome: 'decrypted' }],
    });
    t.match(house.alarms.at(-1), { alarm: 'recording-privileged', detail: /read 1 time\(s\), by alice/ });

    const period = { from: '2020-01-01T00:00:00.000Z', to: '2099-01-01T00:00:00.000Z' };
    const told = (custody: readonly string[], facility: string | null = null) =>
      makeStatement({
        ...{ journals: [house.journalDir], custody, version: 'test' },
        scope: { period, facility, words: true },
      });
    t.match((await told([house.own])).custody, {
      journals: [{ node: 'c-1', rows: Number }],
      sealed: { 'privileged-number': { attorney: 1 } },
      readBefore: { recordings: 1, readings: 1 },
      sealsFailed: { 'vault-full': 1 },
      otherRows: {},
    });
    t.same((await told([house.own], 'north')).custody.sealed, { 'privileged-number': { attorney: 1 } });
    t.match((await told([])).custody, { journals: [], sealed: {} });
  },
);
