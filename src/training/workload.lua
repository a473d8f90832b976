-- What the build runs to see which ways through Lua are the usual ones. A bit of everything that programs do, none of
-- it for long; nothing here measures anything. The same steps in every run: no clock, no addresses, no random seed.

local rounds = 3

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
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
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
  return s + fib(18) + ackermann(2, 20)
end

-- Tables: arrays and records in all sizes, growing, shrinking, walked, sorted.
local function arrays(n)
  local list, total = {}, 0
  for k = 1, n do list[k] = (k * 7919) % 1009 end
  for k = 1, #list do total = total + list[k] end
  for k, v in ipairs(list) do if v > k then total = total - 1 end end
  for _, v in pairs(list) do total = total + v end
  for k = 1, n // 4 do list[#list + 1] = k end
  for _ = 1, n // 4 do list[#list] = nil end
  for k = 1, n // 4 do table.insert(list, k) end
  for _ = 1, n // 8 do total = total + table.remove(list) end
  for k = 1, 20 do table.insert(list, 1, k) end
  for _ = 1, 20 do table.remove(list, 1) end
  -- No more than 100, for longer ones are sorted around a pivot that the clock chooses.
  for from = 1, 1001, 100 do
    local part = table.move(list, from, from + 99, 1, {})
    table.sort(part)
    table.sort(part, function(a, b) return a > b end)
  end
  local copy = table.move(list, 1, #list, 1, {})
  local first, second = table.unpack(copy, 1, 2)
  local sparse = {}
  for k = n, 1, -17 do sparse[k] = k end
  sparse[1.0], sparse[2.5], sparse[true] = 1, 2, 3
  for k in next, sparse do if k == 2.5 then total = total + 1 end end
  for k = 1, n do
    if sparse[k] or sparse[-k] or sparse[k + 0.5] or sparse[k * 1.0] or sparse[k % 2 == 0] then total = total + 1 end
  end
  local matrix = {}
  for y = 1, 20 do
    local row = {}
    for x = 1, 20 do row[x] = x * y + 0.5 end
    matrix[y] = row
  end
  for y = 1, 20 do for x = 1, 20 do total = total + matrix[y][x] * matrix[x][y] end end
  return total + first + second
end

local function records(n)
  local kept, total = {}, 0
  for k = 1, n do
    local r = { id = k, name = "record", x = k * 0.5, y = k + 0.25, tags = { k, k + 1 } }
    r.x, r.y = r.y, r.x
    r.id = r.id + 1
    r.extra = k
    if r.missing == nil and r.x ~= r.y then total = total + r.id + #r.tags end
    local pair = { x = k, y = k }
    local empty = {}
    empty.a, empty.b = pair, r
    local point = { k, k * 2, k * 3 }
    total = total + point[1] + point[3] + empty.a.x
    if k % 4 == 0 then kept[k] = r end
    if k % 64 == 0 then kept = {} end
  end
  local words = {}
  for k = 1, n do
    local key = "key" .. k % 97
    words[key] = (words[key] or 0) + 1
  end
  for key, count in pairs(words) do if #key > 4 then words[key] = count + 1 end end
  for key in pairs(words) do words[key] = nil end
  return total
end

local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end

local function count(node)
  local left = node[1]
  if not left then return 1 end
  return 1 + count(left) + count(node[2])
end

-- Keys of all kinds. Tables with an object for a key have one, for where more of them go depends on addresses.
local function keys(n)
  local total, long = 0, ("long key "):rep(6)
  for k = 1, n do
    local object = {}
    local owner = { [object] = k }
    local mixed = { [true] = k, [0.5] = k, [long] = k, [k] = k }
    total = total + owner[object] + (owner[mixed] or 0) + mixed[true] + mixed[0.5] + mixed[long] + mixed[k]
    owner[object] = nil
    mixed.name, mixed[long .. k % 3] = k, k
    if rawequal(object, owner) or rawlen(mixed) > 1 or rawget(mixed, k) ~= k then total = total + 1 end
  end
  return total
end

local function lists(n)
  local head
  for k = 1, n do head = { value = k, next = head } end
  local total = 0
  while head do
    total = total + head.value
    head = head.next
  end
  local queue, first, last = {}, 1, 0
  for k = 1, n do
    last = last + 1
    queue[last] = k
    if k % 3 == 0 then
      total = total + queue[first]
      queue[first] = nil
      first = first + 1
    end
  end
  return total
end

-- Objects: classes, inheritance, every kind of metamethod.
local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Vector) end
Vector.__sub = function(a, b) return setmetatable({ x = a.x - b.x, y = a.y - b.y }, Vector) end
Vector.__mul = function(a, k)
  if type(a) == "number" then a, k = k, a end
  return setmetatable({ x = a.x * k, y = a.y * k }, Vector)
end
Vector.__unm = function(a) return Vector.new(-a.x, -a.y) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vector.__lt = function(a, b) return a.x < b.x end
Vector.__le = function(a, b) return a.x <= b.x end
Vector.__len = function() return 2 end
Vector.__call = function(a, k) return a.x + k end
Vector.__tostring = function(a) return "(" .. a.x .. ", " .. a.y .. ")" end
Vector.__concat = function(a, b) return tostring(a) .. tostring(b) end
function Vector.new(x, y) return setmetatable({ x = x, y = y }, Vector) end
function Vector:dot(other) return self.x * other.x + self.y * other.y end
function Vector:move(dx, dy)
  self.x = self.x + dx
  self.y = self.y + dy
  return self
end

local Animal = {}
Animal.__index = Animal
function Animal.new(name)
  local self = setmetatable({}, Animal)
  self.name = name
  self.age = 0
  self.friends = {}
  return self
end
function Animal:grow() self.age = self.age + 1 end
function Animal:greet(other) self.friends[#self.friends + 1] = other.name end
local Dog = setmetatable({}, { __index = Animal })
Dog.__index = Dog
function Dog.new(name) return setmetatable(Animal.new(name), Dog) end
function Dog:bark() return self.name end

local function objects(n)
  local position, total = Vector.new(0, 0), 0
  local reads = setmetatable({}, {
    __index = function(_, key) return key end,
    __newindex = function(t, key, value) rawset(t, key, value) end,
  })
  for k = 1, n do
    local velocity = Vector.new(k % 5, 1.5)
    position = position + velocity * 0.5 - Vector.new(1, 1)
    total = total + position:dot(velocity) + velocity:move(1, 2).x
    if k % 8 == 0 then
      position = -position
      if position == velocity or position < velocity or velocity <= position then total = total + #position end
      total = total + position(1)
    end
    if k % 128 == 0 then total = total + #(position .. velocity) end
    local dog = Dog.new("dog")
    dog:grow()
    dog:greet(dog)
    total = total + #dog:bark() + dog.age + reads[k % 10 + 1]
    if k % 100 == 0 then reads[k] = k end
  end
  return total
end

-- Closures: counters, upvalues shared and closed, callbacks.
local function closures(n)
  local handlers, total = {}, 0
  for k = 1, n do
    local value = k
    local function get() return value end
    local function add(by) value = value + by end
    add(2)
    total = total + get()
    if k % 10 == 0 then handlers[#handlers + 1] = function(x) return x + value end end
  end
  local function compose(f, g) return function(x) return f(g(x)) end end
  local function map(t, f)
    local result = {}
    for k = 1, #t do result[k] = f(t[k]) end
    return result
  end
  local both = compose(function(x) return x + 1 end, function(x) return x * 2 end)
  for _, handler in ipairs(handlers) do total = total + handler(1) + both(2) end
  local function range(limit)
    local at = 0
    return function()
      at = at + 1
      if at <= limit then return at end
    end
  end
  for at in range(n // 4) do total = total + at end
  for _ = 1, 10 do total = total + #map(handlers, function(h) return h(0) end) end
  return total
end

-- Strings: built, formatted, compared, searched, taken apart.
local function strings(n)
  local parts, total = {}, 0
  for k = 1, n do
    local line = "line " .. k .. ": " .. k * 0.5 .. "\n"
    parts[#parts + 1] = line
    if line == "line 7: 3.5\n" or line < "line 5" or line ~= parts[1] then total = total + #line end
    total = total + line:byte(1) + #line:sub(2, 5) + #line:upper() + (line:find(":", 1, true) or 0)
    parts[#parts + 1] = string.format("%d %5.2f %s %q %x %-6s|", k, k / 3, "text", "quoted", k, "left")
    parts[#parts + 1] = tostring(k) .. tostring(k + 0.25) .. tostring(k % 2 == 0)
    total = total + tonumber("12") + tonumber("0x1F") + tonumber("3.75") + math.tointeger(k)
  end
  local text = table.concat(parts)
  local listed = table.concat(parts, ", ", 1, 20)
  for word in text:gmatch("%a+") do total = total + #word end
  for name, value in ("a=1, b=22, long_name=333, d=4"):rep(n // 8):gmatch("(%w+)=(%d+)") do
    total = total + #name + value
  end
  for k = 1, #text do if text:byte(k) == 10 then total = total + 1 end end
  local at = 1
  while true do
    local from, to, digits = text:find("(%d+)%.", at)
    if not from then break end
    total = total + #digits
    at = to + 1
  end
  text = text:gsub("line", "row"):gsub("%d+", function(d) return #d end):gsub("[%s|]+", " ")
  listed = listed:gsub("%w+", { text = "TEXT" }):gsub("(%d) (%d)", "%2 %1")
  for _ = 1, 20 do
    total = total + #text:lower() + #listed:reverse() + #(" pad "):rep(10) + #("%s"):format(listed)
    total = total + #("  trimmed  "):match("^%s*(.-)%s*$") + #string.char(72, 105)
    total = total + #(text:match("^(%a+)") or "") + select("#", ("x,y,z"):byte(1, -1))
  end
  for k = 1, n do
    local packed = string.pack("<i4ds1", k, 0.5, "text")
    local first, second, third = string.unpack("<i4ds1", packed)
    total = total + first + second + #third + utf8.len("grün") + #utf8.char(252, k + 32)
    for _, code in utf8.codes("aäz") do total = total + code end
    local shown = tostring(k * 1e14) .. tostring(-0.0) .. tostring(k / 7) .. tostring(1e300) .. tostring(nil)
    total = total + #shown + #string.format("%5.1f %g %i %c %s %.3f %10d", k / 3, k / 8, k, 65, true, k, k)
    if "a" .. k < "b" .. k and "x" <= shown and not (shown > "y") then total = total + 1 end
  end
  local long = {}
  for k = 1, 40 do long[k] = ("%05d"):format(k) .. ("abc"):rep(k) end
  return total + #table.concat(long, ";") + (#long[40] > 40 and 1 or 0)
end

-- A file, if there may be one, by lines and numbers.
local function files(n)
  local file = io.tmpfile()
  if not file then return end
  for k = 1, n do file:write("line ", k, " ", k * 0.5, "\n") end
  file:seek("set")
  local total = 0
  for line in file:lines() do total = total + #line end
  file:seek("set")
  for _ = 1, n do
    local _, whole, half = file:read(5, "n", "n", "l")
    total = total + whole + half
  end
  file:seek("set")
  total = total + #file:read("a")
  file:close()
  return total
end

-- A document parsed by character and printed again.
local escapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\" }

local function parse(text, at)
  at = text:find("%S", at)
  local c = text:sub(at, at)
  if c == "{" then
    local object = {}
    at = text:find("%S", at + 1)
    while text:sub(at, at) ~= "}" do
      local key, value
      key, at = parse(text, at)
      at = text:find(":", at, true) + 1
      value, at = parse(text, at)
      object[key] = value
      at = text:find("%S", at)
      if text:sub(at, at) == "," then at = text:find("%S", at + 1) end
    end
    return object, at + 1
  elseif c == "[" then
    local array = {}
    at = text:find("%S", at + 1)
    while text:sub(at, at) ~= "]" do
      array[#array + 1], at = parse(text, at)
      at = text:find("%S", at)
      if text:sub(at, at) == "," then at = text:find("%S", at + 1) end
    end
    return array, at + 1
  elseif c == '"' then
    local stop = at + 1
    while true do
      local b = text:byte(stop)
      if b == 34 then break end
      stop = stop + (b == 92 and 2 or 1)
    end
    local value = text:sub(at + 1, stop - 1)
    if value:find("\\", 1, true) then value = value:gsub("\\(.)", escapes) end
    return value, stop + 1
  end
  local literal, stop = text:match("^(%a+)()", at)
  if literal == "true" then return true, stop elseif literal == "false" then return false, stop end
  literal, stop = text:match("^(-?[%d.eE+-]+)()", at)
  return assert(tonumber(literal)), stop
end

local function show(value)
  local kind = type(value)
  if kind == "table" then
    local parts = {}
    if #value > 0 then
      for k, v in ipairs(value) do parts[k] = show(v) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for k, v in pairs(value) do parts[#parts + 1] = string.format("%q:%s", k, show(v)) end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif kind == "string" then
    return '"' .. value:gsub('[\\"\n]', "\\%0") .. '"'
  end
  return tostring(value)
end

local function documents(n)
  local text = '{"name": "part", "sizes": [1, 2.5, -3e2], "nested": {"on": true, "off": false, "say": "a \\"b\\" c"}}'
  local total = 0
  for k = 1, n do
    local document = parse("[" .. text .. ", " .. text .. ", " .. k .. "]", 1)
    document[1].nested.say = "changed"
    total = total + #show(document) + document[3]
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

-- Memory in all ages: what is dropped at once, what lives a while, what stays, what has finalizers or is weak.
local function ages(n)
  local cache, order, first = {}, {}, 1
  local weak = setmetatable({}, { __mode = "v" })
  local ephemeral = setmetatable({}, { __mode = "k" })
  for k = 1, n do
    local key = "entry" .. k
    local entry = { key = key, payload = { k, k + 1, k + 2 }, hits = 0 }
    cache[key] = entry
    order[#order + 1] = key
    if k > 500 then
      cache[order[first]] = nil
      first = first + 1
    end
    local old = cache["entry" .. (k - 250)]
    if old then
      old.hits = old.hits + 1
      old.payload = { old.hits }
    end
    if k % 50 == 0 then
      weak[k], ephemeral[entry] = entry, entry
      setmetatable(entry, { __gc = nothing })
      if not getmetatable(entry) then return 0 end
    end
  end
  return first
end

local function all()
  numbers(20000)
  more_numbers(3000)
  escape_time(60)
  calls(1500)
  for _ = 1, 4 do arrays(2000) end
  records(6000)
  assert(count(tree(13)) == 2 ^ 14 - 1)
  for _ = 1, 40 do count(tree(6)) end
  lists(4000)
  keys(2000)
  objects(8000)
  closures(8000)
  strings(600)
  files(400)
  documents(60)
  coroutines(1500)
  chunks(60)
  ages(6000)
end

for _ = 1, rounds do all() end

-- The collector's other mode; collections a whole and a step at a time.
collectgarbage("incremental")
all()
collectgarbage()
collectgarbage("step", 10)
