-- Empties the queue, or removes it.
--
-- KEYS: prefix of the queue's keys, the key that says whose they are
-- ARGV: what that key says when they are ours; 'empty' or 'remove'
local function key(name) return KEYS[1] .. ':' .. name end
local marker, verb = ARGV[1], ARGV[2]

for _, consumer in ipairs(redis.call('SMEMBERS', key('consumers'))) do
  redis.call('UNLINK', key('held:' .. consumer))
end
redis.call('UNLINK', key('ready'), key('jobs'), key('attempts'), key('leases'))
if verb == 'remove' then
  redis.call('UNLINK', key('consumers'), key('meta'), KEYS[2])
else
  -- Ids go on where they were, so that no old lease can name a new job. Consumers stay known: some may be blocked.
  local last_id = redis.call('HINCRBY', key('meta'), 'last_id', 0)
  redis.call('HSET', key('meta'), 'first_id', last_id)
  redis.call('SET', KEYS[2], marker)
end
return redis.status_reply('OK')
