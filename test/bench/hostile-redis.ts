/** Values in Redis that nobody of us wrote: of another type, without sense, and huge; and everything as it was again. */
import { askRedis } from '../../src/soak/redis-look.js';

interface RedisAt {
  readonly host: string;
  readonly port: number;
}

export const poisons = ['type', 'garbage', 'huge'] as const;
export type Poison = (typeof poisons)[number];

/** What a family of keys is by right. Those of use come and go with calls: they are spoilt and not put back. */
interface Family {
  readonly name: string;
  readonly keys: readonly string[];
  readonly kept: boolean;
}

const aside = 'bench-aside:';

/** Lua: what one poison does to a key, by the type it has. `size` is how much one key may take. */
const spoil: Readonly<Record<Poison, string>> = {
  type: `
    redis.call('DEL', key)
    redis.call(kind == 'list' and 'SADD' or 'RPUSH', key, 'poison')`,
  garbage: `
    if kind == 'hash' then
      for _, field in ipairs(redis.call('HKEYS', key)) do redis.call('HSET', key, field, '\\0\\255|{"a":1') end
      redis.call('HSET', key, 'constructor', '\\0', '__proto__', '99999999999999999999')
    elseif kind == 'zset' then redis.call('ZADD', key, 'inf', '\\0', '-inf', '__proto__', 2, '|')
    else redis.call('SET', key, '\\0\\255 -1 99999999999999999999 {"a":') end`,
  huge: `
    if kind == 'hash' then
      local long = string.rep('x', size)
      for _, field in ipairs(redis.call('HKEYS', key)) do
        redis.call('HSET', key, field, long)
        break
      end
      redis.call('HSET', key, '1', long)
      if at == 1 then for i = 1, 100000 do redis.call('HSET', key, '9' .. i, 'x') end end
    elseif kind == 'zset' then
      for i = 1, 100000 do redis.call('ZADD', key, i, 'poison' .. i) end
    else
      redis.call('SET', key, string.rep('x', size))
    end`,
};

/** All that one poison may put into Redis. */
const hugeBytes = 64 << 20;
const most = 32 << 20;

const spoilScript = (poison: Poison, size: number): string => `
  local size = ${size}
  for at, key in ipairs(KEYS) do
    local kind = redis.call('TYPE', key).ok
    if kind == 'none' then kind = ARGV[1] end
    ${spoil[poison]}
  end
  return #KEYS`;

const putAside = `for _, key in ipairs(KEYS) do redis.call('COPY', key, '${aside}' .. key, 'REPLACE') end return #KEYS`;
const putBack = `
  for _, key in ipairs(KEYS) do
    redis.call('DEL', key)
    if redis.call('EXISTS', '${aside}' .. key) == 1 then redis.call('RENAME', '${aside}' .. key, key) end
  end
  return #KEYS`;
const drop = `for _, key in ipairs(KEYS) do redis.call('DEL', key) end return #KEYS`;

const run = (at: RedisAt, script: string, keys: readonly string[], args: readonly string[] = []) =>
  askRedis(at, ['EVAL', script, String(keys.length), ...keys, ...args], 20_000);

const scan = async (at: RedisAt, prefix: string): Promise<string[]> => {
  const found = new Set<string>();
  let cursor = '0';
  do {
    const reply = await askRedis(at, ['SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', '1000']);
    if (!Array.isArray(reply)) throw new Error('Redis: SCAN was not answered');
    const [next, keys] = reply as [string, readonly string[]];
    for (const key of keys) found.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...found].sort();
};

/** The families that are there, and those a controller would read if they were. */
export const familiesOf = async (at: RedisAt, prefix: string, facility: string): Promise<Family[]> => {
  const keys = await scan(at, prefix);
  const rest = (start: string): string[] => keys.filter((key) => key.startsWith(`${prefix}${start}`));
  const family = (name: string, own: readonly string[], kept = true): Family => ({ name, keys: own, kept });
  return [
    family('head', [`${prefix}head`]),
    family('heartbeat', [`${prefix}heartbeat`]),
    family('lock', [`${prefix}lock`]),
    family('manifest', rest('manifest:')),
    family('tombstones', rest('tombstones:')),
    family('numbers', rest('n:')),
    family('allow', rest('allow:')),
    family('orders', [`${prefix}orders`]),
    family('orders:log', [`${prefix}orders:log`]),
    family('orders:meta', [`${prefix}orders:meta`]),
    family('callers', [`${prefix}callers:of:${facility}`]),
    family('callers:meta', [`${prefix}callers:meta:${facility}`]),
    family('use', rest('use:'), false),
  ].filter((one) => one.keys.length > 0);
};

const kindOf = (name: string): string =>
  name === 'orders:log'
    ? 'zset'
    : ['orders', 'orders:meta', 'callers', 'numbers', 'allow'].includes(name)
      ? 'hash'
      : 'string';

/** Spoils a family; gives what puts it back. */
export const poison = async (at: RedisAt, family: Family, how: Poison): Promise<() => Promise<void>> => {
  const { name, keys, kept } = family;
  if (kept) await run(at, putAside, keys);
  const size = Math.min(most, Math.floor(hugeBytes / keys.length));
  await run(at, spoilScript(how, size), keys, [kindOf(name)]);
  return async () => {
    await run(at, kept ? putBack : drop, keys);
  };
};
