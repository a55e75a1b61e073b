-- Brings refunds of a merchant back, each from its newest event on the status topic, while nobody can claim.
--
-- KEYS  1 sentinel  2 lock of the rebuild  3 and on, two for each refund: record, order (that of the event)
-- ARGV  1 ''  2 token of the rebuild  3 retention (ms)  4 beginning of the keys of the merchant's orders
--       5 and on, seven for each refund: the event's record, packed; order total; and of one that is final, as they are
--       in there: what it holds ('' of one that is not final), amount, currency, order, recorded (ms)
-- Answer {'ok', clock, '', and for each: the record as it is stored now, or '' where that is final or not stored (final
--       for longer than the retention)};
--       {'locked', clock, ''}: the rebuild is not ours any more; {'serving', clock, ''}: the sentinel stands
-- Guarantee  only forward, by sequence: an older event changes no status. Whatever is stored afterwards has no lease and
--       no token, what may have been called has ended its attempt now, and holds its amount, whatever the order's total.
--       An order is pinned to the smallest total of all that were seen to hold something.
--       What is final here and in its newest event is not touched. Repeating it changes nothing but the clock.

if redis.call('GET', KEYS[2]) ~= ARGV[2] .. '|' .. server() then return {'locked', now, ''} end
local refused = refusal()
if not refused or refused[1] == 'moved' then return {'serving', now, ''} end

local retention, orders = tonumber(ARGV[3]), ARGV[4]

-- What is to be stored of a refund where the event is newer than what is here, or is not; nothing came before.
local function onto(old, new)
  local r = new
  if tonumber(new[SEQUENCE]) <= tonumber(old[SEQUENCE]) then
    r = unpack_record(pack_record(old))
  else
    new[ATTEMPT] = num(math.max(tonumber(old[ATTEMPT]), tonumber(new[ATTEMPT])))
    new.call_end, new[FOLLOW_UP], new[PLACE], new.first_seen = old.call_end, old[FOLLOW_UP], old[PLACE], old.first_seen
  end
  r[PUBLISHED] = num(math.max(tonumber(old[PUBLISHED]), tonumber(new[SEQUENCE])))
  r[VERSION] = num(old[VERSION] + 1)
  return r
end

-- Nobody has a lease any more; what may have been called, and has not ended, is in doubt. That is all that is open: the
-- attempt of its event, also none, may have been followed by another that a resend began. A callback knew of what waits
-- by its word. What is final holds nothing but what was paid, or is disputed.
local function void(r)
  if final(r) then
    r[HOLDING] = r[STATUS] == 'S' and 'S' or has(r, 'd') and 'R' or '-'
  else
    local called = open(r) or tonumber(r[ATTEMPT]) > 0 or r[STATUS] == 'W' and r[SOURCE] == 'c'
    if r[STATUS] == 'W' then set(r, 'd', called) end
    set(r, 'u', called)
    r[HOLDING] = called and 'R' or '-'
    if called then r.call_end = now_ms end
  end
  r[TOKEN], r.lease_end = '', 0
  set(r, 'q', false)
  set(r, 'a', false)
end

-- Refunds that disagree about their order's total held it one after another, and nobody knows which of those that come
-- back first will hold it in the end: the smallest total is safe. A waiting refund holds for its doubt alone; its total
-- may be another than the order was pinned to after it had let go.
local function pin_again(o, r, total)
  if r[STATUS] == 'W' then total = 0 end
  if o.count > 0 and total > 0 and o.total > total then o.total = total end
  pin(o, total, r[CURRENCY], o.count)
end

-- The order that a refund has left is no KEY of the script, so it is read before anything of this refund is written: where
-- its slot moves, the script ends there.
local function settle(old, r, total)
  if old and old.order ~= '' and old.order ~= r.order and old[HOLDING] ~= '-' then
    local o = load_order(orders .. old.order)
    hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1)
    store_order(orders .. old.order, o, retention)
  end
  if r.order == '' then return end
  local key = orders .. r.order
  local o = load_order(key)
  if old and old.order == r.order then hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1) end
  if r[HOLDING] ~= '-' then pin_again(o, r, total) end
  hold(o, r[HOLDING], tonumber(r[AMOUNT]), 1)
  if o.known or o.count > 0 then store_order(key, o, retention) end
end

-- By far the most are final and meet nothing that is stored: those are stored as they came, without taking them apart.
local function fresh(key, told)
  local left = told.recorded + retention - now_ms
  if left <= 0 then return '' end
  settle(nil, {order = told.order, [HOLDING] = told.holding, [AMOUNT] = told.amount, [CURRENCY] = told.currency}, told.total)
  redis.call('SET', key, told.event, 'PX', num(left))
  return ''
end

-- A rebuild that begins again, or one after a failover, meets many that are as final here as their event: they stay as
-- they are, for as long as they were to stay.
local DONE = '^1|%d+|[SFJ]|(%d+)|%d+|%d+|([^|]*)' .. string.rep('|[^|]*', PUBLISHED - FLAGS - 1) .. '|(%d+)|'
local SEQUENCE_OF = '^1|%d+|.|(%d+)|'

local function done(value, event)
  local sequence, flags, published = string.match(value, DONE)
  if not sequence or string.find(flags, 'd', 1, true) then return false end
  local told = tonumber(string.match(event, SEQUENCE_OF))
  return told <= tonumber(sequence) and told <= tonumber(published)
end

local function restore(key, told)
  local value = redis.call('GET', key)
  if not value and told.holding ~= '' then return fresh(key, told) end
  if value and done(value, told.event) then return '' end
  local old, r = unpack_record(value), unpack_record(told.event)
  if old then r = onto(old, r) end
  void(r)
  settle(old, r, told.total)
  value = store(key, r, num(retention))
  return final(r) and '' or value
end

local answers = {'ok', now, ''}
for i = 1, (#KEYS - 2) / 2 do
  local at = 5 + 7 * (i - 1)
  answers[i + 3] = restore(KEYS[2 * i + 1], {
    event = ARGV[at], total = tonumber(ARGV[at + 1]),
    holding = ARGV[at + 2], amount = ARGV[at + 3], currency = ARGV[at + 4], order = ARGV[at + 5], recorded = tonumber(ARGV[at + 6]),
  })
end
return answers
