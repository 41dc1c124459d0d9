-- Gives the publisher's lock back, if it is still held. KEYS[1] lock   ARGV[1] lock token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
