import assert from 'node:assert/strict';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listFilesAt } from '../../src/cli/list-paths.js';
import { privilegedClasses } from '../../src/core/lists.js';
import { bucketOf, keyNames } from '../../src/lists/layout.js';
import { parseHead } from '../../src/lists/manifest.js';
import { generatePublisherKey } from '../../src/lists/signed.js';
import { allowed, attorney, type Eyes, FieldHouse, number } from './house.js';
import type { Named } from './named.js';

/** Past failures of lists: lost, cut short, half carried, under the wrong scope, too late, or put back. */

const sister = number(9900);
const many = Array.from({ length: 1300 }, (_, n) => attorney(number(n)));
const few = many.slice(0, 72);
const lost = number(1000);
const canBeCalled = [sister, lost].map((one) => allowed(one));

const refusedForLists = async (eyes: Eyes, why: string): Promise<void> =>
  assert.equal(await eyes.says(sister), 'refused lists-unknown', `${why}: an ordinary call is refused`);

const truncated: Named = {
  cause: 2,
  name: '1,300 protected numbers that became 72 are not published by one person',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: many, allow: canBeCalled });
    const run = await house.publish(house.files({ privileged: few, allow: canBeCalled }));
    assert.match(run.err, /1228 of 1300 privileged entries would be lost.*\[shrink-refused\]/);
    const eyes = await house.eyes();
    await eyes.isPrivate(lost);
    const twice = await house.publish(house.files({ privileged: few, allow: canBeCalled }), {
      approvedBy: ['alice', ' Alice '],
    });
    assert.match(twice.err, /\[shrink-refused\]/, 'the same person twice is one');
  },
};

const truncatedAfterLoss: Named = {
  cause: 2,
  name: 'a list cut short is refused too where Redis was lost with the old one',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const state = join(house.dir, 'publisher.json');
    await house.published({ privileged: many, allow: canBeCalled }, { state });
    await house.redis.flushall();
    const run = await house.publish(house.files({ privileged: few, allow: canBeCalled }), { state });
    assert.match(run.err, /\[shrink-refused\]/);
  },
};

const olderImage: Named = {
  cause: 2,
  name: 'an older image of Redis that is put back takes no protection away',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: canBeCalled });
    const old = await house.image();
    await house.published({ privileged: many, allow: canBeCalled });
    const eyes = await house.eyes();
    assert.equal(await eyes.says(sister), 'monitored allowed-by-facility-list');
    await house.restore(old);
    await refusedForLists(eyes, 'it may lack what was made privileged since');
    await eyes.isPrivate(lost);
  },
};

const olderImageAtStart: Named = {
  cause: 2,
  name: 'a controller that starts over an older image does not take it into use',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const pending = number(9901);
    const rows = { privileged: few, allow: [...canBeCalled, allowed(pending)] };
    await house.published(rows);
    const old = await house.image();
    // The same protected numbers: what is newer is only that somebody said to be an attorney.
    await house.published({ ...rows, pending: [`${pending},says to be a law office`] });
    const before = await house.eyes();
    assert.equal(await before.says(pending), 'refused review-pending');
    await before.lists.close();
    await house.restore(old);
    const eyes = await house.eyes();
    assert.equal(await eyes.says(pending), 'refused lists-unknown');
    assert.deepEqual(eyes.lists.armed(), { armed: false, why: 'epoch-regressed' });
  },
};

const takenAway: Named = {
  cause: 2,
  name: 'a number taken out of Redis behind everybody’s back stays private, and the first call to it tells',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: [allowed(sister), allowed(number(7))] });
    const eyes = await house.eyes();
    const digits = number(7).slice(1);
    await house.redis.hdel(keyNames(house.config.lists.keyPrefix).bucket(bucketOf(digits)), digits);
    await eyes.isPrivate(number(7));
    assert.ok(eyes.alarmed('privileged-entry-missing'), 'staff are told');
    await refusedForLists(eyes, 'what else is missing?');
  },
};

const otherColumn: Named = {
  cause: 3,
  name: 'a “do not record” column is refused, and never imported as an ordinary number',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const [file = ''] = house.files({ privileged: [] });
    writeFileSync(file, `number,class,do_not_record\n${number(1)},attorney,\n${number(2)},attorney,yes\n`);
    const run = await house.publish([file]);
    assert.match(run.err, /\[bad-rows\]/);
    writeFileSync(file, `number,privileged\n${number(1)},yes\n`);
    assert.match((await house.publish([file])).err, /\[bad-rows\]/, 'nor by its near synonym');
    assert.equal(await house.redis.dbsize(), 0, 'nothing at all was published');
  },
};

const otherClass: Named = {
  cause: 3,
  name: 'a class nobody knows refuses the whole import, and drops no row silently',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    for (const word of ['do-not-record', 'privileged', 'DNR', '']) {
      const rows = [attorney(number(1)), `${number(2)},,,,,${word},global`];
      const run = await house.publish(house.files({ privileged: rows, allow: canBeCalled }));
      assert.match(run.err, /\[bad-rows\]/, `class ${JSON.stringify(word)}`);
    }
    assert.equal(await house.redis.dbsize(), 0, 'nothing at all was published');
  },
};

const otherFile: Named = {
  cause: 3,
  name: 'a second list of another name is refused, and not passed over',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const files = house.files({ privileged: few, allow: canBeCalled });
    const second = join(house.dir, 'do-not-record.csv');
    writeFileSync(second, `number,class\n${lost},attorney\n`);
    assert.match((await house.publish([...files, second])).err, /\[bad-rows\]/);
    assert.equal(await house.redis.dbsize(), 0, 'nothing at all was published');
  },
};

const everyScope: Named = {
  cause: 4,
  name: 'a number entered under one facility is private from every other',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const here = number(1);
    await house.published({
      privileged: [attorney(here, 'north')],
      allow: [allowed(here, 'north'), allowed(here, 'south'), allowed(sister, 'south')],
    });
    const eyes = await house.eyes();
    assert.equal(await eyes.says(sister, { trunk: 'south-pbx' }), 'monitored allowed-by-facility-list');
    for (const trunk of ['north-pbx', 'south-pbx']) {
      for (const caller of ['4711', '4712', 'moved-today']) await eyes.isPrivate(here, { trunk, caller });
    }
  },
};

const empty: Named = {
  cause: 8,
  name: 'before any list was published nothing is recorded, and no ordinary call connected',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const eyes = await house.eyes();
    await refusedForLists(eyes, 'there is no list');
    assert.equal(eyes.lists.armed().armed, false);
  },
};

const unprotecting: Named = {
  cause: 8,
  name: 'a list without a single protected number is not published by one person',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const run = await house.publish(house.files({ allow: canBeCalled }));
    assert.match(run.err, /\[no-privileged\]/);
    const eyes = await house.eyes();
    await refusedForLists(eyes, 'nothing was published');
  },
};

/** Signs the publication in Redis anew with another key, under the name of the right one. */
const forge = async (house: FieldHouse): Promise<void> => {
  const names = keyNames(house.config.lists.keyPrefix);
  const { privatePem } = generatePublisherKey();
  const foreign = createPrivateKey(privatePem);
  const forged = (text: string, purpose: string): string => {
    const envelope = JSON.parse(text) as { body: string; key: string };
    const signature = sign(null, Buffer.from(`sallyport lists ${purpose} 1\n${envelope.body}`), foreign);
    return JSON.stringify({ ...envelope, signature: signature.toString('base64') });
  };
  const head = parseHead((await house.redis.get(names.head)) ?? '');
  assert.ok(head !== null);
  const manifest = forged((await house.redis.get(names.manifest(head.epoch))) ?? '', 'manifest');
  const digest = createHash('sha256').update(manifest).digest('hex');
  await house.redis.set(names.manifest(head.epoch), manifest);
  await house.redis.set(names.head, `${head.epoch} ${digest}`);
  const beat = JSON.parse((await house.redis.get(names.heartbeat)) ?? '{}') as { body: string };
  const body = JSON.stringify({ ...(JSON.parse(beat.body) as object), manifest: digest });
  await house.redis.set(names.heartbeat, forged(JSON.stringify({ ...beat, body }), 'heartbeat'));
};

const unsigned: Named = {
  cause: 8,
  name: 'a list that nobody trusted has signed is no list',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: canBeCalled });
    await forge(house);
    const eyes = await house.eyes();
    await refusedForLists(eyes, 'the signature is not of a known publisher');
  },
};

const stale: Named = {
  cause: 8,
  name: 'a list older than a minute records nobody, and still protects',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: [...canBeCalled, allowed(number(1))] });
    let ahead = 0;
    const eyes = await house.eyes({ aheadMs: () => ahead });
    assert.equal(await eyes.says(sister), 'monitored allowed-by-facility-list');
    ahead = 61_000;
    await refusedForLists(eyes, 'a newer one may protect it');
    await eyes.isPrivate(number(1));
  },
};

const emptied: Named = {
  cause: 8,
  name: 'Redis emptied in mid-run records nobody, and protected numbers stay private',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: [...canBeCalled, allowed(number(1))] });
    const eyes = await house.eyes();
    await house.redis.flushall();
    await refusedForLists(eyes, 'the list is gone');
    await eyes.isPrivate(number(1));
    await eyes.lists.close();
    await (await house.eyes()).isPrivate(number(1));
  },
};

const canaries: Named = {
  cause: 10,
  name: 'a number of each class must come back privileged with every single look-up',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    await house.published({ privileged: few, allow: canBeCalled });
    const names = keyNames(house.config.lists.keyPrefix);
    const head = parseHead((await house.redis.get(names.head)) ?? '');
    const text = (await house.redis.get(names.manifest(head?.epoch ?? 0))) ?? '';
    const { canaries: all } = JSON.parse(JSON.parse(text).body) as {
      canaries: readonly { class: string; digits: string }[];
    };
    assert.deepEqual(all.map((one) => one.class).sort(), [...privilegedClasses].sort());
    const whole = await house.image();
    const eyes = await house.eyes();
    for (const { class: cls, digits } of all) {
      assert.equal(await eyes.says(sister), 'monitored allowed-by-facility-list');
      await house.redis.hdel(names.bucket(bucketOf(digits)), digits);
      await refusedForLists(eyes, `the canary of class ${cls} is silent`);
      await house.restore(whole);
      await eyes.lists.refresh();
    }
  },
};

const oldTombstone: Named = {
  cause: 10,
  name: 'a removal of long ago takes no number away that was entered again since',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const two = { approvedBy: ['alice', 'bob'] };
    const rows = (privileged: readonly string[]) => ({ privileged, allow: canBeCalled });
    await house.published(rows([...few, attorney(lost)]));
    await house.published(rows(few), two);
    const removed = await house.image();
    await house.published(rows([...few, attorney(lost)]));
    const eyes = await house.eyes();
    await eyes.isPrivate(lost);
    // A backup of when it was removed, and a publisher that goes on from there without knowing better.
    await house.restore(removed);
    await house.published(rows([...few, attorney(number(1001))]));
    await house.published(rows([...few, attorney(number(1001))]));
    await eyes.lists.refresh();
    await eyes.isPrivate(lost);
    assert.ok(eyes.alarmed('privileged-entry-missing'), 'staff are told');
  },
};

const acknowledged: Named = {
  cause: 5,
  name: 'a controller acknowledges which list it took: digest, counts and who approved it',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const run = await house.publish(house.files({ privileged: few, allow: canBeCalled }));
    const told = JSON.parse(run.out) as { epoch: number; digest: string };
    const eyes = await house.eyes();
    const armed = eyes.events.find((event) => event.event === 'lists-armed');
    assert.ok(armed?.event === 'lists-armed', 'the epoch is taken');
    assert.equal(armed.epoch, told.epoch);
    assert.equal(armed.digest, told.digest, 'and it is the one that was handed over');
    assert.equal(armed.privileged, 72);
    assert.deepEqual(armed.approvedBy, ['alice']);
  },
};

const carried: Named = {
  cause: 5,
  name: 'a list carried to another provider decides every call as before, and both can prove that it is the same',
  run: async (scope) => {
    const [from, to] = [await FieldHouse.open(scope), await FieldHouse.open(scope)];
    const firm = number(700);
    await from.published({
      privileged: [
        ...few,
        `${firm} ext. 12,,,,,attorney,south`,
        `,${number(710)} - ${number(759)},,,,public-defender,global`,
        ',,+1212556*,,,court,global',
        `,,,+13105550123,${number(1)},,global`,
        `${number(780)},,,,,relay,north`,
      ],
      allow: [
        ...[
          firm,
          number(715),
          number(761),
          '+12125561234',
          '+13105550123',
          number(780),
          number(790),
          sister,
        ].map((one) => allowed(one)),
        `4711,south,${number(791)}`,
      ],
      block: [`${number(790)},security,threats`],
      pending: [`${number(792)},says to be a law office`],
    });
    const folder = join(from.dir, 'carried');
    const told = await from.exported(folder);
    const taken = await to.publish(listFilesAt([folder]).map(({ path }) => path));
    assert.equal(taken.code, 0, taken.err);
    const there = await to.exported(join(to.dir, 'again'));
    assert.equal(there.fingerprint, told.fingerprint, 'both sides can see that it is the same list');
    assert.equal(there.counts.privileged, 72 + 5);
    const [before, after] = [await from.eyes(), await to.eyes()];
    const dialled = [0, 1, 71, 72, 700, 709, 710, 715, 734, 759, 760, 761, 780, 790, 791, 792, 9900].map(
      number,
    );
    let protectedOnes = 0;
    for (const one of [...dialled, `${firm};ext=12`, `${firm};ext=13`, '+12125561234', '+13105550123']) {
      for (const trunk of ['north-pbx', 'south-pbx']) {
        const was = await before.says(one, { trunk });
        assert.equal(await after.says(one, { trunk }), was, `${one} from ${trunk}`);
        if (was.startsWith('private')) protectedOnes += 1;
      }
    }
    assert.ok(protectedOnes >= 20, `${protectedOnes} of them are private`);
    await from.redis.hdel(
      keyNames(from.config.lists.keyPrefix).bucket(bucketOf(firm.slice(1))),
      firm.slice(1),
    );
    await assert.rejects(from.exported(join(from.dir, 'cut')), /privileged-differs/, 'all of it, or nothing');
  },
};

export const listCases: readonly Named[] = [
  truncated,
  truncatedAfterLoss,
  olderImage,
  olderImageAtStart,
  takenAway,
  otherColumn,
  otherClass,
  otherFile,
  everyScope,
  acknowledged,
  carried,
  empty,
  unprotecting,
  unsigned,
  stale,
  emptied,
  canaries,
  oldTombstone,
];
