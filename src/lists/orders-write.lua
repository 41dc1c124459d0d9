-- Writes orders, each if and only if it is newer than what is there: (at, node) decides, so that controllers may
-- write in any order and any number of times.
--
-- KEYS as in orders-read.lua
-- ARGV[1] channel   ARGV[2] id to give this set of orders if it has none
-- ARGV[3 ..] groups of four: subject, at, node, value ('' takes the subject away, if it is still that one)
--
-- Returns one number for each group: 1 written, 0 the same is there, -1 a newer one is there.

local want = { 'hash', 'zset', 'hash' }
for i = 1, 3 do
  local found = redis.call('TYPE', KEYS[i]).ok
  -- A key of another type was put there by somebody else. Every controller still holds the orders, so it may go.
  if found ~= 'none' and found ~= want[i] then redis.call('DEL', KEYS[i]) end
end
if not redis.call('HGET', KEYS[3], 'id') or not tonumber(redis.call('HGET', KEYS[3], 'n')) then
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'id', ARGV[2], 'n', 0)
end

local said = {}
local news = false
for i = 3, #ARGV, 4 do
  local subject, at, node, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local there = redis.call('HGET', KEYS[1], subject)
  local thereAt, thereNode
  if there then thereAt, thereNode = string.match(there, '^(%d+) ([%w._-]+) ') end
  thereAt = tonumber(thereAt)
  local same = thereAt == at and thereNode == node
  local result
  if value == '' then
    result = same and 1 or -1
    if same then
      redis.call('HDEL', KEYS[1], subject)
      redis.call('ZREM', KEYS[2], subject)
    end
  elseif not thereAt or thereAt < at or (thereAt == at and thereNode < node) then
    redis.call('HSET', KEYS[1], subject, value)
    redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'n', 1), subject)
    result = 1
    news = true
  else
    result = same and 0 or -1
    -- The list of changes may have been lost alone.
    if not redis.call('ZSCORE', KEYS[2], subject) then
      redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'n', 1), subject)
    end
  end
  said[#said + 1] = result
end
-- Only a hint: whoever misses it finds the change when it looks by itself.
if news then redis.call('PUBLISH', ARGV[1], '1') end
return said
