-- The stored form of a record.
--
-- It is a header of HEADER fields, each followed by a bar, then the order's name, the packed request and the packed
-- outcome of the newest event without anything between them (ORDER_LEN and REQUEST_LEN tell where they end). RECORDED is
-- stored as milliseconds, the other instants by their distance from it, and '' for none: that is a seventh of the bytes.
--
-- Between unpack and pack a field is r[FIELD], a string as it is stored; what is stored otherwise has a name: r.order,
-- r.request, r.outcome, and the instants r.lease_end, r.call_end, r.occurred, r.first_seen (ms, 0 for none).

local FORMAT, VERSION, STATUS, SEQUENCE, ATTEMPT, EVENT_ATTEMPT, FLAGS, HOLDING = 1, 2, 3, 4, 5, 6, 7, 8
local SOURCE, TOKEN, LEASE_END, CALL_END, FOLLOW_UP, PLACE, PUBLISHED, EPOCH = 9, 10, 11, 12, 13, 14, 15, 16
local RECORDED, OCCURRED, FIRST_SEEN, AMOUNT, CURRENCY, CONTENT, ORDER_LEN, REQUEST_LEN = 17, 18, 19, 20, 21, 22, 23, 24
local HEADER = 24

local EIGHT = '([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|'

-- A record with these fields; the named ones are there from the beginning, since a Lua table grows slowly.
local function record_of(...)
  return {order = '', request = '', outcome = '', lease_end = 0, call_end = 0, occurred = 0, first_seen = 0, ...}
end

local function instant(apart, recorded) return apart == '' and 0 or recorded + apart end

local function unpack_record(value)
  if not value then return nil end
  local r = record_of(string.match(value, '^' .. EIGHT .. EIGHT .. EIGHT .. '()'))
  if r[FORMAT] ~= '1' then error(unreadable(value)) end
  local order = r[HEADER + 1]
  local request = order + r[ORDER_LEN]
  local outcome = request + r[REQUEST_LEN]
  r.order = string.sub(value, order, request - 1)
  r.request = string.sub(value, request, outcome - 1)
  r.outcome = string.sub(value, outcome)
  local recorded = tonumber(r[RECORDED])
  r.lease_end, r.call_end = instant(r[LEASE_END], recorded), instant(r[CALL_END], recorded)
  r.occurred, r.first_seen = instant(r[OCCURRED], recorded), instant(r[FIRST_SEEN], recorded)
  return r
end

local function distance(at, recorded) return at == 0 and '' or num(at - recorded) end

local function pack_record(r)
  local recorded = tonumber(r[RECORDED])
  r[LEASE_END], r[CALL_END] = distance(r.lease_end, recorded), distance(r.call_end, recorded)
  r[OCCURRED], r[FIRST_SEEN] = distance(r.occurred, recorded), distance(r.first_seen, recorded)
  r[ORDER_LEN], r[REQUEST_LEN] = num(#r.order), num(#r.request)
  return table.concat(r, '|', 1, HEADER) .. '|' .. r.order .. r.request .. r.outcome
end

-- Statuses: '-' none yet, W waiting, P pending, U unknown, R review, S succeeded, F failed, J rejected.
local function final(r) return r[STATUS] == 'S' or r[STATUS] == 'F' or r[STATUS] == 'J' end
local function open(r) return r[STATUS] == 'P' or r[STATUS] == 'U' or r[STATUS] == 'R' end

-- Flags: m matched, c correction, f order fully refunded (these three belong to the event), a accepted, d doubt,
-- u an attempt may have been missed, q the lease is for a query. They are always in one order, so that equal records are equal strings.
local function has(r, flag) return string.find(r[FLAGS], flag, 1, true) ~= nil end
local function set(r, flag, on)
  if has(r, flag) == on then return end
  local flags = ''
  for f in string.gmatch('mcadufq', '.') do
    if f == flag and on or f ~= flag and has(r, f) then flags = flags .. f end
  end
  r[FLAGS] = flags
end

-- Stores a record: for ever while it is open, for the retention once it is final.
local function store(key, r, retention)
  local value = pack_record(r)
  if final(r) then
    redis.call('SET', key, value, 'PX', retention)
  else
    redis.call('SET', key, value)
  end
  return value
end
