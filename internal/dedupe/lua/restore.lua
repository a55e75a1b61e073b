-- Brings one refund back from its newest event on the status topic, while nobody can claim.
--
-- KEYS  1 sentinel  2 record  3 order (that of the event)  4 lock of the rebuild
-- ARGV  1 ''  2 token of the rebuild  3 the event's record, packed  4 order total  5 retention (ms)
--       6 beginning of the keys of the merchant's orders
-- Answer {'ok', clock, record}: as it is stored now; {'ok', clock, ''}: final for longer than the retention, not stored;
--       {'locked', clock, ''}: the rebuild is not ours any more; {'serving', clock, ''}: the sentinel stands
-- Guarantee  only forward, by sequence: an older event changes no status. Whatever is stored afterwards has no lease and
--       no token, its attempt has ended now, and what may have been called holds its amount, whatever the order's total.
--       Repeating it changes nothing but the clock.

if redis.call('GET', KEYS[4]) ~= ARGV[2] .. '|' .. server() then return {'locked', now, ''} end
local refused = refusal()
if not refused or refused[1] == 'moved' then return {'serving', now, ''} end

local old, new, retention = unpack_record(redis.call('GET', KEYS[2])), unpack_record(ARGV[3]), tonumber(ARGV[5])
local left = retention
if not old and final(new) then
  left = tonumber(new[RECORDED]) + retention - now_ms
  if left <= 0 then return {'ok', now, ''} end
end

local r = new
if old then
  local published = math.max(tonumber(old[PUBLISHED]), tonumber(new[SEQUENCE]))
  if tonumber(new[SEQUENCE]) <= tonumber(old[SEQUENCE]) then
    r = unpack_record(pack_record(old))
  else
    -- The status topic tells less of a request than what is here.
    if has(old, 'm') == has(new, 'm') and old.order == new.order then
      new.request, new[CONTENT] = old.request, old[CONTENT]
      set(new, 't', has(old, 't'))
    end
    new[ATTEMPT] = num(math.max(tonumber(old[ATTEMPT]), tonumber(new[ATTEMPT])))
    new[CALL_END], new[FOLLOW_UP], new[PLACE], new[FIRST_SEEN] = old[CALL_END], old[FOLLOW_UP], old[PLACE], old[FIRST_SEEN]
  end
  r[PUBLISHED] = num(published)
  r[VERSION] = num(old[VERSION] + 1)
end

local called = tonumber(r[ATTEMPT]) > 0
if final(r) then
  r[HOLDING] = r[STATUS] == 'S' and 'S' or '-'
else
  if r[STATUS] == 'W' then set(r, 'd', called) end
  r[HOLDING] = (open(r) or called) and 'R' or '-'
  if called then r[CALL_END] = num(now_ms) end
end
r[TOKEN], r[LEASE_END] = '', '0'
set(r, 'q', false)
set(r, 'a', false)

if old and old.order ~= '' and old.order ~= r.order and old[HOLDING] ~= '-' then
  local o = load_order(ARGV[6] .. old.order)
  hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1)
  store_order(ARGV[6] .. old.order, o, retention)
end
if r.order ~= '' then
  local key = ARGV[6] .. r.order
  local o = load_order(key)
  if old and old.order == r.order then hold(o, old[HOLDING], tonumber(old[AMOUNT]), -1) end
  if r[HOLDING] ~= '-' then pin(o, tonumber(ARGV[4]), r[CURRENCY], o.count) end
  hold(o, r[HOLDING], tonumber(r[AMOUNT]), 1)
  if o.known or o.count > 0 then store_order(key, o, retention) end
end
return {'ok', now, store(KEYS[2], r, num(left))}
