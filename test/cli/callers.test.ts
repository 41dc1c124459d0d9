import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startControl } from '../../src/api/control-server.js';
import {
  type ChangeDesk,
  callersPublish,
  callersSetPin,
  callersShow,
  callersUnlock,
  type PinFlags,
} from '../../src/cli/callers.js';
import { readSecret } from '../../src/cli/secret-line.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { FacilityId, TrunkId } from '../../src/core/leg.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { openCallers } from '../../src/lists/callers.js';
import { redisOf } from '../../src/options.js';
import { fromRoot } from '../../src/root.js';
import { FakeControl, socketPath } from '../api/fake-control.js';
import { RedisServer } from '../lists/redis-server.js';
import { inProcess, type Run, Terminal } from './terminal.js';

t.setTimeout(60_000);

t.test('callers publish, show and unlock', async (t) => {
  const redis = await RedisServer.start();
  const dir = mkdtempSync(join(tmpdir(), 'callers-'));
  t.teardown(async () => {
    await redis.stop();
    rmSync(dir, { recursive: true });
  });
  const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
  const config: Config = {
    ...own,
    lists: { ...own.lists, redis: { ...own.lists.redis, ...redis.endpoint } },
    journal: { directory: join(dir, 'journal'), deadlineMs: 10_000 },
  };
  let socket = join(dir, 'no-controller.sock');
  const run = (work: (desk: ChangeDesk) => Promise<void>, json = false): Promise<Run> =>
    inProcess((terminal) => work({ config, json, terminal, socket, by: 'ann', why: null }));
  const changes = async (): Promise<readonly unknown[]> => {
    const bodies: unknown[] = [];
    for await (const row of readJournal(config.journal.directory, { kinds: ['supervision'] })) {
      bodies.push(row.body);
    }
    return bodies;
  };
  const file = join(dir, 'callers.csv');
  const write = (...rows: string[]): void => {
    writeFileSync(file, ['facility,caller,number_digits,pin', ...rows, ''].join('\n'), { mode: 0o600 });
    chmodSync(file, 0o600);
  };

  const empty = await run((desk) => callersShow(undefined, desk));
  t.equal(empty.code, 0);
  t.match(empty.out, /^facility {2}callers {2}published {2}genuine\nnorth {5}none/);

  write('north,4711,471100,4821', 'north,4712,47120,9999', 'north,4713,471100,5555');
  const refused = await run((desk) => callersPublish(file, desk));
  t.equal(refused.code, 2);
  t.equal(
    refused.out,
    `${file}:3: error: The number has not as many digits as caller numbers have here. [number-malformed]
${file}:4: error: The number stands twice in this facility. [number-repeated]
`,
  );
  t.match(refused.err, /were refused: Some rows are at fault, so nothing was published\. \[bad-rows\]/);
  t.notMatch(refused.out + refused.err, /4821|9999|5555/, 'no PIN is printed');
  t.match((await run((desk) => callersShow('north', desk))).out, /north {5}none/);

  write('north,4711,471100,4821', 'north,4712,471200,7302');
  chmodSync(file, 0o644);
  const open = await run((desk) => callersPublish(file, desk), true);
  t.equal(open.code, 2);
  t.same(JSON.parse(open.out), { ok: false, code: 'file-not-private', problems: [] });
  chmodSync(file, 0o600);
  t.same(await run((desk) => callersPublish(file, desk)), {
    code: 0,
    out: 'facility  callers  before\nnorth     2        none\n',
    err: '',
  });

  const callers = await openCallers({
    redis: redisOf(config),
    keyPrefix: config.lists.keyPrefix,
    ...config.callers,
    deadlineMs: 5000,
    maxWrongPerPhone: 100,
    emit: () => undefined,
  });
  t.teardown(() => callers.close());
  const at = { trunk: 'north-pbx' as TrunkId, facility: 'north' as FacilityId, unit: null, phone: null };
  for (let i = 0; i < 5; i += 1) await callers.check(at, '4711000000');
  t.equal((await callers.check(at, '4711004821')).state, 'locked');
  const locked = await run((desk) => callersShow('north', desk));
  t.match(
    locked.out,
    /\nnorth {5}2 {8}\S+Z {2}yes\n\nfacility {2}caller {2}wrong PINs {2}state\nnorth {5}4711 {4}\d+ {9} *locked\n$/,
  );
  t.notMatch(locked.out, /4821|471100/);

  for (const [facility, caller, code] of [
    ['nowhere', '4711', 'facility-unknown'],
    ['north', '47 11', 'caller-invalid'],
    ['north', '9999', 'caller-unknown'],
  ] as const) {
    const wrong = await run((desk) => callersUnlock(facility, caller, desk));
    t.equal(wrong.code, 2);
    t.ok(wrong.err.endsWith(`[${code}]\n`), wrong.err.trim());
  }
  t.equal((await callers.check(at, '4711004821')).state, 'locked', 'still locked');
  t.match(await run((desk) => callersUnlock('north', '4711', desk)), {
    code: 0,
    out: /^caller 4711 may try again: \d+ wrong PIN\(s\) forgotten\n$/,
  });
  t.equal((await callers.check(at, '4711004821')).state, 'known');
  t.match((await run((desk) => callersUnlock('north', '4711', desk))).out, /had no wrong PIN to forget/);

  const client = redis.client();
  const [key] = (await client.keys('*')).filter((name) => /callers/.test(name) && !/meta/.test(name));
  await client.hdel(key ?? '', (await client.hkeys(key ?? ''))[0] ?? '');
  client.disconnect();
  const changed = await run((desk) => callersShow('north', desk), true);
  t.equal(changed.code, 2);
  t.match(changed.err, /not what was published for north; publish again \[callers-changed\]/);
  t.match(JSON.parse(changed.out), { shown: [{ facility: 'north', callers: 1, genuine: false }] });

  const noted = { use: 'callers', callId: null, by: 'ann', why: null, facility: 'north' };
  t.same(
    await changes(),
    [
      { ...noted, change: 'publish', caller: null, callers: 2 },
      { ...noted, change: 'unlock', caller: '4711', callers: null },
      { ...noted, change: 'unlock', caller: '4711', callers: null },
    ],
    'each change that was made has its row, and nothing that was refused',
  );

  write('north,4711,471100,4821', 'north,4712,471200,7302');
  await run((desk) => callersPublish(file, desk));
  const state = async (digits: string): Promise<string> => (await callers.check(at, digits)).state;
  const given = async function* (...chunks: string[]): AsyncGenerator<string> {
    yield* chunks;
  };
  const setPin = (text: string, caller = '4711', flags: Partial<PinFlags> = {}): Promise<Run> =>
    run((desk) => callersSetPin(caller, { facility: 'north', ...flags }, given(text), desk));
  t.same(await setPin('1357\r\n'), { code: 0, out: 'caller 4711 has a new PIN\n', err: '' });
  t.same([await state('4711001357'), await state('4711004821')], ['known', 'wrong']);
  t.same(await state('4712007302'), 'known', 'and nobody else’s');
  t.match(await setPin('2468', '4713', { number: '471300', language: 'es' }), { out: /4713 is added\n$/ });
  t.match(await callers.check(at, '4713002468'), { state: 'known', caller: '4713', language: 'es' });
  t.match(await setPin('8642', '4713'), { out: /4713 has a new PIN\n$/ });
  t.match(await callers.check(at, '4713008642'), { state: 'known', language: 'es' }, 'as it was');
  const before = await changes();
  for (const [text, caller, flags, code] of [
    ['13579', '4711', {}, 'pin-malformed'],
    ['13x7', '4711', {}, 'pin-malformed'],
    ['', '4711', {}, 'secret-missing'],
    ['1357\n2468\n', '4711', {}, 'secret-lines'],
    ['1'.repeat(300), '4711', {}, 'secret-long'],
    ['9753', '4799', {}, 'caller-unknown'],
    ['9753', '4799', { number: '471100' }, 'taken-by-another'],
    ['9753', '4799', { number: '4799' }, 'number-malformed'],
    ['9753', '4711', { facility: 'nowhere' }, 'facility-unknown'],
    ['9753', '4711', { language: 'fr' }, 'language-unknown'],
  ] as const) {
    const wrong = await setPin(text, caller, flags);
    t.ok(wrong.code === 2 && wrong.err.endsWith(`[${code}]\n`), `${code}: ${wrong.err.trim()}`);
    t.notMatch(wrong.out + wrong.err, /13579|13x7|2468|9753|471100/);
  }
  t.same(await changes(), before, 'what was refused has no row');
  t.equal(await state('4711001357'), 'known');

  const locked2 = await openJournal({ dir: config.journal.directory, nodeId: config.controller.name });
  for (const work of [
    (desk: ChangeDesk) => callersSetPin('4711', { facility: 'north' }, given('5555'), desk),
    (desk: ChangeDesk) => callersPublish(file, desk),
    (desk: ChangeDesk) => callersUnlock('north', '4711', desk),
  ]) {
    const unjournalled = await run(work);
    t.equal(unjournalled.code, 1);
    t.match(
      unjournalled.err,
      /nothing was changed, for it cannot be journalled.*--socket \[journal-locked\]/,
    );
  }
  await locked2.close();
  t.same([await state('4711001357'), await state('4713008642')], ['known', 'known'], 'no row, no change');

  socket = socketPath();
  const control = new FakeControl();
  const server = await startControl({ path: socket, control, onFault: () => undefined });
  t.equal((await setPin('5555')).code, 0);
  t.same(control.told, [
    ['callers', { change: 'set-pin', facility: 'north', caller: '4711', callers: 3 }, 'ann', null],
  ]);
  control.answer = async () => ({ ok: false, code: 'journal-full', message: 'no' });
  t.match(await setPin('6666'), { code: 1, err: /\[journal-full\]\n$/ });
  t.same([await state('4711005555'), await state('4711006666')], ['known', 'wrong'], 'nor here');
  await server.close();
  t.same((await changes()).length, before.length, 'the running controller keeps the journal, and it alone');
  const rows = JSON.stringify(await changes());
  t.notMatch(rows, /1357|4821|7302|2468|8642|471100|471200|471300/, 'no number and no PIN');

  await redis.kill();
  const gone = await run((desk) => callersPublish(file, desk));
  t.equal(gone.code, 1);
  t.match(gone.err, /were not finished: Redis did not answer\. \[redis-failed\]/);

  const typed = await new Terminal(['callers', 'unlock', '4711']).done;
  t.same([typed.code, typed.out], [2, ''], 'the commands are registered');
  t.match(typed.err, /required option '--facility <name>' not specified/);
});

t.test('a PIN at a terminal is asked for twice, and not shown', async (t) => {
  const raw: boolean[] = [];
  const said: string[] = [];
  const terminal = (...chunks: string[]) => ({
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on),
    async *[Symbol.asyncIterator]() {
      yield* chunks;
    },
  });
  const read = (...chunks: string[]): Promise<string> =>
    readSecret('PIN', terminal(...chunks), { err: (text) => void said.push(text) });
  t.equal(await read('48', '2', '9', '\u007f', '1\r', '4821\r', 'never read'), '4821');
  t.same(
    [raw, said],
    [
      [true, false],
      ['PIN, which is not shown:', 'PIN again:'],
    ],
  );
  await t.rejects(read('4821\r4822\r'), { code: 'secret-differs' });
  await t.rejects(read('48\u0003'), { code: 'cancelled' });
  t.equal(raw.at(-1), false, 'the terminal shows again what is typed');
});
