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
print(fails(error), fails(error, "plain", 0), type(fails(error, {})), fails(error, nil))
local function level3() error("deep", 2) end
local function level2() level3() end
print(fails(level2))
print(select("#", passOn(pcall(function() return 1, nil, 3 end))))
local trace
local ok, e = passOn(xpcall(level2, function(m) trace = debug.traceback(m, 1); return "handled: " .. m end))
print(ok, e, trace:match("stack traceback") ~= nil)
print(passOn(xpcall(function(...) return select("#", ...) end, print, 1, 2, 3)))
local function overflow() return (("x"):gsub("x", overflow)) end
print(fails(overflow):match("stack overflow"))
local nested = 0
local function nest(n)
  local ok, e = passOn(pcall(function() if n == 0 then error("bottom", 0) end nest(n - 1) end))
  nested = nested + 1
  if not ok then error(e .. "<" .. n, 0) end
end
print(fails(nest, 15), nested)
local objects = {}
for i = 1, 25 do objects[i] = fails(error, setmetatable({i}, {__tostring = function(self) return "E" .. self[1] end})) end
print(tostring(objects[25]), #objects)
for _, code in ipairs{"return nil + 1", "local t; t.x = 1", "return #nil", "return 1 < 'x'", "return {} .. ''", "x()", "return 1 // 0",
                      "return 2^53 | 1.5", "for i = 1, 10, 0 do end", "local a <const> = 1; return a.b.c", "string.rep()", "return ('x'):bad()"} do
  print(fails(loaded(load(code, "=code"))))
end
warn("@on"); warn("never ", "shown"); warn("@off")
print(fails(error, "x", 3), fails(assert, false), fails(assert, nil, "with a message"), fails(assert))
