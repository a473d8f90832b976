-- Tables from constructors of all sizes, which then grow, shrink, are emptied and filled again, while garbage is
-- collected in both modes. What they hold is compared with a plain list of what was put in; a checksum is printed.
local ITEMS, FIELDS, STEP = 20, 20, 1
local seed, sum, collections = 7, 0, 0
local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648; return (seed >> 8) % n end
local function note(v) sum = (sum * 31 + v) % 1000000007 end
local function collect()
  local what = random(40)
  if what > 5 then return end
  collections = collections + 1
  if what == 0 then collectgarbage()
  elseif what == 1 then collectgarbage("generational")
  elseif what == 2 then collectgarbage("incremental")
  else collectgarbage("step", what) end
end
-- the text of a constructor with `items` items and `fields` fields in between
local function constructor(items, fields)
  local parts = {}
  for i = 1, items do parts[#parts + 1] = i % 4 == 0 and "{" .. i .. "}" or tostring(i) end
  for i = 1, fields do table.insert(parts, 1 + i * 7 % (#parts + 1), "k" .. i .. " = " .. i * 3) end
  return "return {" .. table.concat(parts, ", ") .. "}"
end
local function value(v) return type(v) == "table" and v[1] or v end
local function check(t, items, fields)
  for i = 1, items do assert(value(t[i]) == i) end
  for i = 1, fields do assert(t["k" .. i] == i * 3) end
  local n, lengths = 0, 0 -- whatever the order is
  for k, v in pairs(t) do n = n + 1; lengths = lengths + #tostring(k) end
  note(lengths)
  assert(n == items + fields and t[items + 1] == nil and t["k" .. fields + 1] == nil)
  note(n); note(#t == items and 1 or 0)
end
local kept, weak = {}, setmetatable({}, {__mode = "v"})
local finalized, Class = 0, {}
Class.__index = Class
Class.__gc = function(t) finalized = finalized + 1; t[#t + 1] = finalized; t.last = {t} end
local ways = {
  function(t, items, fields) -- grows, item by item and field by field
    for i = items + 1, items + 9 do t[i] = i; collect() end
    for i = fields + 1, fields + 9 do t["k" .. i] = i * 3; collect() end
    check(t, items + 9, fields + 9)
  end,
  function(t, items, fields) -- loses everything, one after another
    for i = items, 1, -1 do t[i] = nil end
    for i = 1, fields do t["k" .. i] = nil end
    collect()
    assert(next(t) == nil and #t == 0)
    t.x = 1; t[1] = 1; t.y = 2; t.x = nil
    note(#t); note(t.y)
  end,
  function(t, items, fields) -- loses its fields and is rehashed by an item
    for k in pairs(t) do if type(k) == "string" then t[k] = nil end end
    t[items + 1] = items + 1; collect()
    check(t, items + 1, 0)
  end,
  function(t, items, fields) -- loses its items and is rehashed by a field
    for i = 1, items do t[i] = nil end
    t["k" .. fields + 1] = (fields + 1) * 3; collect()
    check(t, 0, fields + 1)
  end,
  function(t, items, fields) -- the library
    table.insert(t, 1, 0); table.insert(t, items + 2); collect()
    note(table.remove(t)); note(table.remove(t, 1)); table.sort(t, function(a, b) return value(a) < value(b) end)
    local u = table.move(t, 1, items, 3, {n = 1, table.unpack(t, 1, 2)}); collect()
    local p = table.pack(table.unpack(u))
    note(items > 1 and p.n + #u or 0); note(#table.concat({table.unpack(t, 1, math.min(items, 3))}, "") > 0 and 1 or 0)
    check(t, items, fields)
  end,
  function(t, items, fields) -- keys of every kind, which leave it again
    for i = 1, 6 do t[-i] = i; t[i + 0.5] = i; t[i * 100] = i; t[weak] = t; t[true] = i; collect() end
    for i = 1, 6 do t[-i] = nil; t[i + 0.5] = nil; t[i * 100] = nil end
    t[weak] = nil; t[true] = nil; collect()
    check(t, items, fields)
  end,
  function(t, items, fields) -- a finalizer, which brings it back and grows it
    setmetatable(t, Class); t.last = t; weak[#weak + 1] = t; collect()
  end,
  function(t, items, fields) -- nests, and is all that holds the others
    for i = 1, 3 do t.inner = {t.inner, {i, i, n = i}, k = i}; collect() end
    note(t.inner[1][1][2].n + t.inner.k); t.inner = nil
    check(t, items, fields)
  end,
}
local function run(items, fields)
  local make, message = load(constructor(items, fields))
  if not make then error(message, 0) end
  for i, way in ipairs(ways) do
    local t <const>, untouched = make(), make()
    kept[1 + (items * 5 + fields + i) % 50] = i % 3 == 0 and untouched or t
    check(t, items, fields)
    way(t, items, fields)
    check(untouched, items, fields)
  end
end
if LESS then ITEMS, FIELDS, STEP = 8, 4, 4 end
for items = 0, ITEMS, STEP do for fields = 0, FIELDS, STEP do run(items, fields) end end
-- items and fields of which nobody knew the number beforehand
local function vararg(...) return {...}, {n = select("#", ...), ...}, {..., "one"}, {[1] = 0, x = 1, ...} end
for n = 0, ITEMS, STEP do
  local a, b, c, d = vararg(table.unpack({}, 1, n))
  note(rawlen(a)); note(b.n); note(#c); note(d[1] or 9)
  a[n + 1], b[n + 1], d.y = n, n, n; b.n = nil; collect()
  note(a[n + 1] + b[n + 1] + d.y)
end
-- objects of one shape that live for a while
local queue, first = {}, 1
for i = 1, LESS and 60 or 3000 do
  queue[i] = setmetatable({x = i, y = i + 1, i}, i % 10 == 0 and Class or nil)
  if i > 40 then note(queue[first].x + queue[first].y + queue[first][1]); queue[first] = nil; first = first + 1 end
  if i % 3 == 0 then queue[i].z = {queue[i]}; queue[i].x = nil; queue[i].x = i end
  collect()
end
-- a coroutine keeps tables on its stack; a variable that is closed grows one
local co = coroutine.wrap(function()
  for i = 0, 12 do
    local t <close> = setmetatable({i, n = i}, {__close = function(t) t[2] = i; t.m = {t}; note(t[1] + t.n) end})
    coroutine.yield({t, i, k = t}); collect()
  end
end)
for i = 0, 12 do local t = co(); t[3] = t; note(t[2] + t.k.n) end
collectgarbage("incremental"); queue = nil; collectgarbage()
print(sum, collections > 0)
-- left for the end: they grow while the state closes
for i = 1, 12 do kept["end" .. i] = setmetatable({i, i, x = i}, {__gc = function(t) for j = 1, 9 do t[j] = {j}; t["f" .. j] = j end end}) end
AT_END = kept
