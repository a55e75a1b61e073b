-- Reads the merchant's epoch.
--
-- KEYS  1 sentinel
-- ARGV  1 0
-- Answer {'ok', clock, '', epoch}, or 'gone' or 'server' as in lib.lua
-- Guarantee  'ok' only for a sentinel that this very server wrote.

local refused = refusal()
if refused and refused[1] ~= 'moved' then return refused end
return {'ok', now, '', tonumber(refused and refused[3] or 0)}
