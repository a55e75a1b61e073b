-- Notes that an event is on the status topic.
--
-- KEYS  1 sentinel  2 record
-- ARGV  1 epoch  2 sequence
-- Answer {'ok', clock, record or ''}: the record as it is now, so that the caller sees whether it has moved on
-- Guarantee  the highest sequence known to be published only grows. The version stays, so no news conflicts with it.

local refused = refusal()
if refused then return refused end

local value = redis.call('GET', KEYS[2])
local r = unpack_record(value)
if r and tonumber(ARGV[2]) > tonumber(r[PUBLISHED]) then
  r[PUBLISHED] = ARGV[2]
  value = pack_record(r)
  redis.call('SET', KEYS[2], value, 'KEEPTTL')
end
return {'ok', now, value or ''}
