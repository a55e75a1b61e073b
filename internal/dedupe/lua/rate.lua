-- The merchant's rate over all workers: GCRA with a burst of one second's worth, in whole microseconds, and the queue
-- of those that it made wait.
--
-- The key of the rate is tat|tail|asks|interval: the theoretical arrival time, the last place that was given away to a
-- refund, the last time that was named to a query, and the time between two calls. The queue holds each waiting refund
-- under its number with its place (the time from which it may go), so that each comes back once, at its own time, and
-- a newcomer goes behind those that wait. Places of refunds that never come back are dropped after PLACE_KEPT, each time
-- that places of another minute begin to be given away.

local PLACE_KEPT = 43200000000
local MINUTE = 60000000

local RATE = '^(%d+)|(%d+)|(%d+)|(%d+)$'

local function load_rate(key, per_second)
  local g = {tat = 0, tail = 0, asks = 0, interval = math.max(1, math.floor(1000000 / per_second)), free_at = 0, placed = false}
  local value = redis.call('GET', key)
  if value then
    local tat, tail, asks = string.match(value, RATE)
    g.tat, g.tail, g.asks = tonumber(tat), tonumber(tail), tonumber(asks)
  end
  g.free_at = g.tat - (1000000 - g.interval)
  return g
end

local function store_rate(key, g)
  local value = string.format('%d|%d|%d|%d', g.tat, g.tail, g.asks, g.interval)
  local used = math.max(g.tat, g.tail, g.asks) - now
  redis.call('SET', key, value, 'PX', num(math.max(0, math.ceil(used / 1000)) + 1000))
end

local function count_call(key, g)
  g.tat = math.max(now, g.tat) + g.interval
  store_rate(key, g)
end

-- Counts a call that did not ask, at the interval of the last that did; nothing where the merchant has no rate.
local function count_unasked(key)
  local value = redis.call('GET', key)
  if not value then return end
  local tat, tail, asks, interval = string.match(value, RATE)
  count_call(key, {tat = tonumber(tat), tail = tonumber(tail), asks = tonumber(asks), interval = tonumber(interval)})
end

-- How long a call must wait, in microseconds; nil: it may go now (and count_call then counts it). One that must wait
-- has a place afterwards; g.placed: it had one before. With a place whose time has come it waits behind those before it
-- that have come as well.
local function wait_for_call(rate_key, queue_key, g, member)
  local place = redis.call('ZSCORE', queue_key, member)
  if place then
    place, g.placed = tonumber(place), true
    if place > now then return place - now end
    if g.free_at <= now then return nil end
    return g.free_at - now + redis.call('ZRANK', queue_key, member) * g.interval
  end
  if g.free_at <= now and g.tail <= now then return nil end
  place = math.max(g.tail + g.interval, g.free_at)
  local another = math.floor(place / MINUTE) ~= math.floor(g.tail / MINUTE)
  g.tail = place
  store_rate(rate_key, g)
  if another then redis.call('ZREMRANGEBYSCORE', queue_key, '-inf', '(' .. num(now - PLACE_KEPT)) end
  redis.call('ZADD', queue_key, num(place), member)
  redis.call('PEXPIRE', queue_key, num(math.ceil((place - now + PLACE_KEPT) / 1000)))
  return place - now
end

-- The same for a query, which takes no place: it is told a time of its own, and pushes the places yet to be given.
local function wait_for_query(rate_key, g)
  if g.free_at <= now then
    if g.tail > now then g.tail = g.tail + g.interval end
    return nil
  end
  g.asks = math.max(g.asks + g.interval, g.free_at)
  store_rate(rate_key, g)
  return g.asks - now
end
