-- The memory in use at the peak, relative to what is live, after entering generational mode again.
local live = {}
for i = 1, 100000 do
  live[i] = {i}
end
collectgarbage("incremental")
collectgarbage()
collectgarbage("generational")
local base = collectgarbage("count")
local peak = base
for i = 1, 2000000 do
  local _ = {i}
  if i % 1000 == 0 then
    peak = math.max(peak, collectgarbage("count"))
  end
end
assert(peak / base < 1.4, "peak of " .. peak / base)
print("ok")
