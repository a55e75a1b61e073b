-- What every script begins with: the stored forms, the sentinel, the clock.
--
-- KEYS[1] is always the merchant's sentinel, ARGV[1] always the epoch that the caller believes in.
-- Every answer is a list {word, clock in microseconds, record or '', ...}; the words of a refusal are
--   'gone'           no sentinel here: new, wiped, or the shard was lost
--   'server', epoch  the sentinel was written under another server's identity: failed over or restarted
--   'moved', epoch   the sentinel has another epoch than the caller
-- and nothing is read or written then.
--
-- A server that is full refuses a script at its first write, and the script as a whole, but only where that write may
-- need memory: so no script that goes on to write more begins by removing something.
--
-- All keys of a merchant lie in one slot. Numbers are below 2^53, so a Lua double holds them exactly; they are
-- written by num alone, since Lua's own rendering rounds at 14 digits.

local function num(n) return string.format('%.0f', n) end

-- The identity of the history that this server writes. It changes with every restart and every promotion of a master,
-- so a write that a failover or a restart lost cannot go unnoticed: the comparison is part of the step itself.
local function server()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return '' end
  return string.match(info, 'master_replid:(%w+)') or ''
end

local now = clock()
local now_ms = math.floor(now / 1000)

-- The sentinel is epoch|identity of the server that wrote it|when it did, by its clock (ms).
local SENTINEL = '^(%d+)|([^|]*)|?(%d*)$'

-- When the epoch began, once refusal has said nothing.
local epoch_began = 0

-- The refusal, or nil where the sentinel is the caller's.
local function refusal()
  local sentinel = redis.call('GET', KEYS[1])
  if not sentinel then return {'gone', now, '0'} end
  local epoch, id, began = string.match(sentinel, SENTINEL)
  epoch_began = tonumber(began) or 0
  if id ~= server() then return {'server', now, epoch} end
  if epoch ~= ARGV[1] then return {'moved', now, epoch} end
end

-- A record is a header of HEADER fields, each followed by a bar, then the order's name, the packed request and the
-- packed outcome of the newest event without anything between them (ORDER_LEN and REQUEST_LEN tell where they end).
local FORMAT, VERSION, STATUS, SEQUENCE, ATTEMPT, EVENT_ATTEMPT, FLAGS, HOLDING = 1, 2, 3, 4, 5, 6, 7, 8
local SOURCE, TOKEN, LEASE_END, CALL_END, FOLLOW_UP, PLACE, PUBLISHED, EPOCH = 9, 10, 11, 12, 13, 14, 15, 16
local RECORDED, OCCURRED, FIRST_SEEN, AMOUNT, CURRENCY, CONTENT, ORDER_LEN, REQUEST_LEN = 17, 18, 19, 20, 21, 22, 23, 24
local HEADER = 24

-- Instants are milliseconds. RECORDED is stored as such, the others by their distance from it, and '' for none: that is
-- a seventh of the bytes. Between unpack and pack they are all absolute, and none is '0'.
local INSTANTS = {LEASE_END, CALL_END, OCCURRED, FIRST_SEEN}

local SHAPE = '^' .. string.rep('([^|]*)|', HEADER) .. '(.*)$'

local function unreadable(value)
  local form = string.match(value, '^[^|]*')
  if form == '1' then return 'a stored record is damaged: see docs/redis.md' end
  return 'a stored record is of form ' .. form .. ', which this script does not read: see docs/upgrades.md'
end

local function unpack_record(value)
  if not value then return nil end
  local r = {string.match(value, SHAPE)}
  if r[FORMAT] ~= '1' then error(unreadable(value)) end
  local rest = r[HEADER + 1]
  local order_end = tonumber(r[ORDER_LEN])
  local request_end = order_end + tonumber(r[REQUEST_LEN])
  r.order = string.sub(rest, 1, order_end)
  r.request = string.sub(rest, order_end + 1, request_end)
  r.outcome = string.sub(rest, request_end + 1)
  r[HEADER + 1] = nil
  local recorded = tonumber(r[RECORDED])
  for _, i in ipairs(INSTANTS) do r[i] = r[i] == '' and '0' or num(recorded + r[i]) end
  return r
end

local function pack_record(r)
  r[ORDER_LEN] = num(#r.order)
  r[REQUEST_LEN] = num(#r.request)
  local absolute, recorded = {}, tonumber(r[RECORDED])
  for _, i in ipairs(INSTANTS) do
    absolute[i] = r[i]
    r[i] = r[i] == '0' and '' or num(r[i] - recorded)
  end
  local value = table.concat(r, '|', 1, HEADER) .. '|' .. r.order .. r.request .. r.outcome
  for _, i in ipairs(INSTANTS) do r[i] = absolute[i] end
  return value
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
