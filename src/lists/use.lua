-- Counts of use. Each subject (a caller, a number, a phone) has three keys, and every call under way a place in each
-- of its subjects. The time is Redis's own: controllers need not agree on one.
--
-- KEYS     for each subject: sorted set of places by the end of their lease, sorted set of connected calls by time,
--          string: when the last connected call ended. For 'hold' the first of these keys alone.
-- ARGV[1]  what to do
-- ARGV[2]  lease, window and longest memory of an end, in ms, separated by spaces
-- ARGV[3]  how long ago it happened, in ms
-- ARGV[4]  the place; for 'hold' ARGV[4 ..] one place for each key
-- ARGV[5]  for 'leave': 1 where the call was connected
--
-- enter      takes the place; returns for each subject the number of places and of connected calls there were
--            before, and the time since the last end (-1 where there is none)
-- hold       prolongs leases, and takes the places again where they were lost
-- connected  counts the call as connected
-- leave      gives the place back
-- Nothing outlives its meaning: every key has a time to live.

local lease, window, memory = string.match(ARGV[2], '^(%d+) (%d+) (%d+)$')
lease, window, memory = tonumber(lease), tonumber(window), tonumber(memory)
local place = ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = now - tonumber(ARGV[3])

-- A key of another type was put there by somebody else; what it counted is lost either way.
local function fit(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then redis.call('DEL', key) end
end

local function hold(key, member)
  redis.call('ZADD', key, now + lease, member)
  redis.call('PEXPIRE', key, lease)
end

if ARGV[1] == 'hold' then
  for i = 1, #KEYS do
    fit(KEYS[i], 'zset')
    hold(KEYS[i], ARGV[3 + i])
  end
  return #KEYS
end

local said = {}
for i = 1, #KEYS, 3 do
  local places, connected, ended = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  fit(places, 'zset')
  fit(connected, 'zset')
  fit(ended, 'string')
  redis.call('ZREMRANGEBYSCORE', places, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', connected, '-inf', now - window)
  local last = tonumber(redis.call('GET', ended) or nil)
  if ARGV[1] == 'enter' then
    said[i] = redis.call('ZCARD', places)
    said[i + 1] = redis.call('ZCARD', connected)
    said[i + 2] = last and math.max(0, now - last) or -1
    hold(places, place)
  elseif ARGV[1] == 'connected' then
    redis.call('ZADD', connected, at, place)
    redis.call('PEXPIRE', connected, window)
  elseif ARGV[1] == 'leave' then
    redis.call('ZREM', places, place)
    if ARGV[5] == '1' and (not last or last < at) then redis.call('SET', ended, at, 'PX', memory) end
  end
end
return said
