-- Notes that an event is on the status topic.
--
-- KEYS  1 sentinel  2 record
-- ARGV  1 epoch  2 sequence
-- Answer {'ok', clock, record or ''}: the record as it is now, so that the caller sees whether it has moved on
-- Guarantee  the highest sequence known to be published only grows. The version stays, so no news conflicts with it.

local value = redis.call('GET', KEYS[2])
if not value then return {'ok', now, ''} end

-- Of the stored form (form.lua) the 14 fields before that of the published sequence, it, and where the rest begins.
local before, published, rest =
  string.match(value, '^(1|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|)(%d+)()|')
if not before then error(unreadable(value)) end
if tonumber(ARGV[2]) > tonumber(published) then
  value = before .. ARGV[2] .. string.sub(value, rest)
  redis.call('SET', KEYS[2], value, 'KEEPTTL')
end
return {'ok', now, value}
