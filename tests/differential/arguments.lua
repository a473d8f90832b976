-- Library functions that have short ways for their usual arguments (vendor/speed-25 to speed-28, speed-30, speed-34), and
-- some that have none, with arguments of all kinds. Prints what they give, a line for each call.

math.randomseed(42)
local draw = math.random

local values = {
  0, 1, -1, 2, 3, -3, 7, 1000, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, 1.5, -1.5, 2.5, -0.25, 1e15 + 0.5, 2^53,
  2^63, -2^63, 2^62 + 1024, 1e308, math.huge, -math.huge, 0 / 0, "", "abc", "10", "0x10", "1.5", " 7 ", "a.c", ".", "^b",
  "a\0b", ("long"):rep(20), true, false, {}, setmetatable({}, { __lt = function() return true end }),
  { 10, 20, nil, 40 }, { x = 1 },
  setmetatable({ 1 }, { __pairs = function(t) return 1, t, 3, 4 end, __len = function() return 2 end }),
}

local functions = {
  math.floor, math.ceil, math.max, math.min, math.abs, math.sqrt, math.fmod, math.tointeger, math.type, math.ult,
  math.random, math.modf, string.byte, string.sub, string.find, string.match, string.len, string.reverse, string.upper,
  math.sin, math.cos, rawequal, rawlen, rawget, assert, select, ipairs, pairs, next, tonumber, table.unpack,
}

local names = { [true] = "true", [false] = "false" } -- whatever their metatable says
local kinds_alone = { ["table"] = true, ["nil"] = true, ["function"] = true } -- shown without a value
local function show(...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    local part = parts[i]
    local kind = math.type(part) or type(part)
    assert((part == nil) == (kind == "nil"))
    parts[i] = kinds_alone[kind] and kind or kind .. ":" .. (names[part] or ("%q"):format(part))
  end
  return table.concat(parts, " ", 1, parts.n)
end

-- Ways to call `f` from Lua, and how many of its results they give: none, one, two, three, four, all.
local ways = {
  [0] = function(f, ...) f(...) end,
  function(f, ...)
    local first = f(...)
    return first
  end,
  function(f, ...)
    local first, second = f(...)
    return first, second
  end,
  function(f, ...)
    local first, second, third = f(...)
    return first, second, third
  end,
  function(f, ...)
    local first, second, third, fourth = f(...)
    return first, second, third, fourth
  end,
  function(f, ...) return f(...) end,
  function(f, ...) return (function(...) return ... end)(f(...)) end,
}

local function hooked(f, ...)
  debug.sethook(function() end, "cr")
  local results = table.pack(pcall(f, ...))
  debug.sethook()
  return table.unpack(results, 1, results.n)
end

local function call(name, f, ...)
  math.randomseed(42) -- each way gets the same random numbers
  local results = table.pack(pcall(f, ...))
  io.write(name, "(", show(...), ")\t", show(table.unpack(results, 1, results.n)), "\n") -- (print asks metatables)
  for wanted = 0, #ways do
    math.randomseed(42)
    local there = table.pack(pcall(ways[wanted], f, ...))
    if not results[1] then
      io.write("\t", show(table.unpack(there, 1, there.n)), "\n") -- now with the caller's line
    else
      local n = wanted > 4 and results.n or wanted + 1
      local expected = show(table.unpack(results, 1, n))
      assert(show(table.unpack(there, 1, there.n)) == expected, expected)
    end
  end
  math.randomseed(42)
  assert(show(hooked(f, ...)) == show(table.unpack(results, 1, results.n)))
end

for name, f in ipairs(functions) do
  call(name, f)
  call(name, f, nil)
  for _, one in ipairs(values) do
    call(name, f, one)
    call(name, f, one, nil)
    call(name, f, nil, one)
    for _, other in ipairs(values) do call(name, f, one, other) end
  end
  for _ = 1, 400 do
    local picked = {}
    for i = 1, 3 + draw(2) do picked[i] = values[draw(#values)] end
    call(name, f, table.unpack(picked))
  end
end

-- Single characters, such as there are strings of and such as there are not, and the bytes beside them.
for _, s in ipairs { "", "a", "abc", "\0\1\255", ("xyz\xe9"):rep(30) } do
  for i = -#s - 2, #s + 2 do
    call("sub", string.sub, s, i, i)
    call("sub", string.sub, s, i, i + 1)
    call("sub", string.sub, s, i + 0.0, i)
  end
end

-- Items in the array part and beyond it, with holes, and more than fit into a stack.
for length = 0, 12 do
  local items, others = {}, {}
  for i = 1, length do items[i], others[length + 1 - i] = i * 10, i end
  call("unpack", table.unpack, items)
  call("unpack", table.unpack, others)
  call("next", next, items, length)
  call("next", next, items, length + 1)
  items[length // 2] = nil
  call("unpack", table.unpack, items)
end
call("unpack", table.unpack, { [1] = 1, [2] = 2, [3] = 3 })
local holes = { 1, 2, 3, 4, 5, 6, 7, 8 }
for i = 10, 16 do holes[i] = i end
call("unpack", table.unpack, holes)
print("hole", #holes, (function(_, _, _, _, _, _, _, _, ninth) return ninth == nil end)(table.unpack(holes)))
for _, length in ipairs { 30, 300, 30000, 2000000 } do
  local items = table.move({ 1, 2, 3 }, 1, 3, length - 2, {})
  for i = 1, length do items[i] = i end
  print("unpack", length, pcall(select, "#", table.unpack(items, 1, length > 1000000 and 5 or nil)))
  print("unpack all", pcall(function() return select("#", table.unpack(items)) end))
end

-- Metatables that are set anew, and not; those with a finalizer, and those that nobody may change.
local finalized = 0
local metatables = { {}, { __gc = function() finalized = finalized + 1 end }, { __metatable = "mine" }, { __index = {} }, 7 }
for had = 0, #metatables - 1 do
  for gets = 0, #metatables do
    local function fresh() return setmetatable({}, metatables[had]) end
    for wanted = 0, #ways do
      local t = fresh()
      local done, result, more = pcall(ways[wanted], setmetatable, t, metatables[gets])
      local got = debug.getmetatable(t)
      print("setmetatable", had, gets, wanted, done, done and result == t or show(result), more,
        got == nil or got == metatables[had], got == metatables[gets])
    end
    call("getmetatable", function(t) return type(getmetatable(t)) end, fresh())
  end
end
collectgarbage()
collectgarbage()
print("finalized", finalized)
call("setmetatable", setmetatable)
call("setmetatable", setmetatable, {}, {}, {})

-- Hooks see every call, however many results it is for.
for name, f in ipairs(functions) do
  for wanted = 0, #ways do
    local calls = 0
    debug.sethook(function() calls = calls + 1 end, "c")
    pcall(ways[wanted], f, 1, 2)
    pcall(ways[wanted], f, { 10, 20 })
    pcall(ways[wanted], f, "abc", 2, 2)
    debug.sethook()
    print("calls", name, wanted, calls)
  end
end

-- What has no address in it, alone and in pairs, while strings, numbers and the others have metamethods and while not.
local formats = { "%s", "%d", "%i", "%x", "%X", "%5x", "%012X", "%-4x", "%+i", "%3i", "%03d", "<%s>%%", "%5s", "%-5s|",
  "%.2s", "%.3f", "%.14g", "%q", "%s%s", "%s, %i", "%x-%s", "%", "%10", "%010s", "%#x", "%5.2x" }
local scalars = {}
for _, value in ipairs(values) do
  if type(value) ~= "table" then table.insert(scalars, value) end
end

local function texts()
  for _, one in ipairs(scalars) do
    call("tostring", tostring, one)
    call("type", type, one)
    call("tonumber", tonumber, one)
    call("tostring", tostring, one, "more")
    for _, format in ipairs(formats) do
      call(format, string.format, format, one)
      call(format, string.format, format, one, scalars[draw(#scalars)])
    end
    call("concat", table.concat, { one })
    for _, other in ipairs(scalars) do call("concat", table.concat, { one, other, 1, 2.5, "x" }, other) end
  end
  call("tostring", tostring)
  call("type", type)
end

texts()
print(type({}), type(print), type(function() end), type(coroutine.create(print)), type(io.stdout), pcall(tostring))
local string_metatable = getmetatable("")
string_metatable.__tostring = function(s) return "string of " .. #s end
debug.setmetatable(0, { __tostring = function(n) return n == n and "number" or nil end, __name = "NUMBER" })
texts()
string_metatable.__tostring = 7
debug.setmetatable(0, { __index = math, __concat = function() return "both" end, __name = "NUMBER" })
debug.setmetatable(nil, { __tostring = function() return "nothing" end })
debug.setmetatable(true, { __tostring = function() return {} end, __name = "TRUTH" })
texts()
string_metatable.__tostring = nil
for _, value in ipairs { 0, true } do debug.setmetatable(value, nil) end
debug.setmetatable(nil, nil)

-- Tables that give items through metamethods, items of other kinds, and more text than fits at first.
local given = setmetatable({ "a", nil, 3 }, { __index = function(_, i) return i * 2 end, __len = function() return 5 end })
call("concat", table.concat, given, ",")
for i = 1, 5 do
  call("concat", table.concat, { "a", i, ("b"):rep(i * 300), i / 4, ("c"):rep(2000), i == 3 and {} or 7 }, ("-"):rep(i))
end
local held = {}
for i = 1, 3000 do held[i] = i % 3 == 0 and i or i % 3 == 1 and i / 7 or "item " .. i end
print(#table.concat(held), table.concat(held, " ", 1, 40), table.concat(held, " ", 2990))

-- The same generator gives the same numbers, whatever is asked of it.
math.randomseed(7)
for i = 1, 200 do print(math.random(), math.random(i), math.random(-i, i), math.random(0), math.random(i, 3 * i)) end
