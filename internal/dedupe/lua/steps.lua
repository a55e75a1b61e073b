-- Takes steps of several callers, one after another: claim, resend, record, load, published, note, each as it stands in its
-- file. What a script costs beside its step (the server's identity, the clock, the functions) is paid once for all.
--
-- KEYS  those of the first step, those of the second, ...; the first of each is its merchant's sentinel
-- ARGV  for each step: its name, the number of its KEYS, the number of its ARGV, and those; the first is the epoch
-- Answer a list of the steps' answers in their order; that of a step which failed is {'failed', clock, why}
-- Guarantee  as if each were a script of its own: each compares its own sentinel first, and none goes on after an error,
--       nor keeps another from being taken. Only where the server is read-only the script fails as a whole: the client
--       closes a connection that answers so, and the next one leads to the master.

local keys, args = KEYS, ARGV
local key, arg = 0, 0

-- What the functions above read is set in a function too: in gopher-lua, miniredis's Lua, an error that was caught parts the
-- variables of the script from those that its functions see.
local function take(name, its_keys, its_args)
  KEYS, ARGV = its_keys, its_args
  now = clock()
  now_ms = math.floor(now / 1000)
  return refusal() or steps[name]()
end

local answers = {}
while args[arg + 1] do
  local name, of_keys, of_args = args[arg + 1], tonumber(args[arg + 2]), tonumber(args[arg + 3])
  local done, answer = pcall(take, name, {unpack(keys, key + 1, key + of_keys)}, {unpack(args, arg + 4, arg + 3 + of_args)})
  key, arg = key + of_keys, arg + 3 + of_args
  if not done then
    local why = type(answer) == 'table' and answer.err or tostring(answer)
    if string.find(why, 'READONLY', 1, true) then return redis.error_reply(why) end -- nor has any other step written
    answer = {'failed', now, why}
  end
  answers[#answers + 1] = answer
end
return answers
