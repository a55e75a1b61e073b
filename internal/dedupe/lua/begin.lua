-- Writes the sentinel: the epoch, and the identity of the server that keeps it.
--
-- KEYS  1 sentinel  2 lock of the rebuild
-- ARGV  1 epoch  2 token of the rebuild, or ''
-- Answer {'ok', clock, '', epoch that is stored}; {'locked', clock, ''}: somebody else rebuilds, or the lock was lost;
--       'server' as in lib.lua: the sentinel is another server's and its epoch is not lower
-- Guarantee  the epoch only grows. Nobody begins one beside a rebuild, nor ends a rebuild that he does not hold.

local lock = ARGV[2] ~= '' and ARGV[2] .. '|' .. server() or false
if redis.call('GET', KEYS[2]) ~= lock then return {'locked', now, ''} end
local sentinel = redis.call('GET', KEYS[1])
local epoch, id = -1, ''
if sentinel then
  epoch, id = string.match(sentinel, SENTINEL)
  epoch = tonumber(epoch)
end
if epoch < tonumber(ARGV[1]) then
  epoch = tonumber(ARGV[1])
  redis.call('SET', KEYS[1], num(epoch) .. '|' .. server() .. '|' .. num(now_ms))
elseif id ~= server() then
  return {'server', now, num(epoch)}
end
return {'ok', now, '', epoch}
