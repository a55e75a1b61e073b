-- Gives the right to rebuild a merchant back.
--
-- KEYS  1 sentinel  2 lock of the rebuild
-- ARGV  1 ''  2 token
-- Answer {'ok', clock, ''}
-- Guarantee  removes its own lock only.

if string.match(redis.call('GET', KEYS[2]) or '', '^(.*)|') == ARGV[2] then redis.call('DEL', KEYS[2]) end
return {'ok', now, ''}
