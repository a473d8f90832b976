-- A loop that does nothing but load binary chunks does not grow without limit.
local binary = string.dump(load("local x = {}; return " .. string.rep("x.y, ", 100) .. "1"))
collectgarbage()
local base = collectgarbage("count")
local peak = base
for _ = 1, 5000 do
  load(binary, "binary", "b")
  peak = math.max(peak, collectgarbage("count"))
end
assert(peak < 10 * base, "peak of " .. peak / base)
print("ok")
