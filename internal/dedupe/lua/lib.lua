-- What every script begins with: the sentinel and the clock. A script is one step, or takes several (steps.lua), each with
-- KEYS and ARGV of its own.
--
-- KEYS[1] is always the merchant's sentinel, ARGV[1] always the epoch that the caller believes in.
-- Every answer is a list {word, clock in microseconds, record or '', ...}; the words of a refusal are
--   'gone'           no sentinel here: new, wiped, or the shard was lost
--   'server', epoch  the sentinel was written under another server's identity: failed over or restarted
--   'moved', epoch   the sentinel has another epoch than the caller
-- and nothing is read or written then.
--
-- A server that is full refuses a step at its first write, and the step as a whole, but only where that write may need
-- memory: so no step that goes on to write more begins by removing something. Those that come in the same script after one
-- that has written are let through.
--
-- All keys of a merchant lie in one slot. Numbers are whole and below 2^53, so a Lua double holds them exactly; they are
-- written by '%d' alone, which holds them on a server of 64 bits (another is refused), since Lua's own rendering rounds
-- at 14 digits.

local KEYS, ARGV = KEYS, ARGV

local function num(n) return string.format('%d', n) end

-- The identity of the history that this server writes. It changes with every restart and every promotion of a master,
-- so a write that a failover or a restart lost cannot go unnoticed: the comparison is part of the step itself.
local identity
local function server()
  if identity then return identity end
  identity = ''
  local info = redis.pcall('INFO', 'replication')
  if type(info) == 'string' then
    local _, before = string.find(info, 'master_replid:', 1, true)
    identity = before and string.match(info, '^%w+', before + 1) or ''
  end
  return identity
end

-- Why a stored record is not what this version writes.
local function unreadable(value)
  local form = string.match(value, '^[^|]*')
  if form == '1' then return 'a stored record is damaged: see docs/redis.md' end
  return 'a stored record is of form ' .. form .. ', which this script does not read: see docs/upgrades.md'
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
