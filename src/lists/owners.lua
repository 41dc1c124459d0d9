-- Finds the allow lists, some of the keys at a time. A script, because a Cluster sends it to the node that has KEYS[1],
-- where SCAN by itself would go to any node. Read-only.
--
-- KEYS[1]  any key of the lists asked for   ARGV[1] cursor   ARGV[2] pattern   ARGV[3] keys to look at
-- Returns { next cursor, { key, ... } }.

return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
