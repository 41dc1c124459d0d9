-- Reads what one call asks of the lists (lookup.lua) and takes its place in the counts (use.lua), at one instant and in
-- one round trip. Both are functions above this text. Not for a Cluster, where the two lie on different servers.
--
-- KEYS      of use.lua: all that is written
-- ARGV[1]   the head of the epoch by which the place was asked for
-- ARGV[2]   u, number of arguments of use.lua   ARGV[3]   k, number of keys of lookup.lua
-- ARGV[4 ..] the u arguments, the k keys, which are read and never written, and the arguments of lookup.lua
--
-- Returns { reply of lookup.lua, reply of use.lua }; the second is nil where no place was taken: with another epoch the
-- call may have to be counted otherwise, or not at all, and where Redis takes no writes the lists are read all the same.

local u, k = tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = lookup({ unpack(ARGV, 4 + u, 3 + u + k) }, { unpack(ARGV, 4 + u + k) })
local entered, said = false, false
if seen[1] == '=' .. ARGV[1] then
  entered, said = pcall(use, KEYS, { unpack(ARGV, 4, 3 + u) })
end
return { seen, entered and said }
