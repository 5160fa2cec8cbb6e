-- Ends deliveries, each only if it still holds: its lease is there, and the job was not delivered again since.
--
-- KEYS: prefix of the queue's keys
-- ARGV: 'ack' or 'nack', then id, attempt and consumer of each lease
-- Returns 1 for each delivery that was ended, 0 for each that did not hold any more.
local function key(name) return KEYS[1] .. ':' .. name end
local verb = ARGV[1]

local ended = {}
for i = 2, #ARGV, 3 do
  local id, attempt, consumer = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local before = tonumber(redis.call('HGET', key('attempts'), id) or '0')
  if before + 1 == attempt and redis.call('ZREM', key('leases'), id .. ':' .. consumer) == 1 then
    -- As long as what the consumer holds, which is short.
    redis.call('LREM', key('held:' .. consumer), 1, id)
    if verb == 'ack' then
      redis.call('HDEL', key('jobs'), id)
      redis.call('HDEL', key('attempts'), id)
    else
      -- At the end: a job becomes ready anew, so one that always fails does not stand in everybody's way.
      redis.call('HSET', key('attempts'), id, attempt)
      redis.call('LPUSH', key('ready'), id)
    end
    ended[#ended + 1] = 1
  else
    ended[#ended + 1] = 0
  end
end
return ended
