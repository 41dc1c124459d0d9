-- Reads whole hashes for the verification of a publication, a bounded number of them in one call. Read-only.
--
-- KEYS     hash keys
-- ARGV[1]  most bytes of memory one hash may take; a larger one is not returned
-- ARGV[2]  the same for all of them together: those that come after are not returned
--
-- Returns one element for each key: nil (absent), a flat list of fields and values, or '!type', '!big', '!error'.

local largest, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local replies = {}
for i = 1, #KEYS do
  local size = redis.pcall('MEMORY', 'USAGE', KEYS[i], 'SAMPLES', 0)
  if size == false then
    replies[i] = false
  elseif type(size) ~= 'number' then
    replies[i] = '!error'
  elseif size > largest or size > left then
    replies[i] = '!big'
  else
    left = left - size
    local all = redis.pcall('HGETALL', KEYS[i])
    if type(all) ~= 'table' then
      replies[i] = '!error'
    elseif all.err then
      replies[i] = string.find(all.err, 'WRONGTYPE', 1, true) and '!type' or '!error'
    else
      replies[i] = all
    end
  end
end
return replies
