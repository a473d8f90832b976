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
local function counter(start)
  local n = start
  return function() n = n + 1; return n end, function() return n end
end
local up, get = counter(10)
for _ = 1, 5 do up() end
print(get())
local made = {}
for i = 1, 60 do made[i] = function(x) i = i + x; return i end end
local sum = 0
for i = 1, 60 do sum = sum + made[i](i) + made[i](1) end
print(sum)
local function compose(f, ...)
  if not f then return function(...) return ... end end
  local rest = compose(...)
  return function(...) return f(rest(...)) end
end
print(compose(function(x) return x + 1 end, function(x) return x * 2 end, function(x) return x - 3 end)(10))
local function variadic(...)
  local a, b = ...
  return select("#", ...), a, b, ...
end
print(variadic(1, nil, 3), (variadic()))
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
print(deep(150))
local function tail(n) if n == 0 then return "end" end return tail(n - 1) end
print(tail(500))
local memo = setmetatable({}, {__mode = "k"})
local fib
fib = function(n) local key = n; if n < 2 then return n end
  memo[key] = memo[key] or fib(n - 1) + fib(n - 2); return memo[key] end
print(fib(40))
