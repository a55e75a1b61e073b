-- The clock of every script: microseconds since 1970, by the server.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

