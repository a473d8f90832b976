local finalized, order = 0, {}
local meta = {__gc = function(o) finalized = finalized + 1; order[#order + 1] = o.n; o.again = {o.n} end}
for i = 1, 60 do setmetatable({n = i}, meta) end
collectgarbage()
print(finalized > 0)
local kept
do
  local phoenix = setmetatable({}, {__gc = function(o) kept = o end})
end
collectgarbage(); collectgarbage()
print(kept ~= nil)
local failing = setmetatable({}, {__gc = function() error("in a finalizer") end})
failing = nil; collectgarbage()
local self = setmetatable({}, {__gc = function(o) setmetatable(o, getmetatable(o)) end})
self = nil; collectgarbage(); collectgarbage()
local gcOnly = {}
for i = 1, 20 do gcOnly[i] = setmetatable({}, {__gc = true}) end
-- objects left for the end: their finalizers run as the state closes, and allocate
AT_END = {}
for i = 1, 15 do AT_END[i] = setmetatable({i}, {__gc = function(o) local t = {o[1], tostring(o[1]), {}}; AT_END[-o[1]] = t end}) end
setmetatable(AT_END, {__gc = function(o) coroutine.wrap(function() coroutine.yield(("x"):rep(100)) end)() end})
print(#AT_END)
