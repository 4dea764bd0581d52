-- ARGV[1] reads.
local bytes = 0
for call = 1, tonumber(ARGV[1]) do
  bytes = bytes + #(redis.call('GET', KEYS[1]) or '')
end
return bytes
