-- Writes orders, each if and only if it is newer than what is there: (at, node) decides, so that controllers may
-- write in any order and any number of times.
--
-- KEYS as in orders-read.lua
-- ARGV[1] channel   ARGV[2] id to give this set of orders if it has none
-- ARGV[3] longest value, in bytes: what is longer is no order
-- ARGV[4 ..] groups of five: subject, at, node, value, and the SHA-1 of a value that was found to be no order ('' for
-- none): that one is replaced whatever time it claims to have
--
-- Returns one number for each group: 1 written, 0 the same is there, -1 a newer one is there.

local want = { 'hash', 'zset', 'hash' }
for i = 1, 3 do
  local found = redis.call('TYPE', KEYS[i]).ok
  -- A key of another type was put there by somebody else. Every controller still holds the orders, so it may go, and
  -- the id with it: under another one each of them sends everything at its next look, and not a part at a time.
  if found ~= 'none' and found ~= want[i] then redis.call('DEL', KEYS[i], KEYS[3]) end
end
local rows = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local top = rows[2] or '0'
if not string.match(top, '^%d+$') or #top > 15 then
  -- No number of a change: nobody could be told of those after it. It goes as one of another type does.
  redis.call('DEL', KEYS[2], KEYS[3])
  top = '0'
end
local n = redis.call('HGET', KEYS[3], 'n')
-- Fewer changes than the list has numbers for: who reads it would begin from the first one again, and again.
if not redis.call('HGET', KEYS[3], 'id') or not n or not string.match(n, '^%d+$') or #n > 15
  or tonumber(n) < tonumber(top) then
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'id', ARGV[2], 'n', top)
end

local longest = tonumber(ARGV[3])
local said = {}
local news = false
for i = 4, #ARGV, 5 do
  local subject, at, node = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local there = redis.call('HSTRLEN', KEYS[1], subject) <= longest and redis.call('HGET', KEYS[1], subject)
  if there and ARGV[i + 4] ~= '' and redis.sha1hex(there) == ARGV[i + 4] then there = false end
  local thereAt, thereNode
  if there then thereAt, thereNode = string.match(there, '^(%d+) ([%w._-]+) ') end
  thereAt = tonumber(thereAt)
  if not thereAt or thereAt < at or (thereAt == at and thereNode < node) then
    redis.call('HSET', KEYS[1], subject, ARGV[i + 3])
    redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'n', 1), subject)
    said[#said + 1] = 1
    news = true
  else
    said[#said + 1] = (thereAt == at and thereNode == node) and 0 or -1
    -- The list of changes may have been lost alone.
    if not redis.call('ZSCORE', KEYS[2], subject) then
      redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'n', 1), subject)
    end
  end
end
-- Only a hint: whoever misses it finds the change when it looks by itself.
if news then redis.call('PUBLISH', ARGV[1], '1') end
return said
