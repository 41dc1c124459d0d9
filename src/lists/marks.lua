-- Reads the mark of each allow list: enough to know that a list need not be read. Read-only.
--
-- KEYS  hash keys
-- Returns one element for each key: nil (no such list, or no mark), or '<number of fields> <mark>'.

local replies = {}
for i = 1, #KEYS do
  replies[i] = false
  local fields = redis.pcall('HLEN', KEYS[i])
  if type(fields) == 'number' and fields > 0 and redis.call('HSTRLEN', KEYS[i], '#') < 64 then
    local mark = redis.call('HGET', KEYS[i], '#')
    if mark then replies[i] = fields .. ' ' .. mark end
  end
end
return replies
