-- Asks for a refund: dedupe, then the merchant's rate, then the reservation, in one step.
--
-- KEYS  1 sentinel  2 record  3 order  4 rate  5 queue
-- ARGV  1 epoch  2 refund number  3 token  4 lease (ms)  5 follow-up number (0: a request)  6 place  7 content
--       8 amount  9 currency  10 order total  11 calls a second (0: no limit)  12 most refunds of an order (0: no limit)
--       13 order interval (ms)  14 order  15 packed request  16 first seen (ms)  17 retention (ms)
-- Answer {word, clock, record or '', wait (us)}; the words are those of Go's refund.ClaimAnswer.
-- Guarantee  A follow-up that is answered takes its number and its place; one that is told to come back does not, so it
--       may come back from another place.
--       'yours' is answered to one token at a time, only for a refund that was never called or surely not sent,
--       with its amount reserved within the order's total. 'indoubt' gives the lease for a query and changes nothing
--       else. The same token gets the same answer for as long as it is the latest.

local member, token, lease, follow_up, place = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local content, amount, currency, total = ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local per_second, most, interval, order = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14]
local request, retention = ARGV[15], ARGV[17]

local value = redis.call('GET', KEYS[2])
local r = unpack_record(value)

local function answer(word, wait) return {word, now, value or '', wait or 0} end

-- Whether the message speaks of the recorded refund. A callback alone tells only amount, currency and order.
local function same()
  if has(r, 'm') then return r[CONTENT] == content end
  return tonumber(r[AMOUNT]) == amount and r[CURRENCY] == currency and (r.order == '' or r.order == order)
end

-- The chain of follow-ups goes on with this one.
local function take()
  if follow_up == 0 or follow_up == tonumber(r[FOLLOW_UP]) and r[PLACE] == place then return false end
  r[FOLLOW_UP], r[PLACE] = num(follow_up), place
  return true
end

local function keep(r)
  value = pack_record(r)
  redis.call('SET', KEYS[2], value, 'KEEPTTL')
end

local function query()
  if per_second > 0 then
    local g = load_rate(KEYS[4], per_second)
    local wait = wait_for_query(KEYS[4], g)
    if wait then return answer('notnow', wait) end
    count_call(KEYS[4], g)
  end
  take()
  set(r, 'q', true)
  -- An attempt of an earlier epoch has ended by the clock of a server that is no more: for this one's it ends with the
  -- epoch's beginning, which the quiet time puts after every lease.
  if r.call_end ~= 0 and r.call_end < epoch_began then r.call_end = epoch_began end
  r[TOKEN] = token
  r.lease_end = now_ms + lease
  r[VERSION] = num(r[VERSION] + 1)
  keep(r)
  return answer('indoubt')
end

if r then
  -- A dispute is not on the status topic: after a rebuild, who still follows up on a final refund may have its reason.
  local doubt = has(r, 'd') or final(r) and follow_up > 0 and tonumber(r[EPOCH]) < tonumber(ARGV[1])

  if r[TOKEN] == token then
    if has(r, 'q') then
      if open(r) or doubt then return answer('indoubt') end
    elseif open(r) then
      return answer('yours')
    end
  end

  if follow_up == 0 then
    if not same() then return answer('conflict') end
    if not has(r, 'm') then return answer('unmatched') end
  end

  if final(r) and not doubt then return answer('finished') end

  if follow_up > 0 then
    local taken = tonumber(r[FOLLOW_UP])
    if follow_up < taken or follow_up == taken and r[PLACE] ~= '' and r[PLACE] ~= place then
      return answer('chainended')
    end
  end

  if r.lease_end > now_ms then
    if take() then keep(r) end
    return answer('running')
  end
  if doubt then return query() end
  if open(r) then
    if follow_up == 0 and has(r, 'a') then return answer('running') end
    return query()
  end
  if not same() then return answer('conflict') end
elseif follow_up > 0 then
  return answer('missing')
end

-- Not called yet, or surely not sent.
local g
if per_second > 0 then
  g = load_rate(KEYS[4], per_second)
  local wait = wait_for_call(KEYS[4], KEYS[5], g, member)
  if wait then return answer('notnow', wait) end
end

local o = load_order(KEYS[3])
if o.last > 0 and interval > 0 and o.last + interval > now_ms then
  return answer('notnow', (o.last + interval - now_ms) * 1000)
end
if r then hold(o, r[HOLDING], tonumber(r[AMOUNT]), -1) end

local word
if o.count > 0 and (o.currency ~= currency or o.total > 0 and o.total ~= total) then
  word = 'orderconflict'
elseif o.reserved + o.succeeded + amount > total then
  word = 'overtotal'
elseif most > 0 and o.count >= most then
  word = 'toomany'
end
if word then
  redis.call('ZREM', KEYS[5], member)
  return answer(word)
end

if g then count_call(KEYS[4], g) end
pin(o, total, currency, o.count)
hold(o, 'R', amount, 1)
if interval > 0 then o.last = now_ms end
store_order(KEYS[3], o, retention)

if r then
  if r.order ~= order then r.order, r.request = order, request end
  take()
else
  -- What is not told below is '0'.
  r = record_of('1', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0')
  r[PLACE], r[CONTENT], r.first_seen = '', content, tonumber(ARGV[16])
  r.order, r.request = order, request
end
r.outcome = ''
r[AMOUNT], r[CURRENCY] = num(amount), currency
r[VERSION] = num(r[VERSION] + 1)
local last = tonumber(r[SEQUENCE])
if tonumber(r[EPOCH]) < tonumber(ARGV[1]) then last = last - last % 1000 + 1000 end -- those after it may have been given away
r[SEQUENCE] = num(math.max(last, ARGV[1] * 1000) + 1)
r[ATTEMPT] = num(r[ATTEMPT] + 1)
r[EVENT_ATTEMPT] = r[ATTEMPT]
r[STATUS], r[SOURCE], r[HOLDING], r[EPOCH] = 'P', 'w', 'R', ARGV[1]
r[FLAGS] = 'm'
r[TOKEN] = token
r.lease_end = now_ms + lease
r.call_end = r.lease_end
r[RECORDED], r.occurred = num(now_ms), now_ms
keep(r)
if g and g.placed then redis.call('ZREM', KEYS[5], member) end
return answer('yours')
