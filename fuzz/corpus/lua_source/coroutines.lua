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
local function generate(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, {i}) end end)
end
local sum = 0
for i, box in generate(30) do sum = sum + i * box[1] end
print(sum)
local co = coroutine.create(function(a, b)
  local c = coroutine.yield(a + b)
  local d, e = coroutine.yield(c * 2)
  return d + e
end)
print(resume(co, 1, 2)); print(resume(co, 10)); print(resume(co, 3, 4)); print(resume(co))
print(coroutine.status(co), coroutine.isyieldable(), (select(2, coroutine.running())))
local threads = {}
for i = 1, 20 do
  threads[i] = coroutine.create(function(x)
    local function nested(n) if n == 0 then coroutine.yield(x) else nested(n - 1) end return n end
    nested(i); return x
  end)
  resume(threads[i], i)
end
for i = 1, 20, 2 do coroutine.close(threads[i]) end
for i = 2, 20, 2 do resume(threads[i]) end
local dead = 0
for i = 1, 20 do if coroutine.status(threads[i]) == "dead" then dead = dead + 1 end end
print(dead)
local failing = coroutine.create(function() local t <close> = setmetatable({}, {__close = function() end}); error({code = 7}) end)
local ok, e = resume(failing)
print(ok, type(e), e.code, (coroutine.close(failing)))
-- a yield across pcall, a metamethod and an iterator
local across = coroutine.wrap(function()
  local t = setmetatable({}, {__add = function(a, b) return coroutine.yield("add") end,
                              __index = function(t, k) return coroutine.yield(k) end})
  local ok, v = passOn(pcall(function() return t + 1, t.field end))
  for x in function(_, x) return coroutine.yield("iterate") end do v = v + x end
  return "done", ok, v
end)
print(across()); print(across(5)); print(across(6)); print(across(7)); print(across(nil))
print(fails(coroutine.wrap(function() error("inside", 0) end)))
print(table.unpack(table.pack(coroutine.wrap(function(...) return select("#", ...), coroutine.yield(...) end)(1, 2, 3))))
