-- Sets the heartbeat, if the head is still the one it vouches for.
--
-- KEYS[1] head   KEYS[2] heartbeat   ARGV[1] head expected   ARGV[2] heartbeat
-- Returns 1, or 0 where the head is another one.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
