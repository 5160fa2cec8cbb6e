-- Gives a consumer jobs from the front of the queue, each with a lease.
--
-- KEYS: prefix of the queue's keys
-- ARGV: consumer, limit, lease in milliseconds, and the id that BLMOVE moved to the consumer's list just before, or ''
-- Returns id, deliveries that ended without an ack, `<job number>:<payload>`, of each job.
local function key(name) return KEYS[1] .. ':' .. name end
local consumer, limit, lease_ms, moved = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

if redis.call('EXISTS', key('meta')) == 0 then
  return redis.error_reply('NOQUEUE the queue is not set up, or was removed meanwhile')
end
-- Before the consumer can block, so that reclaim looks at its list whatever becomes of it.
redis.call('SADD', key('consumers'), consumer)

local held = key('held:' .. consumer)
local ids = {}
-- It is gone from our list when we came back so late that somebody else reclaimed it.
if moved ~= '' and redis.call('LPOS', held, moved) then
  ids[1] = moved
end
while #ids < limit do
  local id = redis.call('LMOVE', key('ready'), held, 'RIGHT', 'LEFT')
  if not id then break end
  ids[#ids + 1] = id
end

local now = redis.call('TIME')
local deadline_ms = now[1] * 1000 + math.floor(now[2] / 1000) + lease_ms
local claimed = {}
for _, id in ipairs(ids) do
  redis.call('ZADD', key('leases'), deadline_ms, id .. ':' .. consumer)
  claimed[#claimed + 1] = id
  claimed[#claimed + 1] = redis.call('HGET', key('attempts'), id) or '0'
  claimed[#claimed + 1] = redis.call('HGET', key('jobs'), id)
end
return claimed
