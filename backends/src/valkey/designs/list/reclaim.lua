-- Gives a consumer the jobs whose leases have run out, the longest expired ones first.
--
-- KEYS: prefix of the queue's keys
-- ARGV: consumer, limit, lease in milliseconds
-- Returns what claim.lua returns.
local function key(name) return KEYS[1] .. ':' .. name end
local consumer, limit, lease_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)

-- A consumer that vanished after BLMOVE and before claim.lua left a job on its list that has no lease. It gets one now: the
-- consumer may be about to come for it, and if not, the job is found again when this lease has run out.
for _, other in ipairs(redis.call('SMEMBERS', key('consumers'))) do
  for _, id in ipairs(redis.call('LRANGE', key('held:' .. other), 0, -1)) do
    redis.call('ZADD', key('leases'), 'NX', now_ms + lease_ms, id .. ':' .. other)
  end
end

local claimed = {}
for _, lease in ipairs(redis.call('ZRANGE', key('leases'), '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit)) do
  local id, other = string.match(lease, '^(%d+):(%d+)$')
  redis.call('ZREM', key('leases'), lease)
  redis.call('LREM', key('held:' .. other), 1, id)
  redis.call('LPUSH', key('held:' .. consumer), id)
  redis.call('ZADD', key('leases'), now_ms + lease_ms, id .. ':' .. consumer)
  claimed[#claimed + 1] = id
  -- The higher count makes the former holder's ack stale.
  claimed[#claimed + 1] = redis.call('HINCRBY', key('attempts'), id, 1)
  claimed[#claimed + 1] = redis.call('HGET', key('jobs'), id)
end
if #claimed > 0 then
  redis.call('SADD', key('consumers'), consumer)
end
return claimed
