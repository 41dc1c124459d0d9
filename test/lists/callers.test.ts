import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { PinAnswer } from '../../src/call/talk.js';
import type { Origin, TrunkId } from '../../src/core/leg.js';
import { type CallersOptions, type OpenCallers, openCallers } from '../../src/lists/callers.js';
import { publishCallers, setPin, showCallers, unlockCaller } from '../../src/lists/commands-callers.js';
import {
  hashPin,
  isPin,
  nobodysHash,
  parsePinHash,
  parsePinRecord,
  pinHashText,
} from '../../src/lists/pin-record.js';
import { caller, facility, prefix, TestClock } from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-callers-'));
const redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const north = facility('north');
const lengths = { idDigits: 6, pinDigits: 4 } as const;
const admin = { redis: server.endpoint, keyPrefix: prefix, clock: new TestClock() };
let files = 0;
const fileOf = async (text: string, mode = 0o600): Promise<string> => {
  const path = join(folder, `callers-${files++}.csv`);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
};
const header = 'facility,caller,number_digits,pin,language';
const example = [
  header,
  'north,c1,100001,4821,en',
  'north,c2,100002,7350,es',
  'north,c3,100003,1946,',
  'south,c9,100001,6007,en',
].join('\n');
const at = (phone: string | null = 'p1', where = 'north'): Origin => ({
  trunk: 't1' as TrunkId,
  facility: facility(where),
  unit: null,
  phone,
});

// Hashing takes time, so the example is published once and put back as it was.
await publishCallers(await fileOf(example), { ...admin, ...lengths });
const kept = new Map<string, Buffer>();
for (const name of await redis.keys('*')) kept.set(name, (await redis.dumpBuffer(name)) ?? Buffer.alloc(0));
const putBack = async (): Promise<void> => {
  await redis.flushall();
  for (const [name, dump] of kept) await redis.restore(name, 0, dump);
};
t.beforeEach(putBack);

interface Opened {
  readonly callers: OpenCallers;
  readonly events: AppEvent[];
}
const open = async (
  t: { teardown(close: () => void): void },
  more: Partial<CallersOptions> = {},
): Promise<Opened> => {
  const events: AppEvent[] = [];
  const callers = await openCallers({
    redis: server.endpoint,
    keyPrefix: prefix,
    ...lengths,
    // Generous, because tests share two cores.
    deadlineMs: 2_000,
    emit: (event) => events.push(event),
    ...more,
  });
  t.teardown(() => callers.close());
  return { callers, events };
};
const tally = (answers: readonly PinAnswer[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { state } of answers) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
};

t.test('a number and its PIN say who calls, and nothing else does', async (t) => {
  const { callers } = await open(t, { maxWrongPerPhone: 1_000 });
  const one = { state: 'known', caller: 'c1', language: 'en' };
  t.same(await callers.check(at(), '1000014821'), one);
  t.same(await callers.check(at(), '1000031946'), { state: 'known', caller: 'c3', language: null });
  t.same(await callers.check(at('p1', 'south'), '1000016007'), { ...one, caller: 'c9' });
  for (const digits of [
    '1000014822',
    '1000027351',
    '1000016007',
    '1000094821',
    '',
    '100001',
    '10000148210',
    '100001482',
    '100001482a',
    '100001*821',
    '１０００014821',
    ' 1000014821',
    '4821100001',
  ]) {
    t.same(await callers.check(at(), digits), { state: 'wrong' }, JSON.stringify(digits));
  }
  const west = await callers.check(at('p1', 'west'), '1000014821');
  t.same(west, { state: 'unknown', why: 'no-callers' }, 'a facility without callers');
});

t.test('five wrong PINs in a row lock a caller on every controller, until an officer unlocks', async (t) => {
  const [one, two] = await Promise.all([open(t), open(t)]);
  let phone = 0;
  const tryOn = ({ callers }: Opened, digits: string) => callers.check(at(`p${phone++}`), digits);
  for (let i = 0; i < 4; i++) t.match(await tryOn(one, '1000010000'), { state: 'wrong' });
  t.match(await tryOn(two, '1000014821'), { state: 'known' }, 'a right one begins anew');
  for (let i = 0; i < 5; i++) t.match(await tryOn(i % 2 === 0 ? one : two, '1000010000'), { state: 'wrong' });
  t.match(await tryOn(one, '1000014821'), { state: 'locked' }, 'also with the right one');
  t.match(await tryOn(two, '1000014821'), { state: 'locked' });
  t.match(await tryOn(one, '1000027350'), { state: 'known' }, 'others are not');
  t.match(await showCallers(north, admin), { tries: [{ caller: 'c1', wrong: 5, locked: true }] });
  const locks = await redis.keys(`${prefix}pins:*`);
  const times = await Promise.all(locks.map((name) => redis.pttl(name)));
  t.equal(times.filter((ms) => ms === -1).length, 1, 'a caller’s lock does not end by itself');
  t.same(await unlockCaller(north, caller('c1'), admin), { wrongTries: 5 });
  t.match(await tryOn(one, '1000014821'), { state: 'known' });
  t.same(await unlockCaller(north, caller('c1'), admin), { wrongTries: 0 });
  await t.rejects(unlockCaller(north, caller('c7'), admin), { code: 'caller-unknown' });
  await t.rejects(unlockCaller(facility('west'), caller('c1'), admin), { code: 'no-callers' });
});

t.test('a number nobody has locks too, as far as anybody can tell', async (t) => {
  const { callers } = await open(t);
  const guess = (i: number) => callers.check(at(`p${i}`), '9999990000');
  for (let i = 0; i < 5; i++) t.match(await guess(i), { state: 'wrong' });
  t.match(await guess(6), { state: 'locked' });
  const left = await redis.keys(`${prefix}pins:*`);
  t.equal(left.length, 6);
  for (const name of left) t.ok((await redis.pttl(name)) > 0, 'but nothing of it stays for ever');
});

t.test('five wrong PINs from one phone lock the phone for a while', async (t) => {
  const { callers } = await open(t);
  const guesses = ['1000010000', '1000020000', '1000030000', '12', '9999990000'];
  for (const digits of guesses) t.match(await callers.check(at(), digits), { state: 'wrong' });
  t.match(await callers.check(at(), '1000014821'), { state: 'locked' });
  t.match(await callers.check(at('p2'), '1000014821'), { state: 'known' }, 'another phone is not');
  t.match(
    await callers.check(at('p1', 'south'), '1000016007'),
    { state: 'known' },
    'nor one of another facility',
  );
  // The time passes.
  let ended = 0;
  for (const name of await redis.keys(`${prefix}pins:*`))
    ended += await redis.pexpire(name, 1, 'LT').catch(() => 0);
  t.ok(ended >= 2);
  await until('unlocked by itself', async () => {
    const { state } = await callers.check(at(), '1000024444');
    return state === 'wrong';
  });
  const noPhone = at(null);
  for (let i = 0; i < 4; i++) t.match(await callers.check(noPhone, '1'), { state: 'wrong' });
  for (let i = 0; i < 3; i++) {
    t.match(await callers.check(noPhone, '1000027350'), { state: 'known' }, 'a right one is not counted');
  }
  t.match(await callers.check(noPhone, '1'), { state: 'wrong' });
  t.match(
    await callers.check(noPhone, '1000027350'),
    { state: 'locked' },
    'nor does it take wrong ones back',
  );
});

t.test('of fifty guesses at once five are compared', async (t) => {
  const both = await Promise.all([
    open(t, { maxWrongPerPhone: 1_000 }),
    open(t, { maxWrongPerPhone: 1_000 }),
  ]);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => {
      const { callers } = both[i % 2] ?? both[0];
      // The right PIN is among them, but so late that it must not be reached.
      return callers.check(at(`p${i}`), `100001${i === 49 ? '4821' : String(i).padStart(4, '0')}`);
    }),
  );
  t.same(tally(answers), { wrong: 5, locked: 45 });
  const [first] = both;
  const { callers } = await open(t, { maxWrongPerCaller: 1_000 });
  const atOnePhone = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      callers.check(at('p99'), `10000${i % 10}${String(i).padStart(4, '0')}`),
    ),
  );
  t.same(tally(atOnePhone), { wrong: 5, locked: 45 }, 'also at one phone over many callers');
  t.match(await first.callers.check(at('p98'), '1000027350'), { state: 'known' });
});

t.test('an overload and a lost Redis are unknown, and count against nobody', async (t) => {
  const { callers } = await open(t, { atOnce: 1, maxWaiting: 2 });
  const answers = await Promise.all(Array.from({ length: 9 }, () => callers.check(at(), '1000014821')));
  t.same(tally(answers), { known: 3, unknown: 6 });
  t.same(answers.filter(({ state }) => state === 'unknown')[0], { state: 'unknown', why: 'overloaded' });
  t.same(await redis.keys(`${prefix}pins:*`), []);
  const brief = await open(t, { deadlineMs: 50 });
  server.freeze();
  t.match(await brief.callers.check(at(), '1000014821'), { state: 'unknown', why: 'timeout' });
  server.thaw();
  await until('again', async () => (await brief.callers.check(at(), '1000014821')).state === 'known');
  await server.kill();
  t.match(await callers.check(at(), '1000014821'), { state: 'unknown', why: /unreachable|timeout/ });
  await server.run();
  await until('connected again', async () => {
    const answer = await callers.check(at(), '1000010000');
    return answer.state === 'unknown' && answer.why === 'no-callers';
  });
  t.pass('an empty Redis cannot say that a PIN is wrong');
  await until('the admin too', async () =>
    redis.ping().then(
      () => true,
      () => false,
    ),
  );
  await putBack();
  const records = `${prefix}callers:of:north`;
  const whole = (await redis.hget(records, '100001')) ?? '';
  for (const poison of [
    '',
    'x',
    '{}',
    whole.replace('16384', '2'),
    whole.replace('16384', '1073741824'),
    `${whole.slice(0, -1)},"x":1}`,
  ]) {
    await redis.hset(records, '100001', poison);
    t.match(
      await callers.check(at(), '1000014821'),
      { state: 'unknown', why: 'malformed' },
      poison.slice(0, 20),
    );
  }
  await redis.hset(records, '100001', whole);
  await redis.flushall();
  await putBack();
  await callers.check(at(), '1000010000');
  for (const name of await redis.keys(`${prefix}pins:*`)) await redis.set(name, 'x');
  t.match(
    await callers.check(at(), '1000014821'),
    { state: 'unknown' },
    'a count that is none allows nothing',
  );
});

t.test('no PIN is in Redis, in a key, in an event or in an error', async (t) => {
  await redis.config('SET', 'slowlog-log-slower-than', '0');
  await redis.call('SLOWLOG', 'RESET');
  await redis.config('SET', 'slowlog-max-len', '1000');
  const { callers, events } = await open(t);
  await callers.check(at(), '1000014821');
  await callers.check(at(), '1000019753');
  await callers.check(at(), '10000197531');
  const path = await fileOf(`${header}\nnorth,c1,100001,4821,en\nnorth,c2,100002,97531,en`);
  const error = await publishCallers(path, { ...admin, ...lengths }).catch((e: unknown) => e);
  await setPin(
    { ...lengths, facility: north, caller: caller('c3'), id: '100003', pin: '9753', language: null },
    admin,
  );
  const shown = await showCallers(north, admin);
  let everything = JSON.stringify([
    events,
    shown,
    error,
    String(error),
    await redis.call('SLOWLOG', 'GET', '1000'),
  ]);
  for (const name of await redis.keys('*')) {
    const type = await redis.type(name);
    everything += name + JSON.stringify(type === 'hash' ? await redis.hgetall(name) : await redis.get(name));
  }
  await redis.config('SET', 'slowlog-log-slower-than', '10000');
  t.ok(everything.includes('100001'), 'the number is, as a field');
  // A hash or a salt may hold such digits by chance, but not beside no other character of theirs.
  t.notMatch(everything, /(?<![\w-])(4821|9753)(?![\w-])|1000014821|1000019753|97531/);
  t.notMatch(JSON.stringify(shown), /100001|scrypt|salt/, 'nor is anything secret shown');
});

t.test('publishing replaces a facility all at once, and says what is wrong first', async (t) => {
  const published = await publishCallers(
    await fileOf(
      `\ufefffacility,caller,number_digits,pin_hash\nnorth,c5,100005,${pinHashText(await hashPin('2468'))}\n`,
    ),
    { ...admin, ...lengths },
  );
  t.match(published, [{ facility: 'north', callers: 1, before: 3, digest: /^[0-9a-f]{64}$/ }]);
  const { callers } = await open(t);
  t.match(await callers.check(at(), '1000052468'), { state: 'known', caller: 'c5' });
  t.match(await callers.check(at(), '1000014821'), { state: 'wrong' }, 'those before are gone');
  t.match(
    await callers.check(at('p1', 'south'), '1000016007'),
    { state: 'known' },
    'other facilities are not',
  );
  t.match(await showCallers(north, admin), { callers: 1, genuine: true });
  await redis.hset(
    `${prefix}callers:of:north`,
    '100006',
    (await redis.hget(`${prefix}callers:of:north`, '100005')) ?? '',
  );
  t.match(await showCallers(north, admin), { genuine: false }, 'what somebody else put there is seen');
  t.same(await redis.keys(`${prefix}callers:new:*`), []);
  const before = await redis.hgetall(`${prefix}callers:of:south`);
  const bad: Record<string, string> = {
    'header-missing': 'facility,caller,pin\nnorth,c1,4821',
    'header-unknown': 'facility,caller,number_digits,pin,name\nsouth,c1,100001,4821,x',
    'csv-malformed': `${header}\nsouth,c1`,
    'facility-malformed': `${header}\nSouth,c1,100001,4821,en`,
    'caller-malformed': `${header}\nsouth,c 1,100001,4821,en`,
    'number-malformed': `${header}\nsouth,c1,10000,4821,en`,
    'pin-malformed': `${header}\nsouth,c1,100001,48211,en`,
    'pin-count': `${header}\nsouth,c1,100001,,en`,
    'hash-malformed': 'facility,caller,number_digits,pin_hash\nsouth,c1,100001,scrypt$2$8$1$x$y',
    'language-unknown': `${header}\nsouth,c1,100001,4821,xx`,
    'number-repeated': `${header}\nsouth,c1,100001,4821,en\nsouth,c2,100001,4822,en`,
    'caller-repeated': `${header}\nsouth,c1,100001,4821,en\nsouth,c1,100002,4822,en`,
  };
  for (const [code, text] of Object.entries(bad)) {
    const error = publishCallers(await fileOf(text), { ...admin, ...lengths });
    await t.rejects(error, { code: 'bad-rows', problems: [{ code }] }, code);
  }
  for (const mode of [0o640, 0o604, 0o620]) {
    const error = publishCallers(await fileOf(example, mode), { ...admin, ...lengths });
    await t.rejects(error, { code: 'file-not-private' });
  }
  await t.rejects(publishCallers(join(folder, 'none'), { ...admin, ...lengths }), {
    code: 'file-unreadable',
  });
  await t.rejects(publishCallers(await fileOf(example), { ...admin, ...lengths, pinDigits: 3 }), {
    code: 'lengths-odd',
  });
  t.same(await redis.hgetall(`${prefix}callers:of:south`), before, 'nothing was written');
  const nowhere = { ...admin, redis: { host: '127.0.0.1', port: 1 } };
  await t.rejects(showCallers(north, nowhere), { code: 'redis-failed' });
  t.ok(
    (await readdir(folder)).every((name) => name.endsWith('.csv')),
    'nor is anything left on the disk',
  );
});

t.test('one caller’s PIN is set without touching the others', async (t) => {
  const { callers } = await open(t);
  const given = {
    ...lengths,
    facility: north,
    caller: caller('c1'),
    id: '100001',
    pin: '1357',
    language: null,
  };
  t.same(await setPin(given, admin), { added: false });
  t.match(await callers.check(at(), '1000011357'), { state: 'known', caller: 'c1' });
  t.match(await callers.check(at(), '1000014821'), { state: 'wrong' });
  t.match(await callers.check(at(), '1000027350'), { state: 'known', caller: 'c2' });
  t.match(await showCallers(north, admin), { callers: 3, genuine: true });
  t.same(await setPin({ ...given, caller: caller('c4'), id: '100004' }, admin), { added: true });
  // By name alone: the number stays, and so does the language where nothing is said of it.
  const byName = { ...given, id: null, caller: caller('c4'), pin: '8642', language: 'as-it-is' } as const;
  t.same(await setPin({ ...given, caller: caller('c4'), id: '100004', language: 'es' }, admin), {
    added: false,
  });
  t.same(await setPin(byName, admin), { added: false });
  t.match(await callers.check(at(), '1000048642'), { state: 'known', caller: 'c4', language: 'es' });
  await t.rejects(setPin({ ...byName, caller: caller('c9') }, admin), { code: 'caller-unknown' });
  await t.rejects(setPin({ ...byName, facility: facility('nowhere') }, admin), { code: 'no-callers' });
  const noRow = { ...admin, before: () => Promise.reject(new Error('no row')) };
  await t.rejects(setPin({ ...byName, pin: '1111' }, noRow), { message: 'no row' });
  t.match(await callers.check(at(), '1000048642'), { state: 'known' }, 'no row, no change');
  await t.rejects(setPin({ ...given, id: '100002' }, admin), { code: 'taken-by-another' });
  await t.rejects(setPin({ ...given, id: '100007' }, admin), { code: 'taken-by-another' });
  const newcomer = { ...given, caller: caller('c8'), id: '100002' };
  await t.rejects(
    setPin(newcomer, admin),
    { code: 'taken-by-another' },
    'nor does a newcomer get another’s number',
  );
  await t.rejects(setPin({ ...given, pin: '12' }, admin), { code: 'bad-rows' });
  const west = facility('west');
  t.same(await setPin({ ...given, facility: west }, admin), { added: true }, 'the first of a facility');
  t.match(await showCallers(west, admin), { callers: 1, genuine: true });
});

t.test('hashes and bounds', async (t) => {
  const kept = await hashPin('4821');
  t.equal(await isPin('4821', kept), true);
  t.equal(await isPin('4822', kept), false);
  t.equal(await isPin('4821', nobodysHash()), false);
  t.not((await hashPin('4821')).hash, kept.hash, 'each has a salt of its own');
  t.same(parsePinHash(pinHashText(kept)), kept);
  t.equal(parsePinHash(`${pinHashText(kept)}$`), null);
  t.equal(parsePinRecord('x'.repeat(2_000)), null);
  const options = { redis: server.endpoint, keyPrefix: prefix, emit: () => {} };
  for (const odd of [
    { idDigits: 3 },
    { idDigits: 13 },
    { pinDigits: 3 },
    { pinDigits: 11 },
    { atOnce: 0 },
    { maxWrongPerPhone: Number.NaN },
  ]) {
    await t.rejects(openCallers({ ...options, ...lengths, ...odd }), RangeError);
  }
});
