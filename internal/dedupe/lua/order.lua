-- What an order has given back, and may still: its pinned total, and the amounts that its refunds hold.
--
-- The value is total|currency|reserved|succeeded|count|last: minor units, the number of refunds that hold something,
-- and when the last call for it began (ms; 0 where the merchant has no interval between two). A total of 0 is not known
-- yet (callbacks of refunds that were never requested here do not tell it). The key outlives the records of its refunds.

local ORDER_MARGIN = 86400000

local function load_order(key)
  local o = {total = 0, currency = '', reserved = 0, succeeded = 0, count = 0, last = 0}
  local value = redis.call('GET', key)
  if value then
    o.known = true
    local total, currency, reserved, succeeded, count, last =
      string.match(value, '^(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)$')
    o.total, o.currency, o.count, o.last = tonumber(total), currency, tonumber(count), tonumber(last)
    o.reserved, o.succeeded = tonumber(reserved), tonumber(succeeded)
  end
  return o
end

local function store_order(key, o, retention)
  local value = string.format('%d|%s|%d|%d|%d|%d', o.total, o.currency, o.reserved, o.succeeded, o.count, o.last)
  if o.reserved > 0 then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', num(tonumber(retention) + ORDER_MARGIN))
  end
end

-- Adds (sign 1) or takes away (sign -1) what a refund holds.
local function hold(o, holding, amount, sign)
  if holding == 'R' then
    o.reserved, o.count = o.reserved + sign * amount, o.count + sign
  elseif holding == 'S' then
    o.succeeded, o.count = o.succeeded + sign * amount, o.count + sign
  end
end

-- The total stays pinned while anything is held, and is pinned anew where nothing is.
local function pin(o, total, currency, held_before)
  if held_before == 0 then
    o.total, o.currency = total, currency
  elseif o.total == 0 then
    o.total = total
  end
end

local function fully_refunded(o) return o.total > 0 and o.succeeded == o.total end
