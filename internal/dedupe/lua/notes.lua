-- Reads what was noted last, also after the server changed.
--
-- KEYS  1 sentinel  2 offsets
-- ARGV  1 ''
-- Answer {'ok', clock, offsets or ''}
-- Guarantee  all that was recorded before the note is here: what a server lost is a suffix of its writes.

return {'ok', now, redis.call('GET', KEYS[2]) or ''}
