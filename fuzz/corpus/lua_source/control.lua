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
local order = {}
local function resource(name, fail)
  return setmetatable({}, {__close = function(_, e) order[#order + 1] = name .. (e and "!" or ""); if fail then error(fail, 0) end end})
end
do
  local a <close> = resource("a")
  local b <close>, c <const> = resource("b"), 5
  for i = 1, 3 do local l <close> = resource("l" .. i); if i == 2 then break end end
end
print(table.concat(order, " ")); order = {}
print(fails(function() local x <close> = resource("x"); local y <close> = resource("y", "from y"); error("first", 0) end))
print(table.concat(order, " ")); order = {}
local function returns() local r <close> = resource("r"); return 1, 2, 3 end
print(returns(), #order)
for k, v in (function() return next, {10, 20}, nil, resource("iterator") end)() do order[#order + 1] = k .. "=" .. v end
print(table.concat(order, " ")); order = {}
local co = coroutine.wrap(function() local c <close> = resource("coroutine"); coroutine.yield(1); return 2 end)
print(co(), co(), order[1]); order = {}
local unfinished = coroutine.create(function() local u <close> = resource("u", "late"); coroutine.yield() end)
resume(unfinished)
print(passOn(coroutine.close(unfinished)))
for i = 1, 20 do local x <close> = resource(i); local y <close> = i % 2 == 0 and resource(-i) or nil end
print(#order)
for i = 1, 5 do
  for j = 1, 5 do if i * j == 12 then goto found elseif j > i then goto continue end end
  ::continue::
end
::found::
local n = 0
repeat local step = n + 1; n = step until step >= 10
while true do n = n + 1; if n > 15 then break end end
for x = 1.0, 2.0, 0.25 do n = n + x end
for x = 10, 1, -3 do n = n + x end
for x = math.maxinteger - 1, math.maxinteger do n = n + 1 end
print(n)
do local i = 1; ::top:: if i < 30 then local f = function() return i end; i = f() + 1; goto top end print(i) end
print(fails(function() local x <close> = 42 end), fails(function() for i = 1, "x" do end end))
