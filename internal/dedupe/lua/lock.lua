-- Takes, or takes anew, the right to rebuild a merchant.
--
-- KEYS  1 sentinel  2 lock of the rebuild
-- ARGV  1 ''  2 token  3 time to live (ms)  4 'take' or 'refresh'
-- Answer {'ok', clock, ''} or {'locked', clock, ''}: somebody else has it, or (refresh) it ran out or the server changed
-- Guarantee  one holder at a time. The lock is bound to the server's identity: a rebuild whose writes a failover may
--       have lost cannot be ended.

local held, mine = redis.call('GET', KEYS[2]), ARGV[2] .. '|' .. server()
if held ~= mine then
  local void = not held or string.match(held, '|(.*)$') ~= server()
  if ARGV[4] ~= 'take' or not void then return {'locked', now, ''} end
end
redis.call('SET', KEYS[2], mine, 'PX', ARGV[3])
return {'ok', now, ''}
