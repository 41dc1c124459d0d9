-- Makes a written publication the one that is served: all at once, or not at all.
--
-- KEYS[1] lock   KEYS[2] head   KEYS[3] manifest of the new epoch   KEYS[4] its tombstones   KEYS[5] heartbeat
-- ARGV[1] lock token         ARGV[2] the head expected now ('' = none)
-- ARGV[3] new head           ARGV[4] manifest     ARGV[5] tombstones     ARGV[6] heartbeat
--
-- Returns 1, or -1 where the lock is lost, or -2 where the head is not the one expected.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local now = redis.pcall('GET', KEYS[2])
-- A head of another type was put there by somebody else; the new one replaces it.
if type(now) ~= 'table' and (now or '') ~= ARGV[2] then return -2 end
redis.call('SET', KEYS[3], ARGV[4])
redis.call('SET', KEYS[4], ARGV[5])
redis.call('SET', KEYS[5], ARGV[6])
redis.call('SET', KEYS[2], ARGV[3])
return 1
