-- Writes one batch of a publication, if and only if the publisher still holds the lock. Check and write are one
-- step inside Redis, so a publisher that was stopped past its lock's end can never write again.
--
-- KEYS[1]        the lock
-- KEYS[2 ..]     hash keys
-- ARGV[1]        the publisher's lock token
-- ARGV[2]        how long the lock is prolonged, in ms
-- ARGV[3 ..]     triples: index of a hash key in KEYS, field, value
--                (empty value: the field is deleted; empty field: the key is deleted)
--
-- Returns the number of triples, or -1 where the lock is lost.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 3, #ARGV, 3 do
  local key, field, value = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]
  if field == '' then
    redis.call('DEL', key)
  elseif value == '' then
    redis.call('HDEL', key, field)
  else
    redis.call('HSET', key, field, value)
  end
end
return (#ARGV - 2) / 3
