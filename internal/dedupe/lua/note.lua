-- Notes how far the status topic is surely reflected here.
--
-- KEYS  1 sentinel  2 offsets
-- ARGV  1 epoch  2 offsets, opaque
-- Answer {'ok', clock, ''}
-- Guarantee  written only by who knows the epoch of this very server.

redis.call('SET', KEYS[2], ARGV[2])
return {'ok', now, ''}
