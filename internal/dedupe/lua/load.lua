-- Reads a refund.
--
-- KEYS  1 sentinel  2 record
-- ARGV  1 epoch
-- Answer {'ok', clock, record or ''}
-- Guarantee  what was stored under this epoch by the server that the sentinel names.

return {'ok', now, redis.call('GET', KEYS[2]) or ''}
