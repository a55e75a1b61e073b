-- Begins another attempt after a query proved that the gateway has no such refund.
--
-- KEYS  1 sentinel  2 record  3 order  4 rate
-- ARGV  1 epoch  2 version on which the proof was judged  3 token  4 lease (ms)  5 order total  6 retention (ms)
-- Answer {word, clock, record or ''}; the words: yours, notyours, overtotal
-- Guarantee  'yours' only where the refund is open and nothing has changed since the proof, the token is still the latest
--       and its lease still runs, and the order has room. The refund keeps its event, to be published once more. What is
--       known from a callback alone was never asked for: not ours; what was only waiting is claimed anew, not resent. The
--       call counts at the merchant's rate, but does not wait for it.

local version, token, lease = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local value = redis.call('GET', KEYS[2])
local r = unpack_record(value)
if not r or r[TOKEN] ~= token or not has(r, 'm') then return {'notyours', now, value or ''} end
if tonumber(r[VERSION]) == version + 1 and open(r) and not has(r, 'q') then return {'yours', now, value} end

if tonumber(r[VERSION]) ~= version or not has(r, 'q') or r.lease_end <= now_ms or not open(r) then
  return {'notyours', now, value}
end

local o, amount, total = load_order(KEYS[3]), tonumber(r[AMOUNT]), tonumber(ARGV[5])
hold(o, r[HOLDING], amount, -1)
if o.count > 0 and o.total > 0 then total = math.min(total, o.total) end
if o.reserved + o.succeeded + amount > total then return {'overtotal', now, value} end
pin(o, total, r[CURRENCY], o.count)
hold(o, 'R', amount, 1)
if o.last > 0 then o.last = now_ms end
store_order(KEYS[3], o, ARGV[6])

r[VERSION] = num(version + 1)
r[ATTEMPT] = num(r[ATTEMPT] + 1)
r[HOLDING] = 'R'
r.lease_end = now_ms + lease
r.call_end = r.lease_end
set(r, 'a', false)
set(r, 'd', false)
set(r, 'q', false)

count_unasked(KEYS[4])
value = pack_record(r)
redis.call('SET', KEYS[2], value)
return {'yours', now, value}
