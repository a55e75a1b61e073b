-- Reads what was noted last, also after the server changed: what it lost is a suffix of its writes, so all before the
-- note is here.
--
-- KEYS  1 sentinel  2 offsets
-- ARGV  1 ''
-- Answer {'ok', clock, offsets or ''}

return {'ok', now, redis.call('GET', KEYS[2]) or ''}
