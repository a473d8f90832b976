-- What the scripts here share. A failure that a script provokes is tested; one for lack of memory is passed on, so
-- that a run ends either well or with "not enough memory".
local OUT = "not enough memory"

function passOn(ok, ...)
  if not ok and (...) == OUT then error(OUT, 0) end
  return ok, ...
end

-- calls a function that must fail; returns its message
function fails(f, ...)
  local ok, message = passOn(pcall(f, ...))
  assert(not ok, "this should have failed")
  return message
end

-- load, or loadfile: what they return
function loaded(f, ...)
  if not f and (...) == OUT then error(OUT, 0) end
  return f, ...
end

function resume(co, ...)
  return passOn(coroutine.resume(co, ...))
end
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
