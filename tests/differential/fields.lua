-- Fields added by name (vendor/speed-19-taken-places.patch) stand in the order that 'rawset' gives them, which goes
-- another way: in tables of every kind, with names enough for all collisions, with fields taken out and put in again.
-- Prints "ok".

local random = math.random

-- A collection forgets the keys of fields that were taken out; a field put in again then gets a place of its own. So it
-- must not fall between the two in one of the tables only: none runs here by itself, and under the test's hook, which
-- collects at random points, fields that were taken out stay out.
collectgarbage("stop")
local hooked = debug.gethook() ~= nil

local function order(t)
  local keys = {}
  for key, value in next, t do keys[#keys + 1] = tostring(key) .. "=" .. tostring(value) end
  return table.concat(keys, " ")
end

-- How the tables begin: empty, with a full or a roomy hash part, with array items, with integer keys, with weak values.
local beginnings = {
  "{}", "{ a = 0 }", "{ a = 0, b = 0, c = 0 }", "{ 1, 2, 3 }", "{ 1, a = 0 }", "{ [-1] = 1 }", "{ [2.5] = 1, [10] = 2 }",
  "setmetatable({}, { __mode = 'v' })", "setmetatable({ a = 0 }, { __index = { b = 1 } })", "{ nil, nil, x = nil }",
}

local function compare(beginning, steps)
  local by_name, by_rawset = {}, {}
  for i, step in ipairs(steps) do
    by_name[i] = ("t.%s = %s"):format(step.name, step.value)
    by_rawset[i] = ("rawset(t, %q, %s)"):format(step.name, step.value)
  end
  local function run(lines)
    return assert(load("local t = " .. beginning .. "\n" .. table.concat(lines, "\n") .. "\nreturn t"))()
  end
  local t, expected = run(by_name), run(by_rawset)
  if order(t) ~= order(expected) then
    error(("%s\n%s\ngives\n%s\ninstead of\n%s"):format(
      beginning, table.concat(by_name, "\n"), order(t), order(expected)))
  end
  for _, step in ipairs(steps) do assert(t[step.name] == expected[step.name]) end
end

for round = 1, 3000 do
  local steps, names, out = {}, random(1, 40), {}
  for i = 1, random(0, 60) do
    local name = "f" .. random(names)
    if not (hooked and out[name]) then
      out[name] = random(5) == 1
      steps[#steps + 1] = { name = name, value = out[name] and "nil" or i }
    end
  end
  compare(beginnings[round % #beginnings + 1], steps)
  if round % 100 == 0 then collectgarbage() end
end

-- A metamethod is asked for each new field, and for no other; a table without room is asked as one with room.
local log = {}
local t = setmetatable({}, { __newindex = function(t, k, v) log[#log + 1] = k; if k ~= "b" then rawset(t, k, v) end end })
t.a = 1; t.a = 2; t.b = 3; t.b = 4; t.c = 5; t.d = 6; t.d = nil; t.d = 7
assert(table.concat(log) == "abbcdd" and t.a == 2 and t.b == nil and t.c == 5 and t.d == 7)

-- A field that was missing, and is a metamethod, is seen as soon as it is there.
local mt = {}
local object = setmetatable({}, mt)
assert(object.x == nil)
mt.__index = function() return "found" end
assert(object.x == "found")
mt = {}
for i = 1, 4 do mt["filler" .. i] = i end
object = setmetatable({}, mt)
assert(not pcall(function() return object + 1 end) and rawlen(object) == #object)
mt.__len = function() return 42 end
assert(#object == 42)

print("ok")
