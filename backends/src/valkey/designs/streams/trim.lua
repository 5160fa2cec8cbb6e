-- Cuts the stream before the oldest entry that is not finished, so that nothing pending or undelivered can be lost.
--
-- KEYS: the stream       ARGV: group
-- Returns the number of entries removed; whole nodes only, which is what makes it cheap.
local stream, group = KEYS[1], ARGV[1]

local pending = redis.call('XPENDING', stream, group)
if pending[1] > 0 then
  return redis.call('XTRIM', stream, 'MINID', '~', pending[2])
end

-- Nothing is pending: everything up to the last delivered entry is finished.
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local name, last_delivered
  for i = 1, #info, 2 do
    if info[i] == 'name' then name = info[i + 1] end
    if info[i] == 'last-delivered-id' then last_delivered = info[i + 1] end
  end
  if name == group then
    return redis.call('XTRIM', stream, 'MINID', '~', last_delivered)
  end
end
return 0
