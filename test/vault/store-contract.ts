import { createHash, randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { readWhole, type Staged, type Store } from '../../src/vault/store.js';

/** One place where objects are kept, as a suite needs it. */
export interface StorePlace {
  readonly store: Store;
  /** Another opener of the same place: another process, or another host. */
  readonly other: Store;
  /** Puts objects there quickly, by nobody's rules. */
  readonly strew: (names: readonly string[]) => Promise<void>;
}

const DAY = '2026/11/21';
const MAX = 2 ** 30;
const newName = (ending = 'json'): string => `${DAY}/c${randomBytes(8).toString('hex')}.${ending}`;
const baseOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

const staged = async (store: Store, name: string, bytes: Buffer, mode = 0o600): Promise<Staged> => {
  const one = await store.stage(name, mode);
  await one.writeAt(bytes, 0);
  await one.settle();
  return one;
};

const keep = async (store: Store, name: string, bytes: Buffer): Promise<void> =>
  store.commit([await staged(store, name, bytes)]);

const whole = async (store: Store, name: string): Promise<string | undefined> =>
  (await readWhole(store, name, MAX))?.toString('latin1');

/** What every store does, whatever is behind it (src/vault/store.ts). */
export const storeContract = async (t: Test, open: () => Promise<StorePlace>): Promise<void> => {
  await t.test('an object is nothing until it is committed, and then whole', async (t) => {
    const { store, other } = await open();
    t.equal(await store.judge(), null);
    const name = newName();
    t.same(await store.list(DAY), [], 'a folder that is not there');
    t.same(await store.folders(''), []);
    const one = await store.stage(name, 0o600);
    t.equal(one.name, name);
    // The first bytes are written last, as the encryption does it.
    await one.writeAt(Buffer.from(' of it'), 3);
    await one.writeAt(Buffer.alloc(200_000, 'x'), 9);
    await one.writeAt(Buffer.from('all'), 0);
    const bytes = Buffer.concat([Buffer.from('all of it'), Buffer.alloc(200_000, 'x')]);
    t.same(await one.settle(), {
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    t.equal(await store.has(name), false);
    t.equal(await other.has(name), false);
    await t.rejects(whole(store, name), { code: 'recording-unknown' });
    const making = await store.list(DAY);
    t.equal(making.length, 1, 'what is in the making is listed, for nobody may overlook it');
    t.ok(making[0]?.includes(baseOf(name)) && making[0] !== baseOf(name));
    await store.commit([one]);
    await one.discard();
    for (const each of [store, other]) {
      t.equal(await each.has(name), true);
      t.equal(await whole(each, name), bytes.toString('latin1'));
      t.same(await each.list(DAY), [baseOf(name)], 'and nothing in the making');
      t.same(await each.list(DAY, baseOf(name).slice(0, 12)), [baseOf(name)]);
      t.same((await each.list(DAY, 'zzzz')).length, 0);
      t.same([await each.folders(''), await each.folders('2026/11')], [['2026'], ['21']]);
      t.same(await each.list('2026/11'), []);
      t.ok(each.locate(name).endsWith(name));
    }
    // A reader that has enough leaves the store as it was.
    for await (const part of store.read(name)) {
      t.ok(part.length > 0);
      break;
    }
    t.equal(await whole(store, name), bytes.toString('latin1'));
    t.equal(await readWhole(store, name, 10), null);
  });

  await t.test('given up: nothing is left', async (t) => {
    const { store } = await open();
    const name = newName();
    const one = await store.stage(name, 0o600);
    await one.writeAt(Buffer.from('half'), 0);
    await one.discard();
    await one.discard();
    const two = await staged(store, name, Buffer.from('settled'));
    await two.discard();
    t.same(await store.list(DAY), []);
    t.equal(await store.has(name), false);
    await keep(store, name, Buffer.alloc(0));
    t.equal(await whole(store, name), '', 'an empty object is one too');
  });

  await t.test('nothing is ever replaced', async (t) => {
    const { store, other } = await open();
    const name = newName();
    await keep(store, name, Buffer.from('first'));
    for (const each of [store, other]) {
      const again = await staged(each, name, Buffer.from('second'));
      await t.rejects(each.commit([again]), { code: 'recording-exists' });
      await again.discard();
      t.equal(await whole(each, name), 'first');
    }
    t.same(await store.list(DAY), [baseOf(name)]);
    await store.remove(name);
    await store.remove(name);
    t.equal(await store.has(name), false);
    t.equal(await other.has(name), false);
    await keep(other, name, Buffer.from('third'));
    t.equal(await whole(store, name), 'third', 'a name that was given up is free');
  });

  await t.test('of two committers of one recording exactly one wins, with all of it', async (t) => {
    for (const same of [true, false]) {
      const { store, other } = await open();
      for (let round = 0; round < 5; round += 1) {
        const stem = newName('').slice(0, -1);
        const attempt = async (who: Store, what: string): Promise<void> => {
          const file = await staged(who, `${stem}.wav.age`, Buffer.alloc(100_000, what));
          const manifest = await staged(who, `${stem}.json`, Buffer.from(what));
          try {
            await who.commit([file]);
            await who.commit([manifest]);
          } finally {
            await file.discard();
            await manifest.discard();
          }
        };
        const done = await Promise.allSettled([attempt(store, 'a'), attempt(same ? store : other, 'b')]);
        const won = done.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
        t.equal(won.length, 1, `exactly one (${same ? 'one opener' : 'two'}, round ${round})`);
        for (const one of done) if (one.status === 'rejected') t.equal(one.reason.code, 'recording-exists');
        const winner = won[0] === 0 ? 'a' : 'b';
        t.equal(await whole(other, `${stem}.json`), winner);
        t.equal(await whole(other, `${stem}.wav.age`), winner.repeat(100_000));
      }
    }
  });

  await t.test('many at a time', async (t) => {
    const { store } = await open();
    const names = Array.from({ length: 24 }, () => newName());
    await Promise.all(names.map((name) => keep(store, name, Buffer.from(name))));
    t.same((await store.list(DAY)).sort(), names.map(baseOf).sort());
    for (const name of names) t.equal(await whole(store, name), name);
  });

  await t.test('names that lead elsewhere', async (t) => {
    const { store } = await open();
    const leadingOut = [
      '',
      '/',
      '/etc/passwd',
      '..',
      '../x.json',
      '2026/../../x.json',
      '2026//x.json',
      '2026/./x.json',
      '2026/x.json/',
      'x\u0000.json',
      'a'.repeat(600),
    ];
    const odd = ['2026/.hidden', 'A.json', 'x y.json', 'x\n.json', 'x\\y.json', 'ü.json', '%2e%2e/x.json'];
    for (const name of leadingOut) {
      const told = { code: 'name-malformed' };
      await t.rejects(store.stage(name, 0o600), told, JSON.stringify(name));
      await t.rejects(store.has(name), told);
      await t.rejects(store.remove(name), told);
      await t.rejects(whole(store, name), told);
      if (name !== '') {
        await t.rejects(store.list(name), told);
        await t.rejects(store.folders(name), told);
      }
    }
    // None of ours has such a name; a stranger's file may, and is looked for, read and removed like any other.
    for (const name of odd) {
      await t.rejects(store.stage(name, 0o600), { code: 'name-malformed' }, JSON.stringify(name));
      t.equal(await store.has(name), false);
      await t.rejects(whole(store, name), { code: 'recording-unknown' });
      await store.remove(name);
    }
    t.same(await store.list(''), []);
  });

  await t.test('more than a page of names', async (t) => {
    const { store, strew } = await open();
    const names = Array.from({ length: 1100 }, (_, i) => `c${String(i).padStart(6, '0')}.json`);
    await strew(names.map((name) => `${DAY}/${name}`));
    t.same((await store.list(DAY)).sort(), names);
    t.same(await store.list(DAY, 'c001034'), ['c001034.json']);
    await strew(Array.from({ length: 1010 }, (_, i) => `${1000 + i}/01/x.json`));
    t.equal((await store.folders('')).length, 1011);
    t.same(await store.folders('1000'), ['01']);
  });
};
