-- Puts the callers of one facility in the place of those before, all at once; or changes one of them.
--
-- KEYS[1] hash of the facility's callers   KEYS[2] what is said about it   KEYS[3] the new hash (to replace all)
-- ARGV[1] what was said about it before ('' = whatever)   ARGV[2] what is said now
-- ARGV[3] number of callers in the new hash (to replace all), or the number to change   ARGV[4] its record
--
-- Returns 1, or -1 where the hash is not the one expected.

if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
if KEYS[3] then
  if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[3]) then return -1 end
  redis.call('RENAME', KEYS[3], KEYS[1])
  redis.call('PERSIST', KEYS[1])
else
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
