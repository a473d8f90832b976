local keys, values, both = setmetatable({}, {__mode = "k"}), setmetatable({}, {__mode = "v"}), setmetatable({}, {__mode = "kv"})
local anchors = {}
for i = 1, 60 do
  local k = {}
  keys[k] = {i, k}; values[i] = k; both[k] = k
  if i % 3 == 0 then anchors[#anchors + 1] = k end
end
collectgarbage()
local function count(t) local n = 0; for _ in pairs(t) do n = n + 1 end return n end
print(count(keys), count(values), count(both))
anchors = nil
collectgarbage(); collectgarbage()
print(count(keys), count(values), count(both))
-- a chain of ephemerons
local chain, first = setmetatable({}, {__mode = "k"}), {}
local k = first
for i = 1, 40 do local nextKey = {}; chain[k] = nextKey; k = nextKey end
k = nil; collectgarbage()
print(count(chain))
first = nil; collectgarbage(); collectgarbage()
print(count(chain))
local cache = setmetatable({}, {__mode = "v"})
for i = 1, 100 do cache["s" .. i % 10] = cache["s" .. i % 10] or {i}; if i % 40 == 0 then collectgarbage("step") end end
collectgarbage("generational")
local old = setmetatable({}, {__mode = "k"})
for round = 1, 4 do
  for i = 1, 20 do old[{}] = {round}; old[round] = {} end
  collectgarbage("step")
end
collectgarbage("incremental"); collectgarbage()
print(count(old))
local strings = setmetatable({}, {__mode = "kv"})
for i = 1, 20 do strings["k" .. i] = "v" .. i end
collectgarbage()
print(count(strings))
