-- Numbers, functions, conditions, errors, coroutines, text that is compiled: the language itself.

-- Numbers: each operator with integers, floats and both.
local function numbers(n)
  local i, f, bits = 0, 0.5, 0
  for k = 1, n do
    i = i + k * 3 - k // 2 + k % 7 - (i // 5)
    f = f * 0.999 + k / 3 - k % 2.5 + (k - 1.5) * 2
    bits = ((bits ~ k) << 1 | k >> 2) & 0xffffff
    if i < f then f = f - 1.0 elseif f <= 0 then f = -f end
    if k == 100 or k >= 1000 and k ~= 2000 then bits = ~bits & 0xffff end
    if k > 10 and f > 0.25 then i = -i end
    f = f + k ^ 2 * 1e-6
  end
  for x = 0.0, 1.0, 0.01 do f = f + x end
  for k = n, 1, -3 do i = i ~ k end
  return i, f, bits
end

-- The operators that are rarer, and the library of mathematics.
local function more_numbers(n)
  local total, x = 0, 0.5
  math.randomseed(42)
  for k = 1, n do
    local shift, mask = k & 7, -k
    total = total + ((k << shift) ~ (mask >> shift) | ~k & 255) // 3
    total = total + k // -3 + -k % 5
    x = -x + k // 0.5 + -k % 2.5 + math.sin(k) * math.cos(x) + math.sqrt(k) + math.abs(-x) - math.fmod(k, 3)
    x = math.min(x, 1e6) + math.random() + math.random(6) + math.random(3, 9) + k * math.pi
    if math.type(x) == "float" and not (x ~= x) and x >= k or k < x then x = x % 1000 end
    if k == x or x == 0 or k <= 0 or -x > 1 then x = x / 2 end
    total = total + math.floor(x) + math.ceil(x) + (math.tointeger(3.0) or 0) + (k & 1 == 0 and 1 or -1)
    local j = 0
    while j < 3 do
      j = j + 1
      if j == 2 then goto continue end
      total = total ~ j
      ::continue::
    end
    repeat j = j - 1 until j <= 0
  end
  return total, x
end

-- A pixel picture: float arithmetic in local variables, nested loops.
local function escape_time(width)
  local steps = 0
  for y = 0, width - 1 do
    local ci = 2.0 * y / width - 1.0
    for x = 0, width - 1 do
      local cr, zr, zi = 2.0 * x / width - 1.5, 0.0, 0.0
      for _ = 1, 20 do
        zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
        if zr * zr + zi * zi > 4.0 then break end
        steps = steps + 1
      end
    end
  end
  return steps
end

-- Functions: recursion, more and fewer arguments than parameters, varargs, tail calls, results of all counts.
local function ways_to_pay(amount, coin)
  if amount == 0 then return 1 end
  if amount < 0 or coin == 0 then return 0 end
  return ways_to_pay(amount, coin - 1) + ways_to_pay(amount - coin, coin)
end

local is_odd
local function is_even(n)
  if n == 0 then return true end
  return is_odd(n - 1)
end
function is_odd(n)
  if n == 0 then return false end
  return is_even(n - 1)
end

local function sum(...)
  local total = 0
  for k = 1, select("#", ...) do total = total + (select(k, ...)) end
  return total
end

local function collect(...)
  local t = { ... }
  return #t, table.unpack(t)
end

local function nothing() end
local function two(a, b) return b, a end

local function calls(n)
  local s = 0
  for k = 1, n do
    local a, b = two(k)
    local _, c, d = collect(k, k + 1)
    nothing(a, b)
    nothing()
    s = s + sum(k, c, d) + math.max(k, 3) + math.floor(k / 2)
    local ok = pcall(nothing, k)
    if not ok or not pcall(two, 1, 2) then s = -1 end
    if k % 50 == 0 then
      ok = pcall(error, { code = k })
      s = s + (ok and 1 or 0)
    end
  end
  return s + ways_to_pay(40, 9) + (is_even(500) and 1 or 0)
end

-- What is rarer: operands that are no constants, mixed kinds of numbers, conditions as values, text as numbers.
local function operators(n)
  local total, seven, half, two, text, none = 0, 7, 0.5, 2, "12", nil
  for k = 1, n do
    total = total + k % seven + k // seven + (k & seven) + (1 << (k & two)) + (k | 8) + (k ~ 5) + (k >> two)
    total = (total | k) & 0xffffff ~ (k << 1)
    local f = k % half + (k + half) % seven + k // half + two ^ half + seven ^ two + k / seven
    local chosen = none or k
    local both = chosen and text or "none"
    local positive, equal, empty, missing = k > seven, both == text, not chosen, not none
    if k >= 3 and f >= 2.5 and not (f >= k) then total = total + 1 end
    if f <= k and k <= f or f <= half or k < f or f < k or seven <= k or text <= both then total = total + 1 end
    if k ~= seven and f ~= k and k ~= f and both ~= none and (positive or equal or empty or missing) then
      total = total + 1
    end
    if half < k and half <= two and two > half and not (half > seven) and k == 7.0 then total = total + 1 end
    total = total + #("" .. k) + #(text .. "") + #(k .. text .. half .. k)
    if operators == two or print == type or operators ~= print or io.stdout == io.stderr then
      total = total + k // -1
    end
    for _ = 1, 0 do total = -1 end
    for j = k + 1, k do total = j end
    for j = 1.0, 0.5 do total = j end
    for j = 1, math.huge do if j == 3 then break end end
    for j = 3, 1, -1 do total = total + j end
    if k % 8 == 0 then
      total = total + (text + 1) * ("0x10" - text) // 1 + -text % 5 + text ^ 2 / text + text * 2
      total = total + (1e2 | 1) + (3.0 << 1)
    end
  end
  return total
end

-- Calls by every notation, with results cut and filled, and functions that go on calling.
local function notations(n, ...)
  local total, self = 0, { value = 1 }
  function self.plain(a, b, c) return c, b, a end
  function self:add(by, more)
    self.value = self.value + by + (more or 0)
    return self
  end
  local function last(...)
    local _, second = ...
    return second, (select(-1, ...))
  end
  local function first(a, ...) if a then return a, ... end return ... end
  local function many(...) return last(1, first(...)) end
  for k = 1, n do
    local a, b, c, d = self.plain(k)
    a, b = b, a
    local t = { self.plain(1, 2, k), (self.plain(k, k)), many(k, 2, 3) }
    local packed = table.pack(first(k, a, nil))
    total = total + #t + packed.n + self:add(1):add(2, 3).value + (b or c or d or 1) + select("#", many(1, nil))
    total = total + #last("x", "yy") + #(tostring{} and "table") + self.plain(first(1, 2, 3))
  end
  return total, ...
end

-- Errors that programs expect, with and without a place, and what handles them.
local function errors(n)
  local total, none, text, number = 0, nil, "text", 1
  local causes = {
    function() return none.field end, function() return number.x.y end, function() return text + 1 end,
    function() return none() end, function() return number < text end, function() return #number end,
    function() return none .. text end, function() error("said") end, function() error("said", 0) end,
    function() error({ code = 1 }) end, function() assert(none, "missing") end, function() assert(false) end,
    function() string.rep() end, function() setmetatable(1, {}) end, function() return 1 & 1.5 end,
    function() return text:nothing() end, function() return math.floor({}) end, function() error() end,
  }
  for k = 1, n do
    local ok, message = pcall(causes[k % #causes + 1])
    if not ok and type(message) == "string" and message:find("nil", 1, true) then total = total + 1 end
    ok, message = xpcall(causes[k % 8 + 1], function(m) return (m or "") .. "!" end)
    if k % 8 == 0 then ok, message = xpcall(causes[1], debug.traceback) end
    total = total + (ok and 0 or #message)
    pcall(pcall, error, "twice")
  end
  return total
end

-- Coroutines: tasks, generators, errors in them.
local function coroutines(n)
  local total = 0
  for k = 1, n do
    local task = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      return c * 2
    end)
    local _, s = coroutine.resume(task, k, 1)
    local _, d = coroutine.resume(task, s)
    total = total + d + (coroutine.status(task) == "dead" and 1 or 0)
  end
  local generate = coroutine.wrap(function() for k = 1, n do coroutine.yield(k) end end)
  for _ = 1, n do total = total + generate() end
  for _ = 1, n do
    local closed <close> = setmetatable({}, { __close = nothing })
    local constant <const> = 1
    total = total + constant
    xpcall(nothing, error, closed)
  end
  local failing = coroutine.create(function() error("on purpose") end)
  if coroutine.resume(failing) then total = -1 end
  return total
end

-- Tasks that yield where they stand: in iterators, protected calls, metamethods; and what else one does with them.
local function tasks(n)
  local total = 0
  local yielding = setmetatable({}, {
    __index = function(_, key) return coroutine.yield(key) end,
    __add = function(_, b) return coroutine.yield(b) end,
    __lt = function() return coroutine.yield(1) end,
    __concat = function() return coroutine.yield(2) end,
    __eq = function() return coroutine.yield(3) end,
    __newindex = function(_, _, value) coroutine.yield(value) end,
    __len = function() return coroutine.yield(4) end,
  })
  local function permutations(list, size)
    if size <= 1 then coroutine.yield(list) end
    for k = 1, size do
      list[k], list[size] = list[size], list[k]
      permutations(list, size - 1)
      list[k], list[size] = list[size], list[k]
    end
  end
  for k = 1, n do
    local task = coroutine.create(function(...)
      local sum = select("#", ...)
      local ok, got = pcall(coroutine.yield, 1)
      sum = sum + (ok and got or 0)
      ok, got = pcall(function() coroutine.yield(2) error("in a task") end)
      sum = sum + (ok and 1 or #got)
      if coroutine.isyieldable() and coroutine.status(coroutine.running()) == "running" then
        sum = sum + (yielding[3] or 0) + (yielding + 4) + (yielding .. "")
        if yielding < yielding and yielding == {} then sum = sum + 1 end
        yielding.x = #yielding
      end
      for a, b in coroutine.wrap(function() coroutine.yield(1, 2) coroutine.yield(3, 4) end) do sum = sum + a * b end
      return sum, nil, sum
    end)
    local given, ok = nil, nil
    repeat
      ok, given = coroutine.resume(task, given or k, 2, 3)
      if coroutine.status(task) == "suspended" then total = total + 1 end
    until not ok or coroutine.status(task) == "dead"
    assert(ok, given)
    total = total + (coroutine.resume(task) and 1 or given)
    local unfinished = coroutine.create(function()
      local kept <close> = setmetatable({}, { __close = function() total = total + 1 end })
      coroutine.yield(kept)
    end)
    coroutine.resume(unfinished)
    coroutine.close(unfinished)
    coroutine.close(coroutine.create(print))
    local failing = coroutine.wrap(function() error("wrapped") end)
    pcall(failing)
  end
  for list in coroutine.wrap(function() permutations({ 1, 2, 3, 4, 5 }, 5) end) do total = total + list[1] end
  return total
end

-- Text that is compiled, and what is looked up by name.
counter = 0
local function chunks(n)
  local text = [[
    local a, b = ...
    local t = { x = a, y = b, "one", [10] = 2.5 }
    local function f(n) if n > 0 then return n + t.x else return nil end end
    for k = 1, 3 do t[k] = f(k) or "none" end
    counter = counter + #t
    return t.x * t.y
  ]]
  local total = 0
  for k = 1, n do total = total + assert(load(text, "=chunk"))(k, 2) end
  return total + counter
end

-- Everything that text to compile can have in it.
local everything = [==[
-- a comment
--[[ a longer
comment ]] --[=[ and ]] another ]=]
local a <const>, b, c = 1, 2.5e-3, ...; local d, e, f
local hex, float, big = 0xFFp1, .5, 1E+10
local text = "tab\t quote\" \65\x41\u{20AC} \z
              end" .. 'single \'quoted\' \\' .. [[long
string]]
goto done
do local unused = nil end
::done::
local t = { 1, 2, 3; x = a, ["y z"] = b, [1.5] = not a, f = function(...) return ... end, { {} }, nil, true, ... }
for k = 1, 60 do t[#t + 1] = k if k == 50 then break end end
for k, v in pairs(t) do if type(k) == "string" and v ~= nil then t[k] = v else goto continue end ::continue:: end
while d do d = d - 1 if d < 5 then break elseif d == 7 then d = 6 else d = 4 end end
repeat local done = a >= 1 and b < 1 or a ~= 1 local g = function() return done end until done and g()
t.m = {}
function t.m.plain(x, y) return x // y, x % y, x / y, -x, ~x, #text, not x end
function t.m:method(...) local n <close> = nil return self, select("#", ...) end
local function fold() return 1 + 2 * 3 - 4 / 2 ^ 2 // 1 % 5, 1 << 3 | 4 & 5 ~ 6 >> 1, "a" .. "b" .. 1, 2 < 3, -7, ~0 end
d, e, f = t.m.plain(7, 2)
t.x, t.y, t[1] = t[1], t.x, d
t.m:method(a, t.m.plain(3, 4)) t.f { 1 } t.f "text" t.f [[long]]
if a == 1 and b ~= nil and e <= 10 and 3 > a or a >= 2 and not (c == "x") then globals = (globals or 0) + fold() end
globals = globals == 1.5 and 2 or globals
return (t.m.method(t, ...)), t
]==]

local function compiled(n)
  local total = 0
  for k = 1, n do
    local environment = setmetatable({ k = k }, { __index = _G })
    local first = assert(load(everything, "@everything.lua", "t", environment))
    local again = assert(load(string.dump(first, k % 2 == 0), "dumped", "b", environment))
    local lines = everything:gmatch("[^\n]*\n?")
    local pieces = assert(load(function() return lines() end, "=pieces", "bt", environment))
    total = total + first(1, 2).x + again("x").x + pieces().x
    if load("return return") or load("x = = 1", "=(a)") or load("goto nowhere") or load("'") then total = -1 end
  end
  return total
end

-- Programs that look at themselves, as profilers and debuggers do.
local function watched(n)
  local total = 0
  local function work(a, ...)
    local b = a + select("#", ...)
    if b % 2 == 0 then b = b + 1 end
    return b
  end
  for k = 1, n do
    local info = debug.getinfo(1, "nSlutf")
    total = total + info.currentline + #info.short_src + #debug.traceback("here") + (debug.getinfo(work).nparams or 0)
    local _, value = debug.getlocal(1, 1)
    total = total + value + #debug.getupvalue(work, 1)
    debug.sethook(function(event, line) total = total + #event + (line or 0) end, ({ "l", "c", "r", "" })[k % 4 + 1], 7)
    work(k, 1)
    work(pcall(work, 1) and k)
    debug.sethook()
  end
  return total
end

return function()
  numbers(20000)
  more_numbers(3000)
  escape_time(60)
  calls(1500)
  operators(800)
  notations(400, 1, 2)
  errors(200)
  coroutines(1500)
  tasks(60)
  chunks(60)
  compiled(6)
  watched(40)
end
