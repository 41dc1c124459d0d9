import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type CallersDesk, callersPublish, callersShow, callersUnlock } from '../../src/cli/callers.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { FacilityId, TrunkId } from '../../src/core/leg.js';
import { openCallers } from '../../src/lists/callers.js';
import { redisOf } from '../../src/options.js';
import { fromRoot } from '../../src/root.js';
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
  };
  const run = (work: (desk: CallersDesk) => Promise<void>, json = false): Promise<Run> =>
    inProcess((terminal) => work({ config, json, terminal }));
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

  await redis.kill();
  const gone = await run((desk) => callersPublish(file, desk));
  t.equal(gone.code, 1);
  t.match(gone.err, /were not finished: Redis did not answer\. \[redis-failed\]/);

  const typed = await new Terminal(['callers', 'unlock', '4711']).done;
  t.same([typed.code, typed.out], [2, ''], 'the commands are registered');
  t.match(typed.err, /required option '--facility <name>' not specified/);
});
