-- Tables, objects, closures: what programs keep their data in.

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

-- What is rarer in tables: holes, mixed keys, lengths that must be searched for, long constructors, sorting by other
-- measures, loops that change what they walk.
local function odd_tables(n)
  local total = 0
  local function three() return 1, 2, 3 end
  for k = 1, n do
    local mixed = { [-k] = 3, [k / 4] = 4, [2 ^ 53] = 5, [""] = 6, [("-"):rep(50)] = 7 }
    local builtin, made, file = { [print] = 1 }, { [three] = 2 }, { [io.stdout] = 7 }
    mixed[1], mixed[2], mixed[3], mixed[5] = k, k, k, k
    total = total + builtin[print] + made[three] + mixed[-k] + (mixed[k / 4] or 0) + #mixed + (mixed[nil] or 0)
    if file[io.stdout] == 7 and next(mixed) ~= nil and mixed[4.0] == nil then total = total + mixed[2.0] end
    local list = { three(), three(), k, nil, three() }
    list[#list + 1], list[#list + 2] = k, k
    list[#list], list[5] = nil, nil
    total = total + #list
    local numbered = {}
    for j = 8, 1, -1 do numbered[j] = j end
    for j = 9, 20 do numbered[j] = j end
    total = total + #numbered
    for j = 20, 4, -1 do numbered[j] = nil end
    numbered.name = "shrunk"
    numbered.other = "again"
    total = total + #numbered + #table.move(numbered, 1, 3, 2) + #table.concat({ 1, 2.5, "x" }, "-", 1, 3)
    local long = {
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
      31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, three(),
    }
    for key in pairs(long) do if key % 2 == 0 then long[key] = nil end end
    for key, value in next, long do if value == 7 then long[key] = "seven" end end
    local record = {}
    for _, name in ipairs({ "a", "b", "c", "d", "e", "f", "g", "h", "i" }) do record[name] = k end
    for name, value in pairs(record) do if value == k then record[name] = nil end end
    record.a = record.a or { k }
    record[k] = record[k] or {}
    record[k][k], record[k].x = k, record
  end
  return total
end

local function sorted(n)
  local total, state = 0, 1
  local words, people, big = {}, {}, {}
  for k = 1, n do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    words[k] = "w" .. state % 1000
    people[k] = { name = words[k], age = state % 90 }
    big[k] = state % 65536 + (k % 2 == 0 and 0.5 or 0)
  end
  table.sort(words)
  table.sort(big)
  table.sort(people, function(a, b)
    if a.age ~= b.age then return a.age < b.age end
    return a.name < b.name
  end)
  local low, high = 1, n
  while low < high do
    local middle = (low + high) // 2
    if big[middle] < 30000 then low = middle + 1 else high = middle end
  end
  for k = 2, n do
    local at, value = k, people[k].age
    while at > 1 and at % 16 ~= 0 and words[at - 1] > words[at] do
      words[at], words[at - 1] = words[at - 1], words[at]
      at = at - 1
    end
    total = total + value
  end
  -- A heap by priority.
  local heap = {}
  for k = 1, n do
    local at = #heap + 1
    heap[at] = big[(k * 7) % n + 1]
    while at > 1 and heap[at // 2] > heap[at] do
      heap[at // 2], heap[at] = heap[at], heap[at // 2]
      at = at // 2
    end
  end
  for _ = 1, n // 2 do
    local last = table.remove(heap)
    local at, size = 1, #heap
    while at * 2 <= size do
      local child = at * 2
      if child < size and heap[child + 1] < heap[child] then child = child + 1 end
      if heap[child] >= last then break end
      heap[at] = heap[child]
      at = child
    end
    heap[at] = last
  end
  return total + low + heap[1]
end

-- Every other event that a metatable can have, and methods that are found in more than one step.
local function events(n)
  local total, Set = 0, {}
  local function new(...) return setmetatable({ ... }, Set) end
  for _, name in ipairs({
    "div", "mod", "idiv", "pow", "band", "bor", "bxor", "shl", "shr", "add", "sub", "mul", "concat",
  }) do
    Set["__" .. name] = function(a, b)
      if type(a) ~= "table" then a, b = b, a end
      return type(b) == "table" and #a + #b or #a
    end
  end
  Set.__unm = function(a) return a[1] end
  Set.__bnot = Set.__unm
  Set.__lt = function(a, b) return rawlen(a) < (type(b) == "table" and rawlen(b) or b) end
  Set.__le = function(a, b) return not (a == b) end
  Set.__eq = function(a, b) return rawlen(a) == rawlen(b) end
  Set.__pairs = function(a) return function(_, k) if not k then return 1, a[1] end end, a, nil end
  Set.__name, Set.__metatable, Set.__index = "Set", "a set", function(a, key) return rawget(a, key) or Set[key] end
  function Set.size(a) return #a end
  local defaults = setmetatable({}, {
    __index = { colour = 1 },
    __newindex = {},
    __call = function(_, ...) return math.max(...) end,
    __mode = "kv",
  })
  local strict = setmetatable({}, { __index = function(_, key) error("no " .. key) end })
  for k = 1, n do
    local a, b = new(1, 2), new(k)
    total = total + a / b + a % b + a // b + a ^ b + (a & b) + (a | b) + (a ~ b) + (a << b) + (a >> b) + -a + ~b
    total = total + a + 1 + (2 + b) + (a - 1) + (3 * a) + (a * 2) + (a & 1) + (1 | a) + (a << 1) + (1 << a) + (a // 2)
    total = total + (a .. b) + (a .. "x") + (1 .. b) + a:size() + b:size() + #getmetatable(a) + (2 ^ a) + (a / 2.5)
    if a < b or a <= b or a > b or a == b or a ~= b or not (a < b) or a < 3 then total = total + 1 end
    for _, first in pairs(a) do total = total + first end
    total = total + defaults.colour + defaults(k, 2)
    defaults.size = k
    defaults[k] = k
    if defaults.nothing or rawget(defaults, "size") or pcall(function() return strict.x end) then total = -1 end
    if k % 50 == 0 then total = total + #tostring(a):match("^Set") end
    local proxy = setmetatable({}, { __index = b, __len = function() return #b end })
    for at, item in ipairs(proxy) do total = total + at + item end
    local private = setmetatable({}, { __mode = "k" })
    private[a] = { a }
    total = total + #table.concat(setmetatable({ "a", "b" }, Set)) + table.unpack(proxy, 1, #proxy)
  end
  return total
end

-- Functions made in loops, functions of functions, results that are remembered.
local function functional(n)
  local total = 0
  local function memoize(f)
    local known = {}
    return function(x)
      local y = known[x]
      if y == nil then
        y = f(x)
        known[x] = y
      end
      return y
    end
  end
  local function curry(f, ...)
    local bound = { ... }
    return function(...)
      local all = { table.unpack(bound) }
      for k = 1, select("#", ...) do all[#all + 1] = (select(k, ...)) end
      return f(table.unpack(all))
    end
  end
  local function fold(list, f, value)
    for _, item in ipairs(list) do value = f(value, item) end
    return value
  end
  local half = memoize(function(x) return x / 2 end)
  local add = function(a, b) return a + b end
  for k = 1, n do
    local made, at = {}, 0
    while at < 3 do
      at = at + 1
      local here = at
      made[at] = function() here = here + 1 return here + at end
      if here == 4 then break end
    end
    local add_one = curry(add, 1)
    total = total + half(k % 10) + add_one(k) + fold({ 1, 2, 3 }, add, 0) + made[1]() + made[2]() + made[1]()
    local text = fold({ "a", "b" }, function(a, b) return a .. b end, "")
    total = total + #text
  end
  return total
end

-- More than a core's caches hold: a tree and a list of records, which the collector goes through as they grow.
local function large(n)
  local function grow(depth)
    if depth == 0 then return {} end
    return { grow(depth - 1), grow(depth - 1) }
  end
  local kept = { grow(14) }
  for k = 1, n do kept[#kept + 1] = { name = "record", place = { k, k + 1 }, before = kept[k] } end
  collectgarbage()
  return #kept
end

return function()
  for _ = 1, 4 do arrays(2000) end
  records(6000)
  lists(4000)
  keys(2000)
  odd_tables(400)
  sorted(1000)
  objects(8000)
  events(300)
  closures(8000)
  functional(600)
  large(30000)
end
