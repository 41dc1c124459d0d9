-- Reads everything one call asks of the lists, at one instant and in one round trip.
-- Read-only: it runs under EVALSHA_RO, so a controller needs no right to write.
--
-- KEYS[1 .. s]      string keys (head, heartbeat)
-- KEYS[s+1 .. s+n]  hash keys, one for each field asked
-- ARGV[1]           s, the number of string keys
-- ARGV[2]           longest value to return, in bytes
-- ARGV[2+1 .. 2+n]  the field asked of each hash key
--
-- Returns one element for each key, in order:
--   nil               absent
--   '=' .. value      the value
--   '!type'           the key is of another type
--   '!big'            the value is longer than ARGV[2]; it is not returned
--   '!error'          Redis could not answer for this key
-- It decides nothing: what a row means is in match.ts, once, for Redis and for the snapshot.

local strings = tonumber(ARGV[1])
local longest = tonumber(ARGV[2])

local function fault(reply)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE', 1, true) then
    return '!type'
  end
  return '!error'
end

local function read(lengthCommand, readCommand, key, field)
  local length, value
  if field then
    length = redis.pcall(lengthCommand, key, field)
  else
    length = redis.pcall(lengthCommand, key)
  end
  if type(length) ~= 'number' then return fault(length) end
  if length > longest then return '!big' end
  if field then
    value = redis.pcall(readCommand, key, field)
  else
    value = redis.pcall(readCommand, key)
  end
  if value == false then return false end
  if type(value) ~= 'string' then return fault(value) end
  return '=' .. value
end

local replies = {}
for i = 1, #KEYS do
  if i <= strings then
    replies[i] = read('STRLEN', 'GET', KEYS[i], nil)
  else
    replies[i] = read('HSTRLEN', 'HGET', KEYS[i], ARGV[2 + i - strings])
  end
end
return replies
