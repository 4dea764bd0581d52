-- Reads, computes, writes.
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
for step = 1, 20 do
  count = (count * 31 + step) % 1000003
end
redis.call('SET', KEYS[1], count)
return count
