-- The clock of every script: microseconds since 1970, by the server. It stands still while a script runs.
local time
local function clock()
  if not time then
    local t = redis.call('TIME')
    time = t[1] * 1000000 + t[2]
  end
  return time
end
