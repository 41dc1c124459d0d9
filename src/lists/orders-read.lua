-- What a controller asks about the orders: what changed since it last looked, and whether some of what it holds is
-- still there. Read-only: it runs under EVALSHA_RO.
--
-- KEYS[1] hash: subject -> '<at> <node> <json>'   KEYS[2] sorted set: subject by the change that wrote it last
-- KEYS[3] hash: 'id' of this set of orders, 'n' number of changes so far
-- ARGV[1] id seen last   ARGV[2] last change seen   ARGV[3] most changes to return   ARGV[4] longest value, in bytes
-- ARGV[5 ..] subjects to look up besides
--
-- Returns { id, n, last change returned, Redis's time in ms, { subject, value, ... } of the changes, { value, ... }
-- of the subjects looked up }; a value is false where absent and '' where it is longer than allowed. Returns '!type'
-- where a key is of another type.

local want = { 'hash', 'zset', 'hash' }
for i = 1, 3 do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= want[i] then return '!type' end
end

local longest = tonumber(ARGV[4])
local function value(subject)
  if redis.call('HSTRLEN', KEYS[1], subject) > longest then return '' end
  return redis.call('HGET', KEYS[1], subject)
end

local id = redis.call('HGET', KEYS[3], 'id') or ''
local n = tonumber(redis.call('HGET', KEYS[3], 'n') or '0') or 0
local since = tonumber(ARGV[2])
-- Another set of orders, or an older copy of this one: everything is read again.
if id ~= ARGV[1] or n < since then since = 0 end

local most = tonumber(ARGV[3])
local rows = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. since, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local changes = {}
local last = n
for i = 1, #rows, 2 do
  changes[i] = rows[i]
  changes[i + 1] = value(rows[i])
end
if #rows == most * 2 then last = tonumber(rows[#rows]) end

local asked = {}
for i = 5, #ARGV do
  -- One that is not in the list of changes is as good as absent: a newcomer would never find it.
  asked[i - 4] = redis.call('ZSCORE', KEYS[2], ARGV[i]) and value(ARGV[i])
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return { id, n, last, now, changes, asked }
