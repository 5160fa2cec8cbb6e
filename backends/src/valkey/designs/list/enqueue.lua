-- Puts a batch of jobs at the end of the queue, all of them or none.
--
-- KEYS: prefix of the queue's keys
-- ARGV: the jobs, each `<job number>:<payload>`
-- Returns how many there were.
local jobs, ready, meta = KEYS[1] .. ':jobs', KEYS[1] .. ':ready', KEYS[1] .. ':meta'

-- Without this, an enqueue would make half a queue where none was set up.
if redis.call('EXISTS', meta) == 0 then
  return redis.error_reply('NOQUEUE the queue is not set up, or was removed meanwhile')
end

local last_id = redis.call('HINCRBY', meta, 'last_id', #ARGV)
for i, job in ipairs(ARGV) do
  local id = last_id - #ARGV + i
  redis.call('HSET', jobs, id, job)
  redis.call('LPUSH', ready, id)
end
return #ARGV
