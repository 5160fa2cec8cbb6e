-- Ends one delivery, but only if it still holds: the entry is pending and nobody was given it since.
--
-- KEYS: the stream, the hash of counters
-- ARGV: group, entry id, attempt of the lease, 'ack' or 'nack', 'delete' or 'keep'
-- Returns 1 when the delivery was ended, 0 when it did not hold any more.
local stream, meta = KEYS[1], KEYS[2]
local group, id, attempt, verb, old_entry = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local pending = redis.call('XPENDING', stream, group, id, id, 1)
local entry = redis.call('XRANGE', stream, id, id)
if #pending == 0 or #entry == 0 then
  return 0
end

-- Fields stand in the order j, p, a; a is there only on entries that a nack appended.
local fields = entry[1][2]
local deliveries = pending[1][4] + tonumber(fields[6] or '0')
if deliveries ~= attempt then
  return 0
end

if verb == 'nack' then
  redis.call('XADD', stream, '*', 'j', fields[2], 'p', fields[4], 'a', deliveries)
  redis.call('HINCRBY', meta, 'copies', 1)
end
redis.call('XACK', stream, group, id)
if old_entry == 'delete' then
  redis.call('XDEL', stream, id)
end
return 1
