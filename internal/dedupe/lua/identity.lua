-- Reads the identity of the server that keeps a merchant, as every script compares it with the sentinel's.
--
-- KEYS  1 sentinel
-- ARGV  1 ''
-- Answer {'ok', clock, identity}
-- Guarantee  of the server that would take the merchant's next step; writes nothing.

return {'ok', now, server()}
