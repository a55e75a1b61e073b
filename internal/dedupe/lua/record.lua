-- Stores what news made of a refund, where nothing else has changed it since.
--
-- KEYS  1 sentinel  2 record  3 order (that of the new record)
-- ARGV  1 epoch  2 version that is expected (0: not stored)  3 new record, packed  4 token whose lease ends, or ''
--       5 order total  6 retention (ms)  7 beginning of the keys of the merchant's orders
-- Answer {'ok', clock, record}: stored; {'old', clock, record or ''}: the version has moved on, nothing was stored;
--       {'bad', clock, record}: the event was changed without a new sequence, or an older one came
-- Guarantee  one compare-and-set. The reservation moves by the difference of what the old and the new record hold.
--       What only scripts write (token, lease, follow-up, published, content) is kept. The new event says whether its
--       order is fully refunded. Repeating a step whose reply was lost answers 'ok' again.

local value = redis.call('GET', KEYS[2])
local old, new = unpack_record(value), unpack_record(ARGV[3])
local expected, version = tonumber(ARGV[2]), old and tonumber(old[VERSION]) or 0
if version ~= expected and version ~= expected + 1 then return {'old', now, value or ''} end

new[VERSION] = num(expected + 1)
local event = not old or old[SEQUENCE] ~= new[SEQUENCE]
if old then
  new[TOKEN], new.lease_end, new.call_end = old[TOKEN], old.lease_end, old.call_end
  new[FOLLOW_UP], new[PLACE], new[PUBLISHED] = old[FOLLOW_UP], old[PLACE], old[PUBLISHED]
  set(new, 'q', has(old, 'q'))
  if has(old, 'm') or not has(new, 'm') then new[CONTENT] = old[CONTENT] end
  if ARGV[4] ~= '' and ARGV[4] == old[TOKEN] then
    new.lease_end = math.min(old.lease_end, now_ms)
    if not has(old, 'q') then new.call_end = math.min(old.call_end, now_ms) end
  end
end
if final(new) and not has(new, 'd') then
  new[TOKEN], new.lease_end, new[PLACE] = '', 0, ''
  set(new, 'q', false)
end

if version == expected + 1 then
  -- The reply of this very step may have been lost: then what it would store is what is stored.
  set(new, 'f', has(old, 'f'))
  if not event then new[EPOCH] = old[EPOCH] end
  if pack_record(new) == value then return {'ok', now, value} end
  return {'old', now, value or ''}
end

if old and not event then
  set(new, 'f', has(old, 'f'))
  new[EPOCH] = old[EPOCH]
  for _, i in ipairs({STATUS, EVENT_ATTEMPT, SOURCE, RECORDED}) do
    if new[i] ~= old[i] then return {'bad', now, value} end
  end
  if new.occurred ~= old.occurred or new.outcome ~= old.outcome
    or has(new, 'c') ~= has(old, 'c') or has(new, 'm') ~= has(old, 'm') then
    return {'bad', now, value}
  end
elseif old and tonumber(new[SEQUENCE]) < tonumber(old[SEQUENCE]) then
  return {'bad', now, value}
end

local retention, total = ARGV[6], tonumber(ARGV[5])
if old and old.order ~= '' and old.order ~= new.order and old[HOLDING] ~= '-' then
  local o = load_order(ARGV[7] .. old.order)
  hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1)
  store_order(ARGV[7] .. old.order, o, retention)
end
if new.order ~= '' then
  local o = load_order(KEYS[3])
  if old and old.order == new.order then hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1) end
  if new[HOLDING] ~= '-' then pin(o, total, new[CURRENCY], o.count) end
  hold(o, new[HOLDING], tonumber(new[AMOUNT]), 1)
  if o.known or o.count > 0 then store_order(KEYS[3], o, retention) end
  if event then set(new, 'f', fully_refunded(o)) end
end
return {'ok', now, store(KEYS[2], new, retention)}
