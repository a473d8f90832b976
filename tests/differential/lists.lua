-- table.insert and table.remove (vendor/speed-24-insert-and-remove.patch) against the same done in Lua, item by item:
-- in lists of all lengths, with items in the array part and in the hash part, with holes, with metatables, with
-- arguments of all kinds. Prints "ok".

local random = math.random

-- As the manual says and ltablib.c does it.
local function insert(t, ...)
  local e = #t + 1
  local pos, value
  local count = select("#", ...)
  if count == 1 then
    pos, value = e, (...)
  elseif count == 2 then
    pos, value = ...
    if math.type(pos) == "float" then pos = math.tointeger(pos) end
    if type(pos) ~= "number" then error("bad position") end
    if math.ult(e - 1, pos - 1) then error("position out of bounds") end
    for i = e, pos + 1, -1 do t[i] = t[i - 1] end
  else
    error("wrong number of arguments")
  end
  t[pos] = value
end

local function remove(t, ...)
  local size = #t
  local pos = ...
  if pos == nil then pos = size end
  if math.type(pos) == "float" then pos = math.tointeger(pos) end
  if type(pos) ~= "number" then error("bad position") end
  if pos ~= size and math.ult(size, pos - 1) then error("position out of bounds") end
  local value = t[pos]
  while pos < size do
    t[pos] = t[pos + 1]
    pos = pos + 1
  end
  t[pos] = nil
  return value
end

-- Calls that ask for no result, and for one: these have ways of their own (vendor/speed-34-more-leaves.patch).
local function append(t, value) table.insert(t, value) end
local function take_last(t)
  local last = table.remove(t)
  return last
end
local function drop_last(t) table.remove(t) end

local function show(t)
  local parts = {}
  for i = -2, 60 do
    local item = rawget(t, i)
    if item ~= nil then parts[#parts + 1] = i .. "=" .. tostring(item) end
  end
  return table.concat(parts, " ")
end

local function check(what, one, other, ok, result, ok_other, result_other)
  if ok ~= ok_other or (ok and result ~= result_other) or show(one) ~= show(other) then
    error(("%s: %s %s %s\ninstead of %s %s %s"):format(
      what, ok, tostring(result), show(one), ok_other, tostring(result_other), show(other)))
  end
end

-- Two lists that are alike, and of the same parts.
local function twins(length)
  local kind = random(5)
  local function make()
    local t
    if kind == 1 then
      t = {}
      for i = 1, length do t[i] = i * 10 end
    elseif kind == 2 then -- all in the hash part
      t = {}
      for i = length, 1, -1 do t[i] = i * 10 end
    elseif kind == 3 then -- an array part with room
      t = table.move({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }, 1, length, 1,
        { nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil })
    elseif kind == 4 then
      t = { x = 1, [0] = "zero", [-1] = "minus" }
      for i = 1, length do t[i] = i * 10 end
    else
      t = setmetatable({}, { __index = function(_, key) return key end, __len = function() return length end })
      for i = 1, length, 2 do t[i] = i * 10 end
    end
    return t
  end
  return make(), make()
end

local function position(length)
  local kind = random(12)
  if kind == 1 then return random(-2, 0) end
  if kind == 2 then return length + random(0, 3) end
  if kind == 3 then return random(length + 1) + 0.0 end
  if kind == 4 then return 1.5 end
  if kind == 5 then return math.maxinteger end
  if kind == 6 then return math.mininteger end
  if kind == 7 then return true end
  return random(length + 1)
end

for round = 1, 4000 do
  local length = random(0, 20)
  local one, other = twins(length)
  for step = 1, random(12) do
    local kind, pos = random(7), position(#one)
    local value = random(20) == 1 and nil or ("%d.%d"):format(round, step)
    if kind == 1 then
      check("insert at the end", one, other, pcall(random(3) == 1 and table.insert or append, one, value), nil,
        pcall(insert, other, value), nil)
    elseif kind == 2 then
      local ok = pcall(table.insert, one, pos, value)
      check("insert at " .. tostring(pos), one, other, ok, nil, pcall(insert, other, pos, value), nil)
    elseif kind == 3 then
      local ok, result = pcall(random(3) == 1 and table.remove or take_last, one)
      check("remove the last", one, other, ok, result, pcall(remove, other))
    elseif kind == 4 then
      local ok, result = pcall(table.remove, one, pos)
      check("remove at " .. tostring(pos), one, other, ok, result, pcall(remove, other, pos))
    elseif kind == 5 then
      assert(#one == #other)
    elseif kind == 6 then
      check("drop the last", one, other, pcall(drop_last, one), nil, pcall(remove, other), nil)
    else
      check("wrong", one, other, pcall(table.insert, one), nil, pcall(insert, other), nil)
    end
    if value == nil then break end -- with holes there is more than one length
  end
end

-- New values in old lists survive the collector, wherever they are put.
for _, mode in ipairs { "incremental", "generational" } do
  collectgarbage(mode)
  local list = {}
  for i = 1, 40 do list[i] = { i } end
  collectgarbage()
  collectgarbage()
  for round = 1, 200 do
    table.insert(list, { "last" .. round })
    table.remove(list, random(#list))
    table.remove(list)
    table.insert(list, random(#list), { "new" .. round })
    table.insert(list, { "late" .. round })
    table.remove(list, random(#list))
    collectgarbage("step", 0)
    for i = 1, #list do assert(list[i][1]) end
  end
  local appended = {} -- an old list with room that gets new items at its end, and nothing else
  for i = 1, 129 do appended[i] = { "item" .. i } end
  collectgarbage()
  collectgarbage()
  for i = 130, 250 do
    table.insert(appended, { "item" .. i })
    collectgarbage("step", 0)
  end
  for i = 1, 250 do assert(appended[i][1] == "item" .. i) end
end
collectgarbage("generational")

-- The messages are those of before.
local function message(code)
  return select(2, pcall(assert(load("local t = ...; " .. code)), { 1, 2 }))
end
assert(message("table.insert(t, 5, 1)"):find("bad argument #2 to 'insert' (position out of bounds)", 1, true))
assert(message("table.insert(t, 1, 2, 3)"):find("wrong number of arguments to 'insert'", 1, true))
assert(message("table.insert(t, 'x', 1)"):find("bad argument #2 to 'insert' (number expected, got string)", 1, true))
assert(message("table.insert(nil, 1)"):find("bad argument #1 to 'insert' (table expected, got nil)", 1, true))
assert(message("table.insert()"):find("bad argument #1 to 'insert' (table expected, got no value)", 1, true))
assert(message("table.remove(t, 5)"):find("to 'remove' (position out of bounds)", 1, true))

-- Protected metatables, finalizers and second metatables with 'setmetatable', whose usual way is a short one
-- (vendor/speed-30-leaves.patch).
local class = { __index = { value = 42 } }
local object = setmetatable({}, class)
assert(object.value == 42 and getmetatable(object) == class and rawequal(setmetatable(object, class), object))
assert(getmetatable(setmetatable(object, nil)) == nil)
assert(not pcall(setmetatable, setmetatable({}, { __metatable = "no" }), {}))
assert(not pcall(setmetatable, {}) and not pcall(setmetatable, 1, {}) and not pcall(setmetatable, {}, 1))
assert(setmetatable({}, class, "ignored").value == 42)
local collected = 0
do
  local finalized = { __gc = function() collected = collected + 1 end }
  for _ = 1, 10 do setmetatable({}, finalized) end
end
collectgarbage()
collectgarbage()
assert(collected == 10)
local late = {}
local without = setmetatable({}, late)
late.__gc = function() collected = -100 end
without = nil
collectgarbage()
assert(collected == 10)

print("ok")
