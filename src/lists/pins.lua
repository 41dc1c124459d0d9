-- Counts tries of PINs. A try is counted before anybody knows whether it is right, so that guesses made at the same
-- time cannot be more than those made one after another.
--
-- KEYS[1] tries at one phone (or trunk)   KEYS[2] tries for one caller (left out where no number was keyed in)
-- ARGV[1] 'try' or 'right'   ARGV[2] most wrong tries for a caller   ARGV[3] most wrong tries at a phone
-- ARGV[4] how long a phone stays locked, in ms   ARGV[5] 1 where the caller is known
--
-- try    returns 1 where one more try is allowed, and it is counted; 0 where it is locked
-- right  takes the count back: a caller's tries end, the phone's are one less. The phone's other wrong tries stay,
--        or one who has a PIN of his own could go on guessing everybody else's.

local phone, caller = KEYS[1], KEYS[2]

if ARGV[1] == 'right' then
  redis.call('DEL', caller)
  if (tonumber(redis.call('GET', phone)) or 0) > 1 then
    redis.call('DECR', phone)
  else
    redis.call('DEL', phone)
  end
  return 1
end

local lockMs = tonumber(ARGV[4])
-- What is no number fails the comparison, and with it the try: nobody can say how many there were.
local atPhone = tonumber(redis.call('GET', phone) or '0')
local forCaller = caller and tonumber(redis.call('GET', caller) or '0') or 0
if atPhone >= tonumber(ARGV[3]) or forCaller >= tonumber(ARGV[2]) then return 0 end

atPhone = redis.call('INCR', phone)
-- The time runs from the first wrong try, and anew from the one that locks.
if atPhone >= tonumber(ARGV[3]) or redis.call('PTTL', phone) < 0 then redis.call('PEXPIRE', phone, lockMs) end
if caller then
  redis.call('INCR', caller)
  -- A caller stays locked until an officer unlocks; for a number nobody has it must only look so, and not for ever.
  if ARGV[5] == '1' then
    redis.call('PERSIST', caller)
  elseif redis.call('PTTL', caller) < 0 then
    redis.call('PEXPIRE', caller, lockMs)
  end
end
return 1
